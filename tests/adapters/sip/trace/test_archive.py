"""The archive: what is written can be found, nothing grows without bound, and no fault reaches a call."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from pathlib import Path
from random import Random

import pytest
import trio
from structlog.testing import capture_logs

from adapters.sip.trace import archive as archive_module
from adapters.sip.trace.archive import BATCH_MAX, TraceArchive, TraceStatistics, open_trace_archive
from adapters.sip.trace.database import PRUNED_ROWS, PRUNED_TIMES_MAX, TraceDatabase
from adapters.sip.trace.ladder import draw_full_ladder, draw_ladder
from adapters.sip.trace.pcap import write_capture
from adapters.sip.trace.record import CallTrace, KeptTrace
from engine.ports.traces import CallTraces
from tests.adapters.sip.trace.conversation import BYE, BYE_ANSWER, EPOCH, HERE, INVITE, TRUNK

DAY_S = 86_400.0
MIB = 1024 * 1024


class Clock:
    """A time of day that a test sets."""

    def __init__(self) -> None:
        self.at = EPOCH

    def now(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "traces.db"


def opened(
    file: Path, clock: Clock, *, keep_s: float = 7 * DAY_S, bytes_max: int = 64 * MIB
) -> AbstractAsyncContextManager[TraceArchive]:
    return open_trace_archive(file, keep_s, bytes_max, clock, busy_timeout_s=0.05)


def call(traces: TraceArchive, attempt: str, *said: bytes) -> CallTrace:
    """A call that says something and is over."""
    trace = traces.begin(attempt, f"call-of-{attempt}")
    for data in said or (INVITE,):
        trace.keep_sent(data, HERE, TRUNK, trio.current_time())
    traces.finish(trace)
    return trace


async def write(traces: TraceArchive) -> None:
    """Do not wait for stragglers."""
    await traces.write_finished(trio.current_time())


def rows(file: Path) -> list[str]:
    """The attempts that are in the file, oldest first."""
    with closing(sqlite3.connect(file)) as connection:
        found = connection.execute("SELECT attempt FROM traces ORDER BY id").fetchall()
    return [attempt for (attempt,) in found]


def size_of(file: Path) -> int:
    return file.stat().st_size


def header_of(file: Path) -> bytes:
    """Its first page."""
    return file.read_bytes()[:4096]


def fill(file: Path, content: bytes) -> None:
    file.write_bytes(content)


async def test_a_call_can_be_looked_at_while_it_is_up_while_it_lingers_and_when_it_is_written(
    file: Path, clock: Clock
) -> None:
    async with opened(file, clock) as traces:
        port: CallTraces = traces
        trace = traces.begin("att_1", "c0ffee")
        trace.keep_sent(INVITE, HERE, TRUNK, trio.current_time())
        assert await port.ladder("att_1") == draw_ladder(trace.snapshot())
        traces.finish(trace)
        trace.keep_received(BYE, HERE, TRUNK, trio.current_time())
        whole = trace.snapshot()
        assert len(whole.messages) == 2
        assert await port.ladder("att_1") == draw_ladder(whole)
        await write(traces)
        assert traces.statistics() == TraceStatistics(0, 0, written=1, dropped=0, faults=0)
        assert await port.ladder("att_1") == draw_ladder(whole)
        assert await traces.full_ladder("att_1") == draw_full_ladder(whole)
        assert await port.pcap("att_1") == write_capture(whole.messages)
        assert whole.messages[0].at == pytest.approx(EPOCH, abs=60)


async def test_an_attempt_that_nothing_is_kept_of_is_none(file: Path, clock: Clock) -> None:
    async with opened(file, clock) as traces:
        call(traces, "att_1")
        for attempt in ("att_2", "", "att_%", "' OR 1=1 --"):
            assert await traces.ladder(attempt) is None
            assert await traces.full_ladder(attempt) is None
            assert await traces.pcap(attempt) is None


async def test_a_call_that_said_nothing_is_forgotten(file: Path, clock: Clock) -> None:
    async with opened(file, clock) as traces:
        traces.finish(traces.begin("att_1", "c0ffee"))
        assert traces.statistics() == TraceStatistics(0, 0, written=0, dropped=0, faults=0)
        assert await traces.ladder("att_1") is None


async def test_finishing_twice_writes_once(file: Path, clock: Clock) -> None:
    async with opened(file, clock) as traces:
        trace = call(traces, "att_1")
        traces.finish(trace)
        await write(traces)
        traces.finish(trace)
        assert traces.statistics() == TraceStatistics(0, 0, written=1, dropped=0, faults=0)
    assert rows(file) == ["att_1"]


async def test_a_finished_call_lingers_before_it_is_written(file: Path, clock: Clock) -> None:
    async with opened(file, clock) as traces:
        call(traces, "att_1")
        await traces.write_finished(trio.current_time() - 1)
        assert traces.statistics().live == 1
        assert rows(file) == []


async def test_the_archive_writes_by_itself(
    file: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_module, "LINGER_S", 0.01)
    monkeypatch.setattr(archive_module, "ROUND_S", 0.01)
    write, is_written = TraceDatabase.write, trio.Event()

    def write_and_tell(
        database: TraceDatabase, traces: Sequence[KeptTrace], now: float, oldest: float
    ) -> bool:
        more = write(database, traces, now, oldest)
        if traces:
            trio.from_thread.run_sync(is_written.set)
        return more

    monkeypatch.setattr(TraceDatabase, "write", write_and_tell)
    async with opened(file, clock) as traces:
        call(traces, "att_1")
        with trio.fail_after(60):
            await is_written.wait()
        assert rows(file) == ["att_1"]


async def test_the_end_writes_everything_also_calls_that_are_still_up(
    file: Path, clock: Clock
) -> None:
    async with opened(file, clock) as traces:
        for number in range(2 * BATCH_MAX + 1):
            call(traces, f"att_{number}")
        up = traces.begin("att_up", "c0ffee")
        up.keep_sent(INVITE, HERE, TRUNK, trio.current_time())
        whole = up.snapshot()
    assert rows(file) == [*(f"att_{number}" for number in range(2 * BATCH_MAX + 1)), "att_up"]
    async with opened(file, clock) as traces:
        assert await traces.ladder("att_up") == draw_ladder(whole)


async def test_being_cancelled_loses_nothing(file: Path, clock: Clock) -> None:
    with trio.CancelScope() as scope:
        async with opened(file, clock) as traces:
            call(traces, "att_1")
            scope.cancel()
            await trio.sleep_forever()
    assert (scope.cancelled_caught, rows(file)) == (True, ["att_1"])


async def test_of_two_calls_under_one_attempt_the_later_is_shown(file: Path, clock: Clock) -> None:
    async with opened(file, clock) as traces:
        call(traces, "att_1", INVITE)
        later = call(traces, "att_1", BYE).snapshot()
        await write(traces)
        assert await traces.ladder("att_1") == draw_ladder(later)
        assert traces.statistics() == TraceStatistics(0, 0, written=2, dropped=0, faults=0)


async def test_what_is_too_old_is_not_shown_and_then_deleted(file: Path, clock: Clock) -> None:
    async with opened(file, clock, keep_s=DAY_S) as traces:
        call(traces, "att_1")
        await write(traces)
        clock.at += DAY_S / 2
        call(traces, "att_2")
        await write(traces)
        clock.at += DAY_S / 2 + 1
        assert await traces.ladder("att_1") is None
        assert rows(file) == ["att_1", "att_2"]
        call(traces, "att_3")
        await write(traces)
        assert rows(file) == ["att_2", "att_3"]
        assert await traces.ladder("att_2") is not None


async def test_old_traces_are_deleted_without_new_ones(
    file: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(file, clock, keep_s=DAY_S) as traces:
        call(traces, "att_1")
        await write(traces)
        clock.at += DAY_S + 1
        await write(traces)
        assert rows(file) == ["att_1"]
        monkeypatch.setattr(archive_module, "PRUNE_EVERY_S", 0.0)
        await write(traces)
        assert rows(file) == []


async def test_many_old_traces_are_deleted_a_step_at_a_time(file: Path, clock: Clock) -> None:
    step = PRUNED_ROWS * PRUNED_TIMES_MAX
    async with opened(file, clock, keep_s=DAY_S) as traces:
        for number in range(step + 10):
            call(traces, f"att_{number}")
        await write(traces)
        clock.at += DAY_S + 1
        call(traces, "att_new")
        await write(traces)
        assert rows(file) == [*(f"att_{number}" for number in range(step, step + 10)), "att_new"]
        await write(traces)
        assert rows(file) == ["att_new"]


async def test_the_file_stays_within_its_bound_and_the_newest_are_kept(
    file: Path, clock: Clock
) -> None:
    chance = Random(1)
    async with opened(file, clock, bytes_max=MIB) as traces:
        for number in range(1_000):
            call(traces, f"att_{number}", chance.randbytes(3_000))
            if number % 50 == 49:
                clock.at += 1
                await write(traces)
        with closing(sqlite3.connect(file)) as connection:
            [pages] = connection.execute("PRAGMA page_count").fetchone()
        left = rows(file)
        assert pages * 4096 <= 1.5 * MIB
        assert left == [f"att_{number}" for number in range(1_000 - len(left), 1_000)]
        assert 200 <= len(left) <= 350
        assert await traces.ladder("att_999") is not None
        assert await traces.ladder("att_0") is None


async def test_a_bound_that_was_lowered_gives_room_back(file: Path, clock: Clock) -> None:
    chance = Random(1)
    async with opened(file, clock) as traces:
        for number in range(1_000):
            call(traces, f"att_{number}", chance.randbytes(3_000))
    before = size_of(file)
    clock.at += 1
    async with opened(file, clock, bytes_max=MIB) as traces:
        for number in range(3):
            call(traces, f"new_{number}")
            await write(traces)
    assert (before > 3 * MIB, size_of(file) < 1.5 * MIB) == (True, True)


async def test_keeping_nothing_removes_what_is_there_and_makes_no_file(
    file: Path, clock: Clock
) -> None:
    async with opened(file, clock) as traces:
        call(traces, "att_1")
    async with opened(file, clock, keep_s=0) as traces:
        trace = call(traces, "att_2")
        assert trace.snapshot().messages == ()
        assert await traces.ladder("att_1") is None
        assert await traces.ladder("att_2") is None
        await write(traces)
        assert traces.statistics() == TraceStatistics(0, 0, written=0, dropped=0, faults=0)
    assert os.listdir(file.parent) == []


async def test_nobody_else_may_read_the_file(file: Path, clock: Clock) -> None:
    async with opened(file, clock) as traces:
        call(traces, "att_1")
        await write(traces)
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in file.parent.iterdir()}
    assert modes == dict.fromkeys(("traces.db", "traces.db-wal", "traces.db-shm"), 0o600)


async def test_no_credential_reaches_the_disk(file: Path, clock: Clock) -> None:
    secret = b'Digest username="alice", response="6629fae49393a053"'
    message = INVITE.replace(b"\r\nCSeq", b"\r\nAuthorization: " + secret + b"\r\nCSeq")
    async with opened(file, clock) as traces:
        call(traces, "att_1", message)
        await write(traces)
        shown = (await traces.full_ladder("att_1"), await traces.pcap("att_1"))
    assert shown[0] is not None
    assert shown[1] is not None
    assert "    Authorization: Digest ****" in shown[0]
    assert ("alice" in shown[0], b"alice" in shown[1]) == (False, False)


async def test_what_waits_is_bounded_and_a_call_is_never_held_up(
    file: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_module, "WAITING_BYTES_MAX", 3 * (1024 + len(INVITE)))
    async with opened(file, clock) as traces:
        for number in range(5):
            call(traces, f"att_{number}")
        waiting = 3 * (1024 + len(INVITE))
        assert traces.statistics() == TraceStatistics(3, waiting, written=0, dropped=2, faults=0)
        await write(traces)
        call(traces, "att_5")
    assert rows(file) == ["att_0", "att_1", "att_2", "att_5"]


async def test_calls_that_are_up_are_bounded(
    file: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_module, "LIVE_MAX", 2)
    async with opened(file, clock) as traces:
        begun = [traces.begin(f"att_{number}", "c0ffee") for number in range(3)]
        for trace in begun:
            trace.keep_sent(INVITE, HERE, TRUNK, trio.current_time())
            traces.finish(trace)
        assert traces.statistics().dropped == 1
    assert rows(file) == ["att_0", "att_1"]


# What may be wrong with the file.


@asynccontextmanager
async def faulty(file: Path, clock: Clock) -> AsyncIterator[TraceArchive]:
    """An archive, with its log held back."""
    with capture_logs():
        async with opened(file, clock) as traces:
            yield traces


@pytest.mark.parametrize(
    "content", [b"no database at all " * 500, b"SQLite format 3\0" + bytes(9000)]
)
async def test_a_damaged_file_is_put_aside_and_a_new_one_begun(
    file: Path, clock: Clock, content: bytes
) -> None:
    fill(file, content)
    async with opened(file, clock) as traces:
        call(traces, "att_1")
        await write(traces)
        assert await traces.ladder("att_1") is not None
        assert traces.statistics() == TraceStatistics(0, 0, written=1, dropped=0, faults=0)
    assert file.with_name("traces.db.unreadable").read_bytes() == content


async def test_a_file_of_another_release_is_put_aside(file: Path, clock: Clock) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript("CREATE TABLE traces (x); PRAGMA user_version = 99")
    async with opened(file, clock) as traces:
        call(traces, "att_1")
    assert rows(file) == ["att_1"]
    assert sorted(os.listdir(file.parent)) == ["traces.db", "traces.db.unreadable"]


async def test_a_file_that_is_damaged_while_it_is_open_costs_what_was_being_written(
    file: Path, clock: Clock
) -> None:
    async with faulty(file, clock) as traces:
        for number in range(200):
            call(traces, f"old_{number}")
        await write(traces)
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        fill(file, header_of(file) + b"\xff" * (size_of(file) - 4096))
        call(traces, "att_1")
        await write(traces)
        call(traces, "att_2")
        await write(traces)
        assert traces.statistics() == TraceStatistics(0, 0, written=201, dropped=1, faults=1)
        assert await traces.ladder("att_2") is not None
    assert rows(file) == ["att_2"]


async def test_a_locked_file_costs_what_was_being_written(file: Path, clock: Clock) -> None:
    async with faulty(file, clock) as traces:
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            call(traces, "att_1")
            await write(traces)
            other.execute("ROLLBACK")
        assert traces.statistics() == TraceStatistics(0, 0, written=0, dropped=1, faults=1)
        call(traces, "att_2")
        await write(traces)
    assert rows(file) == ["att_2"]


async def test_a_folder_that_is_not_there_keeps_nothing_and_says_so_once(
    tmp_path: Path, clock: Clock
) -> None:
    folder = tmp_path / "later"
    with capture_logs() as logs:
        async with opened(folder / "traces.db", clock) as traces:
            call(traces, "att_1")
            await write(traces)
            assert await traces.ladder("att_1") is None
            assert traces.statistics() == TraceStatistics(0, 0, written=0, dropped=1, faults=2)
            folder.mkdir()
            call(traces, "att_2")
    assert rows(folder / "traces.db") == ["att_2"]
    assert [(one["log_level"], one["event"]) for one in logs] == [
        ("warning", "traces cannot be written")
    ]


async def test_a_trace_that_the_disk_has_damaged_is_not_shown(file: Path, clock: Clock) -> None:
    async with faulty(file, clock) as traces:
        call(traces, "att_1")
        await write(traces)
        with closing(sqlite3.connect(file)) as other, other:
            other.execute("UPDATE traces SET packed = x'ffff'")
        assert await traces.ladder("att_1") is None
        assert traces.statistics().faults == 1


async def test_a_fault_of_ours_is_logged_with_its_traceback_and_ends_nothing(
    file: Path, clock: Clock
) -> None:
    with capture_logs() as logs:
        async with opened(file, clock) as traces:
            call(traces, "att_\ud800")
            await write(traces)
            call(traces, "att_2")
    assert rows(file) == ["att_2"]
    assert [isinstance(one["exc_info"], UnicodeEncodeError) for one in logs] == [True]


async def test_messages_of_a_call_that_is_written_are_not_taken_any_more(
    file: Path, clock: Clock
) -> None:
    async with opened(file, clock) as traces:
        trace = call(traces, "att_1")
        await write(traces)
        before = await traces.ladder("att_1")
        trace.keep_received(BYE_ANSWER, HERE, TRUNK, trio.current_time())
        traces.finish(trace)
        await write(traces)
        assert await traces.ladder("att_1") == before
        assert (trace.size_bytes, trace.snapshot().messages) == (0, ())
    assert rows(file) == ["att_1"]
