"""Whose turn it is, among flows that wait for the same DID or the same trunk.

Classes go before each other: urgent, high, normal, low. Within a class each flow gets turns in proportion to
its weight, by start-time fair queueing (Goyal, Vin and Cheng, 1996): a turn of a flow of weight w moves that
flow's own time on by 1/w, and the flow whose time is the earliest is next. A flow that comes back after a
pause begins at the present time: it neither makes up for the pause nor pays for it.

A class that waits while others have had `PASSED_MAX` turns gets the next one, so that nobody starves. A
single urgent call never waits for that: a lower class goes before an urgent one only after as many urgent
ones in a row.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from msgspec import Struct

from engine.model import PRIORITIES

URGENT: Final = 0
"""The rank of the first class."""
RANKS: Final = len(PRIORITIES)
PASSED_MAX: Final = 9
"""Turns in a row that go to others while a class waits; the next one is its own."""
TIMES_MAX: Final = 4_096
"""Flows of one class whose own times are kept; of those that are not ahead of the present, none is."""


class Claimant(Struct, frozen=True, gc=False):
    """Who wants a turn."""

    flow: str
    rank: int
    """Of its class, 0 the first."""
    weight: int = 1


class _Class:
    """The flows of one class, each with its own time."""

    def __init__(self) -> None:
        self._now = 0.0
        self._times: dict[str, float] = {}

    def time_of(self, flow: str) -> float:
        return max(self._now, self._times.get(flow, 0.0))

    def charge(self, flow: str, weight: int) -> None:
        self._now = self.time_of(flow)
        self._times[flow] = self._now + 1 / weight
        if len(self._times) > TIMES_MAX:
            self._times = {one: at for one, at in self._times.items() if at > self._now}


class Ranks:
    """Which class has the next turn."""

    def __init__(self) -> None:
        self._passed = [0] * RANKS
        """Turns of others since each class had one, while it waited."""
        self._urgent_run = 0

    def choose(self, waiting: Collection[int]) -> int:
        """The rank that is next, of those that wait, which are some."""
        best = min(waiting)
        if best == URGENT and self._urgent_run < PASSED_MAX:
            return best
        overdue = [rank for rank in waiting if self._passed[rank] >= PASSED_MAX and rank != best]
        return max(overdue, key=lambda rank: self._passed[rank], default=best)

    def charge(self, rank: int, waiting: Collection[int]) -> None:
        """A turn was taken, while these ranks waited (the taker's may be among them)."""
        for one in range(RANKS):
            self._passed[one] = self._passed[one] + 1 if one in waiting and one != rank else 0
        self._urgent_run = self._urgent_run + 1 if rank == URGENT else 0


class Turns:
    """Shares the turns of one thing among flows."""

    def __init__(self) -> None:
        self._ranks = Ranks()
        self._classes = [_Class() for _ in range(RANKS)]

    def choose(self, waiting: Iterable[Claimant]) -> Claimant:
        """Who is next, of those that wait, which are some; of equals the first."""
        some = [*waiting]
        rank = self._ranks.choose({one.rank for one in some})
        times = self._classes[rank]
        return min(
            (one for one in some if one.rank == rank), key=lambda one: times.time_of(one.flow)
        )

    def charge(self, taker: Claimant, waiting: Iterable[int]) -> None:
        """A turn was taken, while these ranks waited."""
        self._ranks.charge(taker.rank, {*waiting})
        self._classes[taker.rank].charge(taker.flow, taker.weight)
