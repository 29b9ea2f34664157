"""Runs under virtual time that repeat exactly.

Trio lets tasks that are ready go in an order of chance, from a source of its own. For runs that repeat, that
chance must come from the seed; what makes it so are private names of trio's, kept to this module, and
`tests/sim/world/test_scheduling.py` notices when they change. So does a clock that jumps as `MockClock` does,
but costs little to ask, and may jump in steps: whatever happens within one step happens together, which takes
a fraction of the time where very much happens.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import trio
from trio._core import _run
from trio.testing import MockClock

T = TypeVar("T")


def _make_clock(step_s: float) -> MockClock:
    """A clock that stands while anything is to be done, and then jumps to what is next, or to the end of the
    step that it lies in; 0 is no steps."""
    clock: Any = MockClock(autojump_threshold=0)

    def jump() -> None:
        next_at = _run.GLOBAL_RUN_CONTEXT.runner.deadlines.next_deadline()
        if clock._virtual_base < next_at < math.inf:
            steps = math.ceil(next_at / step_s) if step_s else 0
            clock._virtual_base = max(next_at, steps * step_s)

    # It is not to be subclassed. As it stands, nobody's watch has to be looked at.
    clock._autojump = jump
    clock.current_time = lambda: clock._virtual_base
    return cast("MockClock", clock)


def run_virtually(
    seed: int, main: Callable[..., Awaitable[T]], *args: Any, step_s: float = 0.0
) -> T:
    """`trio.run` under a clock that jumps to the next thing that happens. The same seed lets the same tasks
    go in the same order. `step_s` are the steps in which the clock jumps: what
    happens within one happens together; 0 is none."""
    with _seeded(seed):
        return trio.run(main, *args, clock=_make_clock(step_s))


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
