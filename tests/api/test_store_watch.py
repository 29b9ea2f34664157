"""Who watches the store says when nothing can be written, and when that is over."""

from __future__ import annotations

import trio
from structlog.testing import capture_logs
from trio.testing import MockClock

from adapters.sqlite.writer import WriterStatistics
from api.store_watch import StoreWatch
from engine.ports.stored import StoreUnavailable

FULL = "the database cannot be used just now: database or disk is full"


class Disk:
    """A store whose disk is full until a moment."""

    def __init__(self) -> None:
        self.refused = 0
        self.fault: str | None = None
        self.good_at = 0.0

    def look(self) -> WriterStatistics:
        return WriterStatistics(0, 0, 0, 0, self.refused, self.fault)

    def refuse(self) -> None:
        self.refused += 1
        self.fault = FULL

    async def prove(self) -> None:
        await trio.lowlevel.checkpoint()
        if trio.current_time() < self.good_at:
            self.refuse()
            raise StoreUnavailable(FULL)
        self.fault = None


async def test_a_fault_is_told_once_and_so_is_its_end(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    disk = Disk()
    watch = StoreWatch(disk.look, disk.prove)
    with capture_logs() as lines:
        await nursery.start(watch.run)
        await trio.sleep(10)
        found = [list(lines), watch.problems()]
        disk.good_at = trio.current_time() + 60.2
        disk.refuse()
        await trio.sleep(30)
        found += [len(lines), watch.problems()]
        await trio.sleep(31)
        found += [watch.problems()]
        nursery.cancel_scope.cancel()
    sentence = f"Nothing can be written down, and so nobody is called: {FULL}."
    assert found == [[], [], 1, [sentence], []]
    failing, recovered = lines
    assert failing == {
        "event": "store_failing",
        "log_level": "error",
        "fault": FULL,
        "refused": 1,
    }
    assert recovered["event"] == "store_recovered"
    assert 100 <= recovered["refused_meanwhile"] <= 130  # a try each half second
