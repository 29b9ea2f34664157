"""A process that commits a row after the other, and says of each that it is committed.

`python row_writer.py DATABASE SYNCHRONOUS PAGES`: SQLite's word for how far it goes, and after how many
pages of its log they are taken over into the database; 0 is never.
"""

from __future__ import annotations

import signal
import sqlite3
import sys

ROWS_MAX = 10_000


def main(path: str, synchronous: str, pages: str) -> None:
    """Write at most `ROWS_MAX` rows, and do nothing more until killed: a connection that is closed takes its
    log over into the database."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute(f"PRAGMA synchronous={synchronous}")
    connection.execute(f"PRAGMA wal_autocheckpoint={pages}")
    connection.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, text TEXT)")
    connection.execute("PRAGMA wal_checkpoint")
    for number in range(ROWS_MAX):
        connection.execute("INSERT INTO rows VALUES (?, ?)", (number, f"row {number} " * 20))
        print(number, flush=True)
    signal.pause()


if __name__ == "__main__":
    main(*sys.argv[1:])
