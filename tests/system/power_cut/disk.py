"""Power cuts: a process runs on a disk that forgets, is killed, and the disk shows what it forgot.

`shim.c` notes what each write replaces until its file is fsynced; `cut` takes back what is still noted, in
one of the ways in which disks do: all of it, the last writes, or any sectors of any of them.
"""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Final, Literal

from msgspec import Struct

from tests.peers import require

SOURCE: Final = Path(__file__).with_name("shim.c")
SECTOR_BYTES: Final = 512
RECORD: Final = struct.Struct("=qqq")

Way = Literal["all", "last", "sectors"]
WAYS: Final[Sequence[Way]] = ("all", "last", "sectors")


class Replaced(Struct, frozen=True):
    """What a write or a truncation replaced."""

    offset: int
    size_before: int
    content: bytes


class ForgetfulDisk:
    """The folder whose files forget, and what runs on it."""

    def __init__(self, folder: Path, workshop: Path) -> None:
        """`folder` holds the files, `workshop` what the disk itself needs; both are made."""
        self.folder = folder
        self._undo = workshop / "undo"
        self._fault = workshop / "fault"
        self.written: set[Path] = set()
        """Files that were open for writing at a cut."""
        self._undo.mkdir(parents=True)
        folder.mkdir(exist_ok=True)
        self._shim = workshop / "shim.so"
        compiler = require("cc", "build-essential")
        options = ["-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-fno-builtin"]
        subprocess.run([compiler, *options, "-o", str(self._shim), str(SOURCE), "-ldl"], check=True)

    @property
    def environment(self) -> list[tuple[str, str]]:
        """The variables of a process that runs on this disk."""
        return [
            ("LD_PRELOAD", str(self._shim)),
            ("CALLWHEEL_TEST_DISK", str(self.folder)),
            ("CALLWHEEL_TEST_UNDO", str(self._undo)),
            ("CALLWHEEL_TEST_FAULT", str(self._fault)),
        ]

    @contextmanager
    def failing(self, number: int) -> Iterator[None]:
        """For as long as the block lasts every write fails with this errno."""
        before = self._fault.with_suffix(".new")
        before.write_text(str(number))
        before.rename(self._fault)
        try:
            yield
        finally:
            self._fault.unlink()

    def cut(self, way: Way, chance: Random) -> int:
        """Lose what was not fsynced; how many writes that were lost at least in part. The process is dead by
        then."""
        lost = 0
        for log in self._undo.iterdir():
            path = Path(log.name.replace("%", "/"))
            self.written.add(path)
            replaced = list(_read(log))
            log.unlink()
            if replaced and path.exists():
                lost += _take_back(path, replaced, way, chance)
        for shared in self.folder.rglob("*-shm"):
            shared.unlink()
        return lost


def _read(log: Path) -> Iterator[Replaced]:
    """The records of a log; the last may be cut off, and then its write did not begin."""
    content = log.read_bytes()
    at = 0
    while at + RECORD.size <= len(content):
        offset, size_before, saved = RECORD.unpack_from(content, at)
        at += RECORD.size
        if at + saved > len(content):
            return
        yield Replaced(offset, size_before, content[at : at + saved])
        at += saved


def _take_back(path: Path, replaced: list[Replaced], way: Way, chance: Random) -> int:
    now = path.read_bytes()
    first = chance.randint(0, len(replaced)) if way == "last" else 0
    lost = replaced[first:]
    before = bytearray(now)
    for one in reversed(lost):
        end = one.offset + len(one.content)
        before.extend(bytes(max(0, end - len(before))))
        before[one.offset : end] = one.content
        del before[one.size_before :]
        before.extend(bytes(max(0, one.size_before - len(before))))
    path.write_bytes(_mix(now, bytes(before), chance) if way == "sectors" else before)
    return len(lost)


def _mix(now: bytes, before: bytes, chance: Random) -> bytes:
    """Each sector as it is now or as it was before; one that was not there before is zeros."""
    size = chance.choice([len(now), len(before)])
    now, before = now.ljust(size, b"\0")[:size], before.ljust(size, b"\0")[:size]
    sectors = range(0, size, SECTOR_BYTES)
    return b"".join(chance.choice((now, before))[at : at + SECTOR_BYTES] for at in sectors)
