"""The file that traces are kept in: one SQLite database, of which exactly one connection writes.

Everything here runs in a worker thread, one call at a time. A row's id is made from its time, so that
what is too old is a range of ids, and the oldest rows are the first ones. What the file may hold is
counted in its pages, which costs nothing to ask.

A trace is not a record: it may be lost, and must never be in the way. So a file that cannot be read is
put aside and a new one begun, and a write that does not succeed is not tried again.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from itertools import count
from pathlib import Path
from typing import Final

from adapters.sip.trace.packing import FORMAT, pack, unpack
from adapters.sip.trace.record import KeptTrace

BUSY_TIMEOUT_S: Final = 1.0
"""How long a lock of somebody else's is waited for."""
PRUNED_ROWS: Final = 32
"""Rows that are deleted at a time."""
PRUNED_TIMES_MAX: Final = 64
"""How often that is done in one go; four times as much as one go can add."""
FREE_SHARE: Final = 0.25
"""Of the pages: when more are free than that, some of the file's room is given back."""
FREED_PAGES: Final = 1024
"""Pages that are given back in one go: 4 MiB."""
WAL_PAGES: Final = 4096
"""Pages in the write-ahead log at which it is worked into the database: 16 MiB, so that it comes
seldom beside the store, whose commits wait for the same disk."""
ASIDE: Final = ".unreadable"
"""What the name of a file that was put aside ends in. There is one such file at most."""

_ID_MAX: Final = 2**63 - 1
_IDS_PER_US: Final = 1_000
_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
"""Primary result codes that say that the file is no database, or no good one."""


class _OtherFormat(sqlite3.DatabaseError):
    """The file is of another release, which packed traces in another way."""


class TraceDatabase:
    """The file, for the one who writes.

    Args:
        file: where it is, or shall be.
        bytes_max: how long the database may become. The write-ahead log beside it is not counted.
        busy_timeout_s: see `BUSY_TIMEOUT_S`.
    """

    def __init__(self, file: Path, bytes_max: int, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        self._file = file
        self._bytes_max = bytes_max
        self._busy_timeout_s = busy_timeout_s
        self._connection: sqlite3.Connection | None = None
        self._serial = count()

    def write(self, traces: Sequence[KeptTrace], now: float, oldest: float) -> bool:
        """Add traces that ended at `now`, and delete what is older than `oldest`, both in seconds since
        the Unix epoch, and what is too much. Whether there is more to delete.

        Raises `sqlite3.Error` or `OSError`, with nothing added; the next call tries again with what it
        is given, on a new file where this one is damaged.
        """
        try:
            if self._connection is None:
                self._connection = self._open()
            return self._write(self._connection, traces, now, oldest)
        except sqlite3.Error as error:
            if _is_damage(error):
                self._put_aside()
            raise

    def close(self) -> None:
        """Close the file. It can be opened again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def remove(self) -> None:
        """Delete the file, and with it all traces. Raises `OSError`."""
        self.close()
        for path in (*_parts(self._file), _aside(self._file)):
            path.unlink(missing_ok=True)

    def _write(
        self, connection: sqlite3.Connection, traces: Sequence[KeptTrace], now: float, oldest: float
    ) -> bool:
        rows = [(self._new_id(now), trace.attempt, pack(trace)) for trace in traces]
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.executemany(
                "INSERT INTO traces (id, attempt, packed) VALUES (?, ?, ?)", rows
            )
            more = self._prune(connection, oldest)
            connection.execute("COMMIT")
        except sqlite3.Error:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise
        pages, free = _pages(connection)
        if free > pages * FREE_SHARE:
            # The traces are in already; what ails the file shows at the next write.
            with suppress(sqlite3.Error):
                # It gives a page at each step, and `execute` takes a single one.
                connection.executescript(f"PRAGMA incremental_vacuum({FREED_PAGES})")
        return more

    def _new_id(self, now: float) -> int:
        # Its last digits tell rows of one moment apart.
        return _id_at(now) + next(self._serial) % 1_000_000

    def _prune(self, connection: sqlite3.Connection, oldest: float) -> bool:
        page_bytes: int = connection.execute("PRAGMA page_size").fetchone()[0]
        for _ in range(PRUNED_TIMES_MAX):
            pages, free = _pages(connection)
            is_too_much = (pages - free) * page_bytes > self._bytes_max
            until = _ID_MAX if is_too_much else _id_at(oldest)
            gone = connection.execute(
                "DELETE FROM traces WHERE id IN"
                " (SELECT id FROM traces WHERE id < ? ORDER BY id LIMIT ?)",
                (until, PRUNED_ROWS),
            )
            if gone.rowcount < PRUNED_ROWS:
                return False
        return True

    def _open(self) -> sqlite3.Connection:
        try:
            return _connect(self._file, self._busy_timeout_s)
        except sqlite3.Error as error:
            if not _is_damage(error):
                raise
        self._put_aside()
        return _connect(self._file, self._busy_timeout_s)

    def _put_aside(self) -> None:
        self.close()
        with suppress(FileNotFoundError):
            os.replace(self._file, _aside(self._file))
        for path in _parts(self._file):
            path.unlink(missing_ok=True)


def read_trace(file: Path, attempt: str, oldest: float) -> KeptTrace | None:
    """An attempt's trace, unless it ended before `oldest`; None where there is none.

    Raises `sqlite3.Error` when the file cannot be read, and `UnreadableTrace`.
    """
    if not file.exists():
        return None
    connection = sqlite3.connect(
        file.absolute().as_uri() + "?mode=ro",
        uri=True,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,
    )
    with closing(connection):
        row = connection.execute(
            "SELECT packed FROM traces WHERE attempt = ? AND id >= ? ORDER BY id DESC LIMIT 1",
            (attempt, _id_at(oldest)),
        ).fetchone()
    return None if row is None else unpack(row[0])


def _connect(file: Path, busy_timeout_s: float) -> sqlite3.Connection:
    """The connection that writes. Numbers of telephones are in the file, so that it is its owner's only."""
    file.touch(mode=0o600)
    connection = sqlite3.connect(
        file,
        timeout=busy_timeout_s,
        isolation_level=None,
        check_same_thread=False,  # one thread at a time has it, but not always the same
    )
    try:
        for pragma in (
            "auto_vacuum = INCREMENTAL",  # holds for a file that is still empty
            "journal_mode = WAL",
            "synchronous = NORMAL",  # what a power cut takes is the last seconds' traces
            f"wal_autocheckpoint = {WAL_PAGES}",
            f"journal_size_limit = {WAL_PAGES * 4096}",
            "secure_delete = OFF",
        ):
            connection.execute(f"PRAGMA {pragma}").fetchall()
        _make_tables(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _make_tables(connection: sqlite3.Connection) -> None:
    found: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if found == FORMAT:
        connection.execute("SELECT id, attempt, packed FROM traces LIMIT 0")
        return
    if connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
        raise _OtherFormat(f"the file's format is {found}, not {FORMAT}")
    connection.executescript(
        f"""
        BEGIN IMMEDIATE;
        CREATE TABLE traces (
            id INTEGER PRIMARY KEY,  -- nanoseconds since the epoch at which the trace ended
            attempt TEXT NOT NULL,
            packed BLOB NOT NULL
        );
        CREATE INDEX traces_by_attempt ON traces (attempt);
        PRAGMA user_version = {FORMAT};
        COMMIT;
        """
    )


def _is_damage(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(error, _OtherFormat) or (code is not None and code & 0xFF in _DAMAGED)


def _pages(connection: sqlite3.Connection) -> tuple[int, int]:
    """All pages of the file, and those of them that are free."""
    all_pages: int = connection.execute("PRAGMA page_count").fetchone()[0]
    free: int = connection.execute("PRAGMA freelist_count").fetchone()[0]
    return all_pages, free


def _id_at(at: float) -> int:
    """The least id of the traces that end at a time or later."""
    return int(max(0.0, at) * 1_000_000) * _IDS_PER_US


def _parts(file: Path) -> tuple[Path, ...]:
    """The database and what SQLite keeps beside it."""
    return tuple(file.with_name(file.name + ending) for ending in ("", "-wal", "-shm"))


def _aside(file: Path) -> Path:
    return file.with_name(file.name + ASIDE)
