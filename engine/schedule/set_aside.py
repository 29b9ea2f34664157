"""Contacts that cannot be dialled for hours go back to the store, many in one transaction."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec
import structlog
import trio

from engine.model import BlockerCode, Contact
from engine.ports.dial_store import Deferral, DialStore
from engine.ports.stored import StoreUnavailable
from engine.schedule.feed import Work

log = structlog.get_logger(__name__)

CHUNK: Final = 500
"""Contacts of one transaction."""
STORE_RETRY_S: Final = 1.0
"""How soon a store that did not take them is asked again."""


class SettingAside:
    """Takes contacts that are in hand and gives them back to the store for a later moment. It holds no more
    than the scheduler has in hand."""

    def __init__(self, store: DialStore, put_back: Callable[[Work, Contact], None]) -> None:
        """`put_back` tells the scheduler that a contact waits again, as it is then stored."""
        self._store = store
        self._put_back = put_back
        self._waiting: deque[tuple[Work, Contact]] = deque()
        self._woken = trio.Event()
        self.turn = trio.Lock()
        """Held while some are written down. Whoever looks for those that were takes it."""

    def add(self, work: Work, due_at: float, code: BlockerCode) -> None:
        """Have a contact wait until `due_at`, seconds since the epoch, for the reason `code`."""
        contact = msgspec.structs.replace(work.contact, due_at=due_at, wait_code=code)
        self._waiting.append((work, contact))
        self._woken.set()

    def recall(self, flow: str, due_at: float) -> None:
        """What was set aside of a flow and is not in the store yet is due at this moment instead."""
        for place, (work, contact) in enumerate(self._waiting):
            if contact.flow == flow:
                self._waiting[place] = work, msgspec.structs.replace(contact, due_at=due_at)

    async def run(self) -> None:
        """Write down what was set aside, until cancelled."""
        while True:
            await self._woken.wait()
            self._woken = trio.Event()
            while self._waiting:
                async with self.turn:
                    await self._write_some()

    async def _write_some(self) -> None:
        some = [self._waiting[place] for place in range(min(CHUNK, len(self._waiting)))]
        deferrals = [Deferral(one.id, one.due_at, one.wait_code) for _, one in some]
        try:
            await self._store.defer_contacts(deferrals, [])
        except StoreUnavailable as error:
            log.error("cannot set contacts aside", contacts=len(some), error=str(error))
            await trio.sleep(STORE_RETRY_S)
            return
        for _ in some:
            # Some may have been recalled meanwhile. The scheduler then goes by the earlier moment.
            self._put_back(*self._waiting.popleft())
