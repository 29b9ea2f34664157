"""File systems that are full, or cannot be written."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_room(folder: Path, size_kib: int = 64) -> Iterator[None]:
    """A file system of its own in a folder. The test is skipped where nobody may mount one."""
    options = f"size={size_kib}k,mode=777"
    command = ["mount", "-t", "tmpfs", "-o", options, "callwheel-test", str(folder)]
    if os.getuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("only root, and not in every container, can mount a small file system")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def set_read_only(folder: Path) -> None:
    """Let the file system in a folder be written no more."""
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)


def set_writable(folder: Path) -> None:
    """Let it be written again."""
    subprocess.run(["mount", "-o", "remount,rw", str(folder)], check=True)


def fill(folder: Path) -> None:
    """Leave no room in a file system."""
    with (folder / "filler").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return
