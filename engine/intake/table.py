"""The bytes of a .csv file → its header and its rows. No bytes raise anything but `Refused`."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from msgspec import Struct

from engine.intake.encoding import decode_text, has_unreadable, replace_unreadable
from engine.intake.refused import Refused

FILE_BYTES_MAX: Final = 5 * 1024 * 1024
"""Size of one .csv file: 5 MB, counted generously."""
COLUMNS_MAX: Final = 1_000
RECORD_CHARS_MAX: Final = 65_536
"""Characters of a row. It lies below the csv module's own limit, which is one for the whole process
and so is neither relied on nor touched."""
RECORD_LINES_MAX: Final = 32
"""Lines of a row whose quoted cells hold line breaks. An unclosed quote would else swallow its
followers."""

_DELIMITERS: Final = ",;\t"
_QUOTED: Final = re.compile(r'"[^"\n]*"')
_DELIMITER_HINT: Final = re.compile(r'"?sep=([,;\t])"?', re.IGNORECASE)
_WRAPPED: Final = re.compile(r'\s*\'?="((?:[^"]|"")*)"\s*')
_CONTROL: Final = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")


class RowProblem(Struct, frozen=True):
    """Why the cells of a row cannot be used."""

    code: str
    detail: str


class Row(NamedTuple):
    """One row below the header that is not blank."""

    number: int
    """From 1; blank rows count."""
    cells: list[str]
    problem: RowProblem | None


class Table(Struct, frozen=True):
    """A file whose header was read; `rows` can be walked through once."""

    name: str
    header: tuple[str, ...]
    """Without blanks around the titles and without empty titles at the end."""
    rows: Iterator[Row]
    has_wrapped: bool = False
    """Whether some cell may be one for `unwrap`."""


_UNREADABLE: Final = RowProblem(
    "invalid_encoding", "Some characters cannot be read; save the file as UTF-8."
)


def read_table(name: str, data: bytes) -> Table:
    """The header and the rows. Raises `Refused`: `file_too_large`, `not_csv`, `too_many_columns`,
    `no_rows` (only when not even a header is there: rows are not looked at yet).

    Args:
        name: the file's name, for messages and for whoever reads its start time.
        data: comma, semicolon or tab between cells; any encoding of `decode_text`.
    """
    if len(data) > FILE_BYTES_MAX:
        size = f"{FILE_BYTES_MAX >> 20} MB"
        raise Refused("file_too_large", f"{name!r} is larger than {size}; split it.")
    text = decode_text(data)
    if "\x00" in text:
        raise _not_csv(name)
    lines = _Lines(text)
    table = make_table(name, _read_records(lines, _find_delimiter(lines)))
    rows = _reject_unreadable(table.rows) if has_unreadable(text) else table.rows
    return Table(name, table.header, rows, has_wrapped='="' in text)


def make_table(name: str, records: Iterator[tuple[list[str], RowProblem | None]]) -> Table:
    """A table of records, of which the first that is not blank is the header. Raises `Refused`: `not_csv` for
    a header that is none, `too_many_columns`, `no_rows`."""
    for cells, problem in records:
        if problem is None and not "".join(cells).strip():
            continue
        if problem is not None or _CONTROL.search("".join(cells)):
            raise _not_csv(name)
        header = _trim([unwrap(replace_unreadable(cell)).strip() for cell in cells])
        if len(header) > COLUMNS_MAX:
            raise Refused("too_many_columns", f"{name!r} has more than {COLUMNS_MAX} columns.")
        return Table(name, tuple(header), _read_rows(records, len(header)))
    raise Refused("no_rows", f"{name!r} is empty.")


def unwrap(cell: str) -> str:
    """The text in a cell as ="0049…", which is how a text is kept from a spreadsheet that would take it for
    a number; any other cell as it is."""
    wrapped = _WRAPPED.fullmatch(cell)
    return cell if wrapped is None else wrapped[1].replace('""', '"')


def _not_csv(name: str) -> Refused:
    return Refused("not_csv", f"{name!r} is not a CSV file; save the list as CSV, in UTF-8.")


def _trim(cells: list[str]) -> list[str]:
    """Without the empty cells at the end, which spreadsheets leave there."""
    end = len(cells)
    while end and not cells[end - 1].strip():
        end -= 1
    return cells[:end]


def _read_rows(records: Iterator[tuple[list[str], RowProblem | None]], width: int) -> Iterator[Row]:
    for number, (cells, problem) in enumerate(records, start=1):
        if not "".join(cells).strip():
            continue
        if len(cells) > width and problem is None and len(_trim(cells)) > width:
            detail = f"The row has {len(_trim(cells))} cells, the header {width}."
            yield Row(number, cells, RowProblem("too_many_columns", detail))
        else:
            yield Row(number, cells, problem)


def _reject_unreadable(rows: Iterator[Row]) -> Iterator[Row]:
    for row in rows:
        if has_unreadable("".join(row.cells)):
            yield Row(row.number, [replace_unreadable(cell) for cell in row.cells], _UNREADABLE)
        else:
            yield row


class _RecordTooLong(Exception):
    """A record passed one of its bounds."""


class _Lines:
    """The lines of a text for csv.reader, which can be set back to the second line of a record."""

    def __init__(self, text: str) -> None:
        # A line break inside a quoted cell becomes "\n" too, which nobody can hear.
        self._text = text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
        self._at = 0
        self._record_at = 0
        self._record_lines = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        at = self._at
        end = self._text.find("\n", at) + 1 or len(self._text)
        if at == end:
            raise StopIteration
        self._record_lines += 1
        if end - self._record_at > RECORD_CHARS_MAX or self._record_lines > RECORD_LINES_MAX:
            raise _RecordTooLong
        self._at = end
        return self._text[at:end]

    def begin_record(self) -> None:
        """What is read from here on belongs to a new record."""
        self._record_at = self._at
        self._record_lines = 0

    def set_back(self) -> str:
        """Go on after the first line of the record. That line, cut to the bound of a record."""
        at = self._record_at
        self._at = self._text.find("\n", at) + 1 or len(self._text)
        return self._text[at : min(self._at, at + RECORD_CHARS_MAX)].rstrip("\n")

    def skip_line(self) -> str:
        """The next line, without its end and without counting towards a record."""
        self.begin_record()
        return self.set_back()

    def is_at_end(self) -> bool:
        """Whether no line is left."""
        return self._at == len(self._text)

    def rewind(self) -> None:
        """Back to the beginning of the last record."""
        self._at = self._record_at


def _find_delimiter(lines: _Lines) -> str:
    """The delimiter of the first line that is not blank; a line `sep=;`, as Excel writes, is used up."""
    while not lines.is_at_end():
        line = lines.skip_line().strip(" ")
        hint = _DELIMITER_HINT.fullmatch(line)
        if hint is not None:
            return hint[1]
        if line.strip():
            lines.rewind()
            unquoted = _QUOTED.sub("", line)
            return max(_DELIMITERS, key=unquoted.count)
    return _DELIMITERS[0]


def _read_records(lines: _Lines, delimiter: str) -> Iterator[tuple[list[str], RowProblem | None]]:
    """The cells of each record, blank ones included, and what is wrong with its form (RFC 4180 §2).

    A record that cannot be read costs its first line only, so that an unclosed quote does not take
    the rows below along; `RECORD_LINES_MAX` bounds how often a line is read again.
    """
    reader = csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=True)
    while True:
        lines.begin_record()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            detail = "A quote in this row is not closed, or stands inside a quoted cell."
            yield [lines.set_back()], RowProblem("malformed_row", detail)
        except _RecordTooLong:
            detail = (
                f"The row is longer than {RECORD_CHARS_MAX} characters or {RECORD_LINES_MAX} lines;"
                " perhaps a quote is not closed."
            )
            yield [lines.set_back()], RowProblem("row_too_long", detail)
        else:
            yield cells, None
