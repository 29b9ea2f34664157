"""The .csv files in a .zip, taken out in memory and within bounds.

The zipfile module of Python 3.11 does not notice entries that share their bytes (CVE-2024-0450), and
200 MB may hide in 200 KB: what an archive says of itself is checked before, and counted while,
anything of it is unpacked.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from engine.intake.refused import Refused
from engine.intake.table import FILE_BYTES_MAX

ENTRIES_MAX: Final = 100
UNPACKED_BYTES_MAX: Final = 4 * FILE_BYTES_MAX
"""All files of an archive together."""

_MAGIC: Final = (b"PK\x03\x04", b"PK\x05\x06")
_ENTRY_MARK: Final = b"PK\x01\x02"
MARKS_MAX: Final = 10 * ENTRIES_MAX
"""Marks of an entry that an archive may have: its own, and those of archives inside of it."""
_LOCAL_HEADER_BYTES: Final = 30
_ENCRYPTED: Final = 0x1
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
DAMAGED: Final = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    OSError,
    OverflowError,
    RuntimeError,
    ValueError,
    struct.error,
)
"""What zipfile raises for archives that are broken."""


class Unpacked(Struct, frozen=True):
    """One .csv file of an archive."""

    name: str
    data: bytes


def check_directory(name: str, data: bytes) -> None:
    """See that an archive does not name so many files that listing them takes much memory. Raises
    `Refused("bad_zip")`."""
    if data.count(_ENTRY_MARK) > MARKS_MAX:
        raise Refused("bad_zip", f"{name!r} holds more than {ENTRIES_MAX} files.")


def is_archive(data: bytes) -> bool:
    """Whether the bytes begin as a ZIP does."""
    return data.startswith(_MAGIC)


def unpack(name: str, data: bytes) -> tuple[list[Unpacked], list[str]]:
    """The .csv files in the order of the archive, and the names of other files, which are not read.

    Raises `Refused`: `file_too_large` for the archive or what is in it, `bad_zip` for one that is
    broken, encrypted, or holds no .csv at its one level of files and folders.
    """
    if len(data) > FILE_BYTES_MAX:
        raise Refused("file_too_large", f"{name!r} is larger than {FILE_BYTES_MAX >> 20} MB.")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = [entry for entry in archive.infolist() if not _is_noise(entry)]
            check_entries(name, entries, "bad_zip", bytes_max=UNPACKED_BYTES_MAX)
            lists = [entry for entry in entries if entry.filename.lower().endswith(".csv")]
            others = [entry.filename for entry in entries if entry not in lists]
            if not lists:
                raise Refused("bad_zip", f"{name!r} holds no .csv file.")
            unpacked = [_read_entry(name, archive, entry) for entry in lists]
    except DAMAGED as error:
        raise Refused("bad_zip", f"{name!r} cannot be unpacked: {error}.") from None
    return unpacked, others


def _is_noise(entry: zipfile.ZipInfo) -> bool:
    """Folders, and what macOS adds to every archive."""
    last = entry.filename.rpartition("/")[2]
    return entry.is_dir() or entry.filename.startswith("__MACOSX/") or last == ".DS_Store"


def check_entries(
    name: str, entries: Sequence[zipfile.ZipInfo], code: str, bytes_max: int | None
) -> None:
    """See that an archive is what it seems to be. Raises `Refused` with the code, or `file_too_large` where
    all files together are larger than `bytes_max`."""
    if len(entries) > ENTRIES_MAX:
        raise Refused(code, f"{name!r} holds more than {ENTRIES_MAX} files.")
    if bytes_max is not None and sum(entry.file_size for entry in entries) > bytes_max:
        size = f"{bytes_max >> 20} MB"
        raise Refused("file_too_large", f"{name!r} is larger than {size} when it is unpacked.")
    free_from = 0
    for entry in sorted(entries, key=lambda entry: entry.header_offset):
        if entry.header_offset < free_from:
            raise Refused(code, f"{name!r} has files that share their bytes.")
        if entry.flag_bits & _ENCRYPTED:
            raise Refused(code, f"{name!r} is encrypted; send it without a password.")
        if entry.compress_type not in _METHODS:
            raise Refused(code, f"{name!r} is packed in a way that is not read; use deflate.")
        free_from = entry.header_offset + _LOCAL_HEADER_BYTES + entry.compress_size


def _read_entry(name: str, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Unpacked:
    """Read within the bound, whatever size the entry claims to have."""
    with archive.open(entry) as stream:
        data = stream.read(FILE_BYTES_MAX + 1)
    if len(data) > FILE_BYTES_MAX:
        size = f"{FILE_BYTES_MAX >> 20} MB"
        raise Refused("file_too_large", f"{entry.filename!r} in {name!r} is larger than {size}.")
    return Unpacked(entry.filename.replace("\\", "/").rpartition("/")[2], data)
