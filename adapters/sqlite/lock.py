"""One process on one database: a lock on a file beside it, which ends with the process."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class DatabaseInUse(Exception):
    """Another process has this database open."""


@contextmanager
def hold_lock(path: Path) -> Iterator[None]:
    """Hold the lock of the database at `path`. Raises `DatabaseInUse` at once when another process, or
    another part of this one, holds it; `OSError` when the lock file cannot be made."""
    lock_path = path.with_name(path.name + ".lock")
    descriptor = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DatabaseInUse(
                f"{path} is in use by another Callwheel process. Stop that one, or give this one a "
                "data_dir of its own."
            ) from error
        yield
    finally:
        # The file stays: removing it would let a third process lock another file of the same name.
        os.close(descriptor)
