"""A sheet of an Excel workbook (.xlsx) → a table. No bytes raise anything but `Refused`.

openpyxl reads it, a row at a time, and holds the workbook's texts and styles in memory. What it would hold is
measured before it is let at the file, since a few kilobytes can unpack to anything: the size of each part it
reads, and how many tags one row or one text has.
"""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from itertools import islice
from typing import Any, Final

from engine.intake.archive import DAMAGED, check_entries
from engine.intake.refused import Refused
from engine.intake.table import (
    COLUMNS_MAX,
    FILE_BYTES_MAX,
    RECORD_CHARS_MAX,
    RowProblem,
    Table,
    make_table,
)
from engine.model import RowError

CONTENT_TYPES: Final = "[Content_Types].xml"
"""What every Office file has."""
SHEET_BYTES_MAX: Final = 64_000_000
"""XML of the sheet that is read; 100,000 rows of ten columns have half of that."""
TEXTS_BYTES_MAX: Final = 8_000_000
"""XML of the texts that cells share."""
PART_BYTES_MAX: Final = 500_000
"""XML of any other part: styles, names of sheets."""
TAGS_MAX: Final = 20_000
"""Tags of one row, or of one text."""
ROWS_MAX: Final = 500_000
"""Rows of a sheet, blank ones included: as many as a list may have."""
EXACT_MAX: Final = 2**53
"""Up to which a spreadsheet's numbers are exact (IEEE 754)."""

_BATCH_ROWS: Final = 200
_READ_BYTES: Final = 65_536
_END_OF_UNIT: Final = re.compile(rb"</(?:[A-Za-z0-9_]+:)?(?:row|si)\s*>")
_TAG_BYTES_MAX: Final = 64
_HALF_A_SECOND: Final = timedelta(microseconds=500_000)
_SHEETS: Final = "xl/worksheets/"
_TEXTS: Final = "xl/sharedStrings.xml"
_MEASURED: Final = (".xml", ".rels")
"""How the names of parts end that are let at the reader."""

Record = tuple[list[str], RowProblem | None]


def is_workbook(data: bytes) -> bool:
    """Whether a ZIP archive is an Office file; whether it is sound is seen later."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return CONTENT_TYPES in archive.NameToInfo
    except DAMAGED:
        return False


def read_workbook(name: str, data: bytes, sheet: str) -> tuple[Table, list[RowError]]:
    """A sheet as a table, and warnings about what was not read. Raises `Refused`: `file_too_large`,
    `bad_xlsx` for one that is broken, `not_csv` for another Office file, `unknown_sheet`, and as `make_table`
    does.

    Args:
        name: the file's name.
        data: the file.
        sheet: the sheet's title; empty for the first that is not hidden.
    """
    if len(data) > FILE_BYTES_MAX:
        raise Refused("file_too_large", f"{name!r} is larger than {FILE_BYTES_MAX >> 20} MB.")
    try:
        _measure(name, data)
        book = _open(data)
    except Refused:
        raise
    except Exception as error:  # openpyxl raises whatever a broken part leads it to
        raise _broken(name, error) from None
    chosen = _choose(name, book.worksheets, sheet)
    notes = [
        RowError(0, None, "sheet_not_read", f"The sheet {other.title!r} was not read.")
        for other in book.worksheets
        if other is not chosen
    ]
    return make_table(name, _read_records(name, chosen)), notes


def _open(data: bytes) -> Any:
    # Only processes that meet a workbook pay for what reads it.
    from openpyxl.reader.excel import ExcelReader

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about what of a workbook is not kept when it is saved
        reader = ExcelReader(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
        # A workbook may say that any file in it holds its texts: what was not measured is not there.
        for part in [one for one in reader.archive.namelist() if not one.endswith(_MEASURED)]:
            reader.archive.NameToInfo.pop(part, None)
        reader.read()
        return reader.wb


def _choose(name: str, sheets: Sequence[Any], title: str) -> Any:
    for one in sheets:
        if one.title == title or (not title and one.sheet_state == "visible"):
            return one
    if title:
        titles = ", ".join(repr(one.title) for one in sheets[:10])
        raise Refused("unknown_sheet", f"{name!r} has no sheet {title!r}; it has {titles}.")
    raise Refused("no_rows", f"{name!r} has no sheet that is not hidden.")


def _read_records(name: str, sheet: Any) -> Iterator[Record]:
    """The cells of each row as texts, and what is wrong with the row."""
    sheet.reset_dimensions()  # how large a sheet says that it is need not be so
    rows = sheet.iter_rows(values_only=True)
    count = 0
    while True:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                batch = list(islice(rows, _BATCH_ROWS))
        except Exception as error:  # as in `read_workbook`
            raise _broken(name, error) from None
        if not batch:
            return
        count += len(batch)
        if count > ROWS_MAX:
            raise Refused("too_many_contacts", f"{name!r} has more than {ROWS_MAX} rows.")
        for values in batch:
            if len(values) > COLUMNS_MAX:
                detail = f"{name!r} has more than {COLUMNS_MAX} columns."
                raise Refused("too_many_columns", detail)
            yield _make_record(["" if one is None else write_value(one) for one in values])


def _make_record(cells: list[str]) -> Record:
    if sum(map(len, cells)) <= RECORD_CHARS_MAX:
        return cells, None
    shown = "".join(cells)[:RECORD_CHARS_MAX]
    detail = f"The row is longer than {RECORD_CHARS_MAX} characters."
    return [shown], RowProblem("row_too_long", detail)


def write_value(value: object) -> str:
    """A cell's value as the text that a .csv would have.

    A whole number is written in digits as long as it is exact, whatever it is stored as; a larger one is
    written with its exponent, and is then seen to be damaged where a telephone number should be. A number
    has the 15 digits that spreadsheets vouch for. Moments have no fractions of a second, which are slips of
    the way they are stored; those at midnight are dates.
    """
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            is_exact = value.is_integer() and abs(value) <= EXACT_MAX
            return str(int(value)) if is_exact else f"{value:.15g}"
        case datetime():
            moment = (value + _HALF_A_SECOND).replace(microsecond=0)
            return moment.date().isoformat() if moment.time() == time() else moment.isoformat()
        case date() | time():
            return value.isoformat()
        case _:
            return str(value)


def _measure(name: str, data: bytes) -> None:
    """See that what the reader takes into memory is bounded. Raises `Refused`, and what zipfile raises."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
        check_entries(name, entries, "bad_xlsx", bytes_max=None)
        if "xl/workbook.xml" not in archive.NameToInfo:
            raise Refused(
                "not_csv", f"{name!r} is no workbook that is read; save it as .xlsx or CSV."
            )
        for entry in entries:
            if entry.filename.endswith(_MEASURED):
                _measure_part(name, archive, entry)


def _measure_part(name: str, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
    bytes_max = PART_BYTES_MAX
    if entry.filename == _TEXTS:
        bytes_max = TEXTS_BYTES_MAX
    elif entry.filename.startswith(_SHEETS):
        bytes_max = SHEET_BYTES_MAX
    too_large = Refused(
        "file_too_large",
        f"{entry.filename!r} in {name!r} is larger than {bytes_max} bytes when it is unpacked; save the"
        " list as CSV.",
    )
    if entry.file_size > bytes_max:
        raise too_large
    unpacked = tags = 0
    rest = b""
    with archive.open(entry) as stream:
        while data := stream.read(_READ_BYTES):
            unpacked += len(data)
            if unpacked > bytes_max:
                raise too_large
            window, counted = rest + data, len(rest)
            for end in _END_OF_UNIT.finditer(window):
                tags += window.count(b"<", counted, end.end())
                if tags > TAGS_MAX:
                    raise too_large
                tags, counted = 0, max(counted, end.end())
            tags += window.count(b"<", counted)
            if tags > TAGS_MAX:
                raise too_large
            rest = window[-_TAG_BYTES_MAX:]


def _broken(name: str, error: Exception) -> Refused:
    detail = (
        f"{name!r} cannot be read as a workbook ({type(error).__name__}); save it anew, or as CSV."
    )
    return Refused("bad_xlsx", detail)
