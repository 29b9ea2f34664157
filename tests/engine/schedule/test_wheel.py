"""The timer wheel against a plain heap."""

from __future__ import annotations

import heapq
import math

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.schedule.wheel import CANCELED_SPARE, TimerWheel

delays = st.one_of(
    st.integers(0, 30),
    st.integers(1000, 1050),
    st.integers(1_048_000, 1_049_000),
    st.integers(0, 2_000_000_000),
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("schedule"), delays),
        st.tuples(st.just("cancel"), st.integers(0, 1_000)),
        st.tuples(st.just("advance"), delays),
        st.tuples(st.just("sleep until next wake"), st.just(0)),
    ),
    max_size=60,
)


@settings(deadline=None, max_examples=300)
@given(steps)
def test_it_gives_out_what_a_heap_gives_out_in_the_order_of_ticks(
    plan: list[tuple[str, int]],
) -> None:
    """With ticks of one second, item n is due at whole seconds, so wheel and heap must agree."""
    wheel: TimerWheel[tuple[int, int]] = TimerWheel(now=0, tick_s=1)
    heap: list[tuple[int, int]] = []
    timers = []
    now = 0
    for serial, (what, number) in enumerate(plan):
        if what == "schedule":
            due = max(now + number, now + 1)
            timers.append(((due, serial), wheel.schedule(now + number, (due, serial))))
            heapq.heappush(heap, (due, serial))
        elif what == "cancel" and timers:
            item, timer = timers[number % len(timers)]
            assert wheel.cancel(timer) == (item in heap)
            if item in heap:
                heap.remove(item)
                heapq.heapify(heap)
        else:
            if what == "advance":
                now += number
            elif (wake := wheel.next_wake()) is not None:
                assert wake <= heap[0][0] if heap else True
                now = max(now, math.ceil(wake))
            expected = []
            while heap and heap[0][0] <= now:
                expected.append(heapq.heappop(heap))
            expired = wheel.expire(now)
            assert [due for due, _ in expired] == [due for due, _ in expected]
            assert sorted(expired) == expected
        assert len(wheel) == len(heap)
    assert (wheel.next_wake() is None) or heap or len(wheel) == 0


def test_an_item_never_comes_early_and_at_most_one_tick_late() -> None:
    wheel: TimerWheel[str] = TimerWheel(now=100.0, tick_s=0.01)
    wheel.schedule(100.0151, "item")
    assert wheel.expire(100.0150) == []
    assert wheel.expire(100.0199) == []
    assert wheel.expire(100.0200) == ["item"]


def test_what_is_overdue_comes_with_the_next_tick() -> None:
    wheel: TimerWheel[str] = TimerWheel(now=100.0, tick_s=0.01)
    wheel.schedule(50.0, "late")
    assert wheel.expire(100.0) == []
    assert wheel.expire(100.01) == ["late"]


def test_a_sleeper_wakes_a_handful_of_times_for_a_timer_a_year_away() -> None:
    wheel: TimerWheel[str] = TimerWheel(now=0.0, tick_s=0.01)
    year_s = 365 * 86_400.0
    wheel.schedule(year_s, "birthday")
    wakes = 0
    expired: list[str] = []
    while (wake := wheel.next_wake()) is not None:
        expired += wheel.expire(wake)
        wakes += 1
    assert (expired, wakes) == (["birthday"], 4)


def test_canceled_timers_do_not_pile_up() -> None:
    wheel: TimerWheel[int] = TimerWheel(now=0.0)
    for number in range(10 * CANCELED_SPARE):
        wheel.cancel(wheel.schedule(3600.0, number))
    held = sum(len(slot) for level in wheel._levels for slot in level)
    assert len(wheel) == 0
    assert held <= CANCELED_SPARE + 1


def test_a_timer_is_canceled_once_and_not_after_it_fired() -> None:
    wheel: TimerWheel[str] = TimerWheel(now=0.0, tick_s=1)
    first, second = wheel.schedule(1, "first"), wheel.schedule(1, "second")
    assert wheel.cancel(first)
    assert not wheel.cancel(first)
    assert wheel.expire(1) == ["second"]
    assert not wheel.cancel(second)


def test_a_drained_wheel_gave_everything_out_and_works_on() -> None:
    wheel: TimerWheel[int] = TimerWheel(now=0, tick_s=1)
    timers = [wheel.schedule(due, due) for due in (1, 5, 2000, 3_000_000)]
    wheel.cancel(timers[1])
    assert sorted(wheel.drain()) == [1, 2000, 3_000_000]
    assert (len(wheel), wheel.next_wake(), wheel.cancel(timers[0])) == (0, None, False)
    wheel.schedule(7, 7)
    assert wheel.expire(4_000_000) == [7]
