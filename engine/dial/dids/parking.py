"""Contacts that wait for one DID: the one that called their number last.

All wait equally long at the most, so that whoever came first is the first to give up. Moments are
`trio.current_time()`.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Final

import trio

from engine.model import Contact
from engine.schedule.feed import Work

STICKY_WAIT_S: Final = 60.0
"""How long a contact waits for the DID that called its number last, before any other calls it. A number that
is known is worth a minute, and no contact is worth leaving all other DIDs idle."""


class Parking:
    """Contacts by the DID that they wait for. It holds no more than the scheduler has in hand."""

    def __init__(self) -> None:
        self._waiting: dict[str, dict[str, Work]] = {}
        """By DID, and by contact, in the order of coming."""
        self._did_of: dict[str, str] = {}
        """By contact."""
        self._ends: deque[tuple[float, Work]] = deque()
        self._released: deque[Work] = deque()
        self._changed = trio.Event()

    def add(self, did: str, work: Work, now: float) -> None:
        """A contact begins to wait. As another piece of work, which is void then, it waits no more."""
        before = self._did_of.get(work.contact.id)
        if before is not None:
            self._leave(self._waiting[before][work.contact.id])
        work.waits_since = now
        self._waiting.setdefault(did, {})[work.contact.id] = work
        self._did_of[work.contact.id] = did
        self._ends.append((now + STICKY_WAIT_S, work))
        self._changed.set()

    def count(self, did: str) -> int:
        """How many wait for a DID."""
        return len(self._waiting.get(did, ()))

    def did_of(self, contact: str) -> str | None:
        """Which DID a contact waits for; None where it waits for none."""
        return self._did_of.get(contact)

    def take(self, did: str) -> Work | None:
        """Whoever waits longest for a DID, and does no more; None where nobody does."""
        waiting = self._waiting.get(did)
        if not waiting:
            return None
        work = next(iter(waiting.values()))
        self._leave(work)
        return work

    def release(self, did: str) -> None:
        """Nobody is to wait for this DID any more: `expire` gives all who do."""
        while (work := self.take(did)) is not None:
            self._released.append(work)
        self._changed.set()

    def expire(self, now: float) -> list[Work]:
        """Those who have waited long enough, or in vain; they wait no more."""
        over = [*self._released]
        self._released.clear()
        while self._ends and self._ends[0][0] <= now:
            _, work = self._ends.popleft()
            if self._leave(work):
                over.append(work)
        return over

    @property
    def next_end(self) -> float | None:
        """When `expire` has somebody to give; None where nobody waits."""
        if self._released:
            return -math.inf
        while self._ends and not self._is_here(self._ends[0][1]):
            self._ends.popleft()
        return self._ends[0][0] if self._ends else None

    async def end_waits(self, put_back: Callable[[Work, Contact], None]) -> None:
        """Give back who has waited long enough, or in vain, until cancelled.

        Args:
            put_back: tells the scheduler that a contact waits again.
        """
        while True:
            self._changed = trio.Event()
            for work in self.expire(trio.current_time()):
                work.has_waited = True
                put_back(work, work.contact)
            end = self.next_end
            with trio.move_on_at(math.inf if end is None else end):
                await self._changed.wait()

    def _is_here(self, work: Work) -> bool:
        did = self._did_of.get(work.contact.id)
        return did is not None and self._waiting[did].get(work.contact.id) is work

    def _leave(self, work: Work) -> bool:
        if not self._is_here(work):
            return False
        did = self._did_of.pop(work.contact.id)
        del self._waiting[did][work.contact.id]
        if not self._waiting[did]:
            del self._waiting[did]
        return True
