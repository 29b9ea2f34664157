"""Which texts name a time zone."""

from __future__ import annotations

from typing import Final
from zoneinfo import ZoneInfo

NO_ZONES: Final = ("right/", "posix/", "posixrules", "localtime", "Factory")
"""Files that lie beside the zones on some machines, and mean something else on the next one."""


def is_timezone(name: str) -> bool:
    """Whether this is an IANA time zone."""
    if name.startswith(NO_ZONES):
        return False
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True
