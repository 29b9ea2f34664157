"""When a list would end, as a value: what doors show and what forecasters make."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct, field

from engine.forecast.behaviour import RatesFrom
from engine.model import BlockerCode

Starts = Sequence[tuple[float, int]]
"""(moment, contacts that start then), rising; moments are seconds since the epoch."""
Shapes = Sequence[tuple[int, str, int]]
"""(numbers, one that is like the first, contacts of which that is so)."""


class Forecast(Struct, frozen=True):
    """When the calls of a list would end. Moments are seconds since the epoch."""

    ends_at: float | None
    """In the middle of all runs; None where no end is in sight."""
    calls_per_s: float
    """On an average, until then."""
    bottleneck: BlockerCode | None
    """What holds contacts back for the longest; None where nothing does."""
    assumes: str
    """What the figures take for granted, in a sentence or two."""
    earliest_at: float | None = None
    latest_at: float | None = None
    """None also where not all runs had an end in sight."""
    contacts: int = 0
    """That are still to be called."""
    attempts: int = 0
    """Calls that are still to be made, on an average."""
    without_bottleneck_at: float | None = None
    """The end, were the bottleneck not there."""
    held_s: dict[BlockerCode, float] = field(default_factory=dict)
    """For how long what holds contacts back, the longest first."""
    channels: tuple[tuple[float, float], ...] = ()
    """(moment, calls at once from then on), rising."""
    rates_from: RatesFrom = "usual"
    """Where it is taken from what calls come to."""
    calls_seen: int = 0
    """By how many calls of the flow."""
    runs: int = 0
