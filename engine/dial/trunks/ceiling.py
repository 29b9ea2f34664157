"""One ceiling below a configured limit: how it is lowered, and how it grows back. Pure.

It grows on the curve of CUBIC (RFC 9438 §4.2), for CUBIC's reasons: fast while it is far below the limit
that it knows, slowly around it, faster again beyond. So most calls go close to the limit and few over it,
and a limit that was raised is found soon. What moves it along the curve is calls that are taken.
"""

from __future__ import annotations

import math
from typing import Final

REFUSALS_LEAST: Final = 2
"""Fewer are no evidence, unless one asks for a pause."""
USUAL_MARGIN: Final = 1.5
"""Refusals are evidence where they are more than this many times the usual ones …"""
USUAL_SPREAD: Final = 2.0
"""… and so many deviations of their number more: that of rare events is the square root of what is expected.
Not where they ask for pauses, each of which costs more than a pace that is too low."""
USUAL_MAX: Final = 0.3
"""A trunk that refuses a larger share is overloaded, whatever its ways."""
LESSON_CALLS: Final = 50
"""Calls of which the usual share of refusals is learnt, each time anew."""
LESSON_UNTIL: Final = 0.8
"""How far on its way back a ceiling is at the most while that is learnt."""
LESSON_TAKEN: Final = 0.85
"""The share of calls taken from which on the limit is known well enough for that."""
REGROWTH_S: Final = 15.0
"""How soon a ceiling is back at the limit that it knows, at the earliest."""
REGROWTH_CALLS: Final = 80
"""So many calls must have been taken by then …"""
REGROWTH_MAX_S: Final = 120.0
"""… unless this much time has passed."""
PAUSES_IN_REGROWTH: Final = 8
"""Where refusals cost pauses, a ceiling takes at least so many times one of them to grow back."""
PROBE: Final = 0.2
"""How far beyond that limit a ceiling is after twice that time, as a share of it."""


class Ceiling:
    """A ceiling of calls a second, or of calls at once. Moments are seconds of a clock that only rises."""

    def __init__(self, most: float, least: float) -> None:
        self.value = most
        """What is let through."""
        self.since = 0
        """Serial of the latest call that is no evidence any more."""
        self.usual = 0.0
        """Share of calls that is refused even when few are made; it counts where refusals ask for pauses."""
        self.pause_s = 0.0
        """The longest pause that a refusal asked for which is evidence."""
        self._most = most
        self._least = least
        self._known = most
        """The limit, as far as it is known."""
        self._depth = 0.0
        """How far below that it was set, as a share of it."""
        self._progress = 0.0
        """The way back: 1 when it is at the known limit again."""
        self._regrowth_s = REGROWTH_S
        self._grown_at = -math.inf
        self._taken = 0
        """Calls after `since` that were taken."""
        self._is_certain = False
        self._lesson_until = LESSON_UNTIL
        self._lesson_calls = 0
        self._lesson_refused = 0

    @property
    def is_lowered(self) -> bool:
        """Whether it is below what is configured."""
        return self.value < self._most

    @property
    def is_least(self) -> bool:
        """Whether it cannot be lowered."""
        return self.value <= self._least

    @property
    def is_lesson(self) -> bool:
        """Whether calls that leave now show what is refused however slowly the trunk is called."""
        return self.is_lowered and self._progress < self._lesson_until

    def note_taken(self, now: float) -> None:
        """A call after `since` was taken."""
        self._taken += 1
        if self.is_lowered:
            self._grow(now)

    def learn(self, refused: int) -> None:
        """Take a call after `since` for the usual share of refusals: `refused` is 1 or 0."""
        if not self._is_certain:
            return
        self._lesson_calls += 1
        self._lesson_refused += refused
        if self._lesson_calls == LESSON_CALLS:
            share = self._lesson_refused / LESSON_CALLS
            self.usual = min(USUAL_MAX, (self.usual + share) / 2)
            self._lesson_calls = self._lesson_refused = 0

    def is_enough(self, refusals: int, calls: int, usual: float) -> bool:
        """Whether so many refusals among so many calls are evidence, where `usual` is their usual share."""
        expected = usual * calls
        if self.pause_s:
            return refusals >= 1 + USUAL_MARGIN * expected
        by_chance = USUAL_SPREAD * math.sqrt(expected)
        return refusals >= REFUSALS_LEAST + USUAL_MARGIN * expected + by_chance

    def lower(self, limit: float, value: float, taken: float, serial: int, now: float) -> None:
        """Set it to `value` because the limit seems to be `limit`. A trunk that took nothing at all since
        the last time is not at a limit but out of order: then the limit that was known stands.

        Args:
            taken: the share of calls that the trunk took.
            serial: of the latest call that left: it and those before it are no evidence any more.
        """
        if self._taken:
            self._known = max(self._least, min(limit, self._most))
        self.value = max(self._least, min(value, self.value))
        self._depth = max(0.0, 1 - self.value / self._known)
        self._is_certain = taken >= LESSON_TAKEN
        self._lesson_until = LESSON_UNTIL
        self._progress = 0.0
        self._grown_at = now
        regrowth_s = max(REGROWTH_S, PAUSES_IN_REGROWTH * self.pause_s)
        self._regrowth_s = min(REGROWTH_MAX_S, regrowth_s)
        self.since = serial
        self.pause_s = 0.0
        self._taken = self._lesson_calls = self._lesson_refused = 0

    def bear(self, serial: int) -> None:
        """Take refusals for the usual ones that lowering does not cure. See `lower` for `serial`."""
        self.since = serial
        self.pause_s = 0.0
        self._is_certain = True
        self._lesson_until = math.inf

    def _grow(self, now: float) -> None:
        passed_s = max(0.0, now - self._grown_at)
        self._grown_at = now
        by_success = max(1 / REGROWTH_CALLS, passed_s / REGROWTH_MAX_S)
        self._progress += min(passed_s / self._regrowth_s, by_success, 1.0)
        beyond = self._progress - 1.0
        reach = self._depth * self._known if beyond < 0 else max(1.0, PROBE * self._known)
        self.value = min(self._most, max(self.value, self._known + reach * beyond**3))
