"""One call against a scripted callee: what is sent, what is told, and when."""

from __future__ import annotations

import pytest

from adapters.media import sdp
from adapters.media.types import Remote
from adapters.sip.call.outbox import MediaAgreed
from adapters.sip.wire.digest import Credentials
from adapters.sip.wire.hop import Hop
from adapters.sip.wire.message import Request
from engine.ports.telephony import Ended, Ringing
from tests.adapters.sip.lineup import (
    CALLEE,
    CALLEE_ADDRESS,
    CONTACT,
    SDP_TYPE,
    TRUNK,
    Lineup,
    answer_sdp,
)

CREDENTIALS = Credentials(b"user", b"secret")
CARRIER = (TRUNK.host, CALLEE_ADDRESS.host)
"""A trunk of which the callee's Contact is a server too."""
REMOTE = Remote("192.0.2.99", 6000, 0)
HUNG_UP = Ended("we_hung_up", 200, "OK")


def challenge(
    nonce: bytes = b"n1", realm: bytes = b"carrier", more: bytes = b""
) -> tuple[bytes, bytes]:
    value = b'Digest realm="%b", nonce="%b", qop="auth", algorithm=SHA-256%b' % (realm, nonce, more)
    return (b"WWW-Authenticate", value)


def credentials_in(request: Request, name: bytes = b"authorization") -> dict[bytes, bytes]:
    value = request.first(name)
    assert value is not None
    parts = (part.partition(b"=") for part in value.removeprefix(b"Digest ").split(b", "))
    return {key: word.strip(b'"') for key, _, word in parts}


def test_an_invite_says_who_calls_whom_and_offers_audio() -> None:
    lineup = Lineup()
    lineup.core.dial(lineup.prepare(), lineup.now)
    ((data, address),) = lineup.datagrams()
    offer = sdp.build_offer("192.0.2.1", 20000, 7)
    assert address == TRUNK
    assert data == b"\r\n".join(
        (
            b"INVITE sip:+14155550199@192.0.2.70:5070 SIP/2.0",
            b"Via: SIP/2.0/UDP 192.0.2.1:5062;rport;branch=z9hG4bK00000000000000000000000000000001.1",
            b"Max-Forwards: 70",
            b"From: <sip:+14155550100@192.0.2.1:5062>;tag=00000000000000000000000000000001",
            b"To: <sip:+14155550199@192.0.2.70:5070>",
            b"Call-ID: 00000000000000000000000000000001",
            b"CSeq: 1 INVITE",
            b"Contact: <sip:callwheel@192.0.2.1:5062>",
            b"Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE",
            b"User-Agent: callwheel",
            b"Content-Type: application/sdp",
            b"Supported: 100rel, timer",
            b"Session-Expires: 1800",
            b"Min-SE: 90",
            b"Content-Length: %d" % len(offer),
            b"",
            offer,
        )
    )


def test_a_complete_call_rings_is_answered_and_is_hung_up() -> None:
    lineup = Lineup()
    call, invite = lineup.dial()
    lineup.respond(invite, 100, tag=None)
    assert lineup.events() == []
    lineup.respond(invite, 180)
    assert lineup.events() == [Ringing()]
    lineup.respond(invite, 200, headers=(CONTACT, SDP_TYPE), body=answer_sdp())
    ((ack_data, ack_address),) = lineup.datagrams()
    assert ack_data.startswith(b"ACK sip:callee@192.0.2.99:5099 SIP/2.0\r\n")
    assert ack_address == CALLEE_ADDRESS
    assert lineup.events() == [MediaAgreed(REMOTE, is_first=True)]
    lineup.hang_up(call)
    (bye,) = lineup.requests()
    assert (bye.method, bye.uri, bye.cseq.number) == (b"BYE", CALLEE.strip(b"<>"), 2)
    assert lineup.events() == []
    lineup.respond(bye, 200)
    assert lineup.events() == [HUNG_UP]
    assert (lineup.methods(), lineup.core.statistics().retransmissions_sent) == ([], 0)


def test_ringing_is_told_once_however_often_the_callee_says_it() -> None:
    lineup = Lineup()
    _, invite = lineup.dial()
    for status in (180, 183, 180, 182):
        lineup.respond(invite, status)
    assert lineup.events() == [Ringing()]


def test_every_repeated_200_gets_the_same_ack_again() -> None:
    lineup = Lineup()
    _, invite = lineup.dial()
    for _ in range(3):
        lineup.respond(invite, 200, headers=(CONTACT, SDP_TYPE), body=answer_sdp())
    acks = lineup.datagrams()
    assert len(acks) == 3
    assert len(set(acks)) == 1
    assert lineup.events() == [MediaAgreed(REMOTE, is_first=True)]


def test_an_invite_without_any_response_is_repeated_and_ends_unreachable_after_64_t1() -> None:
    lineup = Lineup()
    began = lineup.now
    lineup.dial()
    sent = []
    while lineup.core.next_wake() <= began + 32:
        lineup.wait(lineup.core.next_wake() - lineup.now)
        sent += [lineup.now - began for _ in lineup.requests()]
    assert sent == [0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert lineup.events() == [Ended("unreachable")]
    assert lineup.core.statistics().calls_kept == 0


def test_a_provisional_stops_the_repetitions() -> None:
    lineup = Lineup()
    _, invite = lineup.dial()
    lineup.respond(invite, 100, tag=None)
    lineup.wait(3600)
    assert (lineup.methods(), lineup.events()) == ([], [])


@pytest.mark.parametrize("is_provisional_first", [True, False])
@pytest.mark.parametrize("status", [302, 404, 486, 503, 603])
def test_a_refusal_is_acknowledged_in_its_transaction_and_ends_the_call(
    status: int, is_provisional_first: bool
) -> None:
    lineup = Lineup()
    _, invite = lineup.dial()
    if is_provisional_first:
        lineup.respond(invite, 100, tag=None)
    lineup.respond(invite, status, reason=b"N\xe4", tag=b"x")
    (ack,) = lineup.requests()
    assert (ack.method, ack.branch, ack.to_tag) == (b"ACK", invite.branch, b"x")
    assert (ack.uri, ack.cseq.number) == (invite.uri, invite.cseq.number)
    assert lineup.events() == [Ended("rejected", status, "N\ufffd")]
    lineup.respond(invite, status, tag=b"x")
    assert lineup.methods() == [b"ACK"]
    lineup.wait(32)
    assert lineup.core.statistics().calls_kept == 0


def test_a_refusal_carries_its_cause_and_its_retry_after() -> None:
    lineup = Lineup()
    _, invite = lineup.dial()
    reason = (b"Reason", b'SIP;cause=503, Q.850;cause=34;text="no, circuit"')
    lineup.respond(invite, 503, headers=(reason, (b"Retry-After", b"30 (busy)")))
    assert lineup.events() == [Ended("rejected", 503, "Service Unavailable", 34, 30.0)]


def test_a_reason_that_cannot_be_read_costs_the_refusal_nothing() -> None:
    lineup = Lineup()
    _, invite = lineup.dial()
    lineup.respond(invite, 486, headers=((b"Reason", b'Q.850;cause=17;text="open, '),))
    assert lineup.events() == [Ended("rejected", 486, "Busy Here")]


def test_hanging_up_before_dialling_sends_nothing() -> None:
    lineup = Lineup()
    call = lineup.prepare()
    lineup.hang_up(call)
    assert (lineup.datagrams(), lineup.events()) == ([], [Ended("we_hung_up")])


def test_hanging_up_while_it_rings_cancels_and_487_ends_it() -> None:
    lineup = Lineup()
    call, invite = lineup.dial()
    lineup.respond(invite, 180)
    lineup.hang_up(call)
    (cancel,) = lineup.requests()
    assert (cancel.method, cancel.uri, cancel.branch) == (b"CANCEL", invite.uri, invite.branch)
    assert cancel.fields[b"to"] == invite.fields[b"to"]
    assert cancel.cseq.number == invite.cseq.number
    lineup.respond(cancel, 200)
    lineup.respond(invite, 487)
    assert lineup.methods() == [b"ACK"]
    assert lineup.events() == [Ringing(), Ended("we_hung_up", 487, "Request Terminated")]


def test_whatever_refusal_answers_a_cancelled_invite_we_hung_up() -> None:
    lineup = Lineup()
    call, invite = lineup.dial()
    lineup.respond(invite, 183)
    lineup.hang_up(call)
    lineup.respond(invite, 603)
    assert lineup.events()[-1] == Ended("we_hung_up", 603, "Decline")


def test_a_cancel_waits_for_a_provisional() -> None:
    lineup = Lineup()
    call, invite = lineup.dial()
    lineup.hang_up(call)
    lineup.hang_up(call)
    assert lineup.methods() == []
    lineup.respond(invite, 100, tag=None)
    assert lineup.methods() == [b"CANCEL"]


def test_a_refusal_before_the_held_cancel_left_is_a_refusal() -> None:
    lineup = Lineup()
    call, invite = lineup.dial()
    lineup.hang_up(call)
    lineup.respond(invite, 486)
    assert lineup.methods() == [b"ACK"]
    assert lineup.events() == [Ended("rejected", 486, "Busy Here")]


def test_a_held_cancel_without_any_response_ends_unreachable() -> None:
    lineup = Lineup()
    call, _ = lineup.dial()
    lineup.wait(1)
    lineup.hang_up(call)
    lineup.wait(31)
    assert lineup.events() == [Ended("unreachable")]


@pytest.mark.parametrize("body", [answer_sdp(), b""])
@pytest.mark.parametrize("is_provisional_first", [True, False])
def test_a_200_that_crosses_the_hang_up_is_acknowledged_and_ended(
    is_provisional_first: bool, body: bytes
) -> None:
    lineup = Lineup()
    call, invite = lineup.dial()
    if is_provisional_first:
        lineup.respond(invite, 100, tag=None)
    lineup.hang_up(call)
    lineup.requests()
    lineup.respond(invite, 200, headers=(CONTACT, SDP_TYPE), body=body)
    ack, bye = lineup.requests()
    assert (ack.method, bye.method) == (b"ACK", b"BYE")
    lineup.respond(bye, 200)
    assert lineup.events() == [HUNG_UP]


def test_hanging_up_ends_a_call_within_64_t1_however_late_the_200_comes() -> None:
    lineup = Lineup()
    call, invite = lineup.dial()
    lineup.hang_up(call)
    lineup.wait(10)
    lineup.respond(invite, 180)
    lineup.wait(10)
    lineup.respond(invite, 200, headers=(CONTACT, SDP_TYPE), body=answer_sdp())
    lineup.wait(11.9)
    assert lineup.events() == []
    lineup.wait(0.1)
    assert lineup.events() == [HUNG_UP]


def test_a_callee_that_says_bye_to_a_cancel_ends_the_call() -> None:
    lineup = Lineup()
    call, invite = lineup.dial()
    lineup.respond(invite, 180)
    lineup.hang_up(call)
    lineup.requests()
    lineup.ask(invite, b"BYE")
    assert [response.status for response in lineup.responses()] == [200]
    assert lineup.events() == [Ringing(), Ended("we_hung_up")]


def test_a_cancel_that_no_487_follows_ends_after_64_t1() -> None:
    lineup = Lineup()
    call, invite = lineup.dial()
    lineup.respond(invite, 180)
    lineup.hang_up(call)
    (cancel,) = lineup.requests()
    lineup.respond(cancel, 200)
    lineup.events()
    lineup.wait(31.9)
    assert lineup.events() == []
    lineup.wait(0.1)
    assert lineup.events() == [Ended("we_hung_up")]
    assert lineup.core.statistics().calls_kept == 0


def test_a_bye_that_nobody_answers_is_repeated_and_ends_the_call_after_64_t1() -> None:
    lineup = Lineup()
    call, _ = lineup.answer()
    lineup.hang_up(call)
    lineup.wait(31.9)
    assert lineup.methods() == [b"BYE"] * 11
    assert lineup.events() == []
    lineup.wait(0.1)
    assert lineup.events() == [HUNG_UP]


@pytest.mark.parametrize("status", [408, 481, 500])
def test_a_refused_bye_ends_the_call_all_the_same(status: int) -> None:
    lineup = Lineup()
    call, _ = lineup.answer()
    lineup.hang_up(call)
    (bye,) = lineup.requests()
    lineup.respond(bye, status)
    assert lineup.events() == [HUNG_UP]


def test_a_callee_that_hangs_up_is_answered_and_its_cause_is_told() -> None:
    lineup = Lineup()
    _, invite = lineup.answer()
    lineup.ask(invite, b"BYE", headers=((b"Reason", b"Q.850;cause=16"),))
    (response,) = lineup.responses()
    assert (response.status, response.cseq.method) == (200, b"BYE")
    assert lineup.events() == [Ended("callee_hung_up", 200, "OK", 16)]


def test_a_callee_whose_200_was_lost_before_its_bye_hung_up() -> None:
    lineup = Lineup()
    _, invite = lineup.dial()
    lineup.respond(invite, 180)
    lineup.ask(invite, b"BYE")
    assert [response.status for response in lineup.responses()] == [200]
    assert lineup.events() == [Ringing(), Ended("callee_hung_up", 200, "OK")]
    lineup.respond(invite, 200, headers=(CONTACT, SDP_TYPE), body=answer_sdp())
    assert lineup.methods() == [b"ACK", b"BYE"]
    assert lineup.events() == []


def test_byes_that_cross_end_the_call_once() -> None:
    lineup = Lineup()
    call, invite = lineup.answer()
    lineup.hang_up(call)
    (bye,) = lineup.requests()
    lineup.ask(invite, b"BYE")
    assert [response.status for response in lineup.responses()] == [200]
    assert lineup.events() == [HUNG_UP]
    lineup.respond(bye, 481)
    assert lineup.events() == []


def test_a_second_fork_that_answers_is_acknowledged_and_ended_alone() -> None:
    lineup = Lineup()
    call, invite = lineup.answer(tag=b"first")
    other = (b"Contact", b"<sip:other@192.0.2.98>")
    lineup.respond(invite, 200, tag=b"second", headers=(other, SDP_TYPE), body=answer_sdp())
    (ack, ack_to), (bye, bye_to) = lineup.datagrams()
    assert ack.startswith(b"ACK sip:other@192.0.2.98 SIP/2.0\r\n")
    assert bye.startswith(b"BYE sip:other@192.0.2.98 SIP/2.0\r\n")
    assert ack_to == bye_to == Hop("192.0.2.98", 5060)
    assert b";tag=second\r\n" in ack
    assert b";tag=second\r\n" in bye
    lineup.respond(invite, 200, tag=b"second", headers=(other, SDP_TYPE), body=answer_sdp())
    assert lineup.methods() == [b"ACK"]
    assert lineup.events() == []
    lineup.hang_up(call)
    (bye_first,) = lineup.requests()
    assert bye_first.to_tag == b"first"


def test_more_forks_than_the_bound_are_left_to_their_own_timers() -> None:
    lineup = Lineup()
    _, invite = lineup.answer(tag=b"0")
    for number in range(1, 12):
        lineup.respond(
            invite, 200, tag=b"%d" % number, headers=(CONTACT, SDP_TYPE), body=answer_sdp()
        )
    assert lineup.methods() == [b"ACK", b"BYE"] * 7


@pytest.mark.parametrize(
    "body",
    [b"", b"garbage", answer_sdp(port=0), answer_sdp(codecs="9"), answer_sdp(host="0.0.0.0")],
)
@pytest.mark.parametrize("is_provisional_first", [True, False])
def test_an_answer_without_usable_media_is_acknowledged_and_ended(
    body: bytes, is_provisional_first: bool
) -> None:
    lineup = Lineup()
    _, invite = lineup.dial()
    if is_provisional_first:
        lineup.respond(invite, 100, tag=None)
    lineup.respond(invite, 200, headers=(CONTACT, SDP_TYPE), body=body)
    ack, bye = lineup.requests()
    assert (ack.method, bye.method) == (b"ACK", b"BYE")
    lineup.respond(bye, 200)
    assert lineup.events() == [Ended("no_media", 200, "OK")]


def test_an_answer_that_only_the_183_carried_is_taken() -> None:
    lineup = Lineup()
    _, invite = lineup.dial()
    lineup.respond(invite, 183, headers=(SDP_TYPE,), body=answer_sdp())
    lineup.respond(invite, 200, headers=(CONTACT,))
    assert lineup.events() == [Ringing(), MediaAgreed(REMOTE, is_first=True)]


def test_a_lost_stream_ends_an_answered_call_with_a_bye() -> None:
    lineup = Lineup()
    call, _ = lineup.answer()
    lineup.core.lose_stream(call, lineup.now)
    (bye,) = lineup.requests()
    lineup.respond(bye, 200)
    assert (bye.method, lineup.events()) == (b"BYE", [Ended("lost", 200, "OK")])


def test_routes_recorded_by_proxies_are_followed() -> None:
    lineup = Lineup()
    call, invite = lineup.dial()
    route = (b"Record-Route", b"<sip:192.0.2.51:5081;lr>, <sip:192.0.2.50:5080;lr>")
    lineup.respond(invite, 200, headers=(CONTACT, SDP_TYPE, route), body=answer_sdp())
    lineup.hang_up(call)
    for data, address in lineup.datagrams():
        assert b"Route: <sip:192.0.2.50:5080;lr>\r\nRoute: <sip:192.0.2.51:5081;lr>\r\n" in data
        assert address == Hop("192.0.2.50", 5080)


@pytest.mark.parametrize("is_provisional_first", [True, False])
def test_a_challenge_is_answered_with_a_new_invite(is_provisional_first: bool) -> None:
    lineup = Lineup(credentials=CREDENTIALS)
    _, invite = lineup.dial()
    if is_provisional_first:
        lineup.respond(invite, 100, tag=None)
    lineup.respond(invite, 401, headers=(challenge(),))
    ack, again = lineup.requests()
    assert (ack.method, ack.branch) == (b"ACK", invite.branch)
    assert (again.method, again.cseq.number) == (b"INVITE", 2)
    assert (again.call_id, again.from_tag) == (invite.call_id, invite.from_tag)
    assert again.branch != invite.branch
    assert again.body == invite.body
    given = credentials_in(again)
    assert given[b"uri"] == again.uri
    assert (given[b"nonce"], given[b"nc"]) == (b"n1", b"00000001")
    assert lineup.events() == []


def test_the_ack_and_the_bye_of_a_challenged_call_bring_credentials_unasked() -> None:
    lineup = Lineup(credentials=CREDENTIALS, trunk_hosts=CARRIER)
    call, invite = lineup.dial()
    lineup.respond(invite, 407, headers=((b"Proxy-Authenticate", challenge()[1]),))
    _, again = lineup.requests()
    lineup.respond(again, 200, headers=(CONTACT, SDP_TYPE), body=answer_sdp())
    lineup.hang_up(call)
    ack, bye = lineup.requests()
    name = b"proxy-authorization"
    assert ack.fields[name] == again.fields[name]
    assert ack.cseq.number == 2
    assert credentials_in(bye, name)[b"nc"] == b"00000002"
    assert credentials_in(bye, name)[b"uri"] == bye.uri


def test_a_challenged_bye_is_sent_again_with_credentials() -> None:
    lineup = Lineup(credentials=CREDENTIALS, trunk_hosts=CARRIER)
    call, _ = lineup.answer()
    lineup.hang_up(call)
    (bye,) = lineup.requests()
    assert b"authorization" not in bye.fields
    lineup.respond(bye, 401, headers=(challenge(),))
    (again,) = lineup.requests()
    assert (again.method, again.cseq.number) == (b"BYE", 3)
    assert credentials_in(again)[b"nonce"] == b"n1"
    assert lineup.events() == []
    lineup.respond(again, 200)
    assert lineup.events() == [HUNG_UP]


def test_a_stale_nonce_is_forgiven_once() -> None:
    lineup = Lineup(credentials=CREDENTIALS)
    _, invite = lineup.dial()
    lineup.respond(invite, 401, headers=(challenge(b"n1"),))
    _, second = lineup.requests()
    lineup.respond(second, 401, headers=(challenge(b"n2", more=b", stale=true"),))
    _, third = lineup.requests()
    assert credentials_in(third)[b"nonce"] == b"n2"
    lineup.respond(third, 401, headers=(challenge(b"n3", more=b", stale=true"),))
    assert lineup.methods() == [b"ACK"]
    assert lineup.events() == [Ended("rejected", 401, "Unauthorized")]


def test_the_same_realm_again_means_wrong_credentials() -> None:
    lineup = Lineup(credentials=CREDENTIALS)
    _, invite = lineup.dial()
    lineup.respond(invite, 401, headers=(challenge(b"n1"),))
    _, second = lineup.requests()
    lineup.respond(second, 401, headers=(challenge(b"n2"),))
    assert lineup.methods() == [b"ACK"]
    assert lineup.events() == [Ended("rejected", 401, "Unauthorized")]


def test_a_proxy_and_a_server_may_each_challenge_once() -> None:
    lineup = Lineup(credentials=CREDENTIALS)
    _, invite = lineup.dial()
    lineup.respond(invite, 407, headers=((b"Proxy-Authenticate", challenge(b"p")[1]),))
    _, second = lineup.requests()
    lineup.respond(second, 401, headers=(challenge(b"s"),))
    _, third = lineup.requests()
    assert credentials_in(third, b"proxy-authorization")[b"nc"] == b"00000002"
    assert credentials_in(third)[b"nc"] == b"00000001"


def test_of_several_challenges_the_strongest_is_answered() -> None:
    lineup = Lineup(credentials=CREDENTIALS)
    _, invite = lineup.dial()
    weak = (b"WWW-Authenticate", b'Digest realm="carrier", nonce="weak", algorithm=MD5')
    odd = (b"WWW-Authenticate", b'Digest realm="carrier", nonce="odd", algorithm=X')
    lineup.respond(invite, 401, headers=(odd, weak, challenge(b"strong")))
    _, again = lineup.requests()
    assert credentials_in(again)[b"nonce"] == b"strong"


@pytest.mark.parametrize(
    ("credentials", "realm", "header"),
    [
        (None, None, challenge()),
        (CREDENTIALS, b"carrier", challenge(realm=b"elsewhere")),
        (CREDENTIALS, None, (b"WWW-Authenticate", b'Basic realm="x"')),
        (CREDENTIALS, None, (b"WWW-Authenticate", b'Digest realm="x')),
        (CREDENTIALS, None, (b"X-None", b"")),
    ],
)
def test_a_challenge_that_cannot_be_answered_is_a_refusal(
    credentials: Credentials | None, realm: bytes | None, header: tuple[bytes, bytes]
) -> None:
    lineup = Lineup(credentials=credentials, realm=realm)
    _, invite = lineup.dial()
    lineup.respond(invite, 401, headers=(header,))
    assert lineup.methods() == [b"ACK"]
    assert lineup.events() == [Ended("rejected", 401, "Unauthorized")]


@pytest.mark.parametrize("is_provisional_first", [True, False])
def test_a_challenge_after_the_hang_up_is_not_answered(is_provisional_first: bool) -> None:
    lineup = Lineup(credentials=CREDENTIALS)
    call, invite = lineup.dial()
    if is_provisional_first:
        lineup.respond(invite, 100, tag=None)
    lineup.hang_up(call)
    lineup.requests()
    lineup.respond(invite, 401, headers=(challenge(),))
    assert lineup.methods() == [b"ACK"]
    assert lineup.events() == [Ended("we_hung_up", 401, "Unauthorized")]


def test_a_response_on_another_branch_is_not_ours() -> None:
    lineup = Lineup()
    _, invite = lineup.dial()
    invite.fields[b"via"][0] = invite.fields[b"via"][0].replace(b".1", b".9")
    lineup.respond(invite, 486)
    assert (lineup.methods(), lineup.events()) == ([], [])


def test_a_number_cannot_add_a_line_or_leave_its_uri() -> None:
    lineup = Lineup()
    lineup.core.dial(lineup.prepare("+1\r\nX-Injected: 1>;x@y"), lineup.now)
    (invite,) = lineup.requests()
    assert invite.uri == b"sip:+1%0D%0AX-Injected%3A%201%3E%3Bx%40y@192.0.2.70:5070"
    assert b"x-injected" not in invite.fields


def test_what_a_call_leaves_behind_is_forgotten_when_its_last_timer_ran_out() -> None:
    lineup = Lineup()
    call, _ = lineup.answer()
    lineup.hang_up(call)
    (bye,) = lineup.requests()
    lineup.respond(bye, 200)
    lineup.wait(31.9)
    assert lineup.core.statistics().calls_kept == 1
    lineup.wait(0.2)
    assert lineup.core.statistics().calls_kept == 0
    assert (lineup.datagrams(), lineup.core.next_wake()) == ([], float("inf"))
