"""Gives the contacts of lists another start time, a piece at a time, however many there are."""

from __future__ import annotations

import math
from typing import Final

import structlog
import trio

from engine.ports.store import Store
from engine.ports.stored import StoreUnavailable
from engine.schedule.scheduler import Scheduler

log = structlog.get_logger(__name__)

CHUNK: Final = 250
"""Contacts of one transaction: calls that are about to be made wait for it."""
STORE_RETRY_S: Final = 1.0
"""How soon a store that could not do it is asked again."""


class Moving:
    """Moves lists that the store has as being moved, those of an earlier process as well."""

    def __init__(self, store: Store, scheduler: Scheduler) -> None:
        self._store = store
        self._scheduler = scheduler
        self._woken = trio.Event()
        self._has_moved = trio.lowlevel.ParkingLot()
        self._under_way: set[str] = set()

    def add(self, call_list: str) -> None:
        """The store has just been told of another start time for this list."""
        self._under_way.add(call_list)
        self._scheduler.hold_list(call_list)
        self._woken.set()

    async def wait(self, call_list: str) -> None:
        """Return when the contacts of a list have their start time."""
        while call_list in self._under_way:
            await self._has_moved.park()

    async def run(self) -> None:
        """Move contacts, until cancelled."""
        while True:
            self._woken = trio.Event()
            while await self._move_some():
                pass
            await self._woken.wait()

    async def _move_some(self) -> bool:
        """Whether there may be more."""
        try:
            moved = await self._store.move_contacts(CHUNK)
            if moved is None:
                return False
            if not moved.is_done:
                return True
            opened = await self._store.open_list(moved.list)
        except StoreUnavailable as error:
            log.error("cannot move contacts", error=str(error))
            await trio.sleep(STORE_RETRY_S)
            return True
        next_due_at = math.inf if opened is None else opened.next_due_at
        self._scheduler.release_list(moved.account, moved.flow, moved.list, next_due_at)
        self._under_way.discard(moved.list)
        self._has_moved.unpark_all()
        return True
