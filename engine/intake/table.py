"""The bytes of a .csv file → its header and its rows. No bytes raise anything but `Refused`."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from msgspec import Struct, structs

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


class Rows:
    """The rows below a header that are not blank, in their order, once."""

    def __init__(
        self,
        records: Iterator[tuple[list[str], RowProblem | None]],
        width: int,
        lines: _Lines | None = None,
        is_damaged: bool = False,
    ) -> None:
        """
        Args:
            records: of which they are made.
            width: cells of the header.
            lines: what the records are read from, where it is lines.
            is_damaged: whether there are characters that could not be read.
        """
        self._records = records
        self._width = width
        self._lines = None if is_damaged else lines
        self._is_damaged = is_damaged
        self._number = 0

    def __iter__(self) -> Iterator[Row]:
        return self

    def __next__(self) -> Row:
        for cells, problem in self._records:
            self._number += 1
            row = self.look(self._number, cells, problem)
            if row is not None:
                return row
        raise StopIteration

    def take_plain(self, count: int) -> tuple[int, list[list[str]]]:
        """The next rows as they are, blank ones included, with the number of the first: up to `count`, where
        each is one line. None where that is not so, and none where `look` must see each."""
        rows = [] if self._lines is None else self._lines.take_plain(count)
        first = self._number + 1
        self._number += len(rows)
        return first, rows

    def look(self, number: int, cells: list[str], problem: RowProblem | None = None) -> Row | None:
        """The row, with what is wrong with its form; None where it is blank."""
        if not "".join(cells).strip():
            return None
        if self._is_damaged and has_unreadable("".join(cells)):
            return Row(number, [replace_unreadable(cell) for cell in cells], _UNREADABLE)
        if len(cells) > self._width and problem is None and len(_trim(cells)) > self._width:
            detail = f"The row has {len(_trim(cells))} cells, the header {self._width}."
            problem = RowProblem("too_many_columns", detail)
        return Row(number, cells, problem)


class Table(Struct, frozen=True):
    """A file whose header was read; `rows` can be walked through once."""

    name: str
    header: tuple[str, ...]
    """Without blanks around the titles and without empty titles at the end."""
    rows: Rows
    has_wrapped: bool = False
    """Whether some cell may be one for `unwrap`."""


_DOCUMENTS: Final = (
    (re.compile(r"\s*%PDF-"), "a PDF document"),
    (re.compile(r"\s*\{\\rtf"), "a text document (RTF)"),
    (
        re.compile(r"\s*<(!doctype|html|head|body|table|\?xml)\b", re.IGNORECASE),
        "a web page or XML",
    ),
    (re.compile(r'\s*[\[{]\s*[\[{"]'), "JSON"),
)
"""How texts begin that are no table, and what they are."""

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
    _refuse_documents(name, text)
    lines = _Lines(text)
    lines.delimiter = _find_delimiter(lines)
    table = make_table(name, _read_records(lines), lines, has_unreadable(text))
    return structs.replace(table, has_wrapped='="' in text)


def make_table(
    name: str,
    records: Iterator[tuple[list[str], RowProblem | None]],
    lines: _Lines | None = None,
    is_damaged: bool = False,
) -> Table:
    """A table of records, of which the first that is not blank is the header. Raises `Refused`: `not_csv` for
    a header that is none, `too_many_columns`, `no_rows`. `lines` and `is_damaged` are as of `Rows`."""
    for cells, problem in records:
        if problem is None and not "".join(cells).strip():
            continue
        if problem is not None or _CONTROL.search("".join(cells)):
            raise _not_csv(name)
        header = _trim([unwrap(replace_unreadable(cell)).strip() for cell in cells])
        if len(header) > COLUMNS_MAX:
            raise Refused("too_many_columns", f"{name!r} has more than {COLUMNS_MAX} columns.")
        return Table(name, tuple(header), Rows(records, len(header), lines, is_damaged))
    raise Refused("no_rows", f"{name!r} is empty.")


def unwrap(cell: str) -> str:
    """The text in a cell as ="0049…", which is how a text is kept from a spreadsheet that would take it for
    a number; any other cell as it is."""
    wrapped = _WRAPPED.fullmatch(cell)
    return cell if wrapped is None else wrapped[1].replace('""', '"')


def _refuse_documents(name: str, text: str) -> None:
    """Raises `Refused` for text that is known to be something else, and is sent under a wrong name."""
    for pattern, kind in _DOCUMENTS:
        if pattern.match(text):
            raise _not_csv(name, f"{kind}, not a CSV file")


def _not_csv(name: str, what: str = "not a CSV file") -> Refused:
    return Refused("not_csv", f"{name!r} is {what}; save the list as CSV, in UTF-8.")


def _trim(cells: list[str]) -> list[str]:
    """Without the empty cells at the end, which spreadsheets leave there."""
    end = len(cells)
    while end and not cells[end - 1].strip():
        end -= 1
    return cells[:end]


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
        self._wary = 0
        """Records that are read one by one before others are taken together again."""
        self.delimiter = _DELIMITERS[0]

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
        self._wary -= self._wary > 0
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

    def take_plain(self, count: int) -> list[list[str]]:
        """The cells of the next lines, up to `count`, if each is a record; else none, and none for as many
        records to come, so that no line is read in vain more than once."""
        if self._wary or self._at == len(self._text):
            return []
        end = self._text.rfind("\n", self._at, self._at + RECORD_CHARS_MAX) + 1
        if len(self._text) - self._at <= RECORD_CHARS_MAX:
            end = len(self._text)
        lines = self._text[self._at : end].removesuffix("\n").split("\n")[:count] if end else []
        reader = csv.reader(lines, delimiter=self.delimiter, strict=True, skipinitialspace=True)
        try:
            records = list(reader)
        except csv.Error:
            records = []
        if not records or len(records) < len(lines):
            self._wary = count
            return []
        taken = sum(map(len, lines)) + len(lines)
        self._at = min(self._at + taken, len(self._text))
        return records

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


def _read_records(lines: _Lines) -> Iterator[tuple[list[str], RowProblem | None]]:
    """The cells of each record, blank ones included, and what is wrong with its form (RFC 4180 §2).

    A record that cannot be read costs its first line only, so that an unclosed quote does not take
    the rows below along; `RECORD_LINES_MAX` bounds how often a line is read again.
    """
    reader = csv.reader(lines, delimiter=lines.delimiter, strict=True, skipinitialspace=True)
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
