"""Everything that an installation keeps, in one file, and back.

The file is a tar archive: first what waits in the spool, then the database, as it was at one moment, then
what its rows refer to (which is never changed once it is there), and last a manifest with the hash of each.
A mail that is taken out of the spool meanwhile is in both, and known again; the other way round it would be
in none. An archive without a manifest was not finished. Messages of calls (`traces.db`) are not in it, and
recordings where they are asked for.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import IO, Final

import msgspec
from msgspec import Struct

from adapters.sqlite.copying import BadDatabase, copy_database, prepare_copy
from adapters.sqlite.lock import DatabaseInUse, hold_lock
from adapters.sqlite.schema import DatabaseTooNew
from api.data_folder import (
    ADMIN_KEY_HASH,
    DATABASE,
    MAIL_KEY,
    PRIVATE_FILE,
    PRIVATE_FOLDER,
    PROMPTS,
    RECORDINGS,
    SPOOL,
)

MANIFEST: Final = "manifest.json"
MANIFEST_BYTES_MAX: Final = 1 << 30
FORMAT: Final = 1
"""Of the archive; a later release may write another."""
FOLDERS: Final = (SPOOL, PROMPTS)
"""What is always taken along."""
KEY_FILES: Final = (ADMIN_KEY_HASH, MAIL_KEY)
"""The same of files, where they are there."""
STAGE: Final = "restoring"
"""Folder within the data folder, in which all is unpacked and looked at before anything takes its place."""
COPY_BYTES: Final = 1 << 20


class BackupFailed(Exception):
    """Nothing was done; the text says why, in a sentence."""


class NoInstallation(BackupFailed):
    """There is nothing to be kept."""


class Manifest(Struct, frozen=True):
    """What an archive holds."""

    format: int
    release: str
    made_at: float
    """Seconds since the epoch."""
    files: dict[str, str]
    """SHA-256 of each file, in hex, by its name."""


def make_backup(data: Path, file: Path, made_at: float, *, with_recordings: bool) -> Manifest:
    """Write an archive of the installation in a folder, whether it runs or not. A backup that stands there
    already is replaced at the end, and not before. Raises `BackupFailed`, `OSError` and `sqlite3.Error`."""
    database = data / DATABASE
    if not database.is_file():
        raise NoInstallation(f"There is no installation in {data}.")
    if file.exists() and not _is_backup(file):
        raise BackupFailed(f"{file} is there, and is no backup: take another name, or remove it.")
    part, copy = (file.with_name(f".{file.name}.{suffix}") for suffix in ("part", "database"))
    with _removed(part), _removed(copy):
        files: dict[str, str] = {}
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE_FILE)
        with open(descriptor, "wb") as raw, tarfile.open(fileobj=raw, mode="w") as archive:
            _add_folder(archive, data, SPOOL, files)
            copy.touch(mode=PRIVATE_FILE)
            copy_database(database, copy)
            _add(archive, copy, DATABASE, files)
            for name in KEY_FILES:
                _add(archive, data / name, name, files)
            for folder in (PROMPTS, RECORDINGS) if with_recordings else (PROMPTS,):
                _add_folder(archive, data, folder, files)
            manifest = Manifest(FORMAT, version("callwheel"), made_at, files)
            content = msgspec.json.encode(manifest)
            entry = tarfile.TarInfo(MANIFEST)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
            archive.close()
            raw.flush()
            os.fsync(raw.fileno())
        part.replace(file)
        _sync_folder(file.parent)
    return manifest


def restore_backup(
    data: Path, file: Path, now: float, *, replaces: bool, pauses: bool
) -> tuple[Manifest, Path | None]:
    """Put an archive's installation into a folder where none runs; the manifest, and where that is now which
    was there before. All of it is unpacked and looked at first. Raises `BackupFailed` and `OSError`.

    Args:
        replaces: whether an installation that is there makes room.
        pauses: whether every account is paused: what was called since the backup would else be called again.
    """
    data.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    try:
        with hold_lock(data / DATABASE):
            if (data / DATABASE).exists() and not replaces:
                raise BackupFailed(
                    f"There is an installation in {data}; with --replace it is moved aside."
                )
            stage = data / STAGE
            shutil.rmtree(stage, ignore_errors=True)
            try:
                manifest = _unpack(file, stage)
                prepare_copy(stage / DATABASE, now if pauses else None)
                return manifest, _take_place(data, stage, now)
            finally:
                shutil.rmtree(stage, ignore_errors=True)
    except (DatabaseInUse, DatabaseTooNew, BadDatabase) as error:
        raise BackupFailed(str(error)) from error


@contextmanager
def _removed(path: Path) -> Iterator[None]:
    """Remove what is left at a path, before and after."""
    path.unlink(missing_ok=True)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _add_folder(archive: tarfile.TarFile, data: Path, folder: str, files: dict[str, str]) -> None:
    """Add all files of a folder, if there is one."""
    for path in sorted((data / folder).rglob("*")):
        if path.is_file() and not path.is_symlink():
            _add(archive, path, path.relative_to(data).as_posix(), files)


def _add(archive: tarfile.TarFile, path: Path, name: str, files: dict[str, str]) -> None:
    """Add a file, unless it went away meanwhile; its hash goes into `files`."""
    with suppress(FileNotFoundError), path.open("rb") as stream:
        entry = tarfile.TarInfo(name)
        entry.size = os.fstat(stream.fileno()).st_size
        entry.mtime = os.fstat(stream.fileno()).st_mtime
        hashed = _Hashing(stream)
        archive.addfile(entry, hashed)
        files[name] = hashed.digest.hexdigest()


class _Hashing:
    """Hashes what is read of a file."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """As of a file."""
        data = self._stream.read(size)
        self.digest.update(data)
        return data


def _is_backup(file: Path) -> bool:
    try:
        with tarfile.open(file, "r:") as archive:
            first = archive.next()
            return first is not None and _may_be(first.name)
    except (OSError, tarfile.TarError):
        return False


def _unpack(file: Path, stage: Path) -> Manifest:
    """Unpack all that the manifest names, and nothing else."""
    try:
        with tarfile.open(file, "r:") as archive:
            entries = {entry.name: entry for entry in archive if entry.isreg()}
            manifest = _read_manifest(file, archive, entries)
            for name, sha256 in manifest.files.items():
                if name not in entries or not _may_be(name):
                    raise BackupFailed(
                        f"{file} is no good backup: {name!r} is not as it should be."
                    )
                target = stage / name
                target.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
                if _unpack_one(archive, entries[name], target) != sha256:
                    raise BackupFailed(f"{file} is damaged: {name} is not what was kept.")
    except FileNotFoundError:
        raise BackupFailed(f"There is no backup {file}.") from None
    except tarfile.TarError as error:
        raise BackupFailed(f"{file} is no backup, or a damaged one: {error}.") from error
    if DATABASE not in manifest.files:
        raise BackupFailed(f"{file} is no good backup: it has no database.")
    return manifest


def _read_manifest(
    file: Path, archive: tarfile.TarFile, entries: dict[str, tarfile.TarInfo]
) -> Manifest:
    entry = entries.get(MANIFEST)
    stream = None if entry is None else archive.extractfile(entry)
    if stream is None:
        raise BackupFailed(f"{file} is no backup, or was not finished: it has no manifest.")
    try:
        manifest = msgspec.json.decode(stream.read(MANIFEST_BYTES_MAX), type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BackupFailed(f"The manifest of {file} cannot be read: {error}.") from error
    if manifest.format != FORMAT:
        raise BackupFailed(f"{file} was written by release {manifest.release}, in another format.")
    return manifest


def _may_be(name: str) -> bool:
    """Whether a name is one that a backup has: nothing is unpacked to anywhere else."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name or "\\" in name:
        return False
    if len(path.parts) == 1:
        return name in (DATABASE, *KEY_FILES)
    return path.parts[0] in (*FOLDERS, RECORDINGS)


def _unpack_one(archive: tarfile.TarFile, entry: tarfile.TarInfo, target: Path) -> str:
    """Its hash."""
    stream = archive.extractfile(entry)
    assert stream is not None  # it is a regular file
    digest = hashlib.sha256()
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
    with open(descriptor, "wb") as out:
        while data := stream.read(COPY_BYTES):
            digest.update(data)
            out.write(data)
        out.flush()
        os.fsync(out.fileno())
    return digest.hexdigest()


def _take_place(data: Path, stage: Path, now: float) -> Path | None:
    """Move what is there aside, and what was unpacked to its place, the database last: a data folder without
    one is restored again, and never started half."""
    old = [data / name for name in (DATABASE, *KEY_FILES, *FOLDERS, RECORDINGS)]
    old += [data / f"{DATABASE}{suffix}" for suffix in ("-wal", "-shm")]
    there = [path for path in old if path.exists()]
    aside = None
    if there:
        aside = data / f"before-restore-{int(now)}"
        aside.mkdir(mode=PRIVATE_FOLDER)
        for path in there:
            path.rename(aside / path.name)
    for path in sorted(stage.iterdir(), key=lambda path: path.name == DATABASE):
        path.rename(data / path.name)
    _sync_folder(data)
    return aside


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
