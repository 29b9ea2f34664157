"""What is wrong with calling windows beyond their form: zones and dates that are not there, and hours that
never come."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import msgspec

from engine.form import Mistake
from engine.model import CallingWindow, CallingWindows, windows_of
from engine.model.timezone import is_timezone
from engine.schedule.calling_hours import HORIZON_DAYS, CallingHours, Party


def find_window_mistakes(raw: Any, pointer: str) -> Iterator[Mistake]:
    """Zones that are not known, and dates that are none; what has not the form of a window is somebody
    else's mistake."""
    each = enumerate(raw) if isinstance(raw, list) else ((None, raw),)
    for index, window in each:
        place = pointer if index is None else f"{pointer}/{index}"
        if isinstance(window, dict):
            yield from _find_in_window(window, place)


def find_never_open(
    raw: Any, timezone: str, others: tuple[Party, ...], now: float, pointer: str
) -> Iterator[Mistake]:
    """Windows that are never open together with those of `others`, by the clock of `timezone`. Windows
    with another mistake are not judged."""
    try:
        setting = msgspec.convert(raw, CallingWindow | CallingWindows | None)
        parties = (Party(windows_of(setting), timezone), *others)
        opening = CallingHours(parties, ()).next_opening(now)
    except (msgspec.ValidationError, ValueError, KeyError, OSError):
        return
    if opening is None:
        detail = f"In the next {HORIZON_DAYS} days there is no moment at which calls may be made."
        yield Mistake(pointer, "never_open", detail)


def _find_in_window(window: dict[str, Any], pointer: str) -> Iterator[Mistake]:
    name = window.get("timezone")
    if isinstance(name, str) and not is_timezone(name):
        detail = f"{name!r} is not an IANA time zone, such as Asia/Kolkata."
        yield Mistake(f"{pointer}/timezone", "unknown_timezone", detail)
    holidays = window.get("holidays")
    for index, day in enumerate(holidays if isinstance(holidays, list) else ()):
        if isinstance(day, str) and not _is_date(day):
            detail = f"{day!r} is not a date, such as 2027-12-25."
            yield Mistake(f"{pointer}/holidays/{index}", "invalid_date", detail)


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
