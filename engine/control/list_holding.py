"""Pausing, resuming and canceling lists, and canceling contacts, while calls go on."""

from __future__ import annotations

from typing import Final, Literal

import structlog
import trio

from engine.dial.attempts.live import LiveAttempts
from engine.model import CallList, Contact
from engine.ports.clock import WallClock
from engine.ports.store import Store
from engine.ports.stored import Conflict, StoreUnavailable
from engine.schedule.scheduler import Scheduler

log = structlog.get_logger(__name__)

CLOSE_CHUNK: Final = 200
"""Contacts of a canceled list that are completed in one transaction: calls that are about to be made wait
for it."""
STORE_RETRY_S: Final = 1.0


class ListHolding:
    """Holds lists, as their users ask for it. `run` is a task of its own."""

    def __init__(
        self, store: Store, clock: WallClock, scheduler: Scheduler, live: LiveAttempts
    ) -> None:
        self._store = store
        self._clock = clock
        self._scheduler = scheduler
        self._live = live
        self._canceling = trio.Event()

    async def pause(self, account: str, call_list: str) -> CallList | None:
        """No call of the list begins after this returns, and those that do not ring are taken back. Raises
        `Conflict`; see the store's port."""
        was_paused = self._scheduler.is_paused(call_list)
        self._scheduler.pause_list(call_list)
        changed = None
        try:
            changed = await self._change(account, call_list, "pause")
            if changed is not None:
                self._live.take_back(call_list, "paused")
        finally:
            if changed is None and not was_paused:
                self._scheduler.resume_list(call_list)
        return changed

    async def resume(self, account: str, call_list: str) -> CallList | None:
        """Go on with a paused list. Raises `Conflict`; see the store's port."""
        changed = await self._change(account, call_list, "resume")
        if changed is not None:
            self._scheduler.resume_list(call_list)
            with trio.CancelScope(shield=True):
                opened = await self._store.open_list(call_list)
            # An attempt that the store refused just before may have paused the list again.
            self._scheduler.resume_list(call_list)
            if opened is not None:
                self._scheduler.open_list(
                    opened.account, opened.flow, opened.list, opened.next_due_at
                )
        return changed

    async def cancel(self, account: str, call_list: str) -> CallList | None:
        """No call of the list begins after this returns, and those that nobody has answered are taken back;
        the others go on. Raises `Conflict`."""
        changed = await self._change(account, call_list, "cancel")
        if changed is not None:
            self._scheduler.close_list(call_list)
            self._live.take_back(call_list, "canceled")
            self._canceling.set()
        return changed

    async def cancel_contact(self, account: str, contact: str) -> Contact | None:
        """Complete a contact that waits as `canceled`. Raises `Conflict` when it is being dialled
        (`contact_dialing`) or is completed (`contact_finished`)."""
        found = await self._store.get_contact(account, contact)
        if found is None:
            return None
        if not await self._store.complete_contacts([contact], "canceled", self._clock.now()):
            found = await self._store.get_contact(account, contact) or found
            if found.state == "dialing":
                raise Conflict("contact_dialing", "The contact is being dialled.")
            raise Conflict("contact_finished", "The contact has its disposition already.")
        self._scheduler.let_go(found.list, [contact])
        return await self._store.get_contact(account, contact)

    async def run(self) -> None:
        """Give the open contacts of canceled lists their disposition, a chunk at a time, until cancelled."""
        while True:
            try:
                closed = await self._store.close_canceled(CLOSE_CHUNK, self._clock.now())
            except StoreUnavailable as error:
                log.error("cannot close canceled contacts", error=str(error))
                await trio.sleep(STORE_RETRY_S)
                continue
            if closed == 0:
                await self._canceling.wait()
                self._canceling = trio.Event()

    async def _change(
        self, account: str, call_list: str, change: Literal["pause", "resume", "cancel"]
    ) -> CallList | None:
        """Change it in the store. Out of reach of cancellation: the store does not take back what was
        asked, and a client that hangs up must not keep its change from being heard of."""
        with trio.CancelScope(shield=True):
            changed = await self._store.set_list_status(
                account, call_list, change, self._clock.now()
            )
        return changed
