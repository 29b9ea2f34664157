"""When the calls of a list would end, worked out from limits and calling windows alone. Pure.

Each contact is taken for one call of `CALL_S`, at the pace that the narrowest limit lets calls go while the
calling windows of callees without a zone of their own are open; what else is being dialled is left out. That
is said beside the figure: it is the soonest end that the limits allow, if nobody needs a second call.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from engine.model import BlockerCode
from engine.outlook import Forecast, Starts
from engine.schedule.calling_hours import CallingHours

CALL_S: Final = 30.0
"""How long a call holds its channel, from its INVITE to its end."""
SPANS_MAX: Final = 1_000
"""Open and closed spans that are gone through; what is not done then is not forecast."""


class Pace(Struct, frozen=True):
    """How fast the calls of a flow can go."""

    calls_per_s: float
    """0 where none can go at all."""
    bottleneck: BlockerCode
    """What keeps them from going faster."""


ASSUMES: Final = (
    f"One call of {CALL_S:g} s for each contact, at the pace of the narrowest limit while the calling window"
    " of the flow's own time zone is open. Further tries, and what else is being called, come on top."
)


def narrowest(limits: Sequence[tuple[BlockerCode, float]]) -> Pace:
    """The pace that the smallest of some limits leaves, each in calls a second."""
    code, calls_per_s = min(limits, key=lambda one: one[1])
    return Pace(calls_per_s, code)


def forecast(starts: Starts, pace: Pace, hours: CallingHours, now: float) -> Forecast:
    """The end of a list whose contacts start at these moments."""
    ends_at = None
    if pace.calls_per_s > 0 and starts:
        last_at = _last_call_at(starts, pace.calls_per_s, hours, now)
        ends_at = None if last_at is None else last_at + CALL_S
    return Forecast(ends_at, pace.calls_per_s, pace.bottleneck, ASSUMES)


def _last_call_at(
    starts: Starts, calls_per_s: float, hours: CallingHours, now: float
) -> float | None:
    """When the last call begins."""
    at, spans = now, 0
    for moment, contacts in starts:
        at = max(at, moment)
        left_s = contacts / calls_per_s
        while True:
            spans += 1
            opening = hours.next_opening(at)
            if opening is None or spans > SPANS_MAX + len(starts):
                return None
            closes_at = hours.open_until(opening)
            if closes_at is None or opening + left_s <= closes_at:
                at = opening + left_s
                break
            left_s -= closes_at - opening
            at = closes_at
    return at
