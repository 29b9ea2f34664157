"""Work that would hold the engine up is done elsewhere, behind this port."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar, TypeVarTuple

Ts = TypeVarTuple("Ts")
R = TypeVar("R")


class WorkerFailed(Exception):
    """The work was not done: its worker died or took too long, or too much work is waiting already. It
    may be tried again."""


class Workers(Protocol):
    """Runs pure functions where they do not hold the engine up."""

    async def run(self, function: Callable[[*Ts], R], *args: *Ts) -> R:
        """`function(*args)`, or what it raises. Raises `WorkerFailed`; a cancellation ends the work.

        Args:
            function: a pure function at the top level of its module.
            args: cheap to pickle, as bytes are.
        """
