"""Slows processes down from outside, so that a scenario can be asked whether it notices.

A `sitecustomize` that Python finds over PYTHONPATH does it in any process whose name has been given, for as
long as it is. The engine is called `api`, other programs by their module, and those that have none `worker`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

PLANE = "adapters.media.plane.loop"

SABOTEUR = """
import ctypes, mmap, os, sys, threading, time

kept = []

def burn():
    # It goes before other processes where its own does.
    own = os.getpid()
    os.sched_setscheduler(0, os.sched_getscheduler(own), os.sched_getparam(own))
    until = time.thread_time() + 0.05
    while time.thread_time() < until:
        pass

def stall():
    # Called in a way that keeps the interpreter: nothing else of this process goes on, at no cost to others.
    ctypes.PyDLL(None).usleep(40_000)
    time.sleep(0.02)

def hoard():
    if len(kept) < 75:
        kept.append(mmap.mmap(-1, 4 << 20))
        kept[-1].write(b"x" * (4 << 20))
    time.sleep(0.02)

def sabotage(folder, name):
    while True:
        flags = os.listdir(folder)
        acts = [act for act in (burn, stall, hoard) if f"{name}.{act.__name__}" in flags]
        for act in acts:
            act()
        if hoard not in acts:
            while kept:
                kept.pop().close()
        time.sleep(0.002 if acts else 0.01)

words = sys.orig_argv
name = words[words.index("-m") + 1] if "-m" in words else "worker"
if name != "pytest":
    folder = os.path.dirname(__file__)
    threading.Thread(target=sabotage, args=(folder, name), daemon=True).start()
"""


class Slower:
    """Names of processes that do something else than what they should."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "sitecustomize.py").write_text(SABOTEUR)

    @property
    def search_path(self) -> str:
        """The PYTHONPATH of processes that can be slowed down."""
        return f"{self._folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"

    def over(self, name: str) -> AbstractContextManager[None]:
        """Processes of this name burn processor time."""
        return self._flag(name, "burn")

    def stalling(self, name: str) -> AbstractContextManager[None]:
        """They stand still for 40 ms of every 60."""
        return self._flag(name, "stall")

    def hoarding(self, name: str) -> AbstractContextManager[None]:
        """They take up to 200 MiB more a second, 300 MiB in all, and give them back in the end."""
        return self._flag(name, "hoard")

    @contextmanager
    def _flag(self, name: str, act: str) -> Iterator[None]:
        flag = self._folder / f"{name}.{act}"
        flag.touch()
        try:
            yield
        finally:
            flag.unlink()
