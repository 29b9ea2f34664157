"""What a scenario is, and what it gives back."""

from __future__ import annotations

import os
import platform
from collections.abc import Awaitable, Callable
from typing import Literal

from msgspec import Struct, field

Size = Literal["quick", "full"]
"""`quick` ends within half a minute; `full` is the size whose figures are published."""

Points = list[tuple[float, float]]
"""Seconds since the scenario began, and a value."""


class NotMeasured(Exception):
    """A scenario cannot measure here; the text says why."""


class Show:
    """Tells whoever watches what is going on."""

    def __init__(
        self,
        say: Callable[[str], None],
        note: Callable[[dict[str, float]], None] = lambda figures: None,
    ) -> None:
        self._say = say
        self._note = note

    def __call__(self, line: str) -> None:
        """Say a line."""
        self._say(line)

    def note(self, **figures: float) -> None:
        """Say how things stand just now, as often as once a second: rates, latencies, each by a name that
        ends in its unit. They are shown while it runs, and drawn over time."""
        self._note(figures)


class Limit(Struct, frozen=True):
    """What a figure has to keep to."""

    figure: str
    value: float
    least: float | None = None
    most: float | None = None

    @property
    def is_kept(self) -> bool:
        """Whether the figure lies within; one that is no number does not."""
        above = self.least is None or self.value >= self.least
        below = self.most is None or self.value <= self.most
        return above and below and self.value == self.value


class Run(Struct, frozen=True):
    """One of several runs of a scenario."""

    metrics: dict[str, float]
    floor: dict[str, float]
    ratio: dict[str, float]


class Measurement(Struct, frozen=True):
    """What one scenario measured. Every figure's name ends in its unit."""

    name: str
    metrics: dict[str, float]
    floor: dict[str, float] = field(default_factory=dict)
    """The same figures of the bare thing beside it, measured in the same run."""
    ratio: dict[str, float] = field(default_factory=dict)
    """Metric over floor."""
    machine: dict[str, str] = field(default_factory=dict)
    limits: list[Limit] = field(default_factory=list)
    """What was to be kept to, where the scenario judges that."""
    runs: list[Run] = field(default_factory=list)
    """Each run, where there were several; the figures above are their medians."""
    series: dict[str, Points] = field(default_factory=dict)
    """What the scenario noted while it ran, by its name."""
    processes: dict[str, dict[str, Points]] = field(default_factory=dict)
    """Of each process its `cpu_cores` and its `resident_mb` over time."""


class Scenario(Struct, frozen=True):
    """One load scenario."""

    name: str
    summary: str
    run: Callable[[Size, Show], Awaitable[Measurement]]


def describe_machine() -> dict[str, str]:
    """Where a figure was measured."""
    return {
        "cpu": _cpu_model(),
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def _cpu_model() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        return platform.machine()
