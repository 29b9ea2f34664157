"""Programs that live one life after the other, each up to a step at which it is killed.

A test opens such a program with `open_lives`. The program reads a step a line, lives one life for it in a
process of its own, and says how that ended; with an empty step a life ends by itself, once nothing is left to
be done. What a life works with is `Watched`, so that its methods are the steps.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import trio


@contextmanager
def open_lives(module: str, *arguments: str) -> Iterator[Callable[[str], int]]:
    """Live one life after the other, each up to a step; how it ended."""
    with subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        says, hears = program.stdout, program.stdin

        def live(step: str) -> int:
            hears.write(f"{step}\n")
            hears.flush()
            return int(says.readline())

        try:
            yield live
        finally:
            program.kill()


def serve_lives(main: Callable[[str], Awaitable[None]]) -> None:
    """Be such a program: `main` is one life, and is told where it ends."""
    for line in sys.stdin:
        print(_live(main, line.strip()), flush=True)


def _live(main: Callable[[str], Awaitable[None]], kill_at: str) -> int:
    """One life, in a process that has read all modules already; how it ended."""
    process = os.fork()
    if not process:
        status = 1
        try:
            trio.run(main, kill_at)
            status = 0
        except BaseException:
            traceback.print_exc()
        os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def methods_of(steps: tuple[str, ...]) -> frozenset[str]:
    """The names of the methods that steps (`before open`, `after open`) are of."""
    return frozenset(step.partition(" ")[2] for step in steps)


class Watched:
    """Something of whose methods some are steps."""

    def __init__(self, inner: Any, kill_at: str, methods: frozenset[str]) -> None:
        self._inner = inner
        self._kill_at = kill_at
        self._methods = methods

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        if name not in self._methods:
            return method

        async def run(*args: Any, **kwargs: Any) -> Any:
            go_by(f"before {name}", self._kill_at)
            result = await method(*args, **kwargs)
            go_by(f"after {name}", self._kill_at)
            return result

        return run


def go_by(step: str, kill_at: str) -> None:
    """Go by a step, or no further."""
    if step == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)


class SystemClock:
    """The machine's time of day."""

    def now(self) -> float:
        return time.time()  # noqa: TID251 - this is where the clock comes from
