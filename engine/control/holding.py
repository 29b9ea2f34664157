"""Pausing, resuming and canceling whole flows and accounts, and stopping accounts.

What is paused is held in memory, where it is asked once more directly before each INVITE, as soon as the
store has it. Canceling holds the flow or the account first, then cancels list by list, and lets go at the
end: no call begins meanwhile, and none of what waited begins after.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final, Literal

import msgspec
import trio

from engine.dial.attempts.live import LiveAttempts
from engine.dial.operation import Operation
from engine.model import Account, CallList, Flow, audit
from engine.ports.clock import WallClock
from engine.ports.store import Store
from engine.ports.stored import Conflict
from engine.schedule.scheduler import Scheduler

CHUNK: Final = 250
"""Single calls that are canceled in one transaction."""


class Holding:
    """Holds flows and accounts, as their users ask for it."""

    def __init__(
        self,
        store: Store,
        clock: WallClock,
        operation: Operation,
        scheduler: Scheduler,
        live: LiveAttempts,
        cancel_list: Callable[[str, str], Awaitable[CallList | None]],
        take_account: Callable[[Account], None],
        turns: trio.Lock,
    ) -> None:
        """`turns` is held from changing an account or a flow to taking it into operation, so that no older
        version of it comes after; `take_account` does that."""
        self._store = store
        self._clock = clock
        self._operation = operation
        self._scheduler = scheduler
        self._live = live
        self._cancel_list = cancel_list
        self._take_account = take_account
        self._turns = turns

    async def pause_flow(self, account: str, flow: str) -> Flow | None:
        """The flow, of which no call begins after this returns, and whose calls that do not ring are taken
        back; None when there is no such flow."""
        changed = await self._change_flow(account, flow, self._clock.now())
        if changed is not None:
            self._live.take_back(flow, "paused")
        return changed

    async def resume_flow(self, account: str, flow: str) -> Flow | None:
        """The flow, which goes on."""
        return await self._change_flow(account, flow, None)

    async def cancel_flow(self, account: str, flow: str) -> Flow | None:
        """The flow, none of whose contacts that waited is called after this returns, and whose calls that
        nobody has answered are taken back."""
        found = await self._store.get_flow(account, flow)
        if found is not None:
            await self._cancel([found])
        return found

    async def pause_account(self, id_or_name: str) -> Account | None:
        """As `pause_flow`, of all flows of an account."""
        changed = await self._change_account(id_or_name, "paused_at", self._clock.now())
        if changed is not None:
            self._live.take_back(changed.id, "paused")
        return changed

    async def resume_account(self, id_or_name: str) -> Account | None:
        """As `resume_flow`; flows that are paused by themselves stay so."""
        return await self._change_account(id_or_name, "paused_at", None)

    async def stop_account(self, id_or_name: str) -> Account | None:
        """Make no call of an account from now on, and end those that go on: none begins after this returns.
        None when there is no such account."""
        changed = await self._change_account(id_or_name, "stopped_at", self._clock.now())
        if changed is not None:
            self._live.break_off_account(changed.id)
        return changed

    async def start_account(self, id_or_name: str) -> Account | None:
        """Let an account call again that was stopped."""
        return await self._change_account(id_or_name, "stopped_at", None)

    async def cancel_account(self, id_or_name: str) -> Account | None:
        """As `cancel_flow`, of all flows of an account."""
        found = await self._store.get_account(id_or_name)
        if found is not None:
            audit.note(found.id, found.id)
            await self._cancel(await self._flows_of(found.id))
        return found

    async def _flows_of(self, account: str) -> list[Flow]:
        flows: list[Flow] = []
        cursor: str | None = None
        while True:
            page = await self._store.list_flows(account, 1000, cursor)
            flows += page.items
            cursor = page.next
            if cursor is None:
                return flows

    async def _change_flow(self, account: str, flow: str, at: float | None) -> Flow | None:
        def change(old: Flow) -> Flow:
            paused_at = at if at is None or old.paused_at is None else old.paused_at
            return msgspec.structs.replace(old, paused_at=paused_at)

        # A client that hangs up must not keep what was changed from being heard of.
        with trio.CancelScope(shield=True):
            async with self._turns:
                changed = await self._store.change_flow(account, flow, audit.noting(change))
                if changed is not None:
                    self._operation.pause_flow(flow, changed.paused_at is not None)
        if changed is not None:
            self._scheduler.queues.offer_all(flow)
        return changed

    async def _change_account(
        self, id_or_name: str, field: Literal["paused_at", "stopped_at"], at: float | None
    ) -> Account | None:
        """Note since when an account is held; what is held already stays so since then."""

        def change(old: Account) -> Account:
            since = at if at is None else getattr(old, field) or at
            return msgspec.structs.replace(old, **{field: since})

        found = await self._store.get_account(id_or_name)
        if found is None:
            return None
        # A client that hangs up must not keep what was changed from being heard of.
        with trio.CancelScope(shield=True):
            async with self._turns:
                audit.note(found.id, found.id)
                changed = await self._store.change_account(found.id, audit.noting(change))
                if changed is not None:
                    self._take_account(changed)
        return changed

    async def _cancel(self, flows: Sequence[Flow]) -> None:
        ids = {flow.id for flow in flows}
        async with self._held(ids):
            standing = []
            for account, call_list in await self._lists_of(ids):
                try:
                    await self._cancel_list(account, call_list)
                except Conflict as conflict:
                    if conflict.code == "list_standing":
                        standing.append(call_list)
                    elif conflict.code != "list_finished":  # it has come to its end meanwhile
                        raise
            for flow in ids:
                self._live.take_back(flow, "canceled")
            for call_list in standing:
                await self._cancel_single_calls(call_list)

    async def _lists_of(self, flows: set[str]) -> list[tuple[str, str]]:
        """(account, list) of lists with contacts that wait or are on a call. Between two questions a contact
        may go from the one to the other: so who waits is asked for on both sides of who is on a call."""
        before = await self._store.open_lists()
        called = [attempt for attempt, _ in await self._store.open_attempts()]
        found = (*before, *await self._store.open_lists())
        return [
            *dict.fromkeys(
                (
                    *((one.account, one.list) for one in found if one.flow in flows),
                    *((one.account, one.list) for one in called if one.flow in flows),
                )
            )
        ]

    async def _cancel_single_calls(self, call_list: str) -> None:
        while True:
            some = await self._store.due_contacts(call_list, float("inf"), CHUNK)
            contacts = [one.id for one in some]
            if not contacts:
                return
            await self._store.complete_contacts(contacts, "canceled", self._clock.now())
            self._scheduler.let_go(call_list, contacts)

    @asynccontextmanager
    async def _held(self, flows: set[str]) -> AsyncIterator[None]:
        for flow in flows:
            self._operation.hold_flow(flow, 1)
        try:
            yield
        finally:
            for flow in flows:
                self._operation.hold_flow(flow, -1)
                self._scheduler.queues.offer_all(flow)
