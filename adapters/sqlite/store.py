"""The store put together, and how it is opened."""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Final

import trio

from adapters.sqlite.activations import SqliteActivations
from adapters.sqlite.agents import SqliteAgents
from adapters.sqlite.attempts import SqliteAttempts
from adapters.sqlite.audit_reading import SqliteAudit
from adapters.sqlite.deliveries import SqliteDeliveries
from adapters.sqlite.dialing import SqliteDialing
from adapters.sqlite.do_not_call import SqliteDoNotCall
from adapters.sqlite.flows import SqliteFlows
from adapters.sqlite.forecasts import SqliteForecasts
from adapters.sqlite.intake import SqliteIntake
from adapters.sqlite.keys import SqliteKeys
from adapters.sqlite.letters import SqliteLetters
from adapters.sqlite.lock import hold_lock
from adapters.sqlite.moving import SqliteMoving
from adapters.sqlite.old_events import SqliteOldEvents
from adapters.sqlite.past_calls import SqlitePastCalls
from adapters.sqlite.pickups import SqlitePickups
from adapters.sqlite.readers import Readers
from adapters.sqlite.reading import SqliteReading
from adapters.sqlite.recordings import SqliteRecordings
from adapters.sqlite.schema import is_current, migrate
from adapters.sqlite.settings import SqliteSettings
from adapters.sqlite.writer import PENDING_MAX, Writer, WriterStatistics
from engine.ports.clock import WallClock
from engine.ports.store import EventListener

BUSY_TIMEOUT_S: Final = 5.0
"""How long the writer waits for a lock that another program holds, before its callers are refused."""
CACHE_KIB: Final = 64 * 1024
"""Pages that the writer keeps in memory."""
WAL_PAGES: Final = 4000
"""Pages in the write-ahead log at which they go over into the database. The pages that each commit changes
anew go over once for all of these commits."""
WAL_KEPT_BYTES: Final = 64 * 1024 * 1024
"""What the write-ahead log is cut back to once it has been longer."""
PRIVATE_MODE: Final = 0o600
"""Of the files of a database: there are numbers and names in them."""
SWITCH_INTERVAL_S: Final = 0.0005
"""How long one Python thread may keep others waiting, while a store is open. The writer gives the
interpreter up at every statement. At Python's 5 ms it gets it back that late each time that the trio thread
is busy: measured, an operation of three statements took 2.8 ms instead of 0.03."""


class SqliteStore(
    SqliteSettings,
    SqliteKeys,
    SqliteAudit,
    SqliteFlows,
    SqliteDoNotCall,
    SqliteIntake,
    SqliteDialing,
    SqliteAttempts,
    SqlitePastCalls,
    SqliteMoving,
    SqliteAgents,
    SqliteRecordings,
    SqliteDeliveries,
    SqlitePickups,
    SqliteLetters,
    SqliteActivations,
    SqliteOldEvents,
    SqliteReading,
    SqliteForecasts,
):
    """The port `engine.ports.store.Store` on one SQLite database. Made by `open_sqlite_store`.

    Methods that change something raise `StoreUnavailable` when the database cannot be written, and those
    that read when it cannot be read; it goes on by itself when the fault is gone. A caller that is
    cancelled while it waits for a commit does not know whether it came.
    """

    def statistics(self) -> WriterStatistics:
        """What the writer did so far."""
        return self._writer.statistics()

    async def prove_writable(self) -> None:
        """See whether it can be written. Raises `StoreUnavailable`."""
        await self._writer.prove()


@asynccontextmanager
async def open_sqlite_store(
    path: Path,
    on_events: EventListener,
    clock: WallClock,
    *,
    busy_timeout_s: float = BUSY_TIMEOUT_S,
    pending_max: int = PENDING_MAX,
) -> AsyncIterator[SqliteStore]:
    """Open the database at `path`, made or migrated where needed, until the end of the context.

    `on_events` is called in this trio run, after each commit that brought events and before those who
    waited for it go on. Raises `DatabaseInUse` when another process has it open, `DatabaseTooNew` when a
    later release wrote it, and `sqlite3.Error` or `OSError` when the file cannot be used.
    """
    with hold_lock(path), _short_turns():
        connection = await trio.to_thread.run_sync(_open_writing, path, busy_timeout_s)
        try:
            readers = Readers(path, busy_timeout_s)
            try:
                writer = Writer(connection, on_events, pending_max)
                writer.start()
                try:
                    store = SqliteStore(writer, readers, clock)
                    await store.clear_unfinished()
                    yield store
                finally:
                    await writer.close()
            finally:
                readers.close()
        finally:
            # Last, so that the connection that may write is the one that empties the write-ahead log.
            connection.close()


def _make_private(path: Path) -> None:
    """The database file, made where there is none, is open to its owner alone; SQLite gives the files
    that it makes beside it the same mode. Raises `OSError`."""
    # Before there is any connection: closing a descriptor drops all locks of this process on the file.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_MODE))
    for file in (path, *(path.with_name(path.name + suffix) for suffix in ("-wal", "-shm"))):
        # Whoever may write it and does not own it cannot change its mode.
        with suppress(FileNotFoundError, PermissionError):
            file.chmod(PRIVATE_MODE)


def _open_writing(path: Path, busy_timeout_s: float) -> sqlite3.Connection:
    _make_private(path)
    connection = sqlite3.connect(
        path,
        timeout=busy_timeout_s,
        isolation_level=None,
        check_same_thread=False,  # opened and closed beside the thread that writes, never at once
        cached_statements=256,
    )
    try:
        for pragma in (
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
            f"cache_size = -{CACHE_KIB}",
            f"journal_size_limit = {WAL_KEPT_BYTES}",
            "temp_store = MEMORY",
            f"wal_autocheckpoint = {WAL_PAGES}",
            "secure_delete = OFF",  # some builds overwrite what is deleted, which doubles the writing
        ):
            connection.execute(f"PRAGMA {pragma}")
        if not is_current(connection):
            from sqlite_utils import Database

            migrate(Database(connection))
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def _short_turns() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(min(before, SWITCH_INTERVAL_S))
    try:
        yield
    finally:
        sys.setswitchinterval(before)
