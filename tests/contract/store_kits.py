"""How each store is opened for a test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from adapters.sqlite.store import open_sqlite_store
from engine.model.events import StoredEvent
from sim.memory_store import MemoryStore
from tests.contract.store_samples import FixedClock, Kit
from tests.new_database import lay_database


@asynccontextmanager
async def open_kit(kind: str, folder: Path) -> AsyncIterator[Kit]:
    """An empty store, `sqlite` or `memory`."""
    clock = FixedClock()
    told: list[tuple[StoredEvent, ...]] = []

    def keep(events: Sequence[StoredEvent]) -> None:
        told.append(tuple(events))

    if kind == "memory":
        yield Kit(MemoryStore(keep, clock), clock, told)
    else:
        path = folder / "callwheel.db"
        lay_database(path)
        async with open_sqlite_store(path, keep, clock) as store:
            yield Kit(store, clock, told)
