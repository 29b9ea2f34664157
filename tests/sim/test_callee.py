"""The callee's side of one call, to the moment."""

from __future__ import annotations

from math import inf
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.callee import TRANSITIONS, Action, Callee, Event, State
from sim.profile import Plan

HUMAN = Plan("human", 200, 180, alert_after_s=1.0, final_after_s=5.0, talk_s=20.0)
BUSY = Plan("busy", 486)
UNANSWERED = Plan("no-answer", 480, 180, final_after_s=180.0)

Seen = tuple[float, Event, tuple[Action, ...]]


def let_time_pass(callee: Callee, until: float) -> list[Seen]:
    """What time alone brings up to and with `until`: moments, events and actions."""
    seen = []
    while callee.wake_at <= until:
        now = callee.wake_at
        event = callee.due(now)
        assert event is not None
        seen.append((now, event, callee.step(event, now)))
    return seen


def invited(plan: Plan) -> Callee:
    callee = Callee(plan, 0.0)
    assert callee.step("invite", 0.0) == ("trying",)
    return callee


def answered() -> Callee:
    """A human who answered at 5.0, and whose 200 is not acknowledged yet."""
    callee = invited(HUMAN)
    let_time_pass(callee, 5.0)
    assert callee.state == "answered"
    return callee


def test_a_human_rings_answers_talks_and_hangs_up() -> None:
    callee = invited(HUMAN)
    assert let_time_pass(callee, 5.0) == [
        (1.0, "alert", ("alert",)),
        (5.0, "answer", ("answer",)),
    ]
    assert callee.step("ack", 5.1) == ()
    assert let_time_pass(callee, 25.0) == [(25.0, "hang_up", ("hang_up", "end"))]
    assert callee.step("response", 25.5) == ("report",)
    assert let_time_pass(callee, 100.0) == [(57.5, "forget", ())]
    assert callee == Callee(
        HUMAN, 0.0, "gone", code=200, answered_at=5.0, ended_at=25.0, ended_by="callee", acks=1,
        _resend_interval_s=0.5,
    )  # fmt: skip


def test_a_caller_who_hangs_up_first_ends_the_call() -> None:
    callee = answered()
    callee.step("ack", 5.1)
    assert callee.step("bye", 9.0) == ("accept", "end", "report")
    assert (callee.state, callee.ended_at, callee.ended_by) == ("over", 9.0, "caller")


def test_a_200_is_repeated_at_t1_doubling_up_to_t2_until_its_ack() -> None:
    """RFC 3261 §13.3.1.4."""
    callee = answered()
    assert [at - 5.0 for at, _, actions in let_time_pass(callee, 20.0) if actions == ("repeat",)] == [
        0.5, 1.5, 3.5, 7.5, 11.5,
    ]  # fmt: skip
    callee.step("ack", 20.0)
    assert let_time_pass(callee, 24.9) == []
    assert callee.resent == 5


def test_a_200_that_is_never_acknowledged_ends_in_a_bye_after_64_t1() -> None:
    callee = answered()
    seen = let_time_pass(callee, 37.0)
    assert seen[-1] == (37.0, "give_up", ("hang_up", "end"))
    assert (callee.state, callee.acks, callee.ended_at) == ("hanging_up", 0, 37.0)


def test_an_ack_that_comes_after_the_talk_is_over_still_ends_in_a_bye_at_once() -> None:
    callee = Callee(Plan("human", 200, talk_s=0.0), 0.0)
    callee.step("invite", 0.0)
    let_time_pass(callee, 0.0)
    callee.step("ack", 0.3)
    assert callee.due(0.3) == "hang_up"


def test_a_refusal_is_repeated_until_its_ack_and_kept_for_t4() -> None:
    """RFC 3261 §17.2.1: Timers G and I."""
    callee = invited(BUSY)
    assert let_time_pass(callee, 4.0) == [
        (0.0, "refuse", ("refuse", "end")),
        (0.5, "resend", ("repeat",)),
        (1.5, "resend", ("repeat",)),
        (3.5, "resend", ("repeat",)),
    ]
    assert callee.step("ack", 4.0) == ("report",)
    assert let_time_pass(callee, 60.0) == [(9.0, "forget", ())]
    assert (callee.code, callee.ended_at, callee.ended_by) == (486, 0.0, "callee")


def test_a_refusal_that_is_never_acknowledged_is_given_up_after_64_t1() -> None:
    """RFC 3261 §17.2.1: Timer H."""
    callee = invited(BUSY)
    assert let_time_pass(callee, 60.0)[-1] == (32.0, "give_up", ("report",))
    assert callee.state == "gone"


def test_a_cancel_before_the_answer_gets_200_and_487() -> None:
    callee = invited(UNANSWERED)
    let_time_pass(callee, 10.0)
    assert callee.step("cancel", 10.0) == ("accept", "terminate", "end")
    assert callee.step("cancel", 10.5) == ("accept",)
    assert callee.step("ack", 10.6) == ("report",)
    assert (callee.code, callee.ended_at, callee.ended_by, callee.cancels) == (
        487, 10.0, "cancel", 2,
    )  # fmt: skip


def test_a_cancel_after_the_answer_changes_nothing() -> None:
    """RFC 3261 §9.2."""
    callee = answered()
    assert callee.step("cancel", 5.2) == ("accept",)
    assert callee.state == "answered"


def test_nobody_answers_until_the_carrier_gives_up_with_480() -> None:
    callee = invited(UNANSWERED)
    assert let_time_pass(callee, 180.0) == [
        (0.0, "alert", ("alert",)),
        (180.0, "refuse", ("refuse", "end")),
    ]
    assert callee.code == 480


def test_silence_sends_nothing_whatever_comes() -> None:
    callee = Callee(Plan("silent", 0), 0.0)
    came: tuple[Event, ...] = ("hush", "invite", "invite", "cancel", "bye", "ack")
    assert [callee.step(event, 1.0) for event in came] == [()] * 6
    assert let_time_pass(callee, 60.0) == [(33.0, "forget", ("end", "report"))]
    assert (callee.ended_by, callee.code, callee.invite_retransmissions) == (None, 0, 2)


@pytest.mark.parametrize(
    ("callee", "event", "actions"),
    [
        (invited(HUMAN), "invite", ("repeat",)),
        (answered(), "invite", ("repeat",)),
        (invited(HUMAN), "bye", ("accept", "terminate", "end")),
        (invited(HUMAN), "ack", ()),
    ],
)
def test_what_comes_early_or_twice_is_answered_as_its_state_wants(
    callee: Callee, event: Event, actions: tuple[Action, ...]
) -> None:
    assert callee.step(event, 5.0) == actions


def test_byes_that_cross_are_both_answered() -> None:
    callee = answered()
    callee.step("ack", 5.0)
    let_time_pass(callee, 25.0)
    assert callee.step("bye", 25.1) == ("accept",)
    assert callee.step("response", 25.2) == ("report",)
    assert callee.step("bye", 25.6) == ("accept",)
    assert (callee.byes, callee.ended_by) == (2, "callee")


def test_a_bye_that_is_never_answered_is_repeated_and_given_up() -> None:
    """RFC 3261 §17.1.2: Timers E and F."""
    callee = answered()
    callee.step("ack", 5.0)
    seen = let_time_pass(callee, 100.0)
    assert [at - 25.0 for at, event, _ in seen if event == "resend"] == [
        0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5,
    ]  # fmt: skip
    assert seen[-1] == (57.0, "give_up", ("report",))


def test_every_state_but_the_last_is_left_again() -> None:
    left = {state for (state, _), (to, _) in TRANSITIONS.items() if to != state}
    assert left == set(get_args(State)) - {"gone"}


FROM_CALLER: tuple[Event, ...] = ("invite", "ack", "cancel", "bye", "response")


@given(
    plan=st.sampled_from([HUMAN, BUSY, UNANSWERED, Plan("human", 200), Plan("silent", 0)]),
    story=st.lists(st.tuples(st.sampled_from(FROM_CALLER), st.floats(0, 40)), max_size=20),
)
def test_every_call_ends_once_is_reported_once_and_is_forgotten(
    plan: Plan, story: list[tuple[Event, float]]
) -> None:
    """Whatever the caller does, in whatever order, and then nothing more."""
    callee = Callee(plan, 0.0)
    done = list(callee.step("invite" if plan.code else "hush", 0.0))
    now = 0.0
    for event, after_s in story:
        now += after_s
        for _, _, actions in let_time_pass(callee, now):
            done += actions
        done += callee.step(event, now)
    for _, _, actions in let_time_pass(callee, now + 1000.0):
        done += actions
    assert (done.count("end"), done.count("report"), callee.state) == (1, 1, "gone")
    assert done.count("answer") + done.count("refuse") + done.count("terminate") <= 1
    assert done.index("end") < done.index("report")
    assert callee.wake_at == inf
