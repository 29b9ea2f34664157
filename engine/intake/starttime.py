"""Start times: ISO 8601 text, and the moment that the name of an uploaded file carries."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from engine.intake.refused import Refused

LATE_S_MAX: Final = 86_400
"""How far in the past a start time may lie and still mean now."""
LATEST_AT: Final = 4_102_444_800.0
"""2100-01-01T00:00:00Z: a later moment is a slip of the pen."""
_TEXT_LENGTH_MAX: Final = 64
_NAME: Final = re.compile(r"upload_([0-9]{14})\.(?:csv|xlsx)", re.IGNORECASE)


def read_starttime(text: str, zone: ZoneInfo) -> float | None:
    """Seconds since the epoch, or None for what is not ISO 8601 or lies after `LATEST_AT`.

    Without an offset it is a time of `zone`: one that the change to summer time skips is moved
    forward by as much as the clocks, one that comes twice is the first (PEP 495, fold=0).
    """
    if len(text) > _TEXT_LENGTH_MAX:
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=zone)
        at = moment.timestamp()
    except (ValueError, OverflowError):
        return None
    return at if at <= LATEST_AT else None


def read_name_time(name: str, zone: ZoneInfo) -> float | None:
    """The moment in `upload_ddMMyyyyHHmmss.csv`, or None for any other name.

    Raises `Refused("invalid_starttime")` for fourteen digits that are no date: calling at once is
    the last thing that whoever wrote them wanted.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    digits = match[1]
    text = f"{digits[4:8]}-{digits[2:4]}-{digits[:2]}T{digits[8:10]}:{digits[10:12]}:{digits[12:]}"
    moment = read_starttime(text, zone)
    if moment is None:
        raise Refused(
            "invalid_starttime",
            f"The file's name {name!r} should carry its start time as ddMMyyyyHHmmss.",
        )
    return moment
