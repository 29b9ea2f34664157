"""The one thread that writes, and how callers wait for its commits.

Callers in the trio thread put operations into a queue. The thread takes all that is there, runs them in
one transaction, and answers the whole group with one hop. A group is what gathered while the one before
was being committed; and because a commit costs much the same for one row as for a hundred, a group whose
operations are all patient (`gather_s`) waits a few milliseconds for company. One that is not ends the wait.
The thread sleeps through that: to be woken for each that comes costs more than to write it.

An operation is a function over a `Unit`. It may run twice: when another operation of its group fails, the
group is rolled back and each runs in a transaction of its own, so that a bad one harms only itself.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any, Final, TypeVar

import trio
from msgspec import Struct

from adapters.sqlite.audit import audited
from adapters.sqlite.unit import Unit
from engine.model import audit
from engine.model.events import StoredEvent
from engine.ports.store import EventListener
from engine.ports.stored import StoreUnavailable

T = TypeVar("T")

PENDING_MAX: Final = 4096
"""Operations that wait for their commit; who comes then waits for room."""
GROUP_OPERATIONS_MAX: Final = 512
"""Operations of one group."""
GROUP_ROWS_MAX: Final = 4000
"""Rows of one group; the operation that reaches it is the group's last."""

_FAULTS: Final = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PROTOCOL,
    }
)
"""Primary result codes that speak of the machine, not of the operation."""


def primary_code(error: sqlite3.Error) -> int | None:
    """SQLite's primary result code of an error; None for one of Python's own module."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def as_told(error: Exception) -> Exception:
    """The error that a caller sees: `StoreUnavailable` where the machine is at fault."""
    if isinstance(error, sqlite3.Error) and primary_code(error) in _FAULTS:
        unavailable = StoreUnavailable(f"the database cannot be used just now: {error}")
        unavailable.__cause__ = error
        return unavailable
    return error


class WriterStatistics(Struct, frozen=True):
    """What the writer did so far."""

    operations: int
    """Answered, refused and failed ones included."""
    commits: int
    groups_taken_apart: int
    """Groups that were run again one by one, because an operation failed."""
    pending: int
    """Operations that wait for their commit now."""
    refused: int = 0
    """Operations that could not be written because of the machine: a full disk, one that is read-only, a
    database that another process has locked."""
    fault: str | None = None
    """What the machine said to the last of them; None where `prove` found it good since."""


class _Waiting:
    """An operation and whoever waits for it."""

    __slots__ = ("error", "gather_s", "operation", "result", "rows", "task")

    def __init__(
        self,
        operation: Callable[[Unit], Any],
        rows: int,
        gather_s: float,
        task: trio.lowlevel.Task,
    ) -> None:
        self.operation = operation
        self.rows = rows
        self.gather_s = gather_s
        self.task: trio.lowlevel.Task | None = task
        self.result: Any = None
        self.error: Exception | None = None


class Writer:
    """Group commit. Made in the trio thread; `start` it, and `close` it there."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        on_events: EventListener,
        pending_max: int = PENDING_MAX,
    ) -> None:
        self._unit = Unit(connection)
        self._on_events = on_events
        self._pending_max = pending_max
        self._token = trio.lowlevel.current_trio_token()
        self._queue: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._is_hurried = threading.Event()
        """Set where a group that waits for company is to begin: somebody is not patient, or no further
        operation goes into it."""
        self._room = trio.lowlevel.ParkingLot()
        self._thread = threading.Thread(target=self._work, name="sqlite writer", daemon=True)
        self._closed = False
        self._pending = 0
        self._operations = 0
        # These two belong to the writer's thread; reading them elsewhere gives a value of a moment ago.
        self._commits = 0
        self._groups_taken_apart = 0
        self._refused = 0
        self._fault: str | None = None
        """Written there as well, but for `prove`, which ends it."""

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    @property
    def epoch(self) -> int:
        """As of `Unit.epoch`."""
        return self._unit.epoch

    def statistics(self) -> WriterStatistics:
        """A look at what it does."""
        return WriterStatistics(
            self._operations,
            self._commits,
            self._groups_taken_apart,
            self._pending,
            self._refused,
            self._fault,
        )

    async def prove(self) -> None:
        """Write something that changes nothing, to the disk as all else, and so see whether a fault is over.
        Raises `StoreUnavailable`."""
        await self.submit_step(_write_nothing)
        self._fault = None

    async def submit(
        self, operation: Callable[[Unit], T], rows: int = 1, gather_s: float = 0.0
    ) -> T:
        """Run an operation and give its result when it is committed. Where a request is being audited that
        changes something by it, the entry goes along.

        `rows` is about how many rows it writes, and `gather_s` how long it may wait for others to share
        its commit with, where it is the first of its group. What the operation raises is raised here, with
        nothing changed; `StoreUnavailable` when the database cannot be written or was closed. A caller that
        is cancelled while it waits does not take its operation back: it commits all the same, or not.
        """
        auditing = audit.current()
        if auditing is not None:
            operation = audited(operation, auditing)
        return await self.submit_step(operation, rows, gather_s)

    async def submit_step(
        self, operation: Callable[[Unit], T], rows: int = 1, gather_s: float = 0.0
    ) -> T:
        """As `submit`, of what is no change yet in the eyes of an audit: a piece of a list that may still be
        refused."""
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._pending >= self._pending_max:
            await (
                self._room.park()
            )  # whoever makes room hands its place over, so nothing is counted
        else:
            self._pending += 1
        if self._closed:
            self._pending -= 1
            raise StoreUnavailable("the store is closed")
        waiting = _Waiting(operation, rows, gather_s, trio.lowlevel.current_task())
        self._queue.put(waiting)
        if not gather_s or self._pending >= GROUP_OPERATIONS_MAX:
            self._is_hurried.set()

        def stop_waiting(_: Any) -> trio.lowlevel.Abort:
            waiting.task = None
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(stop_waiting)
        if waiting.error is not None:
            raise waiting.error
        result: T = waiting.result
        return result

    async def close(self) -> None:
        """Commit what was handed in, refuse what comes later, and end the thread."""
        self._closed = True
        self._pending += len(self._room.unpark_all())
        self._queue.put(None)
        self._is_hurried.set()
        with trio.CancelScope(shield=True):  # ends with the commits that are in hand
            await trio.to_thread.run_sync(self._thread.join)

    # From here on in the writer's thread, but for `_answer`.

    def _work(self) -> None:
        more = True
        while more:
            group, more = self._take()
            if group:
                told = self._commit(group)
                try:
                    self._token.run_sync_soon(self._answer, group, told)
                except trio.RunFinishedError:
                    return

    def _take(self) -> tuple[list[_Waiting], bool]:
        """What is there, up to the bounds of a group, and whether more may come."""
        one = self._queue.get()
        if one is not None and one.gather_s:
            self._is_hurried.wait(one.gather_s)
        # Before the queue is looked at, so that nobody's hurry is forgotten who is not in the group.
        self._is_hurried.clear()
        group: list[_Waiting] = []
        rows = 0
        while one is not None:
            group.append(one)
            rows += one.rows
            if len(group) >= GROUP_OPERATIONS_MAX or rows >= GROUP_ROWS_MAX:
                self._is_hurried.set()  # who is left over has waited already
                return group, True
            try:
                one = self._queue.get_nowait()
            except Empty:
                return group, True
        return group, False

    def _commit(self, group: Sequence[_Waiting]) -> list[StoredEvent]:
        try:
            return self._commit_together(group)
        except Exception as error:
            self._roll_back()
            if len(group) == 1 or _harms_all(error):
                self._note_refusal(group, as_told(error))
                return []
        self._groups_taken_apart += 1
        return [event for one in group for event in self._commit((one,))]

    def _commit_together(self, group: Sequence[_Waiting]) -> list[StoredEvent]:
        unit = self._unit
        unit.begin()
        for one in group:
            one.error = None
            mark = unit.mark()
            try:
                one.result = one.operation(unit)
            except sqlite3.Error:
                raise
            except Exception as error:
                # A refusal that came before any change, as most do, need not be undone.
                if unit.mark() != mark:
                    raise
                one.error = error
        told = unit.commit()
        self._commits += 1
        return told

    def _note_refusal(self, group: Sequence[_Waiting], error: Exception) -> None:
        for one in group:
            one.error = error
        if isinstance(error, StoreUnavailable):
            self._refused += len(group)
            self._fault = str(error)

    def _roll_back(self) -> None:
        try:
            self._unit.roll_back()
        except sqlite3.Error:
            # The next BEGIN says what is wrong, to those who wait for it.
            return

    def _answer(self, group: Sequence[_Waiting], told: list[StoredEvent]) -> None:
        try:
            if told:
                self._on_events(told)
        finally:
            self._operations += len(group)
            handed_on = self._room.unpark(count=len(group))
            self._pending -= len(group) - len(handed_on)
            for one in group:
                if one.task is not None:
                    trio.lowlevel.reschedule(one.task)


def _write_nothing(unit: Unit) -> None:
    """The first page, as it is."""
    [version] = unit.execute("PRAGMA user_version").fetchone()
    unit.execute(f"PRAGMA user_version = {int(version)}")


def _harms_all(error: Exception) -> bool:
    """Whether trying the operations of the group one by one would fail for each of them."""
    return (
        isinstance(error, sqlite3.Error)
        and primary_code(error) in _FAULTS
        and primary_code(error) != sqlite3.SQLITE_FULL  # what is smaller may still fit
    )
