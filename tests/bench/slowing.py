"""Slows processes down from outside, so that a scenario can be asked whether it notices.

A `sitecustomize` that Python finds over PYTHONPATH burns processor time in any process whose name has been
given, for as long as it is. The engine is called `api`, other programs by their module, and those that have
none `worker`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BURNER = """
import os, sys, threading, time

def burn(flag):
    while True:
        if os.path.exists(flag):
            until = time.thread_time() + 0.05
            while time.thread_time() < until:
                pass
        time.sleep(0.002)

words = sys.orig_argv
name = words[words.index("-m") + 1] if "-m" in words else "worker"
if name != "pytest":
    flag = os.path.join(os.path.dirname(__file__), name)
    threading.Thread(target=burn, args=(flag,), daemon=True).start()
"""


class Slower:
    """Names of processes that burn what they should work with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        """Must stand first in the PYTHONPATH of the processes."""
        (folder / "sitecustomize.py").write_text(BURNER)

    @contextmanager
    def over(self, name: str) -> Iterator[None]:
        """Slow processes of this name, for as long as the block lasts."""
        flag = self.folder / name
        flag.touch()
        try:
            yield
        finally:
            flag.unlink()
