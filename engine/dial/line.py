"""The line before limits that several DIDs share: it goes on by turns, not by who came first."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
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

    def __init__(self, claimant: Claimant, patience_s: float, doorman: Doorman) -> None:
        self.claimant = claimant
        self.patience_s = patience_s
        self.doorman = doorman
        self.pause = trio.CancelScope()
        """In which it waits: until the doorman's moment where it is the first, and until it is told else."""


class FairLine:
    """Waits by turns. All times are `trio.current_time()`."""

    def __init__(self) -> None:
        self._turns = Turns()
        self._places: dict[Claimant, deque[_Place]] = {}

    def look_again(self) -> None:
        """Something has changed. The doorman is asked at once, so that nobody is woken who must go on
        waiting."""
        if not self._places:
            return
        first = self._find_first()
        until = first.doorman(trio.current_time(), first.patience_s)
        if until is None:
            first.pause.cancel()
        elif until != first.pause.deadline:
            first.pause.deadline = until

    async def wait(self, claimant: Claimant, patience_s: float, doorman: Doorman) -> None:
        """Return, to be gone before the next checkpoint, when the doorman lets the first in the line go on
        and this is it."""
        place = _Place(claimant, patience_s, doorman)
        self._join(place)
        try:
            while (until := self._ask(place)) is not None:
                place.pause = trio.CancelScope(deadline=until)
                with place.pause:
                    await trio.sleep_forever()
            self._turns.charge(claimant, {one.rank for one in self._places})
        finally:
            self._leave(place)

    def _ask(self, place: _Place) -> float | None:
        """As `Doorman`; whoever is not the first waits to be told."""
        if self._find_first() is not place:
            return math.inf
        return place.doorman(trio.current_time(), place.patience_s)

    def _join(self, place: _Place) -> None:
        self._places.setdefault(place.claimant, deque()).append(place)

    def _leave(self, place: _Place) -> None:
        places = self._places[place.claimant]
        places.remove(place)
        if not places:
            del self._places[place.claimant]
        self.look_again()

    def _find_first(self) -> _Place:
        if len(self._places) == 1:
            [places] = self._places.values()
            return places[0]
        return self._places[self._turns.choose(self._places)][0]


def is_long(until: float, now: float, patience_s: float) -> bool:
    """Whether it is known that a wait is longer than somebody's patience."""
    return math.isfinite(until) and until - now > patience_s
