"""A few read-only connections, used from worker threads.

They never write nor checkpoint: two connections that do can corrupt a write-ahead log in the SQLite of
many a Python (3.7.0 to 3.51.2).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import trio

from adapters.sqlite.cursors import rows_of_page
from adapters.sqlite.rows import Row
from adapters.sqlite.writer import as_told
from engine.ports.stored import Page, StoreUnavailable

T = TypeVar("T")

READERS: Final = 4
"""Questions that are answered at once; the next one waits."""


class Readers:
    """The pool. Opened and closed by whoever owns the database file."""

    def __init__(self, path: Path, busy_timeout_s: float) -> None:
        self._limiter = trio.CapacityLimiter(READERS)
        self._idle = [_connect(path, busy_timeout_s) for _ in range(READERS)]
        self._closed = False

    async def rows(self, sql: str, parameters: Sequence[Any], item: Callable[[Row], T]) -> list[T]:
        """All rows of an answer, as what `item` makes of them in the worker's thread. Raises
        `StoreUnavailable` when the file cannot be read or was closed."""
        if self._closed:
            raise StoreUnavailable("the store is closed")
        ask = partial(self._ask, sql, parameters, item)
        return await trio.to_thread.run_sync(ask, limiter=self._limiter)

    async def row(self, sql: str, parameters: Sequence[Any], item: Callable[[Row], T]) -> T | None:
        """The first row of an answer."""
        rows = await self.rows(sql, parameters, item)
        return rows[0] if rows else None

    async def ask(self, question: Callable[[sqlite3.Connection], T]) -> T:
        """What a function makes of the database as it is at one moment, however many statements it asks. It
        runs in the worker's thread. Raises as `rows`."""
        if self._closed:
            raise StoreUnavailable("the store is closed")
        return await trio.to_thread.run_sync(self._ask_all, question, limiter=self._limiter)

    async def page(
        self,
        sql: str,
        parameters: Sequence[Any],
        limit: int,
        item: Callable[[Row], T],
        cursor: Callable[[T], str],
    ) -> Page[T]:
        """One page of an answer whose last parameter is its `LIMIT`; it is asked for a row more than the
        page holds, which tells whether there is a next one."""
        size = rows_of_page(limit)
        items = await self.rows(sql, (*parameters, size + 1), item)
        following = cursor(items[size - 1]) if len(items) > size else None
        return Page(tuple(items[:size]), following)

    def close(self) -> None:
        """Close the connections; nobody may be asking any more."""
        self._closed = True
        for connection in self._idle:
            connection.close()

    def _ask(self, sql: str, parameters: Sequence[Any], item: Callable[[Row], T]) -> list[T]:
        with self._connection() as connection:
            return [item(row) for row in connection.execute(sql, parameters).fetchall()]

    def _ask_all(self, question: Callable[[sqlite3.Connection], T]) -> T:
        with self._connection() as connection:
            connection.execute("BEGIN")
            try:
                return question(connection)
            finally:
                if connection.in_transaction:  # some faults of the machine have ended it already
                    connection.execute("ROLLBACK")

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        connection = self._idle.pop()  # the limiter sees to it that there is one
        try:
            yield connection
        except sqlite3.Error as error:
            told = as_told(error)
            if told is error:
                raise
            raise told from error
        finally:
            self._idle.append(connection)


def _connect(path: Path, busy_timeout_s: float) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path.absolute().as_uri() + "?mode=ro",
        uri=True,
        timeout=busy_timeout_s,
        isolation_level=None,
        check_same_thread=False,  # one thread at a time has it, but not always the same
        cached_statements=256,
    )
    connection.execute("PRAGMA query_only = ON")
    return connection
