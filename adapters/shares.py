"""A number of slots that many share, so that who uses up its own leaves some to the others."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio


class Shares:
    """Slots, of which whoever comes gets one as long as it holds fewer than are free.

    So one alone may hold half of them, two greedy ones a half and a quarter, and what each holds was free
    for the next who came (the dynamic thresholds of Choudhury and Hahne, with a factor of one). Who may
    have none yet waits, in the order of coming as far as that rule lets them.
    """

    def __init__(self, slots: int) -> None:
        """`slots` is how many there are in all."""
        self._free = slots
        self._held: Counter[str] = Counter()
        self._waiting: deque[tuple[str, trio.Event]] = deque()

    @asynccontextmanager
    async def slot(self, holder: str) -> AsyncIterator[None]:
        """A slot for as long as the block. How long to wait for it is the caller's to bound."""
        await self._take(holder)
        try:
            yield
        finally:
            self._give_back(holder)

    async def _take(self, holder: str) -> None:
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._may_have(holder):
            self._hand_out(holder)
            return
        place = (holder, trio.Event())
        self._waiting.append(place)
        try:
            await place[1].wait()
        except trio.Cancelled:
            if place[1].is_set():
                self._give_back(holder)  # it came in the moment of leaving
            else:
                self._waiting.remove(place)
            raise

    def _may_have(self, holder: str) -> bool:
        return self._held[holder] < self._free

    def _hand_out(self, holder: str) -> None:
        self._free -= 1
        self._held[holder] += 1

    def _give_back(self, holder: str) -> None:
        self._free += 1
        self._held[holder] -= 1
        if not self._held[holder]:
            del self._held[holder]
        refused: set[str] = set()
        for place in list(self._waiting):
            if self._free == 0:
                return
            if place[0] in refused:
                continue
            if self._may_have(place[0]):
                self._waiting.remove(place)
                self._hand_out(place[0])
                place[1].set()
            else:
                refused.add(place[0])
