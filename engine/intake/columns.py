"""The header of a call list → what each of its columns means."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from msgspec import Struct

from engine.intake.refused import Refused
from engine.model import TELS_MAX, RowError
from engine.model.variable import Variable, VariableType

TEL_COLUMNS: Final = tuple(f"tel{place}" for place in range(1, TELS_MAX + 1))
"""In the order of trying."""
VARIABLE_PREFIX: Final = "$flow."
_VARIABLE_SUFFIX: Final = ".variable"
EXAMPLE_TEL: Final = "EXAMPLE"
"""What the template's example row has in place of a number."""
_EXAMPLES: Final[dict[VariableType, str]] = {
    "text": "Some text",
    "integer": "1200",
    "number": "3.5",
    "money": "12.50",
    "date": "2030-12-31",
    "time": "09:30",
    "datetime": "2030-12-31T09:30",
    "digits": "4711",
    "phone": "+14155550100",
}
"""A value of each type."""
_FIXED: Final = frozenset({*TEL_COLUMNS, "starttime", "reference"})


class Columns(Struct, frozen=True):
    """Where in a row to find what; places count from 0."""

    tels: tuple[tuple[int, str], ...]
    """(place, `tel1` … `tel10`), in the order of trying."""
    variables: tuple[tuple[int, str], ...]
    """(place, the variable's name as the flow declares it)."""
    starttime: int | None
    reference: int | None
    last: int
    """The last place that is read."""
    notes: tuple[RowError, ...]
    """Columns that are not read, as errors of row 0."""


def read_columns(header: Sequence[str], variables: Collection[str]) -> Columns:
    """What each column means. Raises `Refused("missing_tel")` for a header without tel1.

    A title means the same in capitals, in small letters and with blanks around it. A column whose
    title means nothing here, or what an earlier one means already, is noted and not read.

    Args:
        header: the titles, in their order.
        variables: the names that the flow declares.
    """
    places: dict[str, int] = {}
    notes: list[RowError] = []
    for place, title in enumerate(header):
        meaning = _find_meaning(title, variables)
        if meaning is None:
            notes.append(_note_unknown(place, title))
        elif meaning in places:
            detail = f"The column {title!r} is there twice; only the first is read."
            notes.append(RowError(0, title, "duplicate_column", detail))
        else:
            places[meaning] = place
    if "tel1" not in places:
        raise Refused(
            "missing_tel",
            "The header has no column tel1. The first row must name the columns, and tel1 is the"
            " number that is called first.",
            [RowError(0, "tel1", "missing_tel", "There is no such column.")],
        )
    return Columns(
        tels=tuple((places[name], name) for name in TEL_COLUMNS if name in places),
        variables=tuple(
            (place, meaning.removeprefix(VARIABLE_PREFIX))
            for meaning, place in places.items()
            if meaning not in _FIXED
        ),
        starttime=places.get("starttime"),
        reference=places.get("reference"),
        last=max(places.values()),
        notes=tuple(notes),
    )


def make_template(variables: Collection[str]) -> tuple[str, ...]:
    """Every column that a call list of a flow with these variables may have, in a sensible order."""
    named = (f"{VARIABLE_PREFIX}{name}" for name in variables)
    return (*TEL_COLUMNS, *named, "starttime", "reference")


def make_example(variables: Mapping[str, Variable]) -> tuple[str, ...]:
    """A row below `make_template`'s header that shows what belongs where. A list that still has it is read
    without it: nobody is called `EXAMPLE_TEL`. It has no start time: whoever writes a number over it would be
    called then."""
    others = ("",) * (TELS_MAX - 1)
    values = (one.default or _EXAMPLES[one.type] for one in variables.values())
    return (EXAMPLE_TEL, *others, *values, "", "customer-1")


def is_example(tel1: str) -> bool:
    """Whether a row is the template's example, by its first number."""
    return tel1.strip().upper() == EXAMPLE_TEL


def _find_meaning(title: str, variables: Collection[str]) -> str | None:
    """`tel1` …, `starttime`, `reference`, `$flow.NAME` as declared, or None."""
    bare = title.strip()
    if bare.lower() in _FIXED:
        return bare.lower()
    if bare.lower().startswith(VARIABLE_PREFIX):
        bare = bare[len(VARIABLE_PREFIX) :]
        if bare.lower().endswith(_VARIABLE_SUFFIX):
            bare = bare[: -len(_VARIABLE_SUFFIX)]
    if bare in variables:
        return f"{VARIABLE_PREFIX}{bare}"
    alike = [name for name in variables if name.lower() == bare.lower()]
    return f"{VARIABLE_PREFIX}{alike[0]}" if len(alike) == 1 else None


def _note_unknown(place: int, title: str) -> RowError:
    if not title.strip():
        detail = f"Column {place + 1} has no title; it is not read."
    else:
        detail = f"The flow has no variable for the column {title!r}; it is not read."
    return RowError(0, title, "unknown_column", detail)
