"""What a door without a screen sends back for a list: plain words, and a CSV of the rows not taken."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from engine.intake.receipt import Receipt
from engine.intake.refused import Refused
from engine.model import RejectedRow, RowError
from engine.ports.stored import Conflict

ROWS_COUNTED: Final = "(row 1 is the one below the header)"
SHOWN_MAX: Final = 20
"""Errors, and warnings, that are told in words; the CSV has all."""
REJECTED_COLUMNS: Final = ("row", "column", "code", "detail")
"""After the columns of the list itself."""

_FORMULA: Final = re.compile(r"[=+\-@\t\r]")
_HARMLESS: Final = re.compile(r"""\+[0-9]{1,15} | ="[^"]*" """, re.VERBOSE)
"""A number in E.164, and a text in the spelling that keeps a spreadsheet from taking it for a number."""


def write_receipt(receipt: Receipt, timezone: str) -> str:
    """What became of a list that was stored, with its moments on the clock of the flow's time zone."""
    call_list, report = receipt.call_list, receipt.call_list.report
    lines = [
        f"{call_list.name}: {report.accepted} of {report.rows} rows were taken, as the list"
        f" {call_list.id}."
    ]
    if receipt.earliest_due_at is None:
        lines = [f"{call_list.name}: none of {report.rows} rows was taken; nobody is called."]
    elif call_list.status == "scheduled":
        due = datetime.fromtimestamp(receipt.earliest_due_at, ZoneInfo(timezone))
        lines.append(f"The first call is due on {due:%Y-%m-%d} at {due:%H:%M}, {timezone}.")
    lines += _write_errors("What was not taken", report.errors, report.rejected)
    lines += _write_errors("What was odd", report.warnings, 0)
    return "\n".join(lines) + "\n"


def write_refusal(name: str, refusal: Refused | Conflict) -> str:
    """Why a file was turned away as a whole."""
    errors = refusal.errors if isinstance(refusal, Refused) else ()
    lines = [f"{name}: nothing was taken. {refusal.detail} ({refusal.code})"]
    lines += _write_errors("In detail", [one for one in errors if one.detail != refusal.detail], 0)
    return "\n".join(lines) + "\n"


def write_rejected(header: Sequence[str], rows: Iterable[RejectedRow]) -> str:
    """The rows that were not taken as a CSV (RFC 4180), as they came, with the reason."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(make_rejected_header(header))
    writer.writerows(make_rejected_row(row, len(header)) for row in rows)
    return text.getvalue()


def make_rejected_header(header: Sequence[str]) -> list[str]:
    """The titles of a CSV of rejected rows, from those of their list."""
    return [*map(guard_cell, header), *REJECTED_COLUMNS]


def make_rejected_row(rejected: RejectedRow, width: int) -> list[str | int]:
    """The cells of one, below a header of so many columns of the list itself."""
    cells = [guard_cell(cell) for cell in rejected.cells[:width]]
    cells += [""] * (width - len(cells))
    where = guard_cell(rejected.column or "")
    return [*cells, rejected.row, where, rejected.code, guard_cell(rejected.detail)]


def guard_cell(text: str) -> str:
    """A cell that a spreadsheet takes for text: with an apostrophe before what begins like a formula,
    unless it is a number in E.164 or a text as ="0049"."""
    if _FORMULA.match(text) and not _HARMLESS.fullmatch(text):
        return f"'{text}"
    return text


def _write_errors(title: str, errors: Sequence[RowError], rows: int) -> list[str]:
    if not errors:
        return []
    hint = f" {ROWS_COUNTED}" if any(one.row for one in errors) else ""
    lines = ["", f"{title}{hint}:"]
    for one in errors[:SHOWN_MAX]:
        place = f"row {one.row}, " if one.row else ""
        column = f"{one.column}: " if one.column else ""
        lines.append(f"- {place}{column}{one.detail} ({one.code})")
    hidden = max(len(errors), rows) - SHOWN_MAX
    if hidden > 0:
        lines.append(f"- … and {hidden} more.")
    return lines
