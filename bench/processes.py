"""CPU time and memory of a process and all its children, as the kernel accounts them (Linux)."""

from __future__ import annotations

import os
from pathlib import Path

from msgspec import Struct

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Usage(Struct, frozen=True):
    """What processes have used so far."""

    cpu_s: float
    """User and system time, of children that have ended too."""
    resident_mb: float
    """Memory that is in use now, MiB, counted per process."""

    def since(self, before: Usage) -> float:
        """CPU seconds since an earlier reading."""
        return self.cpu_s - before.cpu_s


def usage_of(pid: int) -> Usage:
    """A process with its living descendants. Raises `ProcessLookupError` when it is gone."""
    cpu_s, resident_mb = _usage_of_one(pid)
    for child in _children(pid):
        try:
            below = usage_of(child)
        except ProcessLookupError:
            continue  # it ended just now; its time shows in its parent
        cpu_s += below.cpu_s
        resident_mb += below.resident_mb
    return Usage(cpu_s, resident_mb)


def usage_alone(pid: int) -> Usage:
    """A process without its living descendants. Raises `ProcessLookupError` when it is gone."""
    return Usage(*_usage_of_one(pid))


def list_children(pid: int) -> list[int]:
    """All processes below one, its children's children among them."""
    below = _children(pid)
    return [one for child in below for one in (child, *list_children(child))]


def usage_own(pid: int) -> Usage:
    """A process without any child's time, even of those that have ended. Raises `ProcessLookupError` when it
    is gone."""
    user, system, _, _, resident_mb = _read_stat(pid)
    return Usage(user + system, resident_mb)


def peak_own_mb() -> float:
    """The most memory that this process has had, MiB. `getrusage` tells of the time before `exec`, too, when
    it was a copy of the one that started it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    [kib] = [int(line.split()[1]) for line in lines if line.startswith("VmHWM:")]
    return kib / 1024


def _usage_of_one(pid: int) -> tuple[float, float]:
    *spent_s, resident_mb = _read_stat(pid)
    return sum(spent_s), resident_mb


def _read_stat(pid: int) -> tuple[float, float, float, float, float]:
    """Seconds: user, system, and the same of children that have ended; memory, MiB."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        raise ProcessLookupError(pid) from None
    user, system, of_children, of_children_system = (
        int(field) / TICKS_PER_S for field in fields[11:15]
    )
    resident_mb = int(fields[21]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    return user, system, of_children, of_children_system, resident_mb


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(word) for word in task.read_text().split()]
        except OSError:
            continue  # the thread ended just now
    return found


class Standing(Struct, frozen=True):
    """What one process holds now."""

    pid: int
    memory_mb: float
    """That is no file's, MiB: pages it shares with others are divided among them (PSS). What it has mapped of
    files grows and shrinks with who else has."""
    descriptors: int


def standing_of(pid: int) -> list[Standing]:
    """A process, and behind it its living descendants. Raises `ProcessLookupError` when it is gone."""
    found = [_standing_of_one(pid)]
    for child in _children(pid):
        try:
            found += standing_of(child)
        except ProcessLookupError:
            continue  # it ended just now
    return found


def _standing_of_one(pid: int) -> Standing:
    folder = Path(f"/proc/{pid}")
    try:
        lines = (folder / "smaps_rollup").read_text().splitlines()
        descriptors = len(list((folder / "fd").iterdir()))
    except FileNotFoundError:
        raise ProcessLookupError(pid) from None
    [kib] = [int(line.split()[1]) for line in lines if line.startswith("Pss_Anon:")]
    return Standing(pid, kib / 1024, descriptors)
