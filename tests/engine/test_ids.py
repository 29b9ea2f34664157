"""Ids sort by the time of their making."""

from __future__ import annotations

from random import Random

from engine.ids import IdSource


class SteppingClock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.at = 1_800_000_000.0

    def now(self) -> float:
        return self.at


def test_ids_rise_within_a_millisecond_over_time_and_when_the_clock_is_set_back() -> None:
    clock = SteppingClock()
    ids = IdSource(clock, Random(1))
    made = []
    for step in (0.0, 0.0, 0.001, 5.0, -3600.0, 0.0, 1.0):
        clock.at += step
        made += [ids.new("cnt"), *ids.new_many("cnt", 3), ids.new("cnt")]
    assert made == sorted(set(made))


def test_many_ids_are_as_single_ones() -> None:
    ids = IdSource(SteppingClock(), Random(1))
    assert [len(one) for one in [ids.new("att"), *ids.new_many("att", 2)]] == [32, 32, 32]
