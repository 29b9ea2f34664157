"""What follows an attempt, rule by rule."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.disposition import Disposition, Outcome
from engine.model import Contact, FlowSettings, RetryRule
from engine.schedule.retry import (
    STALLS_MAX,
    after_attempt,
    after_stall,
    congestion_wait_s,
    stalls_of,
)
from tests.engine.made import EPOCH, contact

TWO = ("+14155550123", "+14155550124")
NOW = EPOCH + 60


def waiting(before: Contact, wait_s: float, **changes: object) -> Contact:
    """The contact as it waits for its next try."""
    return msgspec.structs.replace(
        before, state="open", due_at=NOW + wait_s, wait_code="retry_wait", **changes
    )


def done(before: Contact, disposition: Disposition, **changes: object) -> Contact:
    """The contact as it is completed."""
    return msgspec.structs.replace(
        before, state="completed", disposition=disposition, completed_at=NOW, **changes
    )


def test_an_answered_contact_is_done() -> None:
    before = contact(state="dialing", tel=TWO)
    after = after_attempt(before, FlowSettings(), Outcome("answered"), NOW)
    assert after == done(before, "answered", spent=1)


def test_a_busy_number_without_a_retry_rule_gives_way_to_the_next_number_at_once() -> None:
    before = contact(state="dialing", tel=TWO)
    after = after_attempt(before, FlowSettings(), Outcome("busy"), NOW)
    assert after == waiting(before, 0, spent=1, tel_index=1)


def test_the_last_number_completes_the_contact_with_its_disposition() -> None:
    before = contact(state="dialing", tel=TWO, tel_index=1, spent=1)
    after = after_attempt(before, FlowSettings(), Outcome("no-answer"), NOW)
    assert after == done(before, "no-answer", spent=2)


def test_a_retry_rule_tries_the_same_number_again_after_its_wait_and_then_the_next() -> None:
    settings = FlowSettings(attempts_max=5, retry={"busy": RetryRule(1, 90)})
    before = contact(state="dialing", tel=TWO)
    again = after_attempt(before, settings, Outcome("busy"), NOW)
    assert again == waiting(before, 90, spent=1, tries={"busy": 1})
    following = after_attempt(again, settings, Outcome("busy"), NOW)
    assert following == waiting(again, 0, spent=2, tel_index=1, tries={})


def test_one_budget_covers_all_numbers_and_reasons() -> None:
    settings = FlowSettings(attempts_max=2, retry={"busy": RetryRule(9, 1)})
    before = contact(state="dialing", tel=TWO, spent=1)
    after = after_attempt(before, settings, Outcome("busy"), NOW)
    assert after == done(before, "busy", spent=2)


def test_a_callee_who_refuses_is_left_alone_unless_the_flow_says_otherwise() -> None:
    before = contact(state="dialing", tel=TWO)
    stopped = after_attempt(before, FlowSettings(), Outcome("declined"), NOW)
    tried = after_attempt(before, FlowSettings(declined="next"), Outcome("declined"), NOW)
    assert stopped == done(before, "declined", spent=1)
    assert tried == waiting(before, 0, spent=1, tel_index=1)


def test_an_invalid_number_is_dead_for_the_contact() -> None:
    before = contact(state="dialing", tel=TWO)
    after = after_attempt(before, FlowSettings(), Outcome("invalid-number"), NOW)
    assert after == waiting(before, 0, spent=1, tel_index=1)


@pytest.mark.parametrize(
    "outcome", [Outcome("congested", "pace"), Outcome("congested", "either", 12.0), Outcome(None)]
)
@pytest.mark.parametrize("wait_s", [0.0, 0.7])
def test_what_the_network_caused_costs_no_budget(outcome: Outcome, wait_s: float) -> None:
    before = contact(state="dialing", spent=2, detour="+14155550199", detoured=True)
    after = after_attempt(before, FlowSettings(), outcome, NOW, wait_s)
    assert after == waiting(before, wait_s)


def test_a_contact_that_is_refused_again_and_again_waits_twice_as_long_each_time() -> None:
    shortest = [congestion_wait_s(rounds, 0.0) for rounds in range(8)]
    longest = [congestion_wait_s(rounds, 1.0) for rounds in range(8)]
    assert shortest == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert longest == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
    assert congestion_wait_s(10**6, 0.5) == 45.0


def test_a_redirected_call_costs_nothing_and_the_one_it_leads_to_counts() -> None:
    before = contact(state="dialing", tel=TWO)
    settings = FlowSettings(attempts_max=1)
    detour = after_attempt(before, settings, Outcome("failed", redirected_to="+1999"), NOW)
    assert detour == waiting(before, 0, detour="+1999", detoured=True)
    assert after_attempt(detour, settings, Outcome("answered"), NOW) == done(
        detour, "answered", spent=1, detour=None, detoured=False
    )


def test_after_a_detour_comes_the_next_number_which_has_one_of_its_own() -> None:
    before = contact(state="dialing", tel=TWO, detour="+1999", detoured=True)
    after = after_attempt(before, FlowSettings(), Outcome("busy"), NOW)
    assert after == waiting(before, 0, spent=1, tel_index=1, detour=None, detoured=False)


def test_a_retry_after_a_detour_calls_the_contacts_own_number_which_may_be_redirected_again() -> (
    None
):
    settings = FlowSettings(retry={"busy": RetryRule(1, 90)})
    before = contact(state="dialing", tel=TWO, detour="+1999", detoured=True)
    after = after_attempt(before, settings, Outcome("busy"), NOW)
    assert after == waiting(before, 90, spent=1, tries={"busy": 1}, detour=None, detoured=False)


SILENT, FULL = Outcome(None), Outcome("congested", "either")


@pytest.mark.parametrize("outcome", [SILENT, FULL])
def test_calls_that_come_to_nothing_are_counted_and_cost_nothing(outcome: Outcome) -> None:
    before = contact(state="dialing", tries={"busy": 1})
    for stalls in (0, 1, STALLS_MAX - 1):
        after = after_stall(before, FlowSettings(), outcome, NOW, 7, stalls)
        counted = waiting(before, 7, tries={"busy": 1, "congested": stalls})
        assert after == (outcome, counted)
        assert stalls_of(after[1]) == stalls


@pytest.mark.parametrize("outcome", [Outcome("busy"), Outcome("failed", redirected_to="+1999")])
def test_only_calls_in_a_row_that_come_to_nothing_count(outcome: Outcome) -> None:
    settings = FlowSettings(retry={"busy": RetryRule(1, 90)})
    before = contact(state="dialing", tries={"congested": 9})
    assert stalls_of(after_attempt(before, settings, outcome, NOW)) is None


@pytest.mark.parametrize(
    ("outcome", "last"), [(SILENT, Outcome("failed")), (FULL, Outcome("congested", "either"))]
)
def test_a_number_of_which_too_many_calls_came_to_nothing_is_given_up(
    outcome: Outcome, last: Outcome
) -> None:
    before = contact(state="dialing", tel=TWO, tries={"congested": STALLS_MAX - 1})
    ended, following = after_stall(before, FlowSettings(), outcome, NOW, 7, STALLS_MAX)
    assert (ended, following) == (last, waiting(before, 0, spent=1, tel_index=1, tries={}))
    assert last.disposition is not None
    assert after_stall(following, FlowSettings(), outcome, NOW, 7, STALLS_MAX) == (
        last,
        done(following, last.disposition, spent=2),
    )


def test_after_a_crash_in_mid_call_nobody_is_rung_again_unless_the_flow_says_so() -> None:
    before = contact(state="dialing", tel=TWO)
    stopped = after_attempt(before, FlowSettings(), Outcome("unknown"), NOW)
    retried = after_attempt(before, FlowSettings(on_unknown="retry"), Outcome("unknown"), NOW)
    assert stopped == done(before, "unknown", spent=1)
    assert retried == waiting(before, 0, spent=1)


ends: st.SearchStrategy[Disposition] = st.sampled_from(
    ["busy", "no-answer", "declined", "invalid-number", "blocked", "failed", "unknown", "machine"]
)


@given(st.lists(ends, min_size=30, max_size=30), st.integers(1, 6), st.integers(1, 10))
def test_any_contact_is_done_within_its_budget(
    outcomes: list[Disposition], attempts_max: int, numbers: int
) -> None:
    settings = FlowSettings(
        attempts_max=attempts_max,
        retry={"busy": RetryRule(3, 1), "no-answer": RetryRule(2, 1)},
        declined="next",
        on_unknown="retry",
    )
    one = contact(tel=tuple(f"+1415555{n:04}" for n in range(numbers)))
    attempts = 0
    for outcome in outcomes:
        if one.state == "completed":
            break
        one = after_attempt(one, settings, Outcome(outcome), NOW)
        attempts += 1
        assert one.tel_index < numbers
    assert one.state == "completed"
    assert attempts <= attempts_max
