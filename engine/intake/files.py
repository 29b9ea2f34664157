"""An uploaded file → candidates: one .csv, a sheet of an .xlsx, or the .csv files in a .zip, whose rows are
counted on from file to file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import structs

from engine.intake.archive import check_directory, is_archive, unpack
from engine.intake.columns import Columns, is_example, read_columns
from engine.intake.plain import Layout
from engine.intake.refused import Refused
from engine.intake.rows import Candidate, Rules
from engine.intake.starttime import read_name_time
from engine.intake.table import Row, Table, read_table, unwrap
from engine.intake.workbook import is_workbook, read_workbook
from engine.model import REPORT_ERRORS_MAX, RowError

MERGED_COLUMNS_MAX: Final = 100
"""Columns of all files of an archive together, where their headers differ."""


def open_tables(name: str, data: bytes, sheet: str) -> tuple[list[Table], list[RowError]]:
    """The tables of a file, and warnings about what of it is not read. What it is follows from its bytes, not
    from its name. Raises `Refused` as `read_table`, `unpack` and `read_workbook` do.

    Args:
        name: the file's name.
        data: the file.
        sheet: which sheet of a workbook is read; empty for the first.
    """
    if is_archive(data):
        check_directory(name, data)
        if is_workbook(data):
            table, notes = read_workbook(name, data, sheet)
            return [table], notes
        unpacked, others = unpack(name, data)
        details = (f"{one!r} in the archive is not a .csv file; it was not read." for one in others)
        notes = [RowError(0, None, "not_csv", detail) for detail in details]
        return [read_table(file.name, file.data) for file in unpacked], notes
    if name.lower().endswith(".zip"):
        raise Refused("bad_zip", f"{name!r} is not a ZIP archive.")
    return [read_table(name, data)], []


def merge_headers(headers: Sequence[Sequence[str]]) -> tuple[tuple[str, ...], list[list[int]]]:
    """One header for all tables, and for each table the places of its columns in it. Raises
    `Refused("bad_zip")` when the headers differ too much."""
    places: dict[tuple[str, int], int] = {}
    each: list[list[int]] = []
    for header in headers:
        seen: Counter[str] = Counter()
        own = []
        for title in header:
            own.append(places.setdefault((title, seen[title]), len(places)))
            seen[title] += 1
        each.append(own)
    if len(each) > 1 and len(places) > max(MERGED_COLUMNS_MAX, len(each[0])):
        detail = "The files in the archive have too many different columns; send them one by one."
        raise Refused("bad_zip", detail)
    return tuple(title for title, _ in places), each


class TableReader:
    """Reads one table of a list."""

    def __init__(self, table: Table, rules: Rules, rows_before: int, label: str) -> None:
        """Raises `Refused`: `missing_tel`, `invalid_starttime`.

        Args:
            table: what to read; its rows are walked through once.
            rules: the flow's variables and time zone.
            rows_before: rows of earlier tables of the list.
            label: the file's name where there are several, else empty.
        """
        self._table = table
        self._label = label
        self._rows_before = rows_before
        self.rows = rows_before
        """Rows of the list up to where reading is."""
        try:
            self._columns = read_columns(table.header, tuple(rules.variables))
        except Refused as refused:
            detail = f"{label}: {refused.detail}" if label else refused.detail
            raise Refused(refused.code, detail, refused.errors) from None
        self.starttime = read_name_time(table.name, ZoneInfo(rules.timezone))
        """Of rows that have none, from the file's name; seconds since the epoch, or None."""
        self.notes = [self._locate(note, "") for note in self._columns.notes]
        """What is wrong with the header, as errors of row 0."""
        self.warnings: list[RowError] = []
        """Rows that were passed over; the first `REPORT_ERRORS_MAX`."""

    def read(self) -> Iterator[tuple[Candidate | list[RowError], list[str]]]:
        """Each row that is not blank, with its cells. The template's example is passed over, and noted."""
        for row in self._table.rows:
            found = self._look(row)
            if found is not None:
                yield found

    @property
    def layout(self) -> Layout:
        """Where its plain rows have what."""
        columns = self._columns
        return Layout(
            len(self._table.header),
            tuple(place for place, _ in columns.tels),
            {name: place for place, name in columns.variables},
            columns.starttime,
            columns.reference,
        )

    def take_plain(self, count: int) -> tuple[int, list[list[str]]]:
        """The next rows and the number of the first, as of `Rows.take_plain`."""
        if self._table.has_wrapped:
            return 0, []
        first, rows = self._table.rows.take_plain(count)
        return self._rows_before + first, rows

    def look(
        self, row: int, cells: list[str]
    ) -> tuple[Candidate | list[RowError], list[str]] | None:
        """What `read` would have given of a row that was taken; None for one that is passed over."""
        found = self._table.rows.look(row - self._rows_before, cells)
        return None if found is None else self._look(found)

    def _look(self, found: Row) -> tuple[Candidate | list[RowError], list[str]] | None:
        number, cells, problem = found
        self.rows = row = self._rows_before + number
        if problem is not None:
            return [RowError(row, None, problem.code, problem.detail)], cells
        plain = [unwrap(cell) for cell in cells] if self._table.has_wrapped else cells
        tel1 = self._columns.tels[0][0]
        if tel1 < len(plain) and is_example(plain[tel1]):
            self._pass_over(row)
            return None
        return _make_candidate(self._columns, row, plain), cells

    def locate(self, errors: Sequence[RowError]) -> Sequence[RowError]:
        """The errors, saying which file they are in where there are several."""
        if not self._label:
            return errors
        return [self._locate(error, f", row {error.row - self._rows_before}") for error in errors]

    def _pass_over(self, row: int) -> None:
        if len(self.warnings) < REPORT_ERRORS_MAX:
            detail = "This is the template's example; nobody is called for it."
            self.warnings += self.locate([RowError(row, "tel1", "example_row", detail)])

    def _locate(self, error: RowError, place: str) -> RowError:
        if not self._label:
            return error
        return structs.replace(error, detail=f"{self._label}{place}: {error.detail}")


def _make_candidate(columns: Columns, row: int, cells: list[str]) -> Candidate:
    if len(cells) <= columns.last:
        cells = cells + [""] * (columns.last + 1 - len(cells))
    return Candidate(
        row,
        [(name, cells[place]) for place, name in columns.tels],
        {name: cells[place] for place, name in columns.variables},
        "" if columns.starttime is None else cells[columns.starttime],
        "" if columns.reference is None else cells[columns.reference],
    )
