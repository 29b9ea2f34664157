"""Whether a number may be called at a moment, by the plainest reading of the rules: the wall time on each
clock that counts, compared with each span. It shares nothing with `engine.schedule.calling_hours`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from engine.model import DAYS, CallingWindow
from sim.world.plan import COUNTRIES, ZONES


def may_call(
    number: str, parties: Sequence[tuple[Sequence[CallingWindow], str]], at: float
) -> bool:
    """Whether a number may be called at a moment.

    Args:
        parties: of account and flow: their windows and their own zone.
    """
    zone = zone_of(number)
    return all(
        not windows or any(_is_open(window, zone, home, at) for window in windows)
        for windows, home in parties
    )


def zone_of(number: str) -> str:
    """Where one of the world's numbers is."""
    for length in (8, 7, 5):  # of a whole beginning, or of the area alone
        for prefix, zone in _zones_by(length).items():
            if number.startswith(prefix):
                return zone
    raise AssertionError(f"{number} is nowhere in this world")


def country_of(number: str) -> str:
    """Which country one of the world's numbers is in."""
    return next(country for prefix, country in COUNTRIES.items() if number.startswith(prefix))


def day_of(number: str, at: float) -> date:
    """The calendar day of whoever has this number."""
    return datetime.fromtimestamp(at, _zone(zone_of(number))).date()


def _is_open(window: CallingWindow, callee: str, home: str, at: float) -> bool:
    clocks = []
    if window.callee_zone:
        clocks.append(callee)
        if window.timezone is not None:
            clocks.append(window.timezone)
    else:
        clocks.append(window.timezone or home)
    return all(_shows(window, datetime.fromtimestamp(at, _zone(name))) for name in clocks)


def _shows(window: CallingWindow, wall: datetime) -> bool:
    """Whether a clock that shows this is within the window: one that began today, or yesterday and runs
    past midnight."""
    if wall.date().isoformat() in window.holidays:
        return False
    minute = f"{wall.hour:02}:{wall.minute:02}"
    if window.start < window.end:
        return _is_day(window, wall.date()) and window.start <= minute < window.end
    began_today = _is_day(window, wall.date()) and window.start <= minute
    began_yesterday = _is_day(window, wall.date() - timedelta(days=1)) and minute < window.end
    return began_today or began_yesterday


def _is_day(window: CallingWindow, day: date) -> bool:
    return DAYS[day.weekday()] in window.days and day.isoformat() not in window.holidays


@lru_cache(maxsize=3)
def _zones_by(length: int) -> dict[str, str]:
    return {prefix[:length]: zone for prefix, zone in ZONES.items()}


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
