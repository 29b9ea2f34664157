"""A copy of the database while it is written, and a database that comes from such a copy."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import quote

from adapters.sqlite.schema import is_current, migrate

BUSY_TIMEOUT_S: Final = 30.0


class BadDatabase(Exception):
    """A file is no sound database; the text says why, in a sentence."""


def copy_database(source: Path, target: Path) -> None:
    """Copy the database as it is at one moment, whoever writes it meanwhile. Raises `sqlite3.Error`.

    The copy is made in one reading transaction: in steps it would begin anew with each commit in between, and
    never end. For as long as it takes, the write-ahead log of the source grows.
    """
    # Only the engine writes: see `readers`.
    place = f"file:{quote(str(source.resolve()))}?mode=ro"
    with (
        closing(sqlite3.connect(place, uri=True, timeout=BUSY_TIMEOUT_S)) as original,
        closing(sqlite3.connect(target)) as copy,
    ):
        original.backup(copy, pages=-1)
        copy.execute("PRAGMA journal_mode = DELETE")  # it travels as one file


def prepare_copy(path: Path, paused_at: float | None) -> None:
    """Make a copy that nobody else uses ready for this release. Raises `BadDatabase`, and `DatabaseTooNew`
    with nothing changed.

    Args:
        paused_at: since when, in seconds since the epoch, every account is to be paused that is not;
            None leaves them as they are.
    """
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            [[found]] = connection.execute("PRAGMA quick_check(1)").fetchall()
            if found != "ok":
                raise BadDatabase(f"The database is damaged: {found}.")
            if not is_current(connection):
                from sqlite_utils import Database

                migrate(Database(connection))
            if paused_at is not None:
                connection.execute(
                    "UPDATE accounts SET paused_at = ? WHERE paused_at IS NULL", (paused_at,)
                )
    except sqlite3.DatabaseError as error:
        raise BadDatabase(f"The database cannot be read: {error}.") from error
