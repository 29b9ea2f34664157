"""The timers of RFC 3261 §17 at their exact moments, and the tables against the RFC's figures."""

from __future__ import annotations

from math import inf

import pytest

from adapters.sip.call.transaction import (
    CLIENT,
    INVITE_CLIENT,
    INVITE_SERVER,
    SERVER,
    Effect,
    Event,
    State,
    Table,
    Timing,
    Transaction,
    due,
    response_event,
    step,
)
from adapters.sip.wire.hop import Hop

Log = list[tuple[float, tuple[Effect, ...]]]


def transaction(table: Table, state: State, timing: Timing | None = None) -> Transaction:
    return Transaction(
        table=table,
        method=b"X",
        branch=b"b",
        cseq=1,
        message=b"m",
        destination=Hop("192.0.2.1", 5060),
        timing=Timing() if timing is None else timing,
        state=state,
    )


def started(table: Table, state: State, timing: Timing | None = None) -> Transaction:
    subject = transaction(table, state, timing)
    assert step(subject, "start", 0.0) == ("send",)
    return subject


def run_timers(subject: Transaction, until: float = inf) -> Log:
    """Every effect that time alone brings, with its moment."""
    log: Log = []
    while (now := subject.next_wake) < until:
        event = due(subject, now)
        assert event is not None
        effects = step(subject, event, now)
        if effects:
            log.append((now, effects))
    return log


def test_timer_a_doubles_without_end_until_timer_b() -> None:
    invite = started(INVITE_CLIENT, "calling")
    assert run_timers(invite) == [
        (0.5, ("send",)),
        (1.5, ("send",)),
        (3.5, ("send",)),
        (7.5, ("send",)),
        (15.5, ("send",)),
        (31.5, ("send",)),
        (32.0, ("timed_out",)),
    ]
    assert invite.state == "terminated"


def test_timer_e_doubles_up_to_t2_until_timer_f() -> None:
    request = started(CLIENT, "trying")
    moments = [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert run_timers(request) == [
        *((moment, ("send",)) for moment in moments),
        (32.0, ("timed_out",)),
    ]


def test_a_provisional_slows_timer_e_to_t2_and_leaves_timer_f() -> None:
    request = started(CLIENT, "trying")
    assert step(request, "provisional", 0.1) == ("deliver",)
    moments = [0.5, 4.5, 8.5, 12.5, 16.5, 20.5, 24.5, 28.5]
    assert run_timers(request) == [
        *((moment, ("send",)) for moment in moments),
        (32.0, ("timed_out",)),
    ]


def test_a_provisional_stops_timers_a_and_b() -> None:
    invite = started(INVITE_CLIENT, "calling")
    assert step(invite, "provisional", 0.1) == ("deliver",)
    assert (invite.state, invite.next_wake) == ("proceeding", inf)


def test_a_refused_invite_is_acknowledged_each_time_until_timer_d() -> None:
    invite = started(INVITE_CLIENT, "calling")
    assert step(invite, "failure", 1.0) == ("ack", "deliver")
    assert step(invite, "failure", 2.0) == ("ack",)
    assert step(invite, "success", 2.0) == ()
    assert invite.next_wake == 33.0
    assert (run_timers(invite), invite.state) == ([], "terminated")


def test_an_accepted_invite_delivers_every_2xx_until_timer_m() -> None:
    invite = started(INVITE_CLIENT, "calling")
    assert step(invite, "success", 1.0) == ("deliver",)
    assert step(invite, "success", 20.0) == ("deliver",)
    assert step(invite, "failure", 20.0) == ()
    assert step(invite, "provisional", 20.0) == ()
    assert invite.next_wake == 33.0
    assert (run_timers(invite), invite.state) == ([], "terminated")


def test_an_answered_request_absorbs_repetitions_until_timer_k() -> None:
    request = started(CLIENT, "trying")
    assert step(request, "success", 1.0) == ("deliver",)
    assert step(request, "success", 2.0) == ()
    assert request.next_wake == 6.0
    assert (run_timers(request), request.state) == ([], "terminated")


@pytest.mark.parametrize(
    ("table", "state"), [(INVITE_CLIENT, "calling"), (CLIENT, "trying"), (CLIENT, "proceeding")]
)
def test_a_broken_transport_ends_what_waits_for_a_response(table: Table, state: State) -> None:
    subject = transaction(table, state)
    assert step(subject, "transport_failed", 0.0) == ("unreachable",)
    assert subject.is_over


@pytest.mark.parametrize("event", ["success", "failure"])
@pytest.mark.parametrize("provisionals", [0, 1, 2])
def test_a_request_is_answered_finally_after_any_number_of_provisionals(
    event: Event, provisionals: int
) -> None:
    request = started(CLIENT, "trying")
    for _ in range(provisionals):
        assert step(request, "provisional", 0.5) == ("deliver",)
    assert step(request, event, 1.0) == ("deliver",)
    assert (request.state, request.next_wake) == ("completed", 6.0)


def test_a_broken_transport_ends_a_refused_invite_quietly() -> None:
    invite = transaction(INVITE_CLIENT, "completed")
    assert step(invite, "transport_failed", 0.0) == ()
    assert invite.is_over


def test_a_broken_transport_does_not_end_an_invite_that_is_ringing() -> None:
    invite = transaction(INVITE_CLIENT, "proceeding")
    assert step(invite, "transport_failed", 0.0) == ()
    assert invite.state == "proceeding"


def test_a_final_response_to_an_invite_is_repeated_until_its_ack_then_timer_i_runs() -> None:
    reinvite = started(INVITE_SERVER, "completed")
    assert run_timers(reinvite, until=8.0) == [
        (moment, ("send",)) for moment in (0.5, 1.5, 3.5, 7.5)
    ]
    assert step(reinvite, "acknowledged", 8.0) == ()
    assert (reinvite.state, reinvite.next_wake) == ("confirmed", 13.0)
    assert step(reinvite, "request_again", 9.0) == ()
    assert (run_timers(reinvite), reinvite.state) == ([], "terminated")


def test_a_final_response_to_an_invite_that_is_never_acknowledged_says_so_at_timer_h() -> None:
    reinvite = started(INVITE_SERVER, "completed")
    assert run_timers(reinvite)[-1] == (32.0, ("unacknowledged",))


def test_a_response_is_sent_again_for_the_same_request_until_timer_j() -> None:
    bye = started(SERVER, "completed")
    assert step(bye, "request_again", 31.9) == ("send",)
    assert bye.next_wake == 32.0
    assert (run_timers(bye), bye.state) == ([], "terminated")


def test_every_timer_follows_the_configured_constants() -> None:
    timing = Timing(t1=0.1, t2=0.3, t4=0.7, d=9.0)
    request = started(CLIENT, "trying", timing)
    assert [round(moment, 3) for moment, _ in run_timers(request, until=1.0)] == [
        0.1,
        0.3,
        0.6,
        0.9,
    ]
    step(request, "success", 1.0)
    assert request.next_wake == 1.7
    invite = started(INVITE_CLIENT, "calling", timing)
    assert invite.expires_at == pytest.approx(6.4)
    step(invite, "failure", 1.0)
    assert invite.next_wake == 10.0


@pytest.mark.parametrize("table", [INVITE_CLIENT, CLIENT, INVITE_SERVER, SERVER])
def test_nothing_leaves_the_end_and_everything_reaches_it(table: Table) -> None:
    states = {state for state, _ in table}
    assert "terminated" not in states
    ends = {state for (state, _), transition in table.items() if transition.state == "terminated"}
    reached = set(ends)
    while True:
        more = {s for (s, _), t in table.items() if t.state in reached} - reached
        if not more:
            break
        reached |= more
    assert reached == states


@pytest.mark.parametrize(
    ("status", "event"),
    [
        (100, "provisional"),
        (199, "provisional"),
        (200, "success"),
        (299, "success"),
        (300, "failure"),
        (699, "failure"),
    ],
)
def test_a_status_is_an_event(status: int, event: Event) -> None:
    assert response_event(status) == event
