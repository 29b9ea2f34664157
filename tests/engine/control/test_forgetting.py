"""Old events are forgotten every hour, whatever the disk says meanwhile."""

from __future__ import annotations

import trio
import trio.testing

from engine.control.forgetting import CHUNK, DAY_S, EVERY_S, Forgetting
from engine.ports.stored import StoreUnavailable
from tests.contract.store_samples import NOW, FixedClock


class Shelf:
    """A store that has so many old events, and a disk that may be full."""

    def __init__(self) -> None:
        self.old = 0
        self.is_full = False
        self.asked: list[float] = []

    async def clear_events(self, before: float, limit: int) -> int:
        await trio.lowlevel.checkpoint()
        self.asked.append(before)
        if self.is_full:
            raise StoreUnavailable("the disk is full")
        count = min(self.old, limit)
        self.old -= count
        return count


async def test_all_that_is_old_goes_every_hour(autojump_clock: trio.testing.MockClock) -> None:
    clock, shelf = FixedClock(), Shelf()
    shelf.old = 3 * CHUNK + 1
    forgetting = Forgetting(shelf, clock, 31)  # type: ignore[arg-type]
    async with trio.open_nursery() as nursery:
        await nursery.start(forgetting.run)
        await trio.testing.wait_all_tasks_blocked()
        assert shelf.asked == [NOW - 31 * DAY_S] * 5
        assert shelf.old == 0

        shelf.old, shelf.is_full = 7, True
        await trio.sleep(EVERY_S * 1.5)
        assert shelf.old == 7
        shelf.is_full = False
        await trio.sleep(EVERY_S)
        assert shelf.old == 0
        nursery.cancel_scope.cancel()
