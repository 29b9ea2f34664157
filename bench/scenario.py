"""What a scenario is, and what it gives back."""

from __future__ import annotations

import os
import platform
from collections.abc import Awaitable, Callable
from typing import Literal

from msgspec import Struct, field

Size = Literal["quick", "full"]
"""`quick` ends within half a minute; `full` is the size whose figures are published."""

Show = Callable[[str], None]
"""Tells whoever watches what is going on, a line at a time."""


class Measurement(Struct, frozen=True):
    """What one scenario measured. Every figure's name ends in its unit."""

    name: str
    metrics: dict[str, float]
    floor: dict[str, float] = field(default_factory=dict)
    """The same figures of the bare thing beside it, measured in the same run."""
    ratio: dict[str, float] = field(default_factory=dict)
    """Metric over floor."""
    machine: dict[str, str] = field(default_factory=dict)


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
