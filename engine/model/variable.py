"""A flow's variables: what each holds, and what is wrong with a text that is to be its value. Pure.

Values are texts from the door to the call. A type says which texts are taken, and how they are spoken.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

VALUE_LENGTH_MAX: Final = 4_096
"""Characters of a variable's value."""
SHOWN_LENGTH_MAX: Final = 40
"""Characters of a bad value that its sender is shown."""

VariableType = Literal[
    "text", "integer", "number", "money", "date", "time", "datetime", "digits", "phone"
]

Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}\Z")]
"""ISO 4217."""


class Variable(Struct, frozen=True, forbid_unknown_fields=True):
    """A value that each contact may bring along."""

    default: str | None = None
    """Taken where a contact brings none; without one, a contact must bring its own."""
    type: VariableType = "text"
    currency: Currency | None = None
    """Of `money`; without one the amount is spoken alone."""
    description: Annotated[str, Meta(max_length=500)] = ""
    """For whoever makes the lists."""


def find_fault(variable: Variable, text: str) -> str | None:
    """What is wrong with a value, in a sentence; None for one that is taken.

    An empty text is a value of every type where it is the default: nothing is said in its place.
    """
    if len(text) > VALUE_LENGTH_MAX:
        return f"More than {VALUE_LENGTH_MAX} characters."
    if not text:
        return None
    read, form = _READERS[variable.type]
    if read(text) is None:
        return f"{text[:SHOWN_LENGTH_MAX]!r} is not {form}."
    return None


_DECIMAL: Final = re.compile(r"[+-]?[0-9]{1,18}(?:[.,][0-9]{1,6})?")
_MONEY: Final = re.compile(r"[+-]?[0-9]{1,15}(?:[.,][0-9]{1,2})?")
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,18}")
_DIGITS: Final = re.compile(r"[0-9A-Za-z*#]{1,64}")
_PHONE: Final = re.compile(r"\+?(?=(?:[^0-9]*[0-9]){3})[0-9(][0-9 ().-]{1,30}")
_MOMENT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?"
    r"(?:Z|[+-][0-9]{2}:[0-9]{2})?"
)
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME: Final = re.compile(r"[0-9]{2}:[0-9]{2}(?::[0-9]{2})?")


def read_number(text: str) -> Decimal | None:
    """A number as `1200`, `-3.5` or `3,5`; None for anything else. What could mark thousands is not taken."""
    return _decimal(text) if _DECIMAL.fullmatch(text) else None


def read_money(text: str) -> Decimal | None:
    """An amount as `1200`, `12.50` or `12,5`; None for anything else."""
    return _decimal(text) if _MONEY.fullmatch(text) else None


def read_integer(text: str) -> int | None:
    """A whole number; None for anything else."""
    return int(text) if _INTEGER.fullmatch(text) else None


def read_date(text: str) -> date | None:
    """A date as ISO 8601 writes it, `2030-12-31`; None for anything else."""
    if not _DATE.fullmatch(text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def read_time(text: str) -> time | None:
    """A time of day, `09:30` or `09:30:00`; None for anything else."""
    if not _TIME.fullmatch(text):
        return None
    try:
        return time.fromisoformat(text)
    except ValueError:
        return None


def read_datetime(text: str) -> datetime | None:
    """A moment as ISO 8601 writes it, `2030-12-31T09:30`; None for anything else. An offset is taken and not
    reckoned with: it is spoken as it stands."""
    if not _MOMENT.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def read_digits(text: str) -> str | None:
    """What is spoken one by one: digits, letters, `*` and `#`, blanks and dashes left out; None for anything
    else."""
    bare = text.replace(" ", "").replace("-", "")
    return bare if _DIGITS.fullmatch(bare) else None


def read_phone(text: str) -> str | None:
    """A telephone number with blanks, dashes, dots and brackets left out; None for anything else."""
    if not _PHONE.fullmatch(text):
        return None
    return re.sub(r"[ ().-]", "", text)


def _decimal(text: str) -> Decimal | None:
    try:
        return Decimal(text.replace(",", "."))
    except InvalidOperation:
        return None


_READERS: Final = MappingProxyType[VariableType, tuple[Callable[[str], object | None], str]](
    {
        "text": (lambda text: text, "a text"),
        "integer": (read_integer, "a whole number, such as 1200"),
        "number": (read_number, "a number, such as 1200 or 3.5"),
        "money": (read_money, "an amount, such as 12.50"),
        "date": (read_date, "a date as ISO 8601 writes it, such as 2030-12-31"),
        "time": (read_time, "a time of day, such as 09:30"),
        "datetime": (
            read_datetime,
            "a date and time as ISO 8601 writes them: 2030-12-31T09:30",
        ),
        "digits": (read_digits, "a row of digits and letters, such as 4711"),
        "phone": (read_phone, "a telephone number, such as +14155550100"),
    }
)
"""Reads a value of each type, None for what is none; and what it should be, for a message."""
