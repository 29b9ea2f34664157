"""How many calls may be made, and which go first."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct


class Cap(Struct, frozen=True, forbid_unknown_fields=True):
    """At most so many calls in any window of so many seconds."""

    calls: Annotated[int, Meta(ge=1, le=1_000_000)]
    per_s: Annotated[float, Meta(gt=0, le=31 * 86_400)]


CAPS_MAX = 16
"""Of one DID, flow, account or trunk, or of the installation."""
Caps = Annotated[tuple[Cap, ...], Meta(max_length=CAPS_MAX)]
"""All of them hold."""

CALLEE_CALLS_MAX = 100
"""Calls of one callee that are counted."""


class CalleeCap(Struct, frozen=True, forbid_unknown_fields=True):
    """At most so many calls of one number in any window of so many seconds."""

    calls: Annotated[int, Meta(ge=1, le=CALLEE_CALLS_MAX)]
    per_s: Annotated[float, Meta(gt=0, le=31 * 86_400)]


CalleeCaps = Annotated[tuple[CalleeCap, ...], Meta(max_length=CAPS_MAX)]
"""All of them hold, over all flows and lists of an account."""

CallsPerSecond = Annotated[float, Meta(gt=0, le=100_000)]
"""A whole number of calls in any sliding second, or, below one, a call every 1/cps seconds."""

Channels = Annotated[int, Meta(ge=1, le=1_000_000)]
"""Calls at once."""
CallsPerDay = Annotated[int, Meta(ge=0, le=1_000_000)]
COUNTRIES_MAX = 300
"""There are fewer."""
Country = Annotated[str, Meta(pattern=r"^(?:[A-Z]{2}|\+[1-9][0-9]{2})\Z")]
"""As `engine.model.countries` writes it: `IN`, or the code of nobody's country: `+881`."""
CountryCaps = Annotated[dict[Country, CallsPerDay], Meta(max_length=COUNTRIES_MAX)]
Countries = Annotated[tuple[Country, ...], Meta(max_length=COUNTRIES_MAX)]


Priority = Literal["urgent", "high", "normal", "low"]
"""The class of a call: of those that wait for the same DID or trunk, the first class goes first."""
PRIORITIES: Final[tuple[Priority, ...]] = ("urgent", "high", "normal", "low")
"""The first class first."""
