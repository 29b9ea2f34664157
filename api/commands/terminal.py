"""What the commands share of writing to a terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.table import Table

from engine.model import RowError

ROWS_SHOWN_MAX: Final = 20
"""Row errors that are shown one by one."""


def make_console() -> Console:
    """Standard output. Square brackets in what is shown are just that, never markup."""
    return Console(markup=False, highlight=False)


def say(text: str) -> None:
    """A line on standard error, for the person, where standard output is for a program."""
    print(text, file=sys.stderr, flush=True)


def printable(text: str) -> str:
    """Foreign text without what a terminal would obey: control characters become `�`."""
    return "".join(char if char.isprintable() else "�" for char in text)


def make_row_table(title: str, errors: Sequence[RowError], rows: int) -> Table:
    """Row errors as a table; its caption tells of those that are not shown.

    Args:
        rows: how many rows have errors, of which a report holds only the first.
    """
    table = Table(title=title, title_justify="left", caption_justify="left")
    table.add_column("row", justify="right")
    table.add_column("column")
    table.add_column("code", no_wrap=True)
    table.add_column("what is wrong", overflow="fold")
    for error in errors[:ROWS_SHOWN_MAX]:
        row = str(error.row) if error.row else "header"
        column = printable(error.column or "")
        table.add_row(row, column, printable(error.code), printable(error.detail))
    hidden = max(len(errors), rows) - len(errors[:ROWS_SHOWN_MAX])
    if hidden > 0:
        table.caption = f"… and {hidden} more, in the list's rejected.csv"
    return table
