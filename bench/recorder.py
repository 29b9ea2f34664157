"""What is written down while a scenario runs: what it notes of itself, and the CPU time and memory of each
of its processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import trio

from bench.processes import Usage, list_children, usage_own
from bench.scenario import Points

SAMPLE_S: Final = 0.5
POINTS_MAX: Final = 600
"""Of one series. Where there would be more, every other one is left out from then on."""
SERIES_MAX: Final = 64
"""Processes, and names of figures. Further ones are not written down."""


class Series:
    """Values over time, never more than `POINTS_MAX`, evenly thinned out."""

    def __init__(self) -> None:
        self.points: Points = []
        self._every = 1
        self._seen = 0

    def add(self, at_s: float, value: float) -> None:
        """A value at a moment."""
        if self._seen % self._every == 0:
            self.points.append((round(at_s, 3), value))
        self._seen += 1
        if len(self.points) > POINTS_MAX:
            del self.points[1::2]
            self._every *= 2


class Recorder:
    """All series of one run."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._begun = clock()
        self._figures: dict[str, Series] = {}
        self._processes: dict[int, _Process] = {}
        self._names: dict[str, int] = {}
        self.latest: dict[str, float] = {}
        """What was noted last, by its name."""

    @property
    def elapsed_s(self) -> float:
        """Since the run began."""
        return self._clock() - self._begun

    def note(self, figures: dict[str, float]) -> None:
        """Write down what a scenario says of itself."""
        self.latest |= figures
        for name, value in figures.items():
            if name in self._figures or len(self._figures) < SERIES_MAX:
                self._figures.setdefault(name, Series()).add(self.elapsed_s, value)

    async def sample(self, pid: int) -> None:
        """Look at a process and all below it, again and again, until cancelled."""
        while True:
            self.look(pid)
            await trio.sleep(SAMPLE_S)

    def look(self, pid: int) -> None:
        """Look at them once."""
        now = self.elapsed_s
        alive = {pid}
        for one in [pid, *list_children(pid)]:
            try:
                self._process_of(one, pid).add(now, usage_own(one))
            except ProcessLookupError:
                continue  # it ended just now
            except _TooMany:
                continue
            alive.add(one)
        for one in self._processes.keys() - alive:
            self._processes[one].is_alive = False

    def running(self) -> list[tuple[str, float, float]]:
        """(name, cores, MiB) of each process that runs, as last seen."""
        return [
            (one.name, one.cores.points[-1][1], one.memory.points[-1][1])
            for one in self._processes.values()
            if one.is_alive and one.cores.points
        ]

    def series(self) -> dict[str, Points]:
        """What was noted."""
        return {name: one.points for name, one in self._figures.items()}

    def processes(self) -> dict[str, dict[str, Points]]:
        """What each process used, by its name."""
        return {
            one.name: {"cpu_cores": one.cores.points, "resident_mb": one.memory.points}
            for one in self._processes.values()
            if one.cores.points
        }

    def _process_of(self, pid: int, root: int) -> _Process:
        if pid not in self._processes:
            if len(self._processes) >= SERIES_MAX:
                raise _TooMany
            name = "the bench itself" if pid == root else name_process(_read_command(pid))
            serial = self._names[name] = self._names.get(name, 0) + 1
            self._processes[pid] = _Process(name if serial == 1 else f"{name} {serial}")
        return self._processes[pid]


class _TooMany(Exception):
    """There is no room for another process."""


class _Process:
    """What one process has used."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_alive = True
        self.cores, self.memory = Series(), Series()
        self._before: tuple[float, Usage] | None = None

    def add(self, now: float, usage: Usage) -> None:
        if self._before is not None:
            then, before = self._before
            self.cores.add(now, round(usage.since(before) / max(now - then, 1e-3), 3))
            self.memory.add(now, round(usage.resident_mb, 2))
        self._before = now, usage


def name_process(command: Sequence[str]) -> str:
    """What a process is called in a picture, by its command line."""
    words = [Path(command[0]).name if command else "?", *command[1:]]
    if "-m" in words[:-1]:
        place = words.index("-m") + 1
        module, rest = words[place], words[place + 1 :]
        return f"callwheel {rest[0]}" if module == "api" and rest else module
    text = " ".join(words)
    if "resource_tracker" in text:
        return "resource tracker"
    if "multiprocessing" in text or "trio_parallel" in text:
        return "worker"
    return words[0]


def _read_command(pid: int) -> list[str]:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except FileNotFoundError:
        raise ProcessLookupError(pid) from None
    return [word.decode(errors="replace") for word in words if word]
