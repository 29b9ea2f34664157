"""A time of day that never goes back: by which what is due is found, though the wall clock be set back.

What was due in an hour when the clock was set back by a day would else be due in a day and an hour.
"""

from __future__ import annotations

from typing import Final

import structlog
import trio

from engine.ports.clock import WallClock

log = structlog.get_logger(__name__)

STEP_S: Final = 1.0
"""By how much the clock must have been set to be taken as set, and not as late."""


class SteadyClock:
    """The wall clock, and by how much it has been set back."""

    def __init__(self, clock: WallClock) -> None:
        self._clock = clock
        self._seen = clock.now(), trio.current_time()
        self._behind_s = 0.0

    @property
    def behind_s(self) -> float:
        """By how much the wall clock is behind what it was before it was set back, as of the last `now`."""
        return self._behind_s

    def now(self) -> float:
        """Seconds since the epoch, by the wall clock as it was before it was set back. What sets the wall
        clock right again takes that back."""
        wall, here = self._clock.now(), trio.current_time()
        wall_before, here_before = self._seen
        self._seen = wall, here
        step_s = (wall - wall_before) - (here - here_before)
        if abs(step_s) > STEP_S:
            self._behind_s = max(0.0, self._behind_s - step_s)
            log.warning("the clock was set", by_s=step_s, behind_s=self._behind_s)
        return wall + self._behind_s
