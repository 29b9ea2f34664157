"""Sliding windows against a count by hand."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.dial.limits.windows import GUARD_S, SlidingWindow, mark_sent, window_for_cps

waits = st.lists(st.floats(0, 3, allow_nan=False), min_size=1, max_size=80)


def most_in_any_window(moments: list[float], per_s: float) -> int:
    """The most moments that any half-open window [t, t + per_s) holds, by trying each as its start."""
    return max((sum(start <= at < start + per_s for at in moments) for start in moments), default=0)


@settings(deadline=None)
@given(st.integers(1, 7), st.floats(0.5, 5), st.sampled_from([0.0, 0.9]), waits, waits)
def test_no_sliding_window_ever_holds_more_than_the_limit(
    calls: int, per_s: float, spread: float, eagerness: list[float], lateness: list[float]
) -> None:
    """Callers come when they like and leave later than their slot said; the limit holds all the same."""
    window = SlidingWindow(calls, per_s, spread)
    left: list[float] = []
    now = 0.0
    for index, wait in enumerate(eagerness * 3):
        now += wait
        at = max(now, window.free_at())
        slot = window.reserve(at)
        sent = at + lateness[index % len(lateness)]
        mark_sent(slot, sent)
        now = max(now, sent)
        left.append(sent)
    assert most_in_any_window(left, per_s) <= calls


def test_a_full_window_waits_for_the_call_that_has_not_left() -> None:
    window = SlidingWindow(1, 1.0)
    slot = window.reserve(10.0)
    assert window.free_at() == math.inf
    mark_sent(slot, 10.4)
    assert window.free_at() == 10.4 + 1.0 + GUARD_S


def test_work_that_never_ends_gets_at_least_95_percent_of_each_rate() -> None:
    for cps in (1, 5, 20, 50, 500):
        window = window_for_cps(cps)
        now, count = 0.0, 0
        while now < 60.0:
            now = max(now, window.free_at())
            mark_sent(window.reserve(now), now)
            count += 1
        assert 0.95 <= count / (60.0 * cps) <= 1.0 + 1 / (60 * cps) * cps


def test_a_rate_below_one_is_a_call_every_so_many_seconds() -> None:
    window = window_for_cps(0.25)
    mark_sent(window.reserve(0.0), 0.0)
    assert window.free_at() == 4.0 + GUARD_S


def test_calls_of_a_window_are_spread_over_it() -> None:
    window = window_for_cps(10)
    moments = []
    for _ in range(10):
        at = max(0.0, window.free_at())
        mark_sent(window.reserve(at), at)
        moments.append(round(at, 6))
    assert moments == [round(0.09 * n, 6) for n in range(10)]


def test_a_window_counts_calls_from_before_a_restart() -> None:
    window = SlidingWindow(3, 900.0)
    for at in (-800.0, -500.0, -10.0):
        window.restore(at)
    assert window.free_at() == 100.0 + GUARD_S
    assert window.count(0.0) == 3


def test_a_window_that_replaces_a_larger_one_waits_for_a_call_that_has_not_left() -> None:
    old = SlidingWindow(5, 1.0)
    late, prompt = old.reserve(0.0), old.reserve(0.1)
    mark_sent(prompt, 0.1)
    window = SlidingWindow(1, 10.0)
    window.inherit(old)
    assert window.free_at() == math.inf
    mark_sent(late, 3.0)
    assert window.free_at() == 13.0 + GUARD_S
