"""Tells the feed what the contacts of lists wait for, as it changes, and no more often than it is worth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import structlog
import trio

from engine.control.blocked import Blocked, BlockedContacts
from engine.model.events import Event
from engine.ports.clock import WallClock
from engine.ports.store import Store
from engine.ports.stored import StoreUnavailable

log = structlog.get_logger(__name__)

LISTS_MAX: Final = 50
"""Lists that are looked at in one round; with more of them open, each has its turn in a later one."""


class WaitingTeller:
    """Sums up lists again and again. One event of a list in `every_s` at the most, and none where nothing has
    changed."""

    def __init__(
        self,
        store: Store,
        clock: WallClock,
        blocked: BlockedContacts,
        open_lists: Callable[[], Sequence[tuple[str, str]]],
        every_s: float,
    ) -> None:
        """`open_lists` are (account, list) of those that have contacts in hand or soon will."""
        self._store = store
        self._clock = clock
        self._blocked = blocked
        self._open_lists = open_lists
        self._every_s = every_s
        self._told: dict[str, Blocked] = {}
        self._next = 0

    async def run(self) -> None:
        """Tell, until cancelled."""
        while True:
            await trio.sleep(self._every_s)
            lists = self._open_lists()
            names = {name for _, name in lists}
            self._told = {name: told for name, told in self._told.items() if name in names}
            for _ in range(min(LISTS_MAX, len(lists))):
                self._next = (self._next + 1) % len(lists)
                try:
                    await self._tell(*lists[self._next])
                except StoreUnavailable as error:
                    log.error("cannot tell what a list waits for", error=str(error))
                    break

    async def _tell(self, account: str, name: str) -> None:
        now = self._clock.now()
        call_list = await self._store.get_list(account, name)
        counts = await self._store.count_list(account, name, now)
        if call_list is None or counts is None:
            return
        blocked = (await self._blocked.sum_up(call_list, counts)).contacts
        if blocked == self._told.get(name, {}):
            return
        data = {
            "status": call_list.status,
            "blocked": blocked,
            "dialing": counts.dialing,
            "completed": counts.completed,
        }
        event = Event("list.waiting", now, account, call_list.flow, name, data=data)
        await self._store.defer_contacts([], [event])
        self._told[name] = blocked
