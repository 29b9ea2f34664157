"""Time and chance, which the engine never reads by itself."""

from __future__ import annotations

from typing import Protocol


class WallClock(Protocol):
    """The time of day. Durations and deadlines use `trio.current_time()`, which a clock set by
    hand cannot move and a test can."""

    def now(self) -> float:
        """Seconds since the Unix epoch, UTC."""


class Randomness(Protocol):
    """A source of chance; `random.Random` is one. Secrets never come from here."""

    def random(self) -> float:
        """A float in [0, 1)."""

    def getrandbits(self, bits: int, /) -> int:
        """An integer of `bits` random bits."""
