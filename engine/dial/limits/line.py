"""The line before limits that several DIDs share: it goes on by turns, not by who came first."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

import trio

from engine.schedule.turns import Claimant, Turns

SECOND_LEG: Final = Claimant("", 1)
"""A second leg, which somebody waits for on the telephone, goes before the contacts of lists."""

BETTER_CHECK_S: Final = 2.0
"""How often those who wait look whether there is something better to do."""

Doorman = Callable[[float, float], float | None]
"""Told the moment and how long is waited at the most, seconds; None lets the first in the line go on, and a
moment makes it wait until then, or until something changes."""


class Patience:
    """How long somebody waits in line. One for each wait."""

    def __init__(
        self, longest_s: float = math.inf, has_better: Callable[[], bool] | None = None
    ) -> None:
        self.longest_s = longest_s
        """They do not wait where it is known to take longer."""
        self.has_better = has_better
        """Asked now and then by those who wait: whether to give up, as there is something better to do."""
        self.checks_at = math.inf
        """When it is asked next."""
        self.is_over = False
        """Whether they gave up before their turn."""
        self.pause = trio.CancelScope()
        """In which they wait: until the doorman's moment where they are the first, and until they are told
        else. The line's."""

    def begin(self, now: float) -> None:
        """They wait from now on."""
        if self.has_better is not None:
            self.checks_at = now + BETTER_CHECK_S

    def finds_better(self, now: float) -> bool:
        """Whether there is something better to do, if it is time to ask."""
        if self.has_better is None or now < self.checks_at:
            return False
        self.checks_at = now + BETTER_CHECK_S
        return self.has_better()

    def give_up(self) -> None:
        """Wait no more."""
        self.is_over = True
        self.pause.cancel()


class _Place(NamedTuple):
    """Of one that waits in line."""

    claimant: Claimant
    patience: Patience
    doorman: Doorman

    def ask(self) -> float | None:
        """As `Doorman`."""
        return self.doorman(trio.current_time(), self.patience.longest_s)


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
        until, pause = first.ask(), first.patience.pause
        if until is None:
            pause.cancel()
            return
        deadline = min(until, first.patience.checks_at)
        if deadline != pause.deadline:
            pause.deadline = deadline

    async def wait(self, claimant: Claimant, patience: Patience, doorman: Doorman) -> None:
        """Return, to be gone before the next checkpoint, when the doorman lets the first in the line go on
        and this is it; or when it gives up."""
        place = _Place(claimant, patience, doorman)
        self._join(place)
        try:
            patience.begin(trio.current_time())
            while not patience.is_over:
                until = self._ask(place)
                if until is None:
                    self._turns.charge(claimant, {one.rank for one in self._places})
                    return
                if patience.finds_better(trio.current_time()):
                    patience.give_up()
                    return
                patience.pause = trio.CancelScope(deadline=min(until, patience.checks_at))
                with patience.pause:
                    await trio.sleep_forever()
        finally:
            self._leave(place)

    def _ask(self, place: _Place) -> float | None:
        """As `Doorman`; whoever is not the first waits to be told."""
        return place.ask() if self._find_first() is place else math.inf

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
