"""Runs under virtual time that repeat exactly.

Trio lets tasks that are ready go in an order of chance, from a source of its own. For runs that repeat, that
chance must come from the seed; what makes it so are private names of trio's, kept to this module, and
`tests/sim/world/test_scheduling.py` notices when they change.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import outcome
import trio
from trio._core import _run

from sim.virtual_clock import VirtualClock

T = TypeVar("T")

STUCK_MAX: Final = 1_000
"""Tasks that are freed; where more are stuck, so is the run."""


class NothingComes(Exception):
    """What a task is raised that waits for what cannot come any more."""


def run_virtually(
    seed: int, main: Callable[..., Awaitable[T]], *args: Any, step_s: float = 0.0
) -> T:
    """`trio.run` under a clock that jumps to the next thing that happens. The same seed lets the same tasks
    go in the same order. `step_s` are the steps in which the clock jumps: what
    happens within one happens together; 0 is none."""
    with _seeded(seed):
        return trio.run(main, *args, clock=ClosedClock(step_s))


class ClosedClock(VirtualClock):
    """Of a run into which nothing comes from outside: where no task waits for a moment, none would ever go
    on, and whoever repeats the run would wait for ever. All that wait are raised `NothingComes` then, also
    those which no cancellation reaches."""

    def __init__(self, step_s: float) -> None:
        super().__init__(step_s)
        self.stuck: list[str] = []
        """Tasks that waited so, by name."""

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """See trio."""
        sleep_s = super().deadline_to_sleep_time(deadline)
        if math.isinf(sleep_s) and len(self.stuck) < STUCK_MAX:
            return 0.0 if self._free_all() else sleep_s
        return sleep_s

    def _free_all(self) -> bool:
        """Whether there was any; none where the run is over."""
        runner: Any = _run.GLOBAL_RUN_CONTEXT.runner
        if runner.main_task not in runner.tasks:
            return False
        tasks, waiting = [runner.main_task], []
        while tasks:
            task = tasks.pop()
            below = [one for nursery in task.child_nurseries for one in nursery.child_tasks]
            tasks += below
            if not below:
                waiting.append(task)
        for task in waiting:
            self.stuck.append(task.name)
            trio.lowlevel.reschedule(task, outcome.Error(NothingComes(task.name)))
        return True


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
