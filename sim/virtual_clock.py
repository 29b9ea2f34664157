"""A clock that stands while anything is to be done, and then jumps to what is next.

It does as trio's `MockClock` with an autojump threshold of 0, but as trio asks it how long to sleep, and
not a turn of the loop later. So what comes from outside the tasks, by a socket, a thread or
`run_sync_soon`, may be late, which `MockClock` looks for before it jumps: nothing in the world of
`sim.world` comes in such a way. It may jump in steps, so that whatever happens within one step happens
together, which takes a fraction of the time where very much happens. And it has alarms of its own: a wait
that ends by one of them costs a few calls of functions, where one that ends by a cancel scope's deadline
costs some two hundred.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable

import trio


class Alarm:
    """What is called at a moment, unless it is called off before. Made by `VirtualClock.set_alarm`."""

    __slots__ = ("call",)

    def __init__(self, call: Callable[[], object]) -> None:
        self.call: Callable[[], object] | None = call

    def call_off(self) -> None:
        """It is not to ring."""
        self.call = None


class VirtualClock(trio.abc.Clock):
    """Begins at 0, and jumps to the next deadline or alarm, or to the end of the step that it lies in, as
    soon as no task can go on. Tasks in `trio.testing.wait_all_tasks_blocked` are not waited for.

    Args:
        step_s: the steps, seconds; 0 is none.
    """

    def __init__(self, step_s: float = 0.0) -> None:
        self._step_s = step_s
        self._now = 0.0
        self._alarms: list[tuple[float, int, Alarm]] = []
        """A heap; of those for one moment the first that was set rings first."""
        self._set = 0
        """Alarms that ever were."""

    def start_clock(self) -> None:
        """See trio."""

    def current_time(self) -> float:
        """See trio."""
        return self._now

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """Asked by trio's loop when nothing is left to be done before a deadline: it is there then."""
        next_at = min(deadline, self._next_alarm())
        if math.isinf(next_at):
            return next_at
        if next_at > self._now:
            steps = math.ceil(next_at / self._step_s) if self._step_s else 0
            self._now = max(next_at, steps * self._step_s)
        self._ring()
        return 0.0

    def set_alarm(self, at: float, call: Callable[[], object]) -> Alarm:
        """Have something called at a moment, when no task can go on: at the next of these where it is past,
        and never where it is infinite. What was called off stays until its moment, as an empty place."""
        alarm = Alarm(call)
        if at < math.inf:
            self._set += 1
            heapq.heappush(self._alarms, (at, self._set, alarm))
        return alarm

    def _next_alarm(self) -> float:
        alarms = self._alarms
        while alarms and alarms[0][2].call is None:
            heapq.heappop(alarms)
        return alarms[0][0] if alarms else math.inf

    def _ring(self) -> None:
        alarms = self._alarms
        while alarms and alarms[0][0] <= self._now:
            call = heapq.heappop(alarms)[2].call
            if call is not None:
                call()
