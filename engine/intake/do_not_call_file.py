"""Reads who is not to be called: as a request names them, and as a file does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final
from zoneinfo import ZoneInfo

from engine.form import Invalid, Mistake, require
from engine.intake.numbers import NumberProblem, read_number
from engine.intake.refused import Refused
from engine.intake.starttime import read_starttime
from engine.intake.table import read_table
from engine.model import RowError
from engine.model.do_not_call import NOTE_LENGTH_MAX, DoNotCall, read_prefix

ANYWHERE: Final = ("+",)
"""A number that is not to be called may be in any country."""
NUMBER_TITLES: Final = ("number", "tel", "tel1", "phone")
_UTC: Final = ZoneInfo("UTC")


def read_do_not_call_number(text: str) -> str | NumberProblem:
    """A number in E.164, or a range as it is kept (`+1900*`)."""
    return read_prefix(text) or read_number(text, ANYWHERE)


def read_do_not_call_numbers(numbers: Sequence[str], most: int) -> list[str]:
    """Each number or range, in order and once. Raises `Invalid` with all that are none."""
    if len(numbers) > most:
        raise Invalid("invalid_body", f"At most {most} numbers are taken at once.")
    found: dict[str, None] = {}
    mistakes = []
    for place, text in enumerate(numbers):
        number = read_do_not_call_number(text)
        if isinstance(number, NumberProblem):
            mistakes.append(Mistake(f"/numbers/{place}", number.code, number.detail))
        else:
            found[number] = None
    require(mistakes)
    return list(found)


def read_expiry(text: str | None, now: float) -> float | None:
    """When something expires, seconds since the epoch; None where it never does. Raises `Invalid`."""
    if text is None:
        return None
    at = read_starttime(text, _UTC)
    if at is None or at <= now:
        detail = f"{text!r} is not a time to come, such as 2030-01-31T00:00:00Z."
        require([Mistake("/expires_at", "invalid_expiry", detail)])
    return at


def read_do_not_call_file(
    name: str, data: bytes, flow: str | None, key: str, now: float
) -> Iterator[DoNotCall | RowError]:
    """Each row of a CSV with a column `number`, and perhaps `expires_at` and `note`, as an entry, or what is
    wrong with it. Raises `Refused`: as `read_table`, and `missing_tel` without that column.

    Args:
        flow: whom the numbers are listed for; None is all of the account.
        key: the id of the key of whoever brings it.
        now: seconds since the epoch.
    """
    table = read_table(name, data)
    titles = [title.casefold() for title in table.header]
    place = next((titles.index(title) for title in NUMBER_TITLES if title in titles), None)
    if place is None:
        raise Refused("missing_tel", "The file needs a column `number`.")
    places = (
        place,
        *(titles.index(one) if one in titles else None for one in ("expires_at", "note")),
    )
    for row in table.rows:
        if row.problem is not None:
            yield RowError(row.number, None, row.problem.code, row.problem.detail)
            continue
        number, expires, note = (
            "" if at is None or at >= len(row.cells) else row.cells[at].strip() for at in places
        )
        yield _read_row(row.number, number, expires, note, flow, key, now)


def _read_row(
    row: int, number: str, expires: str, note: str, flow: str | None, key: str, now: float
) -> DoNotCall | RowError:
    found = read_do_not_call_number(number)
    if isinstance(found, NumberProblem):
        return RowError(row, "number", found.code, found.detail)
    expires_at = read_starttime(expires, _UTC) if expires else None
    if expires and (expires_at is None or expires_at <= now):
        detail = f"{expires[:40]!r} is not a time to come, such as 2030-01-31T00:00:00Z."
        return RowError(row, "expires_at", "invalid_expiry", detail)
    if len(note) > NOTE_LENGTH_MAX:
        detail = f"A note has at most {NOTE_LENGTH_MAX} characters."
        return RowError(row, "note", "value_too_long", detail)
    return DoNotCall(found, flow, now, expires_at, note, "import", key)
