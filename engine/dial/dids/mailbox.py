"""What lies before a DID: contacts that are next, the urgent ones first."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from itertools import chain

import trio

from engine.schedule.feed import Work
from engine.schedule.turns import RANKS, URGENT, Ranks


class Mailbox:
    """A bounded queue of contacts by rank. Urgent ones have a room of their own, as large as that of all
    others, so that they never wait for room that others take."""

    def __init__(self, size: int) -> None:
        self.size = size
        """Contacts that it takes, of the urgent ones and of the others."""
        self.is_closed = False
        """Whether it takes no more."""
        self._queues: list[deque[Work]] = [deque() for _ in range(RANKS)]
        self._ranks = Ranks()
        self._in_hand = URGENT
        """The rank of whoever was taken last."""
        self._posted = trio.lowlevel.ParkingLot()
        self.on_urgent: Callable[[], None] | None = None
        """Called when an urgent contact comes."""

    def __len__(self) -> int:
        return sum(map(len, self._queues))

    def __iter__(self) -> Iterator[Work]:
        """All that lies here, the first ranks first."""
        return chain.from_iterable(self._queues)

    def has_room(self, rank: int) -> bool:
        """Whether it takes one more of this rank."""
        if self.is_closed:
            return False
        if rank == URGENT:
            return len(self._queues[URGENT]) < self.size
        return sum(map(len, self._queues[URGENT + 1 :])) < self.size

    def post(self, work: Work, rank: int) -> None:
        """Put a contact in, for which there must be room."""
        assert self.has_room(rank)
        self._queues[rank].append(work)
        self._posted.unpark()
        if rank == URGENT and self.on_urgent is not None:
            self.on_urgent()

    def close(self) -> None:
        """Take no more; what is here is still received."""
        self.is_closed = True
        self._posted.unpark()

    async def wait(self) -> bool:
        """Wait for a contact; whether one is here, as none is after the last of a mailbox that is closed. One
        task waits. No checkpoint where one is there."""
        while not len(self):
            if self.is_closed:
                return False
            await self._posted.park()
        return True

    def peek(self) -> tuple[Work, int]:
        """What `take` would take."""
        rank = self._ranks.choose(self._waiting())
        return self._queues[rank][0], rank

    def take(self) -> tuple[Work, int]:
        """The next contact, with its rank, of those that are here, which are some; it has its turn with
        `end_turn`."""
        rank = self._in_hand = self._ranks.choose(self._waiting())
        return self._queues[rank].popleft(), rank

    def take_all(self, but: Callable[[Work], bool]) -> list[Work]:
        """Take out all that lie here but for some, the first ranks first; that is nobody's turn."""
        taken = [work for work in self if not but(work)]
        for queue in self._queues:
            kept = [work for work in queue if but(work)]
            queue.clear()
            queue.extend(kept)
        return taken

    def exchange(self, work: Work, rank: int) -> tuple[Work, int]:
        """Give one that is not urgent back to its place, for one that is; itself where there is none, or
        where so many urgent ones went before that it has its turn."""
        has_urgent = rank != URGENT and bool(self._queues[URGENT])
        if not has_urgent or self._ranks.choose({URGENT, rank}) != URGENT:
            return work, rank
        self._queues[rank].appendleft(work)
        self._in_hand = URGENT
        return self._queues[URGENT].popleft(), URGENT

    def end_turn(self) -> None:
        """Whoever was taken last has gone: that was a turn of its class."""
        self._ranks.charge(self._in_hand, self._waiting() | {self._in_hand})

    def _waiting(self) -> set[int]:
        return {rank for rank, queue in enumerate(self._queues) if queue}
