"""The traces of all calls: those that are up, in memory, and those that are over, on the disk for a while.

How it works. A call's trace is begun and finished without waiting for anything. A finished one stays in
memory for `LINGER_S`, because repetitions still come and belong to it; then it is sealed and written, in
batches and in a worker thread. Of what waits there is a bound, and beyond it a trace is dropped. Nothing
that goes wrong with the file reaches a call: it is counted, and told in the log once in a while.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final, TypeVar

import structlog
import trio
from msgspec import Struct

from adapters.sip.trace.database import BUSY_TIMEOUT_S, TraceDatabase, read_trace
from adapters.sip.trace.ladder import draw_full_ladder, draw_ladder
from adapters.sip.trace.packing import UnreadableTrace
from adapters.sip.trace.pcap import write_capture
from adapters.sip.trace.record import CallTrace, KeptTrace
from engine.ports.clock import WallClock

LINGER_S: Final = 5.0
"""How long messages of a finished call are still taken."""
ROUND_S: Final = 0.5
"""How often what is due is written."""
BATCH_MAX: Final = 512
"""Traces that are written in one transaction."""
PRUNE_EVERY_S: Final = 30.0
"""How often old traces are looked for when there are no new ones."""
LIVE_MAX: Final = 250_000
"""Calls that are traced at once; more than can be up."""
WAITING_BYTES_MAX: Final = 128 * 1024 * 1024
"""Of finished traces in memory: enough for 2,000 calls a second while they linger."""
READERS: Final = 2
"""Traces that are read and drawn at once; the next one waits."""
CLOSE_S_MAX: Final = 5.0
"""How long the end waits until what is in memory is on the disk."""
LOG_EVERY_S: Final = 60.0
"""A fault that lasts is told so often."""

_TRACE_BYTES: Final = 1024
"""About what a trace takes in memory beside its messages."""

_log = structlog.get_logger("callwheel.sip.trace")
T = TypeVar("T")


class TraceStatistics(Struct, frozen=True):
    """What an archive has done since its start."""

    live: int
    """Traces in memory now: of calls that are up, and those that wait to be written."""
    waiting_bytes: int
    """About what those take that are finished."""
    written: int
    dropped: int
    """Traces that are not kept: the memory for them was full, or the file could not be written."""
    faults: int
    """Times that the file could not be written or read."""


class TraceArchive:
    """Implements `engine.ports.traces.CallTraces`. Made by `open_trace_archive`."""

    def __init__(
        self, file: Path, keep_s: float, bytes_max: int, clock: WallClock, busy_timeout_s: float
    ) -> None:
        self._file = file
        self._keep_s = keep_s
        self._clock = clock
        self._database = TraceDatabase(file, bytes_max, busy_timeout_s)
        self._writing = trio.Lock()
        self._reading = trio.CapacityLimiter(READERS)
        self._live: dict[str, CallTrace] = {}
        self._finished: OrderedDict[CallTrace, tuple[float, int]] = OrderedDict()
        """When each was finished, and how many bytes were counted for it then."""
        self._waiting_bytes = 0
        self._written = 0
        self._dropped = 0
        self._faults = 0
        self._told_at = -LOG_EVERY_S
        self._pruned_at = trio.current_time()

    def begin(self, attempt: str, call_id: str) -> CallTrace:
        """The trace of a call that is about to be dialled. It takes no messages where none are to be
        kept. Whoever takes it also finishes it."""
        now = trio.current_time()
        trace = CallTrace(attempt, call_id, self._clock.now() - now)
        if self._keep_s <= 0:
            trace.is_sealed = True
        elif len(self._live) >= LIVE_MAX:
            trace.is_sealed = True
            self._dropped += 1
        else:
            self._live[attempt] = trace
        return trace

    def finish(self, trace: CallTrace) -> None:
        """The call is over; what still comes of it is taken for a little longer. A trace without a
        message is forgotten."""
        if trace.is_sealed or trace in self._finished:
            return
        counted = trace.size_bytes + _TRACE_BYTES
        if trace.size_bytes and self._waiting_bytes + counted <= WAITING_BYTES_MAX:
            self._waiting_bytes += counted
            self._finished[trace] = (trio.current_time(), counted)
            return
        self._dropped += trace.size_bytes > 0
        self._forget(trace)

    async def ladder(self, attempt: str) -> str | None:
        """The messages of an attempt as a ladder in plain text; None where none are kept (any more)."""
        return await self._show(attempt, draw_ladder)

    async def full_ladder(self, attempt: str) -> str | None:
        """The ladder with every message in full below it; None where none are kept (any more)."""
        return await self._show(attempt, draw_full_ladder)

    async def pcap(self, attempt: str) -> bytes | None:
        """The same as a capture file that Wireshark opens; None where none are kept (any more)."""
        return await self._show(attempt, lambda trace: write_capture(trace.messages))

    def statistics(self) -> TraceStatistics:
        """Counters since the start."""
        return TraceStatistics(
            live=len(self._live),
            waiting_bytes=self._waiting_bytes,
            written=self._written,
            dropped=self._dropped,
            faults=self._faults,
        )

    async def write_finished(self, until: float) -> None:
        """Seal and write what was finished until then, in trio's time, and delete what is too old."""
        while await self._write_batch(until):
            pass

    async def keep_writing(self) -> None:
        """Run for as long as the archive is open."""
        while True:
            await trio.sleep(ROUND_S)
            await self.write_finished(trio.current_time() - LINGER_S)

    async def prepare(self) -> None:
        """Make the file usable, or remove it where nothing is to be kept."""
        if self._keep_s > 0:
            await self._write(())
            return
        try:
            await trio.to_thread.run_sync(self._database.remove)
        except OSError as error:
            self._tell_fault("traces that are not to be kept cannot be removed", error)

    async def close(self) -> None:
        """Write what is in memory, also of calls that are still up, and close the file."""
        for trace in tuple(self._live.values()):
            self.finish(trace)
        with trio.move_on_after(CLOSE_S_MAX, shield=True) as scope:
            await self.write_finished(trio.current_time())
        if scope.cancelled_caught:
            self._dropped += len(self._finished)
            _log.warning("traces were not written in time", traces=len(self._finished))
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(self._database.close)

    async def _write_batch(self, until: float) -> bool:
        """Whether there is more to do at once."""
        async with self._writing:
            batch = []
            for trace, (finished_at, _) in islice(self._finished.items(), BATCH_MAX):
                if finished_at > until:
                    break
                batch.append(trace)
            is_time_to_prune = trio.current_time() - self._pruned_at >= PRUNE_EVERY_S
            if self._keep_s <= 0 or not (batch or is_time_to_prune):
                return False
            return await self._write(batch)

    async def _write(self, batch: Sequence[CallTrace]) -> bool:
        """Write traces, and delete old ones; whether there may be more to write at once."""
        now = self._clock.now()
        sealed = tuple(trace.seal() for trace in batch)
        write = partial(self._database.write, sealed, now, now - self._keep_s)
        self._pruned_at, more = trio.current_time(), False
        try:
            # No cancellation leaves the thread behind, or loses what it wrote: the file has one writer.
            with trio.CancelScope(shield=True):
                more = await trio.to_thread.run_sync(write)
            self._written += len(batch)
        except Exception as error:
            self._dropped += len(batch)
            self._tell_fault("traces cannot be written", error)
        for trace in batch:
            self._waiting_bytes -= self._finished.pop(trace)[1]
            self._forget(trace)
        if more:
            # A step a round: a bound that was lowered must not keep the disk busy for minutes.
            self._pruned_at = -PRUNE_EVERY_S
        return len(batch) == BATCH_MAX

    async def _show(self, attempt: str, draw: Callable[[KeptTrace], T]) -> T | None:
        """What `draw` makes of an attempt's trace, in a worker thread."""
        live = self._live.get(attempt)
        kept = None if live is None else live.snapshot()
        oldest = self._clock.now() - self._keep_s

        def find_and_draw() -> T | None:
            found = kept or read_trace(self._file, attempt, oldest)
            return None if found is None else draw(found)

        try:
            return await trio.to_thread.run_sync(find_and_draw, limiter=self._reading)
        except (sqlite3.Error, OSError, UnreadableTrace) as error:
            self._tell_fault("a trace cannot be read", error)
            return None

    def _forget(self, trace: CallTrace) -> None:
        trace.let_go()
        if self._live.get(trace.attempt) is trace:
            del self._live[trace.attempt]

    def _tell_fault(self, what: str, error: Exception) -> None:
        self._faults += 1
        now = trio.current_time()
        if now - self._told_at >= LOG_EVERY_S:
            self._told_at = now
            # What is not the machine's fault is ours, and needs its traceback.
            is_ours = not isinstance(error, sqlite3.Error | OSError | UnreadableTrace)
            _log.warning(
                what,
                error=str(error),
                file=str(self._file),
                faults=self._faults,
                exc_info=error if is_ours else None,
            )


@asynccontextmanager
async def open_trace_archive(
    file: Path,
    keep_s: float,
    bytes_max: int,
    clock: WallClock,
    *,
    busy_timeout_s: float = BUSY_TIMEOUT_S,
) -> AsyncIterator[TraceArchive]:
    """An archive on a file of its own, until the end of the block. It never fails for the file's sake.

    Args:
        file: the database; it is made where it is not there, and a damaged one is put aside.
        keep_s: how long a trace is kept after its call; 0 keeps none, and removes what is there.
        bytes_max: how long the file may become; the oldest traces make room for new ones.
        clock: the time of day.
        busy_timeout_s: how long a lock on the file is waited for, in the background.
    """
    archive = TraceArchive(file, keep_s, bytes_max, clock, busy_timeout_s)
    await archive.prepare()
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(archive.keep_writing)
            yield archive
            nursery.cancel_scope.cancel()
    finally:
        await archive.close()
