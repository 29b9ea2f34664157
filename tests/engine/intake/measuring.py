"""How much memory a worker takes. A module of its own: a worker imports it, and is to stay small."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from engine.intake.validation import validate

RESET_PEAK: Final = Path("/proc/self/clear_refs")


def measure(submitted: bytes) -> Iterator[bytes]:
    """Runs in a worker: what `validate` tells, and then the most bytes that the process had meanwhile."""
    RESET_PEAK.write_text("5")
    yield from validate(submitted)
    yield b"%d" % _read_status("VmHWM")


def rest(_: bytes) -> int:
    """Runs in a worker: the bytes that it has when it does nothing."""
    return _read_status("VmRSS")


def _read_status(name: str) -> int:
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024
