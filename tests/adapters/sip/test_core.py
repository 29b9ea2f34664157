"""What reaches the core from outside of any call, and how calls keep apart."""

from __future__ import annotations

from math import inf

import pytest

from adapters.sip.call.uac import OutboundCall
from adapters.sip.core import SipStatistics, TooManyCalls
from adapters.sip.guard import (
    REFUSALS_AT_ONCE,
    SOURCE_REFUSALS_AT_ONCE,
    TRUNK_ANSWERS_AT_ONCE,
    TRUNK_ANSWERS_PER_S,
    stamp_via,
)
from adapters.sip.wire.hop import Hop
from adapters.sip.wire.message import Request, Response, build_request, build_response, parse
from engine.ports.telephony import Ended
from tests.adapters.sip.lineup import CALLEE_ADDRESS, CONTACT, SDP_TYPE, TRUNK, Lineup, answer_sdp

STRANGER = Hop("203.0.113.5", 5999)
NOTHING = SipStatistics(
    calls=0,
    calls_kept=0,
    retransmissions_sent=0,
    parse_errors=0,
    strays=0,
    strangers_refused=0,
    strangers_ignored=0,
    trunks_ignored=0,
    faults=0,
)


def outside(
    method: bytes,
    *,
    via: bytes = b"SIP/2.0/UDP 203.0.113.5:5999;branch=z9hG4bKx;rport",
    to: bytes = b"<sip:us@192.0.2.1>",
    call_id: bytes = b"foreign",
) -> bytes:
    return build_request(
        method,
        b"sip:us@192.0.2.1",
        (
            (b"Via", via),
            (b"From", b"<sip:them@x>;tag=t"),
            (b"To", to),
            (b"Call-ID", call_id),
            (b"CSeq", b"1 " + method),
        ),
    )


def request(data: bytes) -> Request:
    message = parse(data)
    assert isinstance(message, Request)
    return message


@pytest.mark.parametrize(
    ("method", "to", "status"),
    [
        (b"INVITE", b"<sip:us@x>", 403),
        (b"INVITE", b"<sip:us@x>;tag=gone", 481),
        (b"BYE", b"<sip:us@x>;tag=gone", 481),
        (b"CANCEL", b"<sip:us@x>", 481),
        (b"REGISTER", b"<sip:us@x>", 405),
        (b"BREW", b"<sip:us@x>", 501),
    ],
)
def test_a_stranger_is_refused_without_state(method: bytes, to: bytes, status: int) -> None:
    lineup = Lineup()
    lineup.core.receive(outside(method, to=to), STRANGER, lineup.now)
    ((data, address),) = lineup.datagrams()
    assert (data.split(b" ")[1], address) == (b"%d" % status, STRANGER)
    assert lineup.core.statistics().strangers_refused == 1
    assert (lineup.core.statistics().calls_kept, lineup.core.next_wake()) == (0, inf)


@pytest.mark.parametrize("method", [b"ACK", b"OPTIONS"])
def test_a_stranger_who_scans_or_acknowledges_hears_nothing(method: bytes) -> None:
    lineup = Lineup()
    lineup.core.receive(outside(method), STRANGER, lineup.now)
    assert lineup.datagrams() == []
    assert lineup.core.statistics().strangers_ignored == 1


def test_strangers_are_answered_at_a_bounded_rate_only() -> None:
    lineup = Lineup()
    burst = int(REFUSALS_AT_ONCE)
    strangers = [Hop(f"203.0.113.{number}", 5999) for number in range(1, burst + 31)]
    for stranger in strangers:
        lineup.core.receive(outside(b"REGISTER"), stranger, lineup.now)
    assert len(lineup.datagrams()) == burst
    lineup.wait(0.5)
    for stranger in strangers[:30]:
        lineup.core.receive(outside(b"REGISTER"), stranger, lineup.now)
    assert len(lineup.datagrams()) == 10
    statistics = lineup.core.statistics()
    assert (statistics.strangers_refused, statistics.strangers_ignored) == (burst + 10, 50)


def test_a_strangers_flood_is_not_even_read(monkeypatch: pytest.MonkeyPatch) -> None:
    lineup = Lineup()
    read: list[bytes] = []

    def parse_and_note(data: bytes) -> Request | Response:
        read.append(data)
        return parse(data)

    monkeypatch.setattr("adapters.sip.core.parse", parse_and_note)
    flood = [outside(b"INVITE"), outside(b"ACK"), b"garbage", b"INVITE sip:x SIP/2.0\r\n\r\n"]
    for number in range(1000):
        lineup.core.receive(flood[number % len(flood)], STRANGER, lineup.now)
    assert len(read) == SOURCE_REFUSALS_AT_ONCE
    # Neither the trunk nor another stranger is the worse for it.
    lineup.core.receive(outside(b"OPTIONS"), TRUNK, lineup.now)
    lineup.core.receive(outside(b"OPTIONS"), ELSEWHERE, lineup.now)
    assert len(read) == SOURCE_REFUSALS_AT_ONCE + 2
    # A little later there is an answer again.
    lineup.datagrams()
    lineup.wait(1.0)
    lineup.core.receive(outside(b"INVITE"), STRANGER, lineup.now)
    assert [response.status for response in lineup.responses()] == [403]


@pytest.mark.parametrize("name", [b"Call-ID", b"CALL-ID \t", b"i"])
def test_a_flood_from_the_callees_own_address_does_not_drown_his_bye(name: bytes) -> None:
    lineup = Lineup()
    _, invite = lineup.answer()
    for _ in range(100):
        lineup.core.receive(outside(b"INVITE"), CALLEE_ADDRESS, lineup.now)
    lineup.datagrams()
    bye = bye_of(invite).replace(b"\nCall-ID:", b"\n" + name + b":")
    lineup.core.receive(bye, CALLEE_ADDRESS, lineup.now)
    assert [response.status for response in lineup.responses()] == [200]
    assert lineup.events() == [Ended("callee_hung_up", 200, "OK")]


def test_a_response_is_read_wherever_it_comes_from_and_however_much_came_before_it() -> None:
    lineup = Lineup()
    for _ in range(100):
        lineup.core.receive(outside(b"INVITE"), ELSEWHERE, lineup.now)
    lineup.datagrams()
    answer_from(lineup, ELSEWHERE, CONTACT)
    assert lineup.core.statistics().calls_kept == 1
    lineup.core.receive(build_response(request(outside(b"INVITE")), 200), ELSEWHERE, lineup.now)
    assert lineup.core.statistics().strays == 1


def test_the_same_request_again_gets_the_same_tag_again() -> None:
    lineup = Lineup()
    for data in (outside(b"INVITE"), outside(b"INVITE"), outside(b"INVITE", call_id=b"other")):
        lineup.core.receive(data, STRANGER, lineup.now)
    first, second, third = (response.to_tag for response in lineup.responses())
    assert first is not None
    assert first == second != third


def test_a_trunk_that_asks_options_hears_200() -> None:
    lineup = Lineup()
    lineup.core.receive(outside(b"OPTIONS"), TRUNK, lineup.now)
    (response,) = lineup.responses()
    assert (response.status, response.raw(b"accept")) == (200, [b"application/sdp"])
    assert lineup.core.statistics() == NOTHING


def test_a_trunk_that_asks_all_the_time_is_answered_at_a_bounded_rate_only() -> None:
    lineup = Lineup()
    for _ in range(1000):
        lineup.core.receive(outside(b"OPTIONS"), TRUNK, lineup.now)
    assert [response.status for response in lineup.responses()] == [200] * int(
        TRUNK_ANSWERS_AT_ONCE
    )
    lineup.wait(1.0)
    # What cannot be read, and what a stray dialog brings, comes out of the same bucket.
    unreadable = outside(b"BYE").replace(b"1 BYE", b"x BYE")
    for number in range(1000):
        lineup.core.receive((unreadable, outside(b"BYE"))[number % 2], TRUNK, lineup.now)
    statuses = [response.status for response in lineup.responses()]
    assert sorted(statuses) == [400] * 100 + [481] * 100
    assert TRUNK_ANSWERS_PER_S == 200.0
    assert lineup.core.statistics().trunks_ignored == 500 + 800


def test_a_trunks_acks_use_up_none_of_its_answers() -> None:
    lineup = Lineup()
    for _ in range(1000):
        lineup.core.receive(outside(b"ACK"), TRUNK, lineup.now)
    lineup.core.receive(outside(b"OPTIONS"), TRUNK, lineup.now)
    assert [response.status for response in lineup.responses()] == [200]
    assert lineup.core.statistics() == NOTHING


def test_a_trunk_that_floods_harms_no_call_of_its_own() -> None:
    lineup = Lineup()
    call, invite = lineup.answer()
    for _ in range(1000):
        lineup.core.receive(outside(b"OPTIONS"), TRUNK, lineup.now)
    lineup.datagrams()
    lineup.ask(invite, b"BYE")
    assert [response.status for response in lineup.responses()] == [200]
    assert lineup.core.take_events() == [(call, Ended("callee_hung_up", 200, "OK"))]


NAMED = (b"Contact", b"<sip:callee@edge.carrier.example>")
ELSEWHERE, THIRD_PARTY = Hop("203.0.113.80", 5060), Hop("203.0.113.81", 5060)


def bye_of(invite: Request) -> bytes:
    return build_request(
        b"BYE",
        b"sip:callwheel@192.0.2.1:5062",
        (
            (b"Via", b"SIP/2.0/UDP edge.carrier.example;branch=z9hG4bKbye"),
            (b"From", invite.fields[b"to"][0] + b";tag=callee"),
            (b"To", invite.fields[b"from"][0]),
            (b"Call-ID", invite.call_id),
            (b"CSeq", b"1 BYE"),
        ),
    )


def answer_from(lineup: Lineup, source: Hop, contact: tuple[bytes, bytes]) -> Request:
    """A call that is up, and that was answered from some address; its INVITE."""
    _, invite = lineup.dial()
    answer = build_response(
        invite, 200, to_tag=b"callee", headers=(contact, SDP_TYPE), body=answer_sdp()
    )
    lineup.core.receive(answer, source, lineup.now)
    lineup.requests()
    lineup.events()
    return invite


def test_a_dialog_that_names_nobody_by_address_may_be_ended_from_where_it_was_answered() -> None:
    lineup = Lineup()
    invite = answer_from(lineup, ELSEWHERE, NAMED)
    # A repeated 200 changes nothing, whoever sends it.
    again = build_response(
        invite, 200, to_tag=b"callee", headers=(NAMED, SDP_TYPE), body=answer_sdp()
    )
    lineup.core.receive(again, THIRD_PARTY, lineup.now)
    assert lineup.methods() == [b"ACK"]
    lineup.core.receive(bye_of(invite), THIRD_PARTY, lineup.now)
    assert ([response.status for response in lineup.responses()], lineup.events()) == ([481], [])
    lineup.core.receive(bye_of(invite), ELSEWHERE, lineup.now)
    assert [response.status for response in lineup.responses()] == [200]
    assert lineup.events() == [Ended("callee_hung_up", 200, "OK")]


def test_a_dialog_that_names_an_address_is_not_ended_from_another_that_answered() -> None:
    lineup = Lineup()
    invite = answer_from(lineup, ELSEWHERE, CONTACT)
    lineup.core.receive(bye_of(invite), ELSEWHERE, lineup.now)
    assert ([response.status for response in lineup.responses()], lineup.events()) == ([481], [])


def test_who_rang_only_may_not_end_the_call() -> None:
    lineup = Lineup()
    _, invite = lineup.dial()
    ringing = build_response(invite, 180, to_tag=b"callee", headers=(NAMED,))
    lineup.core.receive(ringing, ELSEWHERE, lineup.now)
    lineup.events()
    lineup.core.receive(bye_of(invite), ELSEWHERE, lineup.now)
    assert ([response.status for response in lineup.responses()], lineup.events()) == ([481], [])


@pytest.mark.parametrize(
    ("via", "written", "reply_to"),
    [
        (
            b"SIP/2.0/UDP 10.0.0.1:5080;rport;branch=b",
            b"SIP/2.0/UDP 10.0.0.1:5080;rport=5999;branch=b;received=203.0.113.5",
            Hop("203.0.113.5", 5999),
        ),
        (
            b"SIP/2.0/UDP 203.0.113.5:5080;branch=b",
            b"SIP/2.0/UDP 203.0.113.5:5080;branch=b",
            Hop("203.0.113.5", 5080),
        ),
        (
            b"SIP/2.0/UDP host.example ;branch=b, SIP/2.0/UDP second",
            b"SIP/2.0/UDP host.example ;branch=b;received=203.0.113.5, SIP/2.0/UDP second",
            Hop("203.0.113.5", 5060),
        ),
    ],
)
def test_a_response_goes_where_the_top_via_and_the_source_say(
    via: bytes, written: bytes, reply_to: Hop
) -> None:
    subject = request(outside(b"OPTIONS", via=via))
    assert stamp_via(subject, STRANGER) == reply_to
    assert subject.raw(b"via") == [written]


@pytest.mark.parametrize(
    ("data", "errors"),
    [
        (b"\x00\x01binary", 1),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 1),
        (b"\r\n\r\n", 0),
        (b"\0", 0),
        (b"", 0),
    ],
)
def test_what_cannot_be_read_is_counted_and_dropped(data: bytes, errors: int) -> None:
    lineup = Lineup()
    lineup.core.receive(data, TRUNK, lineup.now)
    assert lineup.datagrams() == []
    assert lineup.core.statistics().parse_errors == errors


def test_a_malformed_response_harms_nothing_and_the_next_good_one_counts() -> None:
    lineup = Lineup()
    _, invite = lineup.dial()
    good = build_response(invite, 486, to_tag=b"x")
    lineup.core.receive(good.replace(b"1 INVITE", b"x INVITE"), TRUNK, lineup.now)
    lineup.core.receive(good.replace(b";tag=x", b';tag="open'), TRUNK, lineup.now)
    assert (lineup.datagrams(), lineup.events()) == ([], [])
    lineup.core.receive(good, TRUNK, lineup.now)
    assert lineup.events() == [Ended("rejected", 486, "Busy Here")]
    assert lineup.core.statistics().parse_errors == 2


def test_a_response_to_no_call_is_a_stray() -> None:
    lineup = Lineup()
    subject = request(outside(b"INVITE"))
    lineup.core.receive(build_response(subject, 200), TRUNK, lineup.now)
    assert lineup.core.statistics().strays == 1


def test_an_icmp_error_ends_the_calls_that_heard_nothing_from_there() -> None:
    lineup = Lineup()
    silent, _ = lineup.dial()
    ringing, invite = lineup.dial()
    lineup.respond(invite, 180)
    lineup.core.take_events()
    lineup.core.fail_transport(Hop("192.0.2.71", 5070), lineup.now)
    assert lineup.core.take_events() == []
    lineup.core.fail_transport(TRUNK, lineup.now)
    assert lineup.core.take_events() == [(silent, Ended("unreachable"))]
    assert ringing.state == "proceeding"
    assert lineup.core.statistics().calls_kept == 1


def test_an_icmp_error_ends_a_call_whose_cancel_is_held() -> None:
    lineup = Lineup()
    call, _ = lineup.dial()
    lineup.hang_up(call)
    lineup.core.fail_transport(TRUNK, lineup.now)
    assert lineup.events() == [Ended("unreachable")]


def test_a_fault_in_one_call_ends_that_call_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    lineup = Lineup()
    hit, hit_invite = lineup.dial()
    other, other_invite = lineup.dial()

    def fail(call: OutboundCall, *_: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(OutboundCall, "_receive_invite_response", fail)
        lineup.respond(hit_invite, 180)
    lineup.respond(other_invite, 486)
    assert lineup.core.take_events() == [
        (hit, Ended("lost")),
        (other, Ended("rejected", 486, "Busy Here")),
    ]
    (fault,) = lineup.core.take_faults()
    assert fault.call_id == hit.call_id
    assert isinstance(fault.exception, ZeroDivisionError)
    assert lineup.core.take_faults() == []
    assert lineup.core.statistics().faults == 1


def test_timers_of_many_calls_fire_in_their_order() -> None:
    lineup = Lineup()
    began = lineup.now
    invites = []
    for _ in range(3):
        invites.append(lineup.dial()[1])
        lineup.wait(0.1)
    lineup.respond(invites[1], 100, tag=None)
    sent = []
    while lineup.core.next_wake() < began + 1.8:
        lineup.wait(lineup.core.next_wake() - lineup.now)
        sent += [(round(lineup.now - began, 3), invite.call_id) for invite in lineup.requests()]
    first, third = invites[0].call_id, invites[2].call_id
    assert sent == [(0.5, first), (0.7, third), (1.5, first), (1.7, third)]
    assert lineup.core.statistics().retransmissions_sent == 4


def test_waking_too_early_does_nothing() -> None:
    lineup = Lineup()
    lineup.dial()
    lineup.core.wake(lineup.now)
    assert lineup.datagrams() == []


def test_a_call_that_is_over_is_looked_at_once_more_when_nothing_can_come_of_it_any_more() -> None:
    lineup = Lineup()
    call, _ = lineup.answer()
    lineup.hang_up(call)
    (bye,) = lineup.requests()
    assert call.next_wake == lineup.now + 0.5  # Timer E
    lineup.respond(bye, 200)
    # Timer K is not waited for: what it would end may as well end with the INVITE, by Timer M.
    assert call.next_wake == lineup.now + 32.0
    lineup.wait(32.0)
    assert (lineup.core.statistics().calls_kept, lineup.core.next_wake()) == (0, inf)


def test_a_late_answer_of_another_is_still_ended_when_the_call_is_over() -> None:
    lineup = Lineup()
    call, invite = lineup.answer()
    lineup.hang_up(call)
    (bye,) = lineup.requests()
    lineup.respond(bye, 200)
    lineup.respond(invite, 200, tag=b"other", headers=(CONTACT, SDP_TYPE), body=answer_sdp())
    assert lineup.methods() == [b"ACK", b"BYE"]
    assert call.next_wake == lineup.now + 0.5
    lineup.wait(0.5)
    assert lineup.methods() == [b"BYE"]


def test_more_calls_than_the_bound_cannot_be_prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.sip.core.CALLS_MAX", 2)
    lineup = Lineup()
    lineup.dial()
    lineup.dial()
    with pytest.raises(TooManyCalls):
        lineup.prepare()


def test_nothing_is_kept_of_a_call_that_is_over() -> None:
    lineup = Lineup()
    invite = answer_from(lineup, ELSEWHERE, NAMED)
    lineup.core.receive(bye_of(invite), ELSEWHERE, lineup.now)
    lineup.wait(100.0)
    assert lineup.core.statistics().calls_kept == 0
