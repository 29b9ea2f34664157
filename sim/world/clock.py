"""The wall clock of the world, which can be set like any other."""

from __future__ import annotations

import trio


class WorldClock:
    """Goes with trio's clock, which begins at 0, until somebody sets it."""

    def __init__(self, epoch: float) -> None:
        self._ahead_s = epoch

    def now(self) -> float:
        """Seconds since the Unix epoch, as the machine believes."""
        return trio.current_time() + self._ahead_s

    def set_by(self, by_s: float) -> None:
        """Set it forward, or back."""
        self._ahead_s += by_s
