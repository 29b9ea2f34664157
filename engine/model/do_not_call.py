"""Who must not be called: numbers, and whole ranges of them, as values."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, Literal

from msgspec import Struct

DoNotCallSource = Literal["api", "import", "call"]
"""Who listed a number: a request, a file, or the callee on a call."""
PREFIXES_MAX: Final = 1_000
"""Prefixes of one account."""
PREFIX_LENGTH_MAX: Final = 15
"""Characters of a range before its `*`, with the `+`."""
NOTE_LENGTH_MAX: Final = 200
"""Characters."""
_PREFIX: Final = re.compile(r"\+[1-9][0-9]{0,13}\*")


class DoNotCall(Struct, frozen=True, gc=False):
    """A number, or a range of numbers, that must not be called."""

    number: str
    """E.164 with `+`; or the beginning of numbers and a `*`, as `+1900*`."""
    flow: str | None
    """Only by this flow; None by none of the account."""
    added_at: float
    expires_at: float | None = None
    """From when on it may be called again, seconds since the epoch; None is never."""
    note: str = ""
    """Why, in the words of whoever listed it."""
    source: DoNotCallSource = "api"
    added_by: str | None = None
    """The id of the key, or of the attempt on which the callee asked for it."""

    def binds(self, flow: str, at: float) -> bool:
        """Whether it is in force for this flow at a moment."""
        return self.flow in (None, flow) and (self.expires_at is None or self.expires_at > at)

    def bars(self, number: str, flow: str, at: float) -> bool:
        """Whether it forbids a call of this flow to a number (E.164) at a moment."""
        if not self.binds(flow, at):
            return False
        if is_prefix(self.number):
            return number.startswith(self.number[:-1])
        return number == self.number


class DoNotCallChange(Struct, frozen=True, gc=False):
    """What somebody did to the list: kept for good."""

    at: float
    action: Literal["added", "removed"]
    number: str
    flow: str | None
    source: DoNotCallSource
    by: str | None
    """As `DoNotCall.added_by`, of whoever did it."""
    expires_at: float | None
    note: str


def read_prefix(text: str) -> str | None:
    """The range that a text names, as `+1900*`; None where it names none."""
    bare = "".join(text.split())
    return bare if _PREFIX.fullmatch(bare) else None


def names_of(number: str) -> tuple[str, ...]:
    """What a number (E.164) may be listed as: itself, and each range that it lies in."""
    ranges = [f"{number[:length]}*" for length in range(2, min(len(number), PREFIX_LENGTH_MAX) + 1)]
    return (number, *ranges)


def is_prefix(number: str) -> bool:
    """Whether a listed number is a range."""
    return number.endswith("*")


def is_weaker(new: DoNotCall, old: DoNotCall | None) -> bool:
    """Whether `new` adds nothing to what is listed of its number and flow: listing a number again never
    lets it be called sooner."""
    if old is None:
        return False
    if old.expires_at is None:
        return True
    return new.expires_at is not None and new.expires_at <= old.expires_at


def added(entry: DoNotCall) -> DoNotCallChange:
    """What is written down of an entry that was listed."""
    return DoNotCallChange(
        entry.added_at,
        "added",
        entry.number,
        entry.flow,
        entry.source,
        entry.added_by,
        entry.expires_at,
        entry.note,
    )


def removed(entry: DoNotCall, at: float, by: str | None) -> DoNotCallChange:
    """What is written down of an entry that was struck off."""
    return DoNotCallChange(
        at, "removed", entry.number, entry.flow, "api", by, entry.expires_at, entry.note
    )


def entries_of(
    numbers: Iterable[str],
    flow: str | None,
    at: float,
    source: DoNotCallSource = "api",
    by: str | None = None,
) -> list[DoNotCall]:
    """Numbers that are listed for good, without a word."""
    return [DoNotCall(number, flow, at, source=source, added_by=by) for number in numbers]
