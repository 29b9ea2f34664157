"""Moments, paces and numbers of things as people read them on a terminal."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from api.commands.terminal import printable
from engine.model import BlockerCode

SECONDS_OF: Final = (("a second", 1), ("a minute", 60), ("an hour", 3_600), ("a day", 86_400))
NEARLY_ONE: Final = 0.95
"""A pace of this is told as one."""
TENTHS_BELOW: Final = 9.95
"""Fewer than so many are told with a decimal."""
BLOCKERS: Final[dict[BlockerCode, str]] = {
    "starttime": "the start times",
    "calling_window": "the calling window",
    "did_cps": "the calls a second of the caller numbers",
    "did_channels": "the lines of the caller numbers",
    "did_cap": "the caps of the caller numbers",
    "trunk_cps": "the calls a second of the trunk",
    "trunk_cap": "the cap of the trunk",
    "trunk_channels": "the lines of the trunk",
    "trunk_down": "the trunk does not answer",
    "no_trunk": "no trunk is set up",
    "flow_paused": "the flow is paused, or its listener is off",
    "list_paused": "the list is paused",
    "flow_limit": "a limit of the flow",
    "account_limit": "a limit of the account",
    "engine_limit": "a limit of the installation",
    "callee_cap": "people were called as often as they may be for now",
    "retry_wait": "the waits before further tries",
    "agents_busy": "no agent is free",
    "account_stopped": "an administrator has stopped the account",
    "list_canceled": "the list was canceled",
    "account_paused": "the account is paused",
}
"""What holds calls back, in half a sentence."""


def count(number: int, noun: str) -> str:
    """`1 row`, `1,200 rows`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def say_blocker(code: str) -> str:
    """What a code of what holds calls back means, with the code, by which the documentation has it."""
    words = {str(one): text for one, text in BLOCKERS.items()}
    return f"{words.get(code, code.replace('_', ' '))} ({code})"


def say_pace(calls_per_s: float) -> str:
    """`2 calls a second`, `11 calls an hour`: in the first unit in which there is one."""
    if calls_per_s <= 0:
        return "no calls"
    unit, calls = next(
        (
            (unit, calls_per_s * seconds)
            for unit, seconds in SECONDS_OF
            if calls_per_s * seconds >= NEARLY_ONE
        ),
        ("a day", max(0.1, calls_per_s * 86_400)),
    )
    number = f"{calls:.1f}".removesuffix(".0") if calls < TENTHS_BELOW else f"{calls:,.0f}"
    return f"{number} {'call' if number == '1' else 'calls'} {unit}"


def say_moment(text: str, beside: str | None = None) -> str:
    """A moment (RFC 3339) in the terminal's time zone, which is named: `Mon 1 July 2030, 09:30 UTC`.

    Args:
        beside: another that is told with it; on the same day only the time of day is left.
    """
    at = _read(text)
    if at is None:
        return printable(text)
    other = None if beside is None else _read(beside)
    if other is not None and (at.date(), at.tzname()) == (other.date(), other.tzname()):
        return f"{at:%H:%M}"
    return f"{at:%a} {at.day} {at:%B %Y, %H:%M} {_say_zone(at)}"


def _say_zone(at: datetime) -> str:
    """Some zones have no name but their offset."""
    name = at.tzname() or ""
    return name if name.isalpha() else f"UTC{at.isoformat()[-6:]}"


def _read(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
        return at.astimezone() if at.tzinfo else None
    except (ValueError, OverflowError):  # the latter of the first and the last day of all
        return None
