"""The hours in which calls may be made."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: Final[tuple[Day, ...]] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WINDOWS_MAX = 32
"""Calling windows of one flow, or of one account."""
HOLIDAYS_MAX = 400
"""Of one calling window."""


class CallingWindow(Struct, frozen=True, forbid_unknown_fields=True):
    """A span of the day in which calls may be made, on the callee's own clock as far as the number tells;
    `engine.schedule.calling_hours` reads it."""

    start: Annotated[str, Meta(pattern=r"^(?:[01][0-9]|2[0-3]):[0-5][0-9]\Z")]
    """`HH:MM`, from which on …"""
    end: Annotated[str, Meta(pattern=r"^(?:(?:[01][0-9]|2[0-3]):[0-5][0-9]|24:00)\Z")]
    """… until before which. Not after `start`: on the next day."""
    days: Annotated[tuple[Day, ...], Meta(min_length=1, max_length=7)] = DAYS
    """On which it begins."""
    timezone: str | None = None
    """IANA name: it holds on this clock, too. None is the clock of the flow, or the account, for callees
    whose own is not known."""
    holidays: Annotated[
        tuple[Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")], ...],
        Meta(max_length=HOLIDAYS_MAX),
    ] = ()
    """Dates on which nobody is called."""
    callee_zone: bool = True
    """Whether the callee's own clock counts."""


CallingWindows = Annotated[tuple[CallingWindow, ...], Meta(max_length=WINDOWS_MAX)]
"""Calls may be made while one of them is open; where there is none, always."""


def windows_of(setting: CallingWindow | CallingWindows | None) -> tuple[CallingWindow, ...]:
    """What a setting that takes one calling window or several names."""
    if setting is None:
        return ()
    return (setting,) if isinstance(setting, CallingWindow) else setting
