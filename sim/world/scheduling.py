"""Runs under virtual time that repeat exactly.

Trio lets tasks that are ready go in an order of chance, from a source of its own. For runs that repeat, that
chance must come from the seed; what makes it so are private names of trio's, kept to this module, and
`tests/sim/world/test_scheduling.py` notices when they change.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import trio
from trio._core import _run

from sim.virtual_clock import VirtualClock

T = TypeVar("T")


def run_virtually(
    seed: int, main: Callable[..., Awaitable[T]], *args: Any, step_s: float = 0.0
) -> T:
    """`trio.run` under a clock that jumps to the next thing that happens. The same seed lets the same tasks
    go in the same order. `step_s` are the steps in which the clock jumps: what
    happens within one happens together; 0 is none."""
    with _seeded(seed):
        return trio.run(main, *args, clock=VirtualClock(step_s))


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    chance: Any = _run._r
    before = chance.getstate(), _run._ALLOW_DETERMINISTIC_SCHEDULING
    chance.seed(seed)
    _run._ALLOW_DETERMINISTIC_SCHEDULING = True  # type: ignore[misc]
    try:
        yield
    finally:
        chance.setstate(before[0])
        _run._ALLOW_DETERMINISTIC_SCHEDULING = before[1]  # type: ignore[misc]
