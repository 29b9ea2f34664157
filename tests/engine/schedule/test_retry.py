"""What follows an attempt, rule by rule."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.model import Contact, Flow, FlowSettings, RetryRule
from engine.model.disposition import Disposition, Outcome
from engine.schedule.retry import (
    STALLS_MAX,
    after_attempt,
    after_stall,
    congestion_wait_s,
    stalls_of,
)
from tests.engine.made import EPOCH, contact, flow

TWO = ("+14155550123", "+14155550124")
NOW = EPOCH + 60


def by(**settings: Any) -> Flow:
    """A flow with these settings."""
    return flow(settings=FlowSettings(**settings))


def waiting(before: Contact, wait_s: float, **changes: Any) -> Contact:
    """The contact as it waits for its next try."""
    return msgspec.structs.replace(
        before,
        state="open",
        due_at=NOW + wait_s,
        wait_code="retry_wait",
        spent_at=moments(before, changes),
        **changes,
    )


def done(before: Contact, disposition: Disposition, **changes: Any) -> Contact:
    """The contact as it is completed."""
    return msgspec.structs.replace(
        before,
        state="completed",
        disposition=disposition,
        completed_at=NOW,
        spent_at=moments(before, changes),
        **changes,
    )


def moments(before: Contact, changes: dict[str, Any]) -> tuple[float, ...]:
    """When its calls were made that count, with that of now if it is one."""
    has_spent = changes.get("spent", before.spent) > before.spent
    return (*before.spent_at, NOW) if has_spent else before.spent_at


def test_an_answered_contact_is_done() -> None:
    before = contact(state="dialing", tel=TWO)
    after = after_attempt(before, flow(), Outcome("answered"), NOW)
    assert after == done(before, "answered", spent=1)


def test_a_busy_number_without_a_retry_rule_gives_way_to_the_next_number_at_once() -> None:
    before = contact(state="dialing", tel=TWO)
    after = after_attempt(before, flow(), Outcome("busy"), NOW)
    assert after == waiting(before, 0, spent=1, tel_index=1)


def test_the_last_number_completes_the_contact_with_its_disposition() -> None:
    before = contact(state="dialing", tel=TWO, tel_index=1, spent=1)
    after = after_attempt(before, flow(), Outcome("no-answer"), NOW)
    assert after == done(before, "no-answer", spent=2)


def test_a_retry_rule_tries_the_same_number_again_after_its_wait_and_then_the_next() -> None:
    rules = by(attempts_max=5, retry={"busy": RetryRule(1, 90)})
    before = contact(state="dialing", tel=TWO)
    again = after_attempt(before, rules, Outcome("busy"), NOW)
    assert again == waiting(before, 90, spent=1, tries={"busy": 1})
    following = after_attempt(again, rules, Outcome("busy"), NOW)
    assert following == waiting(again, 0, spent=2, tel_index=1, tries={})


def test_one_budget_covers_all_numbers_and_reasons() -> None:
    rules = by(attempts_max=2, retry={"busy": RetryRule(9, 1)})
    before = contact(state="dialing", tel=TWO, spent=1)
    after = after_attempt(before, rules, Outcome("busy"), NOW)
    assert after == done(before, "busy", spent=2)


def test_a_callee_who_refuses_is_left_alone_unless_the_flow_says_otherwise() -> None:
    before = contact(state="dialing", tel=TWO)
    stopped = after_attempt(before, flow(), Outcome("declined"), NOW)
    tried = after_attempt(before, by(declined="next"), Outcome("declined"), NOW)
    assert stopped == done(before, "declined", spent=1)
    assert tried == waiting(before, 0, spent=1, tel_index=1)


def test_an_invalid_number_is_dead_for_the_contact() -> None:
    before = contact(state="dialing", tel=TWO)
    after = after_attempt(before, flow(), Outcome("invalid-number"), NOW)
    assert after == waiting(before, 0, spent=1, tel_index=1)


@pytest.mark.parametrize(
    "outcome", [Outcome("congested", "pace"), Outcome("congested", "either", 12.0), Outcome(None)]
)
@pytest.mark.parametrize("wait_s", [0.0, 0.7])
def test_what_the_network_caused_costs_no_budget(outcome: Outcome, wait_s: float) -> None:
    before = contact(state="dialing", spent=2, detour="+14155550199", detoured=True)
    after = after_attempt(before, flow(), outcome, NOW, wait_s)
    assert after == waiting(before, wait_s)


def test_a_contact_that_is_refused_again_and_again_waits_twice_as_long_each_time() -> None:
    shortest = [congestion_wait_s(rounds, 0.0) for rounds in range(8)]
    longest = [congestion_wait_s(rounds, 1.0) for rounds in range(8)]
    assert shortest == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert longest == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
    assert congestion_wait_s(10**6, 0.5) == 45.0


def test_a_redirected_call_costs_nothing_and_the_one_it_leads_to_counts() -> None:
    before = contact(state="dialing", tel=TWO)
    rules = by(attempts_max=1)
    detour = after_attempt(before, rules, Outcome("failed", redirected_to="+1999"), NOW)
    assert detour == waiting(before, 0, detour="+1999", detoured=True)
    assert after_attempt(detour, rules, Outcome("answered"), NOW) == done(
        detour, "answered", spent=1, detour=None, detoured=False
    )


def test_after_a_detour_comes_the_next_number_which_has_one_of_its_own() -> None:
    before = contact(state="dialing", tel=TWO, detour="+1999", detoured=True)
    after = after_attempt(before, flow(), Outcome("busy"), NOW)
    assert after == waiting(before, 0, spent=1, tel_index=1, detour=None, detoured=False)


def test_a_retry_after_a_detour_calls_the_contacts_own_number_which_may_be_redirected_again() -> (
    None
):
    rules = by(retry={"busy": RetryRule(1, 90)})
    before = contact(state="dialing", tel=TWO, detour="+1999", detoured=True)
    after = after_attempt(before, rules, Outcome("busy"), NOW)
    assert after == waiting(before, 90, spent=1, tries={"busy": 1}, detour=None, detoured=False)


SILENT, FULL = Outcome(None), Outcome("congested", "either")


@pytest.mark.parametrize("outcome", [SILENT, FULL])
def test_calls_that_come_to_nothing_are_counted_and_cost_nothing(outcome: Outcome) -> None:
    before = contact(state="dialing", tries={"busy": 1})
    for stalls in (0, 1, STALLS_MAX - 1):
        after = after_stall(before, flow(), outcome, NOW, 7, stalls)
        counted = waiting(before, 7, tries={"busy": 1, "congested": stalls})
        assert after == (outcome, counted)
        assert stalls_of(after[1]) == stalls


@pytest.mark.parametrize("outcome", [Outcome("busy"), Outcome("failed", redirected_to="+1999")])
def test_only_calls_in_a_row_that_come_to_nothing_count(outcome: Outcome) -> None:
    rules = by(retry={"busy": RetryRule(1, 90)})
    before = contact(state="dialing", tries={"congested": 9})
    assert stalls_of(after_attempt(before, rules, outcome, NOW)) is None


@pytest.mark.parametrize(
    ("outcome", "last"), [(SILENT, Outcome("failed")), (FULL, Outcome("congested", "either"))]
)
def test_a_number_of_which_too_many_calls_came_to_nothing_is_given_up(
    outcome: Outcome, last: Outcome
) -> None:
    before = contact(state="dialing", tel=TWO, tries={"congested": STALLS_MAX - 1})
    ended, following = after_stall(before, flow(), outcome, NOW, 7, STALLS_MAX)
    assert (ended, following) == (last, waiting(before, 0, spent=1, tel_index=1, tries={}))
    assert last.disposition is not None
    assert after_stall(following, flow(), outcome, NOW, 7, STALLS_MAX) == (
        last,
        done(following, last.disposition, spent=2),
    )


def test_what_a_days_budget_does_not_allow_waits_for_the_next_day_and_goes_on_counting() -> None:
    rules = by(attempts_max=3, attempts_max_per_day=2, retry={"busy": RetryRule(9, 600)})
    before = contact(state="dialing", tel=("+919812345678",))
    first = after_attempt(before, rules, Outcome("busy"), NOW)
    assert first.due_at == NOW + 600
    second = after_attempt(first, rules, Outcome("busy"), NOW + 700, made_at=NOW + 650)
    midnight_in_india = datetime(2027, 1, 16, tzinfo=ZoneInfo("Asia/Kolkata")).timestamp()
    assert (second.due_at, second.wait_code) == (midnight_in_india, "retry_wait")
    assert (second.spent, second.spent_at) == (2, (NOW, NOW + 650))
    third = after_attempt(second, rules, Outcome("busy"), midnight_in_india + 60)
    assert (third.state, third.disposition, third.spent) == ("completed", "busy", 3)


def test_a_call_counts_on_the_day_on_which_it_was_made() -> None:
    rules = by(attempts_max=9, attempts_max_per_day=1, retry={"busy": RetryRule(9, 10)})
    midnight = datetime(2027, 1, 16, tzinfo=UTC).timestamp()
    before = contact(state="dialing", tel=("+888123456789",))  # nobody's country: the flow's clock
    after = after_attempt(before, rules, Outcome("busy"), midnight + 5, made_at=midnight - 30)
    assert after.due_at == midnight + 15


def test_an_invalid_number_that_a_redirection_led_to_is_dead_for_the_contact() -> None:
    before = contact(state="dialing", tel=TWO, detour="+14155550199", detoured=True)
    after = after_attempt(before, flow(), Outcome("invalid-number"), NOW)
    assert after == waiting(
        before,
        0,
        spent=1,
        tel_index=1,
        detour=None,
        detoured=False,
        dead=("+14155550199",),
    )


def test_after_a_crash_in_mid_call_nobody_is_rung_again_unless_the_flow_says_so() -> None:
    before = contact(state="dialing", tel=TWO)
    stopped = after_attempt(before, flow(), Outcome("unknown"), NOW)
    retried = after_attempt(before, by(on_unknown="retry"), Outcome("unknown"), NOW)
    assert stopped == done(before, "unknown", spent=1)
    assert retried == waiting(before, 0, spent=1)


ends: st.SearchStrategy[Disposition] = st.sampled_from(
    ["busy", "no-answer", "declined", "invalid-number", "blocked", "failed", "unknown", "machine"]
)


@given(st.lists(ends, min_size=30, max_size=30), st.integers(1, 6), st.integers(1, 10))
def test_any_contact_is_done_within_its_budget(
    outcomes: list[Disposition], attempts_max: int, numbers: int
) -> None:
    rules = by(
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
        one = after_attempt(one, rules, Outcome(outcome), NOW)
        attempts += 1
        assert one.tel_index < numbers
    assert one.state == "completed"
    assert attempts <= attempts_max
