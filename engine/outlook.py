"""When a list would end, as a value: what doors show and what forecasters make."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from engine.model import BlockerCode

Starts = Sequence[tuple[float, int]]
"""(moment, contacts that start then), rising; moments are seconds since the epoch."""


class Forecast(Struct, frozen=True):
    """When the calls of a list would end."""

    ends_at: float | None
    """Seconds since the epoch; None where no end is in sight."""
    calls_per_s: float
    bottleneck: BlockerCode
    """The limit that the pace comes from."""
    assumes: str
    """What the figure takes for granted, in a sentence or two."""
