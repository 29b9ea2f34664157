"""A trunk that does not answer, that its adapter gives up, or that is full."""

from __future__ import annotations

import math

import pytest
import trio
from trio.testing import MockClock

from engine.dial.limits.party import Block, Permit
from engine.dial.trunks.trunk import (
    BACKOFF_FIRST_S,
    BACKOFF_MAX_S,
    UNHEARD_CALLS,
    UNHEARD_S,
    Trunk,
    TrunkCall,
    TrunkSettings,
)


def a_trunk(cps: float = 100, channels: int = 1000) -> Trunk:
    return Trunk(TrunkSettings("main", channels, cps))


def send(trunk: Trunk, now: float) -> TrunkCall:
    """A call that is let go and leaves, each to another callee."""
    assert trunk.blocked_by(now) is None
    call = trunk.admit(f"+1{now}")
    Permit((trunk.limits,), now).mark_sent(now)
    call.mark_sent(now)
    return call


def code(block: Block | None) -> str | None:
    return None if block is None else block.code


def fail(trunk: Trunk, now: float) -> float:
    """A call gets no answer at all; when the trunk is tried again."""
    call = send(trunk, now)
    call.note_silence(now + 32)
    call.close()
    block = trunk.blocked_by(now + 32)
    assert block is not None
    return block.until


def test_a_silent_trunk_rests_twice_as_long_each_time() -> None:
    trunk = a_trunk()
    now, rests = 0.0, []
    for _ in range(7):
        until = fail(trunk, now)
        rests.append(until - now - 32)
        now = until
    assert rests == [BACKOFF_FIRST_S * 2**n for n in range(5)] + [BACKOFF_MAX_S] * 2


def test_a_call_leaves_a_trunk_alone_that_fails_after_it_was_prepared() -> None:
    trunk = a_trunk()
    tried_out = trunk.admit("+11")
    trunk.note_condition(False, "Its only server is being tried again.")
    tried_out.mark_prepared()
    assert tried_out.may_leave(0)
    assert not trunk.admit("+12").may_leave(0)
    trunk.note_condition(False, "It is not registered.")
    assert not tried_out.may_leave(0)


def test_many_calls_that_were_under_way_to_a_silent_trunk_count_once() -> None:
    trunk = a_trunk()
    calls = [send(trunk, n / 10) for n in range(40)]
    for n, call in enumerate(calls):
        call.note_silence(32 + n / 10)
        call.close()
    block = trunk.blocked_by(33.0)
    assert block is not None
    assert (block.code, block.until) == ("trunk_down", 32 + BACKOFF_FIRST_S)


def test_after_its_rest_a_trunk_gets_one_call_at_a_time_until_an_answer_comes() -> None:
    trunk = a_trunk()
    now = fail(trunk, 0.0)
    trial = send(trunk, now)
    assert code(trunk.blocked_by(now + 1)) == "trunk_down"
    trial.note_answer(now + 2)
    for n in range(5):
        send(trunk, now + 2 + n / 10)
    assert trunk.down_by(now + 3) is None


def test_a_trial_that_never_leaves_makes_room_for_another() -> None:
    trunk = a_trunk()
    now = fail(trunk, 0.0)
    trunk.admit("+11").close()
    assert trunk.blocked_by(now) is None
    send(trunk, now)
    assert code(trunk.blocked_by(now)) == "trunk_down"


def test_an_answer_to_any_call_ends_the_rest() -> None:
    trunk = a_trunk()
    slow, silent = send(trunk, 0.0), send(trunk, 0.1)
    silent.note_silence(32.1)
    slow.note_answer(32.5)
    assert trunk.blocked_by(32.5) is None


@pytest.mark.parametrize("is_taken", [True, False])
def test_a_call_without_an_answer_says_nothing_of_a_trunk_that_answered_others_meanwhile(
    is_taken: bool,
) -> None:
    trunk = a_trunk()
    silent, other = send(trunk, 0.0), send(trunk, 5.0)
    if is_taken:
        other.note_answer(6.0)
    else:
        other.note_refusal("pace", None, 6.0)
    silent.note_silence(32.0)
    assert trunk.blocked_by(32.0) is None
    late = send(trunk, 32.0)
    late.note_silence(64.0)
    assert code(trunk.blocked_by(64.0)) == "trunk_down"


def test_a_refusal_for_want_of_capacity_is_an_answer() -> None:
    trunk = a_trunk()
    now = fail(trunk, 0.0)
    send(trunk, now).note_refusal("pace", None, now + 1)
    assert trunk.down_by(now + 1) is None


def test_a_trunk_that_answers_nothing_at_all_takes_a_bounded_number_of_calls_with_it() -> None:
    trunk = a_trunk(cps=1000)
    now = calls = 0
    while trunk.down_by(now / 100) is None and now < 3200:
        send(trunk, now / 100)
        calls, now = calls + 1, now + 1
    assert now / 100 == pytest.approx(UNHEARD_S)
    block = trunk.down_by(now / 100)
    assert block is not None
    assert block.until == math.inf
    assert f"last {calls} calls" in block.detail


def test_few_calls_without_an_answer_hold_nothing_back() -> None:
    """Telephones may be slow to ring; a trunk's limit of channels bounds such calls."""
    trunk = a_trunk()
    for n in range(UNHEARD_CALLS - 1):
        send(trunk, n / 10)
    assert trunk.blocked_by(31.0) is None


def test_calls_that_are_over_hold_nothing_back() -> None:
    trunk = a_trunk(cps=1000)
    calls = [send(trunk, n / 100) for n in range(UNHEARD_CALLS)]
    assert code(trunk.blocked_by(10.0)) == "trunk_down"
    calls[0].close()
    assert trunk.blocked_by(10.0) is None


def test_one_answer_lets_all_calls_go_on() -> None:
    trunk = a_trunk(cps=1000)
    calls = [send(trunk, n / 100) for n in range(2 * UNHEARD_CALLS)]
    calls[7].note_answer(10.0)
    assert trunk.blocked_by(10.0) is None


def test_a_trunk_that_cannot_be_used_is_down_until_it_is_said_to_be_well() -> None:
    trunk = a_trunk()
    trunk.note_condition(False, "Its registration was refused (403).")
    assert trunk.blocked_by(1e9) == Block(
        "trunk_down", math.inf, None, "Its registration was refused (403)."
    )
    send_late = trunk.admit("+11")
    assert not send_late.may_leave(0.0)
    trunk.note_condition(True, "It is registered.")
    assert trunk.blocked_by(0.0) is None
    assert send_late.may_leave(0.0)


def test_a_trunk_that_becomes_well_again_has_no_earlier_silence_held_against_it() -> None:
    trunk = a_trunk()
    fail(trunk, 0.0)
    trunk.note_condition(False, "Its probes are not answered.")
    trunk.note_condition(True, "Its probes are answered.")
    send(trunk, 32.0)
    send(trunk, 32.1)


def test_a_trunk_that_was_never_unusable_is_not_brought_up_by_being_well() -> None:
    trunk = a_trunk()
    until = fail(trunk, 0.0)
    trunk.note_condition(True, "All is well.")
    assert code(trunk.blocked_by(until - 1)) == "trunk_down"


def test_retry_after_is_the_blocker_with_its_end_and_its_reason() -> None:
    trunk = a_trunk()
    let_go = trunk.admit("+11")
    send(trunk, 0.0).note_refusal("either", 7.0, 1.0)
    block = trunk.blocked_by(2.0)
    assert block is not None
    assert (block.code, block.until) == ("trunk_cps", 8.0)
    assert "asked for a pause" in block.detail
    assert not let_go.may_leave(2.0)
    assert let_go.may_leave(8.0)


def test_a_slowed_trunk_says_so() -> None:
    trunk = a_trunk(cps=10)
    calls = [send(trunk, n / 10) for n in range(10)]
    for call in calls[:8]:
        call.note_answer(1.0)
    for call in calls[8:]:
        call.note_refusal("pace", None, 1.0)
    block = trunk.blocked_by(0.95)
    assert block is not None
    assert block.code == "trunk_cps"
    assert "7.2 a second" in block.detail
    for call in calls:
        call.close()


def test_a_trunk_with_fewer_channels_says_so() -> None:
    trunk = a_trunk(cps=100)
    calls = [send(trunk, n / 10) for n in range(10)]
    for call in calls[8:]:
        call.note_refusal("channels", None, 1.0)
    block = trunk.blocked_by(3.0)
    assert block is not None
    assert (block.code, block.until, block.line) == ("trunk_channels", math.inf, trunk.limits)
    assert "7 at once" in block.detail


async def test_who_waits_for_a_trunk_hears_that_it_answers_again(autojump_clock: MockClock) -> None:
    trunk = a_trunk()
    heard: list[float] = []
    trunk.limits.on_change.append(lambda: heard.append(trio.current_time()))
    now = fail(trunk, 0.0)
    heard.clear()
    send(trunk, now).note_answer(now + 1)
    assert heard
