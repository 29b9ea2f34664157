"""Deliveries to webhooks, and hooks that are disabled."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import trio

from adapters.sqlite import cursors, rules
from engine.model.webhook import (
    PENDING_COUNTED_MAX,
    Delivery,
    DeliveryState,
    DueDelivery,
    HookState,
    Outcome,
    Try,
)
from engine.ports.stored import Page
from sim.memory_store.paging import page_of
from sim.memory_store.tables import Tables


class MemoryDeliveries:
    """The methods of `engine.ports.webhooks.WebhookStore`."""

    _tables: Tables

    async def hooks_with_deliveries(self) -> list[tuple[str, str]]:
        """(account, flow) of every flow that has pending deliveries."""
        await trio.lowlevel.checkpoint()
        return [
            (self._tables.flows[flow].account, flow)
            for flow, kept in self._tables.deliveries.items()
            if any(one.state == "pending" for one in kept.values())
        ]

    async def due_deliveries(self, flow: str, until: float, limit: int) -> list[DueDelivery]:
        """The earliest first."""
        await trio.lowlevel.checkpoint()
        due = [
            (one.due_at, one.seq, one)
            for one in self._pending(flow)
            if one.due_at is not None and one.due_at <= until
        ]
        return [
            DueDelivery(one, self._tables.body_of(one.account, one.seq))
            for _, _, one in sorted(due, key=lambda row: row[:2])[:limit]
        ]

    async def next_delivery_at(self, flow: str) -> float | None:
        """The earliest `due_at` of the flow's pending deliveries."""
        await trio.lowlevel.checkpoint()
        moments = [one.due_at for one in self._pending(flow) if one.due_at is not None]
        return min(moments, default=None)

    async def note_tries(self, outcomes: Sequence[Outcome], at: float) -> None:
        """Keep what came of tries."""
        await trio.lowlevel.checkpoint()
        for outcome in outcomes:
            kept = self._tables.deliveries.get(outcome.delivery.flow, {})
            found = kept.get(outcome.delivery.seq)
            if found is None or found.state != "pending":
                continue
            if found.begun_at == outcome.delivery.begun_at:
                kept[found.seq] = msgspec.structs.replace(
                    found,
                    state=outcome.state,
                    due_at=outcome.due_at,
                    tries=outcome.tries,
                    last=outcome.last,
                )
            if outcome.state != "pending":
                self._tables.done_deliveries[found.account, found.seq] = at
                self._begin_next(found, at)

    async def give_up_deliveries(
        self, flow: str, code: str, detail: str, at: float, limit: int
    ) -> int:
        """Give up to `limit` pending deliveries of the flow up."""
        await trio.lowlevel.checkpoint()
        last_first = sorted(
            self._pending(flow), key=lambda one: (one.subject, one.seq), reverse=True
        )
        some = last_first[:limit]
        for one in some:
            self._tables.deliveries[flow][one.seq] = msgspec.structs.replace(
                one, state="given_up", due_at=None, last=Try(at, code, detail)
            )
            self._tables.done_deliveries[one.account, one.seq] = at
        return len(some)

    async def disable_hook(self, account: str, flow: str, url: str, at: float, detail: str) -> bool:
        """Send nothing more to this address."""
        await trio.lowlevel.checkpoint()
        found = self._tables.flows.get(flow)
        hook = self._tables.hook_of(flow)
        if found is None or found.account != account or hook is None or hook.url != url:
            return False
        self._tables.disabled_hooks[flow] = (url, at)
        self._tables.tell([rules.hook_disabled(found, url, at, detail)])
        self._tables.commit()
        return True

    async def enable_hook(self, account: str, flow: str) -> bool:
        """Send again to a hook that was disabled."""
        await trio.lowlevel.checkpoint()
        found = self._tables.flows.get(flow)
        if found is None or found.account != account:
            return False
        return self._tables.disabled_hooks.pop(flow, None) is not None

    async def hook_state(self, account: str, flow: str) -> HookState:
        """How the hook of a flow stands."""
        await trio.lowlevel.checkpoint()
        found = self._tables.flows.get(flow)
        if found is None or found.account != account:
            return HookState(None, 0)
        url, at = self._tables.disabled_hooks.get(flow, ("", 0.0))
        hook = found.settings.webhook
        is_disabled = hook is not None and hook.url == url
        pending = min(len(self._pending(flow)), PENDING_COUNTED_MAX)
        return HookState(at if is_disabled else None, pending)

    async def list_deliveries(
        self,
        account: str,
        flow: str,
        state: DeliveryState | None,
        limit: int,
        cursor: str | None,
    ) -> Page[Delivery]:
        """The newest first."""
        await trio.lowlevel.checkpoint()
        after = None
        if cursor is not None:
            (before,) = cursors.read_cursor(cursor, cursors.PLACE_CURSOR)
            after = -before
        some = sorted(
            (
                one
                for one in self._tables.deliveries.get(flow, {}).values()
                if one.account == account and state in (None, one.state)
            ),
            key=lambda one: -one.seq,
        )
        return page_of(
            some, after, limit, lambda one: -one.seq, lambda one: cursors.cursor_of(one.seq)
        )

    async def get_delivery(self, account: str, flow: str, seq: int) -> Delivery | None:
        """One delivery of the flow."""
        await trio.lowlevel.checkpoint()
        return self._find_delivery(account, flow, seq)

    async def replay_delivery(
        self, account: str, flow: str, seq: int, at: float
    ) -> Delivery | None:
        """Make a delivery due at `at` as if it had never been sent."""
        await trio.lowlevel.checkpoint()
        found = self._find_delivery(account, flow, seq)
        if found is None:
            return None
        replayed = msgspec.structs.replace(found, state="pending", begun_at=at, due_at=at, tries=0)
        self._tables.deliveries[flow][seq] = replayed
        self._tables.done_deliveries.pop((account, seq), None)
        return replayed

    async def clear_deliveries(self, before: float, limit: int) -> int:
        """Forget deliveries that were done before."""
        await trio.lowlevel.checkpoint()
        done = self._tables.done_deliveries
        gone = [key for key, at in done.items() if at < before][:limit]
        for account, seq in gone:
            del done[account, seq]
            for flow, kept in self._tables.deliveries.items():
                if self._tables.flows[flow].account == account:
                    kept.pop(seq, None)
        return len(gone)

    def _pending(self, flow: str) -> list[Delivery]:
        kept = self._tables.deliveries.get(flow, {})
        return [one for one in kept.values() if one.state == "pending"]

    def _find_delivery(self, account: str, flow: str, seq: int) -> Delivery | None:
        found = self._tables.deliveries.get(flow, {}).get(seq)
        return found if found is not None and found.account == account else None

    def _begin_next(self, done: Delivery, at: float) -> None:
        """The next delivery of a subject is due."""
        others = [one for one in self._pending(done.flow) if one.subject == done.subject]
        first = min(others, key=lambda one: one.seq, default=None)
        if first is not None and first.due_at is None:
            self._tables.deliveries[done.flow][first.seq] = msgspec.structs.replace(
                first, due_at=at
            )
