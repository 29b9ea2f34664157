"""The line before limits that several DIDs share: it goes on by turns, not by who came first."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import trio

from engine.dial.turns import Claimant, Turns

SECOND_LEG: Final = Claimant("", 1)
"""A second leg, which somebody waits for on the telephone, goes before the contacts of lists."""

Doorman = Callable[[float, float], float | None]
"""Told the moment and how long is waited at the most, seconds; None lets the first in the line go on, and a
moment makes it wait until then, or until something changes."""


class _Place:
    """Of one that waits in line."""

    def __init__(self, claimant: Claimant) -> None:
        self.claimant = claimant
        self.is_first = trio.Event()


class FairLine:
    """Waits by turns. All times are `trio.current_time()`."""

    def __init__(self) -> None:
        self._turns = Turns()
        self._places: dict[Claimant, deque[_Place]] = {}
        self._changed = trio.lowlevel.ParkingLot()

    def look_again(self) -> None:
        """Something has changed: the first may be able to go on."""
        if self._places:
            self._changed.unpark_all()

    async def wait(self, claimant: Claimant, patience_s: float, doorman: Doorman) -> None:
        """Return, to be gone before the next checkpoint, when the doorman lets the first in the line go on
        and this is it."""
        with self._join(claimant) as place:
            while True:
                while self._find_first() is not place:
                    place.is_first = trio.Event()
                    await place.is_first.wait()
                until = doorman(trio.current_time(), patience_s)
                if until is None:
                    break
                with trio.move_on_at(until):
                    await self._changed.park()
            self._turns.charge(claimant, {one.rank for one in self._places})

    @contextmanager
    def _join(self, claimant: Claimant) -> Iterator[_Place]:
        place = _Place(claimant)
        self._places.setdefault(claimant, deque()).append(place)
        self._wake_first()
        try:
            yield place
        finally:
            places = self._places[claimant]
            places.remove(place)
            if not places:
                del self._places[claimant]
            self._wake_first()

    def _wake_first(self) -> None:
        first = self._find_first()
        if first is not None:
            first.is_first.set()

    def _find_first(self) -> _Place | None:
        if not self._places:
            return None
        return self._places[self._turns.choose(self._places)][0]


def is_long(until: float, now: float, patience_s: float) -> bool:
    """Whether it is known that a wait is longer than somebody's patience."""
    return math.isfinite(until) and until - now > patience_s
