"""The folder of the workers' sockets, in the machine's temporary directory: a data directory may be on a disk
that holds no sockets, or have a longer name than a socket may.

A process that is killed leaves its folder behind, and whoever opens one removes those of processes that are
gone. A lock on the folder itself (flock(2)) says that its process lives; it ends with that, in whatever way.
Programs that tidy temporary directories up respect it, too (tmpfiles.d(5)).
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from typing import Final

import structlog

PREFIX: Final = "callwheel-workers-"
TRIES_MAX: Final = 100
"""Folders that somebody else may remove before the one who made them has locked them."""

log = structlog.get_logger(__name__)


@contextmanager
def open_worker_folder() -> Iterator[Path]:
    """A folder of this process alone, for as long as the block lasts. Raises `OSError` where none can be
    made."""
    _remove_abandoned()
    folder, lock = _make()
    try:
        yield folder
    finally:
        rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def _remove_abandoned() -> None:
    """Remove our user's folders that no process holds."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        try:
            lock = _hold(folder)
        except OSError:
            continue  # its process lives, or it is not ours, or somebody was quicker
        try:
            rmtree(folder)
        except OSError as error:
            log.warning("a folder of sockets is left", folder=str(folder), reason=str(error))
        finally:
            os.close(lock)


def _make() -> tuple[Path, int | None]:
    """A new folder with its lock; None where the disk has none: nobody holds it then, nor removes it."""
    for _ in range(TRIES_MAX):
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        try:
            return folder, _hold(folder)
        except (BlockingIOError, FileNotFoundError):
            continue  # who tidies up took it for one that was left
        except OSError as error:
            log.warning("a folder of sockets has no lock", folder=str(folder), reason=str(error))
            return folder, None
    raise FileExistsError(f"{folder.parent}: {TRIES_MAX} folders were removed at once")


def _hold(folder: Path) -> int:
    """The lock of a folder of our user, as an open descriptor. Raises `OSError`: `BlockingIOError` while
    another process has it, `FileNotFoundError` where the folder is gone."""
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        held = os.fstat(lock)
        if held.st_uid != os.geteuid():
            raise PermissionError(f"{folder} is another user's")
        if not os.path.samestat(held, os.stat(folder, follow_symlinks=False)):
            raise FileNotFoundError(f"{folder} is another one by now")
    except BaseException:
        os.close(lock)
        raise
    return lock
