"""Provisional responses that want a PRACK (RFC 3262), and the early dialogs they make."""

from __future__ import annotations

import pytest

from adapters.media.types import Remote
from adapters.sip.call.early import FORKS_MAX
from adapters.sip.call.outbox import MediaAgreed
from adapters.sip.call.reliable import RSEQ_MAX, is_next, rack_line
from adapters.sip.call.uac import PRACKS_MAX
from adapters.sip.wire.digest import Credentials
from adapters.sip.wire.hop import Hop
from adapters.sip.wire.message import Request
from engine.ports.telephony import Ended, Ringing
from tests.adapters.sip.lineup import (
    CALLEE_ADDRESS,
    CONTACT,
    SDP_TYPE,
    TRUNK,
    Headers,
    Lineup,
    answer_sdp,
)

REMOTE = Remote("192.0.2.99", 6000, 0)
MOVED = Remote("192.0.2.99", 7000, 0)
ROUTE = (b"Record-Route", b"<sip:192.0.2.51:5081;lr>, <sip:192.0.2.50:5080;lr>")
CHALLENGE = (b"WWW-Authenticate", b'Digest realm="carrier", nonce="n1", qop="auth"')


def ring(
    lineup: Lineup,
    invite: Request,
    rseq: int,
    *,
    status: int = 183,
    tag: bytes = b"callee",
    headers: Headers = (CONTACT,),
    body: bytes = b"",
) -> None:
    """A reliable provisional response."""
    lineup.respond(
        invite,
        status,
        tag=tag,
        headers=(
            (b"Require", b"100rel"),
            (b"RSeq", b"%d" % rseq),
            *headers,
            *([SDP_TYPE] if body else []),
        ),
        body=body,
    )


def answer(lineup: Lineup, invite: Request, body: bytes = b"", *, tag: bytes = b"callee") -> None:
    lineup.respond(
        invite, 200, tag=tag, headers=(CONTACT, *([SDP_TYPE] if body else [])), body=body
    )


def test_a_reliable_provisional_is_acknowledged_in_its_early_dialog() -> None:
    lineup = Lineup()
    _, invite = lineup.dial()
    ring(lineup, invite, 7041, headers=(CONTACT, ROUTE))
    ((data, address),) = lineup.datagrams()
    assert address == Hop("192.0.2.50", 5080)
    assert data == b"\r\n".join(
        (
            b"PRACK sip:callee@192.0.2.99:5099 SIP/2.0",
            b"Via: SIP/2.0/UDP 192.0.2.1:5062;rport;branch=z9hG4bK00000000000000000000000000000001.2",
            b"Route: <sip:192.0.2.50:5080;lr>",
            b"Route: <sip:192.0.2.51:5081;lr>",
            b"Max-Forwards: 70",
            b"From: <sip:+14155550100@192.0.2.1:5062>;tag=00000000000000000000000000000001",
            b"To: <sip:+14155550199@192.0.2.70:5070>;tag=callee",
            b"Call-ID: 00000000000000000000000000000001",
            b"CSeq: 2 PRACK",
            b"RAck: 7041 1 INVITE",
            b"Content-Length: 0",
            b"",
            b"",
        )
    )
    assert lineup.events() == [Ringing()]


@pytest.mark.parametrize(
    "headers",
    [
        (),
        ((b"RSeq", b"1"),),
        ((b"Require", b"100rel"),),
        ((b"Require", b"precondition"), (b"RSeq", b"1")),
        ((b"Require", b"100rel"), (b"RSeq", b"x")),
        ((b"Require", b"100rel"), (b"RSeq", b"%d" % (RSEQ_MAX + 1))),
        ((b"Require", b'100rel, "'), (b"RSeq", b"1")),
    ],
)
def test_a_provisional_that_cannot_be_acknowledged_rings_all_the_same(headers: Headers) -> None:
    lineup = Lineup()
    _, invite = lineup.dial()
    lineup.respond(invite, 180, headers=(CONTACT, *headers))
    assert (lineup.methods(), lineup.events()) == ([], [Ringing()])


def test_a_reliable_provisional_without_a_tag_has_no_dialog_to_be_acknowledged_in() -> None:
    lineup = Lineup()
    _, invite = lineup.dial()
    lineup.respond(invite, 180, tag=None, headers=((b"Require", b"100rel"), (b"RSeq", b"1")))
    assert (lineup.methods(), lineup.events()) == ([], [Ringing()])


def test_a_repeated_provisional_gets_no_second_prack_while_the_first_is_repeated() -> None:
    lineup = Lineup()
    _, invite = lineup.dial()
    for _ in range(3):
        ring(lineup, invite, 1)
    assert lineup.methods() == [b"PRACK"]
    lineup.wait(1.5)
    first, second = lineup.datagrams()
    assert first == second
    assert first[0].startswith(b"PRACK ")
    assert lineup.core.statistics().retransmissions_sent == 2


def test_an_answered_prack_is_not_repeated() -> None:
    lineup = Lineup()
    _, invite = lineup.dial()
    ring(lineup, invite, 1)
    (prack,) = lineup.requests()
    lineup.respond(prack, 200)
    lineup.wait(3600)
    assert (lineup.methods(), lineup.events()) == ([], [Ringing()])


def test_provisionals_are_acknowledged_in_their_order_and_one_too_early_not_at_all() -> None:
    lineup = Lineup()
    _, invite = lineup.dial()
    told = []
    for rseq in (5, 7, 6, 5, 8, 7):
        ring(lineup, invite, rseq)
        told.append([request.first(b"rack") for request in lineup.requests()])
    assert told == [[b"5 1 INVITE"], [], [b"6 1 INVITE"], [], [], [b"7 1 INVITE"]]


@pytest.mark.parametrize(
    ("rseq", "last", "is_it"),
    [(9, None, True), (10, 9, True), (9, 9, False), (8, 9, False), (11, 9, False)],
)
def test_the_next_reliable_provisional_follows_the_last_by_one(
    rseq: int, last: int | None, is_it: bool
) -> None:
    assert is_next(rseq, last) is is_it


def test_a_rack_names_the_response_and_the_invite() -> None:
    assert rack_line(776656, 1) == b"RAck: 776656 1 INVITE"


def test_each_fork_counts_for_itself() -> None:
    lineup = Lineup()
    _, invite = lineup.dial()
    ring(lineup, invite, 1, tag=b"one")
    ring(lineup, invite, 100, tag=b"two")
    ring(lineup, invite, 2, tag=b"one")
    pracks = lineup.requests()
    assert [(p.to_tag, p.cseq.number, p.first(b"rack")) for p in pracks] == [
        (b"one", 2, b"1 1 INVITE"),
        (b"two", 2, b"100 1 INVITE"),
        (b"one", 3, b"2 1 INVITE"),
    ]


def test_more_forks_than_the_bound_ring_unacknowledged() -> None:
    lineup = Lineup()
    _, invite = lineup.dial()
    for number in range(FORKS_MAX + 3):
        ring(lineup, invite, 1, tag=b"%d" % number)
    assert lineup.methods() == [b"PRACK"] * FORKS_MAX


def test_provisionals_that_come_faster_than_their_acknowledgements_go_are_left_for_later() -> None:
    lineup = Lineup()
    _, invite = lineup.dial()
    for rseq in range(1, 40):
        ring(lineup, invite, rseq)
    pracks = lineup.requests()
    assert len(pracks) == PRACKS_MAX
    for prack in pracks:
        lineup.respond(prack, 200)
    lineup.wait(6)
    ring(lineup, invite, PRACKS_MAX + 1)
    (prack,) = lineup.requests()
    assert prack.first(b"rack") == b"%d 1 INVITE" % (PRACKS_MAX + 1)


def test_a_challenged_prack_is_sent_again_with_credentials() -> None:
    lineup = Lineup(
        credentials=Credentials(b"user", b"secret"),
        trunk_hosts=(TRUNK.host, CALLEE_ADDRESS.host),
    )
    _, invite = lineup.dial()
    ring(lineup, invite, 9)
    (prack,) = lineup.requests()
    lineup.respond(prack, 401, headers=(CHALLENGE,))
    (again,) = lineup.requests()
    assert (again.method, again.cseq.number) == (b"PRACK", prack.cseq.number + 1)
    assert again.fields[b"rack"] == prack.fields[b"rack"]
    assert b'uri="sip:callee@192.0.2.99:5099"' in again.fields[b"authorization"][0]


def test_an_answer_in_a_reliable_provisional_is_the_answer_and_the_200_needs_none() -> None:
    lineup = Lineup()
    _, invite = lineup.dial()
    ring(lineup, invite, 1, body=answer_sdp())
    answer(lineup, invite)
    assert lineup.methods() == [b"PRACK", b"ACK"]
    assert lineup.events() == [Ringing(), MediaAgreed(REMOTE, is_first=True)]


def test_what_a_200_says_behind_a_reliable_answer_counts_no_more() -> None:
    lineup = Lineup()
    _, invite = lineup.dial()
    ring(lineup, invite, 1, body=answer_sdp())
    answer(lineup, invite, answer_sdp(port=9000))
    assert lineup.events() == [Ringing(), MediaAgreed(REMOTE, is_first=True)]


def test_a_reliable_answer_that_cannot_be_used_may_be_mended_by_the_200() -> None:
    lineup = Lineup()
    _, invite = lineup.dial()
    ring(lineup, invite, 1, body=answer_sdp(host="0.0.0.0"))
    answer(lineup, invite, answer_sdp())
    assert lineup.events() == [Ringing(), MediaAgreed(REMOTE, is_first=True)]


def test_the_answer_of_the_fork_that_answers_is_the_one_that_counts() -> None:
    lineup = Lineup()
    _, invite = lineup.dial()
    ring(lineup, invite, 1, tag=b"one", body=answer_sdp(port=6000))
    ring(lineup, invite, 1, tag=b"two", body=answer_sdp(port=7000))
    answer(lineup, invite, tag=b"two")
    assert lineup.events() == [Ringing(), MediaAgreed(MOVED, is_first=True)]


def test_what_was_counted_in_the_early_dialog_is_counted_on_when_it_is_up() -> None:
    lineup = Lineup()
    call, invite = lineup.dial()
    ring(lineup, invite, 1)
    ring(lineup, invite, 2)
    answer(lineup, invite, answer_sdp())
    lineup.hang_up(call)
    requests = lineup.requests()
    assert [(request.method, request.cseq.number) for request in requests] == [
        (b"PRACK", 2),
        (b"PRACK", 3),
        (b"ACK", 1),
        (b"BYE", 4),
    ]


def test_the_route_set_of_the_200_goes_before_that_of_the_early_dialog() -> None:
    lineup = Lineup()
    call, invite = lineup.dial()
    ring(lineup, invite, 1, headers=(CONTACT, ROUTE))
    answer(lineup, invite, answer_sdp())
    lineup.hang_up(call)
    (_, prack_to), (_, ack_to), (_, bye_to) = lineup.datagrams()
    assert (prack_to, ack_to, bye_to) == (
        Hop("192.0.2.50", 5080),
        CALLEE_ADDRESS,
        CALLEE_ADDRESS,
    )


def test_a_fork_that_answers_late_is_ended_with_a_number_behind_its_prack() -> None:
    lineup = Lineup()
    _, invite = lineup.dial()
    ring(lineup, invite, 1, tag=b"late")
    answer(lineup, invite, answer_sdp(), tag=b"first")
    lineup.requests()
    answer(lineup, invite, answer_sdp(), tag=b"late")
    ack, bye = lineup.requests()
    assert (ack.method, ack.cseq.number, ack.to_tag) == (b"ACK", 1, b"late")
    assert (bye.method, bye.cseq.number, bye.to_tag) == (b"BYE", 3, b"late")


@pytest.mark.parametrize("status", [408, 481, 500])
def test_a_refused_prack_cancels_the_call_and_it_is_lost(status: int) -> None:
    lineup = Lineup()
    _, invite = lineup.dial()
    ring(lineup, invite, 1)
    (prack,) = lineup.requests()
    lineup.respond(prack, status)
    (cancel,) = lineup.requests()
    assert (cancel.method, cancel.cseq.number, cancel.branch) == (b"CANCEL", 1, invite.branch)
    lineup.respond(cancel, 200)
    lineup.respond(invite, 487)
    assert lineup.methods() == [b"ACK"]
    assert lineup.events() == [Ringing(), Ended("lost", 487, "Request Terminated")]
    lineup.wait(33)
    assert lineup.core.statistics().calls_kept == 0


def test_a_prack_that_nobody_answers_cancels_the_call_after_64_t1() -> None:
    lineup = Lineup()
    _, invite = lineup.dial()
    ring(lineup, invite, 1)
    lineup.wait(31.9)
    assert set(lineup.methods()) == {b"PRACK"}
    lineup.wait(0.1)
    assert lineup.methods() == [b"CANCEL"]
    lineup.wait(32)
    assert lineup.events() == [Ringing(), Ended("lost")]
    assert lineup.core.statistics().calls_kept == 0


def test_a_refused_prack_leaves_the_other_forks_ringing() -> None:
    lineup = Lineup()
    _, invite = lineup.dial()
    ring(lineup, invite, 1, tag=b"one")
    lineup.respond(invite, 180, tag=b"two", headers=(CONTACT,))
    (prack,) = lineup.requests()
    lineup.respond(prack, 481)
    assert lineup.methods() == []
    answer(lineup, invite, answer_sdp(), tag=b"two")
    assert lineup.methods() == [b"ACK"]
    assert lineup.events() == [Ringing(), MediaAgreed(REMOTE, is_first=True)]


def test_a_prack_that_fails_behind_the_answer_costs_the_call_nothing() -> None:
    lineup = Lineup()
    _, invite = lineup.dial()
    ring(lineup, invite, 1)
    (prack,) = lineup.requests()
    answer(lineup, invite, answer_sdp())
    lineup.respond(prack, 481)
    assert lineup.methods() == [b"ACK"]
    assert lineup.events() == [Ringing(), MediaAgreed(REMOTE, is_first=True)]


def test_a_reliable_provisional_lets_a_held_cancel_go() -> None:
    lineup = Lineup()
    call, invite = lineup.dial()
    lineup.hang_up(call)
    ring(lineup, invite, 1)
    assert lineup.methods() == [b"PRACK", b"CANCEL"]


def test_a_challenged_invite_starts_its_forks_anew() -> None:
    lineup = Lineup(credentials=Credentials(b"user", b"secret"))
    _, invite = lineup.dial()
    ring(lineup, invite, 5)
    lineup.requests()
    lineup.respond(invite, 401, headers=(CHALLENGE,))
    _, again = lineup.requests()
    lineup.wait(0.4)
    assert lineup.methods() == []
    ring(lineup, again, 1)
    (prack,) = lineup.requests()
    assert (prack.cseq.number, prack.first(b"rack")) == (3, b"1 2 INVITE")
    lineup.wait(0.2)
    assert lineup.methods() == []


def test_a_refused_call_repeats_no_prack_and_answers_no_challenge_of_one() -> None:
    lineup = Lineup(credentials=Credentials(b"user", b"secret"))
    _, invite = lineup.dial()
    ring(lineup, invite, 1)
    (prack,) = lineup.requests()
    lineup.respond(invite, 486)
    lineup.respond(prack, 401, headers=(CHALLENGE,))
    lineup.wait(30)
    assert lineup.methods() == [b"ACK"]


def test_a_call_whose_callee_left_acknowledges_nothing_any_more() -> None:
    lineup = Lineup()
    _, invite = lineup.dial()
    lineup.respond(invite, 180)
    lineup.ask(invite, b"BYE")
    lineup.responses()
    ring(lineup, invite, 1)
    assert lineup.methods() == []
