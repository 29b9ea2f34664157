"""Watched folders: places in folders of this machine.

An account may use what lies below the folder that the operator gave to it, and nothing else. Whoever can
write there may be anybody, so that no symbolic link is followed and nothing but plain files is read: each
step goes from one open folder to the next (`openat`), and what was opened is what is looked at. The work is
done in threads, as a folder that is mounted from elsewhere may take long, or for ever.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Final, TypeVar, TypeVarTuple

import trio

from adapters.drop.names import (
    PUT_PREFIX,
    away_name,
    is_hidden,
    is_usable,
    read_away_name,
)
from adapters.shares import Shares
from engine.model.drop_settings import FolderSettings, is_inner_path
from engine.ports.drops import (
    ENTRIES_MAX,
    INCOMING,
    SIDES,
    DropFailed,
    FileEntry,
    Listing,
    ReadFile,
    Side,
)

THREADS_MAX: Final = 32
"""Threads that work on folders; a folder that hangs keeps its own."""
FOLDER_MODE: Final = 0o770
FILE_MODE: Final = 0o660
"""Of what is made here, whatever the process's umask: the group may be that of whoever drops lists."""

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Opening a pipe that nobody writes to would wait without O_NONBLOCK.
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
# Never into what somebody else has put there under that name, perhaps as a link.
_WRITE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

Ts = TypeVarTuple("Ts")
R = TypeVar("R")


class LocalDrops:
    """Visits watched folders; half of `engine.ports.drops.Drops`.

    Args:
        roots: by the account's id or name, the folder below which its own lie.
        find_name: the name of an account by its id; None where there is none.
    """

    def __init__(
        self,
        roots: Mapping[str, Path],
        find_name: Callable[[str], Awaitable[str | None]],
    ) -> None:
        self._roots = dict(roots)
        self._find_name = find_name
        self._threads = trio.CapacityLimiter(THREADS_MAX)
        self._shares = Shares(THREADS_MAX)

    @asynccontextmanager
    async def open(self, setting: FolderSettings, account: str) -> AsyncIterator[LocalSession]:
        """See the port."""
        root = self._roots.get(account) or self._roots.get(await self._find_name(account) or "")
        if root is None or not is_inner_path(setting.path):
            detail = (
                "The operator's configuration gives no such folder to this account (`folders`)."
            )
            raise DropFailed("folder_not_allowed", detail)
        async with self._shares.slot(account):
            session = LocalSession(root, setting.path, self._threads)
            await session.prepare()
            yield session


class LocalSession:
    """Implements `engine.ports.drops.DropSession`."""

    def __init__(self, root: Path, path: str, threads: trio.CapacityLimiter) -> None:
        self._root = root
        self._steps = tuple(step for step in path.split("/") if step not in ("", "."))
        self._threads = threads

    async def prepare(self) -> None:
        """Make the folders that are missing. Raises `DropFailed`."""
        await self._run(self._prepare)

    async def list_incoming(self) -> Listing:
        """See the port."""
        return await self._run(self._list)

    async def read(self, name: str, bytes_max: int) -> ReadFile:
        """See the port."""
        return await self._run(self._read, name, bytes_max)

    async def put(self, side: Side, name: str, data: bytes) -> None:
        """See the port."""
        await self._run(self._put, side, name, data)

    async def take_away(self, entry: FileEntry, to: str | None) -> bool:
        """See the port."""
        return await self._run(self._take_away, entry, to)

    async def _run(self, work: Callable[[*Ts], R], *args: *Ts) -> R:
        try:
            return await trio.to_thread.run_sync(
                work, *args, abandon_on_cancel=True, limiter=self._threads
            )
        except OSError as error:
            raise as_failed(error) from error

    @contextmanager
    def _folder(self, *more: str) -> Iterator[int]:
        """A descriptor of the place, or of a folder in it."""
        folder = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for step in (*self._steps, *more):
                inner = os.open(step, _FOLDER, dir_fd=folder)
                os.close(folder)
                folder = inner
            yield folder
        finally:
            os.close(folder)

    def _prepare(self) -> None:
        made = 0
        for count, step in enumerate(self._steps):
            outer = LocalSession(self._root, "/".join(self._steps[:count]), self._threads)
            with outer._folder() as folder:
                made += _make_folder(folder, step)
        with self._folder() as folder:
            for name in (INCOMING, *SIDES):
                # Where it may not be made, whatever needs it says so.
                with suppress(PermissionError, _ReadOnly):
                    made += _make_folder(folder, name)
            if made:
                os.fsync(folder)

    def _list(self) -> Listing:
        with self._folder(INCOMING) as folder:
            names, is_complete = _names_in(folder)
            for name in names:
                original = read_away_name(name)
                if original is not None:
                    _put_back(folder, name, original)
            if any(read_away_name(name) is not None for name in names):
                names, is_complete = _names_in(folder)
            files, passed_over = [], 0
            for name in names:
                if is_hidden(name):
                    continue
                with suppress(FileNotFoundError):
                    found = os.stat(name, dir_fd=folder, follow_symlinks=False)
                    if not stat.S_ISREG(found.st_mode):
                        continue
                    if is_usable(name):
                        files.append(FileEntry(name, found.st_size, found.st_mtime_ns))
                    else:
                        passed_over += 1
        return Listing(tuple(files), passed_over, is_complete)

    def _read(self, name: str, bytes_max: int) -> ReadFile:
        with self._folder(INCOMING) as folder:
            try:
                file = os.open(name, _READ, dir_fd=folder)
            except FileNotFoundError:
                raise DropFailed("gone", f"{name!r} is not there any more.") from None
            with os.fdopen(file, "rb") as stream:
                if not stat.S_ISREG(os.fstat(file).st_mode):
                    raise DropFailed("failed", f"{name!r} is no plain file.")
                data = stream.read(bytes_max)
                found = os.fstat(file)
        entry = FileEntry(name, found.st_size, found.st_mtime_ns)
        return ReadFile(entry, data, hashlib.sha256(data).digest())

    def _put(self, side: Side, name: str, data: bytes) -> None:
        with self._folder(side) as folder:
            part = _part_name(name)
            with suppress(FileNotFoundError):
                os.unlink(part, dir_fd=folder)  # a crash left it
            try:
                file = os.open(part, _WRITE, FILE_MODE, dir_fd=folder)
                with os.fdopen(file, "wb") as stream:
                    os.fchmod(file, FILE_MODE)
                    stream.write(data)
                    stream.flush()
                    os.fsync(file)
                os.rename(part, name, src_dir_fd=folder, dst_dir_fd=folder)
            except OSError:
                with suppress(OSError):
                    os.unlink(part, dir_fd=folder)
                raise
            os.fsync(folder)

    def _take_away(self, entry: FileEntry, to: str | None) -> bool:
        away = away_name(entry)
        with self._folder(INCOMING) as folder:
            try:
                os.rename(entry.name, away, src_dir_fd=folder, dst_dir_fd=folder)
            except FileNotFoundError:
                return False
            found = os.stat(away, dir_fd=folder, follow_symlinks=False)
            if (found.st_size, found.st_mtime_ns) != (entry.size, entry.modified_ns):
                _put_back(folder, away, entry.name)
                return False
            try:
                if to is None:
                    os.unlink(away, dir_fd=folder)
                else:
                    with self._folder("rejected") as rejected:
                        os.rename(away, to, src_dir_fd=folder, dst_dir_fd=rejected)
            except OSError:
                _put_back(folder, away, entry.name)
                raise
            os.fsync(folder)
            return True


class _ReadOnly(OSError):
    """A file system that cannot be written."""


def _make_folder(folder: int, name: str) -> bool:
    """Whether it was missing."""
    try:
        os.mkdir(name, FOLDER_MODE, dir_fd=folder)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno == errno.EROFS:
            raise _ReadOnly(*error.args) from error
        raise
    made = os.open(name, _FOLDER, dir_fd=folder)
    try:
        # What it has inherited, as the group of the folder that it is in, stays.
        os.fchmod(made, stat.S_IMODE(os.fstat(made).st_mode) | FOLDER_MODE)
    finally:
        os.close(made)
    return True


def _names_in(folder: int) -> tuple[list[str], bool]:
    """The first names of a folder, sorted, and whether these are all."""
    names: list[str] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if len(names) == ENTRIES_MAX:
                return sorted(names), False
            names.append(entry.name)
    return sorted(names), True


def _put_back(folder: int, away: str, name: str) -> None:
    """Give a file its name again, if nothing else has it."""
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        with suppress(OSError):
            os.rename(away, name, src_dir_fd=folder, dst_dir_fd=folder)


def _part_name(name: str) -> str:
    """The name of a file while it is being written; the same each time, so that none is left over."""
    return PUT_PREFIX + hashlib.sha256(name.encode()).hexdigest()[:32]


_CODES: Final = {
    errno.EACCES: "no_rights",
    errno.EPERM: "no_rights",
    errno.EROFS: "no_rights",
    errno.ENOSPC: "disk_full",
    errno.EDQUOT: "disk_full",
    errno.ELOOP: "failed",
    errno.ESTALE: "lost",
    errno.EIO: "lost",
    errno.ENOTCONN: "lost",
    errno.EHOSTDOWN: "lost",
    errno.ETIMEDOUT: "lost",
}


def as_failed(error: OSError) -> DropFailed:
    """What an error of the operating system means for a visit."""
    what = error.strerror or str(error)
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return DropFailed("no_folder", f"A folder is missing, and cannot be made: {what}.")
    return DropFailed(_CODES.get(error.errno or 0, "failed"), f"{what}.")
