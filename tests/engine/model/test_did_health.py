"""How a DID's calls are taken, and when it rests for that."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.model.did_health import (
    ANSWERED,
    COUNTED,
    HEALTH_STEP_S,
    HEALTH_WINDOW_S,
    DidHealth,
    RestReason,
    RestRules,
    RestWhen,
    Tally,
    judge,
    step_of,
)
from engine.model.disposition import Disposition

DISPOSITIONS: tuple[Disposition, ...] = get_args(Disposition)
CALLS = st.lists(
    st.tuples(st.floats(0, 4 * HEALTH_WINDOW_S), st.sampled_from(DISPOSITIONS)), max_size=60
).map(sorted)


def count(calls: list[tuple[float, Disposition]], now: float) -> Tally:
    """By looking at each: what ended in the steps of the window that ends now."""
    oldest = (now // HEALTH_STEP_S - HEALTH_WINDOW_S // HEALTH_STEP_S + 1) * HEALTH_STEP_S
    said = [one for at, one in calls if oldest <= at and one in COUNTED]
    return Tally(len(said), sum(one in ANSWERED for one in said), said.count("blocked"))


@given(CALLS, st.floats(0, HEALTH_WINDOW_S))
def test_the_sliding_count_is_that_of_the_last_hour(
    calls: list[tuple[float, Disposition]], later_s: float
) -> None:
    health = DidHealth()
    for place, (at, disposition) in enumerate(calls):
        health.add(disposition, at)
        assert health.tally(at) == count(calls[: place + 1], at)
    now = (calls[-1][0] if calls else 0) + later_s
    assert health.tally(now) == count(calls, now)


@given(CALLS)
def test_a_count_that_is_taken_up_from_its_steps_is_the_same(
    calls: list[tuple[float, Disposition]],
) -> None:
    health, restored = DidHealth(), DidHealth()
    by_step: dict[int, list[tuple[float, Disposition]]] = {}
    for at, disposition in calls:
        health.add(disposition, at)
        by_step.setdefault(step_of(at), []).append((at, disposition))
    for step, some in by_step.items():
        restored.add_step(step, count(some, some[-1][0]))
    now = calls[-1][0] if calls else 0
    assert restored.tally(now) == health.tally(now)


def test_nothing_is_said_of_a_did_without_calls() -> None:
    tally = DidHealth().tally(1e9)
    assert (tally, tally.answer_rate, tally.blocked_share) == (Tally(0, 0, 0), None, None)


@pytest.mark.parametrize(
    ("tally", "reason"),
    [
        (Tally(49, 0, 49), None),
        (Tally(50, 40, 10), None),
        (Tally(50, 39, 11), "blocked"),
        (Tally(100, 9, 0), "answer_rate"),
        (Tally(100, 10, 0), None),
        (Tally(100, 0, 30), "blocked"),
    ],
)
def test_a_did_rests_for_what_more_than_a_few_calls_say(
    tally: Tally, reason: RestReason | None
) -> None:
    verdict = judge(tally, RestRules(blocked_max=0.2, answered_min=0.1, calls_min=50))
    assert (verdict and verdict[0]) == reason


def test_a_list_that_nobody_answers_lets_no_did_rest_unless_that_is_asked_for() -> None:
    assert judge(Tally(100_000, 0, 0), RestRules()) is None


def test_what_a_did_does_not_say_of_its_rests_is_the_installations() -> None:
    rules = RestRules(0.3, 0.01, 200, 600)
    assert RestWhen().over(rules) == rules
    assert RestWhen(blocked_max=1.0, rest_s=60).over(rules) == RestRules(1.0, 0.01, 200, 60)
    assert RestWhen(answered_min=0.0).over(rules) == RestRules(0.3, 0.0, 200, 600)
