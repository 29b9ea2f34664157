"""Rows that need no closer look, many at once: nearly all rows of nearly all lists.

`RowReader` judges a row cell by cell. Here a few hundred rows are looked at column by column, and those of
which every cell is as it should be become drafts at a fifth of the price. All others are left to `RowReader`:
what becomes of a row does not depend on who judged it, and a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import Struct

from engine.drafts import Draft
from engine.intake.numbers import find_plain_numbers
from engine.intake.rows import REFERENCE_LENGTH_MAX, RowReader
from engine.model.variable import VALUE_LENGTH_MAX, Variable, find_fault

GOOD_VALUES_KEPT: Final = 20_000
"""Values of a variable that are known to be good; with more, they are checked anew."""

Column = Sequence[str]
Flaws = set[int]
"""Rows, by their place among those that are looked at, that need a closer look."""


class Layout(Struct, frozen=True):
    """Where in a row to find what; places count from 0."""

    width: int
    """Cells of a row."""
    tels: tuple[int, ...]
    variables: dict[str, int]
    starttime: int | None
    reference: int | None


class PlainReader:
    """Judges the plain rows of one table."""

    def __init__(self, reader: RowReader, layout: Layout, default_starttime: float) -> None:
        """
        Args:
            reader: of the list: it remembers the numbers that were taken, from here as well.
            layout: of the rows.
            default_starttime: what the reader's `place_default` gave.
        """
        self._reader = reader
        self._rules = reader.rules
        self._layout = layout
        self._default = default_starttime
        self._good: dict[str, set[str]] = {name: set() for name in self._rules.variables}

    def read(self, first_row: int, rows: Sequence[list[str]]) -> Iterator[list[Draft] | int]:
        """In the order of the rows: drafts of rows that follow one another, and the place among `rows` of
        each that needs a closer look, which it is to get before this goes on.

        Args:
            first_row: the number of the first.
            rows: their cells.
        """
        drafts, flaws = self._draft(first_row, rows)
        at = 0
        for end in (*sorted(flaws), len(drafts)):
            some = drafts[at:end]
            if some and self._reader.seen.note_all(
                [int(one.tel[0]) for one in some], [one.row for one in some]
            ):
                yield some
            else:
                yield from range(at, end)
            if end < len(drafts):
                yield end
            at = end + 1

    def _draft(self, first_row: int, rows: Sequence[list[str]]) -> tuple[list[Draft], Flaws]:
        """Drafts of all rows, and which of them are none."""
        width = self._layout.width
        flaws = {place for place, cells in enumerate(rows) if len(cells) != width}
        blank = [""] * width
        even = [blank if place in flaws else cells for place, cells in enumerate(rows)]
        columns: list[Column] = list(zip(*even if flaws else rows, strict=True))
        tels = self._read_tels(columns, flaws)
        starts = self._read_starts(columns, len(rows), flaws)
        references = self._read_references(columns, len(rows), flaws)
        names = list(self._rules.variables)
        values = [
            self._read_values(name, variable, columns, len(rows), flaws)
            for name, variable in self._rules.variables.items()
        ]
        each = zip(*values, strict=True) if values else [()] * len(rows)
        drafts = [
            Draft(row, tel, dict(zip(names, some, strict=True)), at, reference)
            for row, (tel, some, at, reference) in enumerate(
                zip(tels, each, starts, references, strict=True), start=first_row
            )
        ]
        return drafts, flaws

    def _read_tels(self, columns: Sequence[Column], flaws: Flaws) -> list[tuple[str, ...]]:
        first, *others = self._layout.tels
        found = self._read_numbers(columns[first], flaws)
        flaws.update(place for place, number in enumerate(found) if not number)
        used = [
            self._read_numbers(columns[other], flaws) for other in others if any(columns[other])
        ]
        if not used:
            return [(number,) for number in found]
        return [tuple(dict.fromkeys(filter(None, some))) for some in zip(found, *used, strict=True)]

    def _read_numbers(self, column: Column, flaws: Flaws) -> list[str]:
        """The numbers, and blanks where there is none."""
        found = find_plain_numbers(column, self._rules.destinations)
        flaws.update(
            place
            for place, number in enumerate(found)
            if not number and column[place] and not column[place].isspace()
        )
        return found

    def _read_starts(self, columns: Sequence[Column], count: int, flaws: Flaws) -> list[float]:
        now, default = self._rules.now, self._default
        place = self._layout.starttime
        starts = [default] * count
        if place is not None and any(columns[place]):
            for row, text in enumerate(columns[place]):
                bare = text.strip()
                if bare:
                    at = self._reader.read_moment(bare)
                    starts[row] = now - 1 if at is None else at
        flaws.update(row for row, at in enumerate(starts) if at < now)
        return starts

    def _read_references(
        self, columns: Sequence[Column], count: int, flaws: Flaws
    ) -> list[str | None]:
        place = self._layout.reference
        if place is None:
            return [None] * count
        found = [text.strip() for text in columns[place]]
        if max(map(len, found)) > REFERENCE_LENGTH_MAX:
            flaws.update(row for row, one in enumerate(found) if len(one) > REFERENCE_LENGTH_MAX)
        return [one or None for one in found]

    def _read_values(
        self,
        name: str,
        variable: Variable,
        columns: Sequence[Column],
        count: int,
        flaws: Flaws,
    ) -> Sequence[str]:
        place, default = self._layout.variables.get(name), variable.default or ""
        found = (
            [default] * count
            if place is None
            else [text.strip() or default for text in columns[place]]
        )
        good = self._good[name]
        fresh = set(found) - good
        bad = {value for value in fresh if not _is_good(variable, value)}
        if bad:
            flaws.update(row for row, value in enumerate(found) if value in bad)
        if len(good) < GOOD_VALUES_KEPT and variable.type != "text":  # those may be long
            good |= fresh - bad
        return found


def _is_good(variable: Variable, value: str) -> bool:
    if not value and variable.default is None:
        return False
    if variable.type == "text":
        return len(value) <= VALUE_LENGTH_MAX
    return find_fault(variable, value) is None
