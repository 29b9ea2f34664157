"""A place where lists are dropped, in memory, with the faults that a test gives it."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import trio

from engine.model.drop_settings import DropSettings
from engine.ports.drops import (
    ENTRIES_MAX,
    HIDDEN_PREFIX,
    INCOMING,
    LIST_NAME_BYTES_MAX,
    SIDES,
    DropFailed,
    FileEntry,
    Listing,
    ReadFile,
    Side,
)

Fault = Callable[[str], DropFailed | None]
"""Told what is about to be done (`open`, `list`, `read`, `put`, `take_away`); gives what goes wrong."""

TICK_NS: Final = 1_000_000_000


class MemoryPlace:
    """Folders of files: name → (octets, time of change)."""

    def __init__(self) -> None:
        self.folders: dict[str, dict[str, tuple[bytes, int]]] = {
            name: {} for name in (INCOMING, *SIDES)
        }
        self.fault: Fault = lambda _: None
        self.after: Callable[[str], None] = lambda _: None
        """Told what was just done, by whoever pulls the plug then."""
        self._ticks = 0

    def drop(self, name: str, data: bytes) -> None:
        """Somebody puts a file into `incoming`."""
        self._ticks += 1
        self.folders[INCOMING][name] = (data, self._ticks * TICK_NS)

    def names(self, folder: str) -> list[str]:
        """What lies in a folder."""
        return sorted(self.folders[folder])


class MemoryDrops:
    """Implements `engine.ports.drops.Drops` with one place for all settings."""

    def __init__(self, place: MemoryPlace) -> None:
        self._place = place

    @asynccontextmanager
    async def open(self, setting: DropSettings, account: str) -> AsyncIterator[MemorySession]:
        """See the port."""
        session = MemorySession(self._place)
        await session.begin("open")
        yield session


class MemorySession:
    """Implements `engine.ports.drops.DropSession`."""

    def __init__(self, place: MemoryPlace) -> None:
        self._place = place

    async def begin(self, what: str) -> None:
        """Give others a turn, and fail where the test wants it."""
        await trio.lowlevel.checkpoint()
        fault = self._place.fault(what)
        if fault is not None:
            raise fault

    async def list_incoming(self) -> Listing:
        """See the port."""
        await self.begin("list")
        files = [
            FileEntry(name, len(data), modified_ns)
            for name, (data, modified_ns) in sorted(self._place.folders[INCOMING].items())
            if not name.startswith(HIDDEN_PREFIX)
        ]
        usable = [
            file
            for file in files
            if file.name.isprintable() and len(file.name.encode()) <= LIST_NAME_BYTES_MAX
        ]
        passed_over = len(files) - len(usable)
        return Listing(tuple(usable[:ENTRIES_MAX]), passed_over, len(usable) <= ENTRIES_MAX)

    async def read(self, name: str, bytes_max: int) -> ReadFile:
        """See the port."""
        await self.begin("read")
        found = self._place.folders[INCOMING].get(name)
        if found is None:
            raise DropFailed("gone", f"{name!r} is not there any more.")
        data, modified_ns = found
        entry = FileEntry(name, len(data), modified_ns)
        return ReadFile(entry, data[:bytes_max], hashlib.sha256(data[:bytes_max]).digest())

    async def put(self, side: Side, name: str, data: bytes) -> None:
        """See the port."""
        await self.begin("put")
        self._place.folders[side][name] = (data, 0)
        self._place.after("put")

    async def take_away(self, entry: FileEntry, to: str | None) -> bool:
        """See the port."""
        await self.begin("take_away")
        incoming = self._place.folders[INCOMING]
        found = incoming.get(entry.name)
        if found is None or FileEntry(entry.name, len(found[0]), found[1]) != entry:
            return False
        del incoming[entry.name]
        if to is not None:
            self._place.folders["rejected"][to] = found
        self._place.after("take_away")
        return True
