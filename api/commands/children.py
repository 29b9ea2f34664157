"""Processes that a command starts and always ends: their readiness, their logs, their end."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import trio
from msgspec import Struct

from api.commands import CommandFailed

READY_S_MAX: Final = 60.0
"""How long a child may take until it says that it is ready; a slow machine compiles first."""
STOP_S_MAX: Final = 10.0
"""How long it may take to end when it is told to; then it is killed."""
READ_BYTES: Final = 65_536
SAID_BYTES_MAX: Final = 65_536
"""A child that has said so much without being ready is not what it should be."""
TAIL_LINES: Final = 15
TAIL_BYTES: Final = 8_192


class ChildPlan(Struct, frozen=True):
    """One `callwheel` command to run as a process of its own."""

    name: str
    """What its failure is called by."""
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    log: Path
    """Takes what it writes on both outputs."""
    ready: str
    """A regular expression for what it says when it is ready."""


class Child(Struct, frozen=True):
    """A child that is ready."""

    pid: int
    said: re.Match[str]
    """What matched `ready`."""


async def host_child(plan: ChildPlan, *, task_status: trio.TaskStatus[Child]) -> None:
    """Run the child until cancelled, then end it; it is gone when this returns or raises.

    Raises `CommandFailed` with the tail of its log when the child ends by itself, and when it is not ready
    in time.
    """
    with plan.log.open("ab") as log:
        process = await trio.lowlevel.open_process(
            [sys.executable, "-P", "-m", "api", *plan.arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            env=dict(plan.environment),
        )
        try:
            await _follow(plan, process, log.fileno(), task_status)
            code = await process.wait()
            raise CommandFailed(
                f"{plan.name} ended by itself with code {code}.{read_tail(plan.log)}"
            )
        finally:
            await _end(process)


async def _follow(
    plan: ChildPlan, process: trio.Process, log: int, task_status: trio.TaskStatus[Child]
) -> None:
    """Write down what the child says, and notice when it is ready. Returns when it says no more."""
    assert process.stdout is not None, "it was asked for"
    said = b""
    ready = None
    deadline = trio.CancelScope(deadline=trio.current_time() + READY_S_MAX)
    with deadline:
        while chunk := await process.stdout.receive_some(READ_BYTES):
            # The file is a local one and the child says little: writing it blocks nobody.
            _write(log, chunk)
            if ready is None:
                said += chunk
                ready = re.search(plan.ready, said.decode(errors="replace"))
                if ready is not None:
                    deadline.deadline = float("inf")
                    task_status.started(Child(process.pid, ready))
                elif len(said) > SAID_BYTES_MAX:
                    break
    if ready is None and (deadline.cancelled_caught or len(said) > SAID_BYTES_MAX):
        raise CommandFailed(
            f"{plan.name} was not ready within {READY_S_MAX:g} s.{read_tail(plan.log)}"
        )


def _write(log: int, chunk: bytes | bytearray) -> None:
    with open(log, "ab", closefd=False) as file:
        file.write(chunk)


async def _end(process: trio.Process) -> None:
    """Ask it to end, wait a while, and insist."""
    with trio.CancelScope(shield=True):
        process.terminate()
        with trio.move_on_after(STOP_S_MAX):
            await process.wait()
        process.kill()
        await process.wait()
        if process.stdout is not None:
            await process.stdout.aclose()


def read_tail(log: Path) -> str:
    """The last lines of a log, indented, for the end of a message."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()[-TAIL_LINES:]
    except OSError:
        lines = []
    return "".join(f"\n  | {line}" for line in lines) or " It has written nothing."


def clean_environment(
    environment: Mapping[str, str], added: Sequence[tuple[str, str]]
) -> dict[str, str]:
    """An environment without our own variables, which are meant for another engine, and with these."""
    kept = {name: value for name, value in environment.items() if not name.startswith("CALLWHEEL_")}
    return kept | dict(added)
