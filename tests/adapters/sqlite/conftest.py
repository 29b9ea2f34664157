"""A SQLite store with two accounts and a flow each, and ways into its writer."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from msgspec import Struct

from adapters.sqlite.store import SqliteStore, open_sqlite_store
from adapters.sqlite.unit import Unit
from engine.model.events import StoredEvent
from tests.contract.store_samples import FixedClock, furnish
from tests.new_database import lay_database

GATE_S = 30.0
"""How long a held writer waits before the test is given up."""


class Opened(Struct):
    """A store, and the events that each of its commits told."""

    store: SqliteStore
    told: list[tuple[StoredEvent, ...]]

    @property
    def connection(self) -> sqlite3.Connection:
        """The one that writes; not to be used while an operation is pending."""
        return self.store._writer._unit._connection

    async def run(self, operation: Callable[[Unit], Any]) -> Any:
        """Have the writer run an operation of the test's own."""
        return await self.store._writer.submit(operation)

    @asynccontextmanager
    async def held(self) -> AsyncIterator[Callable[[int], Any]]:
        """The writer stands still until the block ends, so that what is submitted in it becomes one
        group. Gives a function that waits until so many operations are pending."""
        gate, reached = threading.Event(), trio.Event()
        token = trio.lowlevel.current_trio_token()

        def stand_still(unit: Unit) -> None:
            token.run_sync_soon(reached.set)
            assert gate.wait(GATE_S)

        async def wait_pending(count: int) -> None:
            while self.store.statistics().pending < count + 1:
                await trio.lowlevel.checkpoint()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.run, stand_still)
            await reached.wait()
            try:
                yield wait_pending
            finally:
                gate.set()


@asynccontextmanager
async def opened_at(path: Path, **options: Any) -> AsyncIterator[Opened]:
    """The store at this path."""
    told: list[tuple[StoredEvent, ...]] = []

    def keep(events: Sequence[StoredEvent]) -> None:
        told.append(tuple(events))

    async with open_sqlite_store(path, keep, FixedClock(), **options) as store:
        yield Opened(store, told)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "callwheel.db"


@pytest.fixture
async def opened(path: Path) -> AsyncIterator[Opened]:
    lay_database(path)
    async with opened_at(path, busy_timeout_s=0.05, pending_max=50) as one:
        await furnish(one.store)
        yield one
