"""A database as the store makes it, for tests of what comes after that.

It is made once in a process and copied from then on: each of its migrations waits for the disk, which takes
longer than most of what a test does with a store.
"""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from adapters.sqlite.store import BUSY_TIMEOUT_S, _open_writing


def lay_database(path: Path) -> None:
    """Put an empty database where `open_sqlite_store` then finds one."""
    path.write_bytes(_new_database())


@cache
def _new_database() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "callwheel.db"
        _open_writing(path, BUSY_TIMEOUT_S).close()
        return path.read_bytes()
