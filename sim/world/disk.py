"""The store as one process has it: over a disk that may be full or slow, and that outlives the process."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any, Final, cast

import trio

from engine.ports.store import Store
from engine.ports.stored import StoreUnavailable
from sim.memory_store import MemoryStore
from sim.world.plan import DiskTrouble
from sim.world.process import Process
from sim.world.tape import Listed, Tape

_READS: Final = (
    "get_",
    "list_",
    "find_",
    "open_",
    "due_",
    "listed_",
    "recent_",
    "count_",
    "events_",
)
_OTHER_READS: Final = frozenset(
    {
        "answer_days",
        "did_health",
        "did_starts",
        "first_waits",
        "has_listed",
        "hook_state",
        "hooks_with_deliveries",
        "last_callers",
        "last_seq",
        "legs_of",
        "next_delivery_at",
        "next_letter_at",
        "past_calls",
    }
)


def is_read(method: str) -> bool:
    """Whether a method of the port changes nothing."""
    return method.startswith(_READS) or method in _OTHER_READS


class Disk:
    """What is kept, whatever process writes it, and how the disk is at the moment."""

    def __init__(
        self, store: MemoryStore, troubles: Sequence[DiskTrouble], chance: Random, tape: Tape
    ) -> None:
        self.store = store
        self.tape = tape
        self._troubles = troubles
        self._chance = chance
        self.intents: deque[tuple[float, str]] = deque()
        """When an intent was to be written down, whether it was or not, and of which DID; for
        whoever takes them from here."""
        self._latest_at = 0.0
        """When the latest commit is made that was asked for: one writer makes them in their order."""

    @property
    def is_full(self) -> bool:
        """Whether nothing can be written."""
        now = trio.current_time()
        return any(one.full and one.begin <= now < one.end for one in self._troubles)

    def was_in_trouble(self, since: float) -> bool:
        """Whether it has been full or slow since a moment."""
        now = trio.current_time()
        return any(one.begin <= now and one.end >= since for one in self._troubles)

    def queue_s(self) -> float:
        """How long the next commit takes to its turn."""
        now = trio.current_time()
        self._latest_at = max(self._latest_at, now + self.answer_s())
        return self._latest_at - now

    def answer_s(self) -> float:
        """How long an answer takes at the moment."""
        now = trio.current_time()
        longest = [one.delay_s for one in self._troubles if one.begin <= now < one.end]
        return self._chance.uniform(0, max(longest)) if longest else 0.0


class ProcessStore:
    """The port of one process. Answers come late where the disk is slow: a read says what was, and a commit
    is made whether or not anybody hears of it."""

    def __init__(self, disk: Disk, process: Process, inner: Any) -> None:
        """`inner` is the store, or a part of it that is handed out."""
        self._disk = disk
        self._process = process
        self._inner = inner

    @asynccontextmanager
    async def take_list(self, account: str, flow: str) -> AsyncIterator[ProcessStore]:
        """A list that comes in pieces, over the same disk."""
        self._process.check()
        async with self._inner.take_list(account, flow) as taking:
            yield ProcessStore(self._disk, self._process, taking)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        made: Callable[..., Any] = self.__dict__.setdefault(name, self._make_method(name))
        return made

    def _make_method(self, name: str) -> Callable[..., Any]:
        method = getattr(self._inner, name)
        if is_read(name):

            async def read(*args: Any, **kwargs: Any) -> Any:
                self._process.check()
                answer = await method(*args, **kwargs)
                await self._pause(self._disk.answer_s())
                return answer

            return read

        async def write(*args: Any, **kwargs: Any) -> Any:
            self._process.step()
            if name in ("begin_attempt", "begin_leg"):
                self._disk.intents.append((trio.current_time(), args[0].did))
            if self._disk.is_full:
                await trio.lowlevel.checkpoint()
                raise StoreUnavailable("the disk is full")
            await self._pause(self._disk.queue_s())
            answer = await method(*args, **kwargs)
            self._note(name, args)
            self._process.step()
            await self._pause(self._disk.answer_s())
            return answer

        return write

    async def _pause(self, duration_s: float) -> None:
        if duration_s > 0:
            await trio.sleep(duration_s)
        self._process.check()

    def _note(self, name: str, args: tuple[Any, ...]) -> None:
        if name == "put_do_not_call":
            account, entries = args
            for one in entries:
                self._disk.tape.add(
                    Listed(trio.current_time(), account, one.flow, (one.number,), one.expires_at)
                )


def open_store(disk: Disk, process: Process) -> Store:
    """The store for one process."""
    return cast("Store", ProcessStore(disk, process, disk.store))
