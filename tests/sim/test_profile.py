"""Profiles, and the plans that are drawn from them."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.profile import (
    BUILT_IN,
    FORCED,
    PROFILE_BYTES_MAX,
    Outcome,
    Plan,
    Profile,
    ProfileError,
    Shares,
    Spread,
    always,
    load_profile,
    parse_profile,
    plan_call,
)

FORCED_OUTCOMES = {
    "9100": ("no-answer", 480),
    "9180": ("human", 200),
    "9183": ("human", 200),
    "9200": ("human", 200),
    "9201": ("human", 200),
    "9202": ("machine", 200),
    "9204": ("human", 200),
    "9403": ("failed", 403),
    "9404": ("invalid", 404),
    "9408": ("silent", 0),
    "9410": ("invalid", 410),
    "9429": ("congested", 429),
    "9480": ("no-answer", 480),
    "9484": ("invalid", 484),
    "9486": ("busy", 486),
    "9488": ("failed", 488),
    "9500": ("failed", 500),
    "9503": ("congested", 503),
    "9600": ("busy", 600),
    "9603": ("declined", 603),
    "9604": ("invalid", 604),
    "9607": ("blocked", 607),
    "9608": ("blocked", 608),
}
"""What docs/simulator.md promises."""


DOCUMENT = Path(__file__).parents[2] / "docs" / "simulator.md"


def numbers(count: int) -> list[str]:
    """Numbers that force nothing."""
    return [f"+1415{i:06}0000" for i in range(count)]


def test_a_seed_gives_every_number_the_same_plans_in_whatever_order_they_are_called() -> None:
    profile = BUILT_IN["default"]
    calls = [(number, nth) for number in numbers(300) for nth in range(3)]
    forwards = {call: plan_call(profile, 7, *call) for call in calls}
    backwards = {call: plan_call(profile, 7, *call) for call in reversed(calls)}
    assert forwards == backwards


def test_another_seed_and_another_try_change_what_happens() -> None:
    profile = BUILT_IN["default"]
    first = [plan_call(profile, 1, number, 0) for number in numbers(50)]
    assert first != [plan_call(profile, 2, number, 0) for number in numbers(50)]
    assert first != [plan_call(profile, 1, number, 1) for number in numbers(50)]


def test_a_plan_stays_what_it_was_in_earlier_releases() -> None:
    """Runs are repeated by their seed, so a change of the draw is a change that users see."""
    plan = plan_call(BUILT_IN["default"], 1, "+14155550100", 0)
    assert (plan.outcome, round(plan.final_after_s, 6), round(plan.talk_s, 6)) == (
        "human", 3.072136, 3.622584,
    )  # fmt: skip


def test_outcomes_come_in_the_shares_that_the_profile_asks_for() -> None:
    shares = Shares(
        machine=0.25, busy=0.1, no_answer=0.2, invalid=0.05, declined=0.1, congested=0.05
    )
    profile = Profile(shares=shares)
    calls = 20_000
    seen = Counter(plan_call(profile, 1, number, 0).outcome for number in numbers(calls))
    expected = {**dict(shares.in_order()), "human": 0.25}
    # Four standard deviations of a share of one half bound them all.
    assert {
        outcome: abs(seen[outcome] / calls - share) < 4 * 0.5 / calls**0.5
        for outcome, share in expected.items()
    } == dict.fromkeys(expected, True)
    assert set(seen) == set(expected)


@given(
    bounds=st.tuples(*[st.floats(0, 1000)] * 3).map(sorted),
    u=st.floats(0, 1, exclude_max=True),
)
def test_a_spread_stays_within_its_bounds(bounds: list[float], u: float) -> None:
    shortest, mean, longest = bounds
    assert shortest <= Spread(shortest, mean, longest).at(u) <= longest


@pytest.mark.parametrize(
    ("spread", "mean"),
    [
        (Spread(1.0, 6.0, 25.0), 6.0),
        (Spread(0.0, 9.0, 10.0), 9.0),
        (Spread(2.0, 2.0, 60.0), 2.0),
        (Spread(2.0, 60.0, 60.0), 60.0),
        (always(3.0), 3.0),
    ],
)
def test_a_spread_has_the_mean_that_it_names(spread: Spread, mean: float) -> None:
    steps = 100_000
    total = sum(spread.at((i + 0.5) / steps) for i in range(steps))
    assert total / steps == pytest.approx(mean, rel=1e-3)


def test_last_digits_force_an_outcome_whatever_the_profile_says() -> None:
    profile = Profile(shares=Shares(busy=1.0))
    plans = {digits: plan_call(profile, 1, f"+1415555{digits}", 0) for digits in FORCED}
    assert {digits: (plan.outcome, plan.code) for digits, plan in plans.items()} == FORCED_OUTCOMES


def test_forced_endings_take_the_time_that_they_say() -> None:
    def timing(digits: str) -> tuple[int, float, float]:
        plan = plan_call(BUILT_IN["default"], 1, f"+1415555{digits}", 0)
        return plan.alert, plan.alert_after_s, plan.final_after_s

    assert timing("9200") == (180, 0.0, 0.0)
    assert timing("9480") == (180, 0.0, 180.0)
    assert timing("9183") == (183, 0.0, 2.0)
    assert timing("9486") == (0, 0.0, 0.0)


def test_digits_force_nothing_where_the_profile_switches_that_off() -> None:
    profile = Profile(forced_endings=False)
    assert plan_call(profile, 1, "+14155559486", 0).outcome == "human"


def test_busy_invalid_and_congested_do_not_ring_and_the_others_do() -> None:
    profile = Profile(
        shares=Shares(busy=0.2, no_answer=0.2, invalid=0.2, declined=0.1, congested=0.2),
        alert=183,
    )
    plans = [plan_call(profile, 1, number, 0) for number in numbers(500)]
    assert {(plan.outcome, plan.alert) for plan in plans} == {
        ("human", 183),
        ("busy", 0),
        ("no-answer", 183),
        ("invalid", 0),
        ("declined", 183),
        ("congested", 0),
    }


def test_durations_of_a_plan_are_those_of_its_outcome() -> None:
    profile = Profile(
        shares=Shares(machine=0.3, no_answer=0.3),
        post_dial_s=always(1.0),
        ring_s=always(5.0),
        no_answer_s=always(40.0),
        talk_s=always(7.0),
        machine_talk_s=always(9.0),
        human_greeting_s=always(0.5),
        machine_greeting_s=always(4.0),
    )
    plans = {plan_call(profile, 1, number, 0) for number in numbers(100)}
    assert plans == {
        Plan("human", 200, 180, 1.0, 6.0, 7.0, 0.5),
        Plan("machine", 200, 180, 1.0, 6.0, 9.0, 4.0),
        Plan("no-answer", 480, 180, 1.0, 41.0),
    }


@given(number=st.text(max_size=20), seed=st.integers())
def test_whatever_stands_in_a_request_uri_has_a_plan(number: str, seed: int) -> None:
    assert plan_call(BUILT_IN["hostile"], seed, number, 0).outcome in get_args(Outcome)


def test_a_profile_is_read_from_toml(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        "alert = 183\ncps_max = 20\nmedia = false\n"
        "[shares]\nmachine = 0.5\n"
        "[ring_s]\nmin = 1\nmean = 2.5\nmax = 10\n"
    )
    assert load_profile(str(path)) == Profile(
        alert=183,
        cps_max=20,
        media=False,
        shares=Shares(machine=0.5),
        ring_s=Spread(1.0, 2.5, 10.0),
    )


def test_a_built_in_profile_is_found_by_its_name() -> None:
    assert load_profile("quiet") is BUILT_IN["quiet"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"[shares]\nbusy = 0.7\nmachine = 0.4\n", "sum up to 1.1, more than 1 - at `$.shares`"),
        (b"[shares]\nbussy = 0.7\n", "unknown field `bussy` - at `$.shares`"),
        (b"[shares]\nbusy = -0.1\n", "at `$.shares.busy`"),
        (b"[ring_s]\nmin = 3\nmean = 2\nmax = 5\n", "min <= mean <= max - at `$.ring_s`"),
        (b"[ring_s]\nmin = 3\n", "missing required field `mean` - at `$.ring_s`"),
        (b"cps_max = 0\n", "at `$.cps_max`"),
        (b"alert = 199\n", "at `$.alert`"),
        (b"cps = 3\n", "unknown field `cps`"),
        (b"cps_max = \n", "Invalid value"),
        (b"\xff\xfe", "decode"),
    ],
)
def test_a_mistake_in_a_profile_is_told_with_its_place(text: bytes, said: str) -> None:
    with pytest.raises(ProfileError) as caught:
        parse_profile(text, "mine.toml")
    assert str(caught.value).startswith("profile mine.toml: ")
    assert said in str(caught.value)


def test_a_name_that_is_no_profile_is_told_which_there_are() -> None:
    with pytest.raises(ProfileError) as caught:
        load_profile("quite")
    assert str(caught.value) == (
        "profile quite: neither a built-in name (default, demo, evening, friendly, hostile, quiet)"
        " nor a file that can be read (No such file or directory)"
    )


def test_a_file_that_is_no_profile_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "large.toml"
    path.write_bytes(b"#" * (PROFILE_BYTES_MAX + 1))
    with pytest.raises(ProfileError, match="larger than"):
        load_profile(str(path))


def test_the_documentation_lists_every_forced_ending_and_no_other() -> None:
    listed = re.findall(r"^\| `…(\d{4})` \|", DOCUMENT.read_text(), re.MULTILINE)
    assert listed == sorted(FORCED)


def test_the_documentation_lists_every_built_in_profile() -> None:
    listed = re.findall(r"^\| `([a-z]+)` \| [a-z]", DOCUMENT.read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(BUILT_IN)


def test_the_documented_profile_is_the_one_that_a_file_starts_from() -> None:
    _, _, rest = DOCUMENT.read_text().partition("```toml\n")
    text, _, _ = rest.partition("```")
    assert parse_profile(text.encode(), "docs") == Profile(shares=BUILT_IN["default"].shares)
