"""What a list would come to, told before anybody is called."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from msgspec import Struct, field

from engine.forecast.outlook import Forecast, Shapes, Starts
from engine.model import Flow, Report

Forecaster = Callable[[Flow, Starts, Shapes, float], Awaitable[Forecast | None]]
"""Given a flow, when contacts start, what they are like, and the moment it is: when their calls would
end. None where nobody is there to tell."""


class Preview(Struct, frozen=True):
    """What would become of a list."""

    report: Report
    """What the list's own report would be."""
    numbers: int = 0
    """Of all contacts that would be taken."""
    countries: dict[str, int] = field(default_factory=dict)
    """Those numbers by the region that they belong to (ISO 3166-1 alpha-2, `001` for what is no country's),
    the most frequent first."""
    do_not_call_numbers: int = 0
    """Those that are on the do-not-call list now."""
    do_not_call_contacts: int = 0
    """Contacts none of whose numbers may be called now."""
    starts_now: int = 0
    """Contacts that would be due at once."""
    earliest_at: float | None = None
    """The first start time, seconds since the epoch; None where nothing would be taken."""
    latest_at: float | None = None
    duplicate_of: str | None = None
    """The list that the same file made within 24 hours."""
    forecast: Forecast | None = None


async def no_forecast(
    _flow: Flow, _starts: Starts, _shapes: Shapes, _now: float
) -> Forecast | None:
    """Of an intake that has no engine around it."""
    return None
