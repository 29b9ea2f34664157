"""`wheel`: schedule and expire timers, beside the standard library's heap doing the same."""

from __future__ import annotations

import heapq
from random import Random
from time import process_time
from typing import Final

import trio

from bench.scenario import Measurement, Scenario, Show, Size
from engine.schedule.wheel import TimerWheel

DUE_PER_S: Final = 1000.0
"""So many timers are due a second on the average, at random moments: a busy engine's calls."""
STEP_S: Final = 0.01
"""The clock is moved by so much at a time."""
SIZES: Final[dict[Size, tuple[int, ...]]] = {
    "quick": (1_000, 100_000),
    "full": (1_000, 10_000, 100_000, 1_000_000),
}


async def run(size: Size, show: Show) -> Measurement:
    """Microseconds for each timer, from its making to its end."""
    metrics, floor = {}, {}
    for count in SIZES[size]:
        show(f"{count:,} timers")
        moments = _moments(count)
        name = f"schedule_expire_us_{count}"
        metrics[name], floor[name] = _time_wheel(moments), _time_heap(moments)
        metrics[f"schedule_cancel_us_{count}"] = _time_cancel(moments)
        await trio.lowlevel.checkpoint()
    ratio = {name: metrics[name] / floor[name] for name in floor}
    return Measurement("wheel", metrics, floor, ratio)


def _moments(count: int) -> list[float]:
    chance = Random(1)  # noqa: S311 - a load, not a secret
    return [chance.random() * count / DUE_PER_S for _ in range(count)]


def _time_wheel(moments: list[float]) -> float:
    wheel: TimerWheel[float] = TimerWheel(0.0)
    begun = process_time()
    for moment in moments:
        wheel.schedule(moment, moment)
    now, expired = 0.0, 0
    while len(wheel):
        now += STEP_S
        expired += len(wheel.expire(now))
    spent = process_time() - begun
    assert expired == len(moments)
    return spent / len(moments) * 1e6


def _time_cancel(moments: list[float]) -> float:
    wheel: TimerWheel[float] = TimerWheel(0.0)
    begun = process_time()
    for timer in [wheel.schedule(moment, moment) for moment in moments]:
        wheel.cancel(timer)
    spent = process_time() - begun
    assert len(wheel) == 0
    return spent / len(moments) * 1e6


def _time_heap(moments: list[float]) -> float:
    heap: list[tuple[float, float]] = []
    begun = process_time()
    for moment in moments:
        heapq.heappush(heap, (moment, moment))
    now, expired = 0.0, 0
    while heap:
        now += STEP_S
        while heap and heap[0][0] <= now:
            heapq.heappop(heap)
            expired += 1
    spent = process_time() - begun
    assert expired == len(moments)
    return spent / len(moments) * 1e6


SCENARIO = Scenario("wheel", "timers scheduled, expired and canceled, beside heapq", run)
