"""A trunk that refuses is slowed down to what it takes, and speeds up again: against carriers whose capacity
the caller does not know."""

from __future__ import annotations

import math

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from engine.dial.trunks.congestion import CPS_LEAST, RETRY_AFTER_MAX_S, Congestion, Mark
from engine.model.disposition import CongestionKind
from tests.engine.dial.hidden_carrier import Capacity, Carrier, Run, run_calls
from tests.sizes import size

SETTLED_S = 60.0


def always(capacity: float) -> Capacity:
    return lambda _now: capacity


def step(before: float, at: float, after: float) -> Capacity:
    return lambda now: before if now < at else after


def share_refused(run: Run, begin: float, end: float) -> float:
    sent, _, refused = run.counts(begin, end)
    return refused / max(1, sent)


def pace_taken(run: Run, begin: float, end: float) -> float:
    return run.counts(begin, end)[1] / (end - begin)


@pytest.mark.parametrize("says", ["pace", "either"])
@pytest.mark.parametrize("retry_after_s", [None, 1.0])
@pytest.mark.parametrize("cps", [1, 2, 5, 20, 50, 80])
def test_a_limit_of_calls_a_second_is_found_and_used(
    cps: int, retry_after_s: float | None, says: CongestionKind
) -> None:
    carrier = Carrier(cps=always(cps), says=says, retry_after_s=retry_after_s)
    run = run_calls(carrier, 240)
    assert share_refused(run, SETTLED_S, 240) < 0.04
    assert pace_taken(run, SETTLED_S, 240) > 0.85 * cps


@settings(max_examples=size(10, 300), phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(
    st.integers(1, 60),
    st.floats(0.01, 1.0),
    st.floats(0.05, 6),
    st.sampled_from([None, 1.0]),
    st.sampled_from(["pace", "either"]),
    st.integers(0, 1000),
)
@example(28, 0.4789176617069526, 0.7533067076223671, 1.0, "either", 936)
@example(53, 0.9, 6.0, 1.0, "pace", 530)
@example(22, 0.9152192333770973, 1.365115420076096, 1.0, "pace", 0)
@example(60, 0.6989189276688178, 2.2404765709101544, 1.0, "pace", 0)
@example(20, 0.8784864550602375, 1.601541868109468, 1.0, "pace", 14)
def test_any_limit_of_calls_a_second_is_found_over_any_distance(
    cps: int,
    round_trip_s: float,
    rings_after_s: float,
    retry_after_s: float | None,
    says: CongestionKind,
    seed: int,
) -> None:
    carrier = Carrier(
        cps=always(cps),
        round_trip_s=round_trip_s,
        rings_after_s=rings_after_s,
        retry_after_s=retry_after_s,
        says=says,
        lasts_s=5,
    )
    run = run_calls(carrier, 300, cps=100, channels=10_000, seed=seed)
    assert share_refused(run, 120, 300) < 0.05
    assert pace_taken(run, 120, 300) > 0.8 * cps


@pytest.mark.parametrize("channels", [3, 10, 30, 100, 400])
def test_a_limit_of_channels_that_a_trunk_names_is_found_and_used(channels: int) -> None:
    carrier = Carrier(channels=always(channels), says="channels")
    run = run_calls(carrier, 300)
    ideal = channels / (carrier.rings_after_s + carrier.lasts_s)
    assert share_refused(run, SETTLED_S, 300) < 0.04
    assert pace_taken(run, SETTLED_S, 300) > 0.85 * ideal


@pytest.mark.parametrize("channels", [3, 10, 30, 100, 400])
def test_a_limit_of_channels_is_found_though_the_trunk_does_not_say_what_it_lacks(
    channels: int,
) -> None:
    carrier = Carrier(channels=always(channels), says="either")
    run = run_calls(carrier, 600)
    ideal = channels / (carrier.rings_after_s + carrier.lasts_s)
    assert share_refused(run, 200, 600) < 0.06
    assert pace_taken(run, 200, 600) > (0.75 if channels > 3 else 0.6) * ideal


def test_a_capacity_that_rises_is_found_within_minutes() -> None:
    run = run_calls(Carrier(cps=step(5, 120, 60), lasts_s=5), 420)
    assert pace_taken(run, 240, 420) > 48
    assert share_refused(run, 240, 420) < 0.02


def test_a_capacity_that_falls_is_found_within_seconds() -> None:
    run = run_calls(Carrier(cps=step(60, 120, 5), lasts_s=5), 300)
    assert pace_taken(run, 150, 300) > 4
    assert share_refused(run, 150, 300) < 0.03


def test_channels_that_rise_and_fall_are_followed() -> None:
    carrier = Carrier(channels=lambda now: 20 if 200 <= now < 600 else 60, says="channels")
    run = run_calls(carrier, 1200)
    assert share_refused(run, 260, 600) < 0.05
    assert pace_taken(run, 260, 600) > 0.8 * 20 / 12
    assert pace_taken(run, 900, 1200) > 0.8 * 60 / 12


def test_a_trunk_that_refuses_all_is_asked_once_a_second_and_soon_used_again_when_it_takes_calls() -> (
    None
):
    carrier = Carrier(cps=lambda now: 0 if 60 <= now < 180 else math.inf, lasts_s=5)
    run = run_calls(carrier, 240)
    assert run.counts(70, 180)[0] <= 111 * CPS_LEAST
    assert pace_taken(run, 190, 240) > 70


@pytest.mark.parametrize("seed", range(1, size(4, 9)))
@pytest.mark.parametrize(
    ("refuses", "cps", "says", "least"),
    [
        (0.005, 50, "either", 0.9),
        (0.02, 50, "either", 0.8),
        (0.08, 50, "either", 0.7),
        (0.15, 50, "either", 0.5),
        (0.15, 50, "pace", 0.4),
        (0.08, 10, "pace", 0.7),
        (0.15, 10, "either", 0.6),
    ],
)
def test_refusals_that_have_nothing_to_do_with_the_pace_do_not_stop_the_trunk(
    refuses: float, cps: int, says: CongestionKind, least: float, seed: int
) -> None:
    """What a carrier refuses because networks beyond it are full, it refuses at any pace."""
    run = run_calls(Carrier(refuses=refuses, says=says), 600, cps=cps, seed=seed)
    assert pace_taken(run, 300, 600) > least * cps


def test_a_capacity_that_falls_is_found_although_some_calls_are_refused_at_any_pace() -> None:
    carrier = Carrier(cps=step(60, 120, 40), refuses=0.05, says="either", lasts_s=5)
    run = run_calls(carrier, 400, cps=60)
    assert share_refused(run, 150, 400) < 0.05 + 0.03
    assert pace_taken(run, 150, 400) > 0.8 * 40


@settings(max_examples=size(30, 1000))
@given(
    st.floats(0.3, 60),
    st.integers(1, 60),
    st.integers(1, 80),
    st.integers(1, 60),
    st.sampled_from(["pace", "channels", "either"]),
    st.sampled_from([None, 0.5]),
    st.integers(0, 1000),
)
def test_the_configured_limits_are_never_exceeded(
    cps: float,
    channels: int,
    hidden_cps: int,
    hidden_channels: int,
    says: CongestionKind,
    retry_after_s: float | None,
    seed: int,
) -> None:
    carrier = Carrier(
        cps=step(hidden_cps, 20, 2 * hidden_cps),
        channels=step(hidden_channels, 20, 2 * hidden_channels),
        says=says,
        retry_after_s=retry_after_s,
        lasts_s=2,
    )
    congestion = Congestion(cps, channels)
    assert (congestion.cps, congestion.channels) == (None, channels)
    run = run_calls(carrier, 40, cps=cps, channels=channels, seed=seed)
    assert run.up_max <= channels
    assert run.congestion.cps is None or min(cps, CPS_LEAST) <= run.congestion.cps < cps
    assert 1 <= run.congestion.channels <= channels


def test_many_refusals_of_one_burst_count_once() -> None:
    congestion = Congestion(100, 1000)
    marks = [congestion.note_sent(f"+{n}", n / 100, n) for n in range(60)]
    for mark in marks[:10]:
        congestion.note_taken(mark, 1.0)
    ceilings = []
    for mark in marks[10:]:
        congestion.note_refused(mark, "pace", None, 1.0)
        ceilings.append(congestion.cps)
    assert ceilings[0] is None  # one refusal is no evidence
    assert ceilings[1] == pytest.approx(0.9 * 100 * 10 / 12)
    assert set(ceilings[1:]) == {ceilings[1]}


def test_channels_become_what_was_in_use_minus_a_step() -> None:
    congestion = Congestion(100, 1000)
    marks = [congestion.note_sent(f"+{n}", n / 100, n) for n in range(44)]
    for mark in marks[40:42]:
        congestion.note_refused(mark, "channels", None, 1.0)
    assert (congestion.cps, congestion.channels) == (None, 38)


def test_a_refusal_while_nothing_of_ours_is_in_use_is_none_of_channels() -> None:
    congestion = Congestion(100, 1000)
    for n in range(9):
        mark = congestion.note_sent(f"+{n}", float(n), 0)
        congestion.note_refused(mark, "channels", None, n + 0.1)
    assert congestion.channels == 1000
    assert congestion.cps is not None


@pytest.mark.parametrize(
    ("asked_s", "kept_s"), [(0.0, 0.0), (7.0, 7.0), (-3.0, 0.0), (1e9, RETRY_AFTER_MAX_S)]
)
def test_retry_after_bars_the_trunk_as_long_as_it_asks(asked_s: float, kept_s: float) -> None:
    congestion = Congestion(100, 1000)
    mark = congestion.note_sent("+1", 1.0, 0)
    congestion.note_refused(mark, "either", asked_s, 2.0)
    assert congestion.not_before == 2.0 + kept_s


def test_the_longest_retry_after_of_a_burst_holds() -> None:
    congestion = Congestion(100, 1000)
    marks = [congestion.note_sent(f"+{n}", n / 10, n) for n in range(3)]
    for mark, asked_s in zip(marks, (5.0, 60.0, 1.0), strict=True):
        congestion.note_refused(mark, "pace", asked_s, 1.0)
    assert congestion.not_before == 61.0


def call(congestion: Congestion, callee: str, now: float, others: int = 0) -> Mark:
    """A call to a number, and nothing is heard of it yet."""
    return congestion.note_sent(callee, now, others)


def take(congestion: Congestion, callee: str, now: float) -> None:
    """A call that is taken at once."""
    congestion.note_taken(call(congestion, callee, now), now + 0.1)


@pytest.mark.parametrize("says", ["pace", "channels", "either"])
@pytest.mark.parametrize("retry_after_s", [None, 1.0])
@pytest.mark.parametrize("others", [0, 3])
def test_one_callee_that_is_always_refused_slows_nobody_down(
    says: CongestionKind, retry_after_s: float | None, others: int
) -> None:
    congestion = Congestion(100, 1000)
    for n in range(60):
        mark = call(congestion, "+1", n * 5.0, others)
        congestion.note_refused(mark, says, retry_after_s, n * 5.0 + 0.1)
    assert (congestion.cps, congestion.channels) == (None, 1000)


def busy_hour() -> Congestion:
    """A trunk that has just taken twenty calls a second."""
    congestion = Congestion(100, 1000)
    for n in range(100):
        take(congestion, f"+9{n}", n / 20 - 5)
    return congestion


def refuse(congestion: Congestion, callee: str, now: float) -> float:
    """A call is refused for the pace; the pace that is left."""
    congestion.note_refused(call(congestion, callee, now), "pace", None, now)
    return congestion.cps or 100


def test_a_callee_counts_once_until_the_trunk_is_slowed_down() -> None:
    congestion = busy_hour()
    paces = [refuse(congestion, callee, 0.1) for callee in ("+1", "+1", "+2")]
    assert paces[:2] == [100, 100]
    slowed = paces[2]
    assert slowed < 100
    paces = [refuse(congestion, callee, 0.2) for callee in ("+1", "+1", "+2")]
    assert paces[:2] == [slowed, slowed]
    assert paces[2] < slowed


def test_a_pause_that_another_callee_asks_for_as_well_lowers_the_pace() -> None:
    congestion = Congestion(100, 1000)
    for n, (callee, is_slowed) in enumerate((("+1", False), ("+1", False), ("+2", True))):
        congestion.note_refused(call(congestion, callee, 2.0 * n), "pace", 1.0, 2.0 * n + 0.1)
        assert (congestion.cps is not None) == is_slowed


def test_callees_who_are_hard_to_reach_do_not_slow_down_those_who_are_taken() -> None:
    """Ten dead numbers beside a trickle of calls: each is noticed twice, and then the trunk recovers."""
    congestion = Congestion(50, 1000)
    for n in range(600):
        now = 6.0 * n
        congestion.note_refused(call(congestion, f"+{n % 10}", now, 1), "either", None, now + 0.1)
        if n % 5 == 0:
            take(congestion, f"+1{n}", now + 1)
    assert (congestion.cps, congestion.channels) == (None, 1000)


def test_a_callee_who_was_hard_to_reach_counts_again_once_a_call_is_taken() -> None:
    congestion, paces = busy_hour(), []
    for n in range(6):
        paces.append([refuse(congestion, callee, 9.0 * n) for callee in ("+1", "+2")])
        for other in range(90):
            take(congestion, f"+3{n}{other}", 9.0 * n + 1 + other / 20)
    assert [before == after for before, after in paces] == [False, False, True, True, True, True]
    for callee in ("+1", "+2"):
        take(congestion, callee, 60.0)
    before, after = [refuse(congestion, callee, 61.0) for callee in ("+1", "+2")]
    assert after < before


def test_calls_that_are_still_on_their_way_do_not_hide_that_a_callee_is_hard_to_reach() -> None:
    """A hotline whose network is full, to which callees are transferred all the time."""
    congestion, paces = busy_hour(), []
    for n in range(6):
        refused = [call(congestion, callee, 9.0 * n) for callee in ("+1", "+2")]
        under_way = [call(congestion, callee, 9.0 * n) for callee in ("+1", "+2")]
        before = congestion.cps
        for mark in refused:
            congestion.note_refused(mark, "pace", None, 9.0 * n)
        paces.append(congestion.cps == before)
        for other in range(90):
            take(congestion, f"+3{n}{other}", 9.0 * n + 1 + other / 20)
        assert not any(mark.was_taken for mark in under_way)
    assert paces == [False, False, True, True, True, True]
