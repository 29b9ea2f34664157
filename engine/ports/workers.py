"""Work that would hold the engine up is done elsewhere, behind this port."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeVar, TypeVarTuple

Ts = TypeVarTuple("Ts")
R = TypeVar("R")


class WorkerFailed(Exception):
    """The work was not done: its worker died or took too long, or too much work is waiting already. It
    may be tried again."""


class WorkersBusy(WorkerFailed):
    """Too much work is waiting already: the work was not even begun, and is not to blame."""


class Workers(Protocol):
    """Runs pure functions where they do not hold the engine up."""

    async def run(self, function: Callable[[*Ts], R], *args: *Ts) -> R:
        """`function(*args)`, or what it raises. Raises `WorkerFailed`; a cancellation ends the work.

        Args:
            function: a pure function at the top level of its module.
            args: cheap to pickle, as bytes are.
        """

    def stream(
        self, function: Callable[[*Ts], Iterable[bytes]], *args: *Ts
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """What `function(*args)` yields, each as soon as it is there; arguments as of `run`. The work waits
        for whoever reads, and ends with the block. Raises `WorkerFailed`, and what the function raises."""
