"""What the callee asks inside a dialog, and what it hears."""

from __future__ import annotations

import pytest

from adapters.media.types import Remote
from adapters.sip.call.outbox import MediaAgreed
from adapters.sip.wire.hop import Hop
from adapters.sip.wire.message import Request
from engine.ports.telephony import Ended, Ringing
from tests.adapters.sip.lineup import CONTACT, SDP_TYPE, TRUNK, Headers, Lineup, answer_sdp

MOVED = answer_sdp(port=7000)
MOVED_REMOTE = Remote("192.0.2.99", 7000, 0)
ALLOW = (b"allow", b"INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE")
ISUP = b"\x01\x00\x49\x00\x00"
NEW_CONTACT = (b"Contact", b"<sip:moved@192.0.2.97:5097>")


def test_a_repeated_bye_gets_the_same_answer_and_ends_nothing_twice() -> None:
    lineup = Lineup()
    _, invite = lineup.answer()
    lineup.ask(invite, b"BYE")
    ((first, to),) = lineup.datagrams()
    lineup.wait(10)
    lineup.ask(invite, b"BYE")
    assert lineup.datagrams() == [(first, to)]
    assert to == TRUNK
    assert lineup.events() == [Ended("callee_hung_up", 200, "OK")]


def test_a_bye_is_still_answered_31_s_later_and_refused_once_forgotten() -> None:
    lineup = Lineup()
    _, invite = lineup.answer()
    lineup.ask(invite, b"BYE")
    lineup.wait(31)
    lineup.ask(invite, b"BYE")
    assert [response.status for response in lineup.responses()] == [200, 200]
    lineup.wait(2)
    lineup.ask(invite, b"BYE")
    assert [response.status for response in lineup.responses()] == [481]


@pytest.mark.parametrize(
    ("tag", "to"),
    [
        (b"stranger", None),
        (b"callee", b"<sip:+14155550100@192.0.2.1:5062>;tag=guess"),
        (b"callee", b"<sip:+14155550100@192.0.2.1:5062>"),
    ],
)
def test_a_bye_with_a_foreign_tag_is_481_and_ends_nothing(tag: bytes, to: bytes | None) -> None:
    lineup = Lineup()
    _, invite = lineup.answer()
    lineup.ask(invite, b"BYE", tag=tag, to=to)
    assert [response.status for response in lineup.responses()] == [481]
    assert lineup.events() == []


def test_a_reinvite_is_answered_with_our_sdp_and_moves_the_media_and_the_target() -> None:
    lineup = Lineup()
    call, invite = lineup.answer()
    lineup.ask(invite, b"INVITE", headers=(NEW_CONTACT, SDP_TYPE), body=MOVED)
    (response,) = lineup.responses()
    assert response.status == 200
    assert response.contact == b"sip:callwheel@192.0.2.1:5062"
    assert b"m=audio 20000 RTP/AVP 0" in response.body
    assert b"o=- 7 2 IN IP4" in response.body
    assert lineup.events() == [MediaAgreed(MOVED_REMOTE, is_first=False)]
    lineup.hang_up(call)
    ((_, address),) = lineup.datagrams()
    assert address == Hop("192.0.2.97", 5097)


def test_a_reinvite_that_changes_nothing_moves_nothing() -> None:
    lineup = Lineup()
    _, invite = lineup.answer()
    lineup.ask(invite, b"INVITE", headers=(SDP_TYPE,), body=answer_sdp())
    assert [response.status for response in lineup.responses()] == [200]
    assert lineup.events() == []


def test_the_200_of_a_reinvite_is_repeated_until_its_ack() -> None:
    lineup = Lineup()
    _, invite = lineup.answer()
    lineup.ask(invite, b"INVITE", headers=(SDP_TYPE,), body=MOVED)
    lineup.wait(4)
    assert [response.status for response in lineup.responses()] == [200] * 4
    lineup.ask(invite, b"ACK", branch=b"z9hG4bKack")
    lineup.wait(30)
    assert lineup.responses() == []


def test_a_reinvite_whose_200_is_never_acknowledged_ends_the_call_as_lost() -> None:
    lineup = Lineup()
    _, invite = lineup.answer()
    lineup.ask(invite, b"INVITE", headers=(SDP_TYPE,), body=MOVED)
    lineup.events()
    lineup.wait(32)
    *_, (bye, _) = lineup.datagrams()
    assert bye.startswith(b"BYE ")
    lineup.wait(32)
    assert lineup.events() == [Ended("lost", 200, "OK")]


def test_a_reinvite_without_an_offer_gets_ours_and_its_ack_brings_the_answer() -> None:
    lineup = Lineup()
    _, invite = lineup.answer()
    lineup.ask(invite, b"INVITE", cseq=5)
    (response,) = lineup.responses()
    assert b"m=audio 20000 RTP/AVP 0 8 101" in response.body
    assert lineup.events() == []
    lineup.ask(invite, b"ACK", cseq=5, branch=b"z9hG4bKack", headers=(SDP_TYPE,), body=MOVED)
    assert lineup.events() == [MediaAgreed(MOVED_REMOTE, is_first=False)]


def test_an_ack_with_an_answer_that_cannot_be_used_leaves_the_media_where_it_was() -> None:
    lineup = Lineup()
    _, invite = lineup.answer()
    lineup.ask(invite, b"INVITE", cseq=5)
    lineup.ask(invite, b"ACK", cseq=5, branch=b"z9hG4bKack", headers=(SDP_TYPE,), body=b"no")
    lineup.responses()
    lineup.wait(32)
    assert (lineup.events(), lineup.datagrams()) == ([], [])


def test_an_offer_that_cannot_be_used_is_488_and_leaves_the_call_up() -> None:
    lineup = Lineup()
    _, invite = lineup.answer()
    lineup.ask(invite, b"INVITE", headers=(SDP_TYPE,), body=answer_sdp(codecs="9"))
    assert [response.status for response in lineup.responses()] == [488]
    lineup.wait(32)
    assert (lineup.events(), {r.status for r in lineup.responses()}) == ([], {488})


def test_a_second_reinvite_before_the_first_is_acknowledged_is_500() -> None:
    lineup = Lineup()
    _, invite = lineup.answer()
    lineup.ask(invite, b"INVITE", headers=(SDP_TYPE,), body=MOVED)
    lineup.ask(invite, b"INVITE", cseq=2, branch=b"z9hG4bK2", headers=(SDP_TYPE,), body=MOVED)
    first, second = lineup.responses()
    assert (first.status, second.status, second.first(b"retry-after")) == (200, 500, b"5")


def test_a_repeated_reinvite_gets_the_same_answer_again() -> None:
    lineup = Lineup()
    _, invite = lineup.answer()
    for _ in range(2):
        lineup.ask(invite, b"INVITE", headers=(SDP_TYPE,), body=MOVED)
    first, second = lineup.datagrams()
    assert first == second


def test_a_cancelled_reinvite_was_answered_already() -> None:
    lineup = Lineup()
    _, invite = lineup.answer()
    lineup.ask(invite, b"INVITE", headers=(SDP_TYPE,), body=MOVED)
    lineup.ask(invite, b"CANCEL")
    assert [r.status for r in lineup.responses()] == [200, 200]
    lineup.ask(invite, b"CANCEL", branch=b"z9hG4bKunknown")
    assert [r.status for r in lineup.responses()] == [481]


def test_an_update_moves_the_media_too() -> None:
    lineup = Lineup()
    _, invite = lineup.answer()
    lineup.ask(invite, b"UPDATE", headers=(SDP_TYPE,), body=MOVED)
    (response,) = lineup.responses()
    assert (response.status, b"m=audio 20000" in response.body) == (200, True)
    assert lineup.events() == [MediaAgreed(MOVED_REMOTE, is_first=False)]


def test_an_update_against_an_offer_of_ours_is_491() -> None:
    lineup = Lineup()
    _, invite = lineup.answer()
    lineup.ask(invite, b"INVITE", cseq=1)
    lineup.ask(invite, b"UPDATE", cseq=2, headers=(SDP_TYPE,), body=MOVED)
    assert [r.status for r in lineup.responses()] == [200, 491]


@pytest.mark.parametrize(
    ("method", "headers", "body", "status", "header"),
    [
        (b"INFO", (), b"", 200, None),
        (b"INFO", ((b"Content-Type", b"application/dtmf-relay"),), b"Signal=1", 200, None),
        (b"UPDATE", (), b"", 200, None),
        (b"OPTIONS", (), b"", 200, (b"accept", b"application/sdp")),
        (
            b"INVITE",
            ((b"Content-Type", b"text/plain"),),
            b"x",
            415,
            (b"accept", b"application/sdp"),
        ),
        (b"INFO", ((b"Require", b"a, b"),), b"", 420, (b"unsupported", b"a, b")),
        (b"INFO", ((b"Require", b"100rel, a, timer"),), b"", 420, (b"unsupported", b"a")),
        (b"INFO", ((b"Require", b"100REL, Timer"),), b"", 200, None),
        (b"OPTIONS", (), b"", 200, (b"supported", b"100rel, timer")),
        (b"UPDATE", (), b"", 200, (b"supported", b"100rel, timer")),
        (b"REFER", ((b"Refer-To", b"<sip:+19005550100@example>"),), b"", 405, ALLOW),
        (b"SUBSCRIBE", ((b"Event", b"refer"),), b"", 405, ALLOW),
        (b"NOTIFY", ((b"Event", b"refer"),), b"", 405, ALLOW),
        (b"MESSAGE", ((b"Content-Type", b"text/plain"),), b"hello", 405, ALLOW),
        (b"PRACK", ((b"RAck", b"1 1 INVITE"),), b"", 405, ALLOW),
        (b"BREW", (), b"", 501, ALLOW),
    ],
)
def test_each_request_of_a_callee_gets_its_answer(
    method: bytes,
    headers: tuple[tuple[bytes, bytes], ...],
    body: bytes,
    status: int,
    header: tuple[bytes, bytes] | None,
) -> None:
    lineup = Lineup()
    _, invite = lineup.answer()
    lineup.ask(invite, method, headers=headers, body=body)
    (response,) = lineup.responses()
    assert response.status == status
    if header is not None:
        assert response.raw(header[0]) == [header[1]]
    assert lineup.events() == []


def test_a_request_with_a_number_that_has_been_passed_is_500() -> None:
    lineup = Lineup()
    _, invite = lineup.answer()
    lineup.ask(invite, b"INFO", cseq=8, branch=b"z9hG4bK8")
    lineup.ask(invite, b"INFO", cseq=7, branch=b"z9hG4bK7")
    assert [response.status for response in lineup.responses()] == [200, 500]


def test_a_call_that_is_over_knows_no_dialog() -> None:
    lineup = Lineup()
    _, invite = lineup.answer()
    lineup.ask(invite, b"BYE")
    lineup.responses()
    lineup.ask(invite, b"INFO", cseq=2, branch=b"z9hG4bK2")
    assert [response.status for response in lineup.responses()] == [481]


def test_our_own_invite_come_back_is_a_loop() -> None:
    lineup = Lineup()
    _, invite = lineup.dial()
    lineup.ask(invite, b"INVITE", to=invite.fields[b"to"][0])
    assert [response.status for response in lineup.responses()] == [482]


def test_more_requests_than_the_bound_forget_the_oldest() -> None:
    lineup = Lineup()
    _, invite = lineup.answer()
    for number in range(1, 18):
        lineup.ask(invite, b"INFO", cseq=number, branch=b"z9hG4bK%d" % number)
    lineup.responses()
    lineup.ask(invite, b"INFO", cseq=2, branch=b"z9hG4bK2")
    lineup.ask(invite, b"INFO", cseq=1, branch=b"z9hG4bK1")
    # The second is still remembered; the first is taken for a new request with an old number.
    assert [response.status for response in lineup.responses()] == [200, 500]


def test_a_byes_reason_is_found_in_any_of_its_fields() -> None:
    lineup = Lineup()
    _, invite = lineup.answer()
    reasons = ((b"Reason", b'X;text="open'), (b"Reason", b"SIP;cause=480"))
    lineup.ask(invite, b"BYE", headers=(*reasons, (b"Reason", b"q.850 ;cause=31")))
    assert lineup.events() == [Ended("callee_hung_up", 200, "OK", 31)]


def test_a_spare_fork_that_hangs_up_ends_itself_alone() -> None:
    lineup = Lineup()
    call, invite = lineup.answer(tag=b"first")
    lineup.respond(invite, 200, tag=b"second", headers=(CONTACT, SDP_TYPE), body=answer_sdp())
    lineup.requests()
    lineup.ask(invite, b"BYE", tag=b"second")
    lineup.ask(invite, b"INFO", tag=b"second", cseq=2, branch=b"z9hG4bK2")
    assert [response.status for response in lineup.responses()] == [200, 481]
    assert lineup.events() == []
    lineup.hang_up(call)
    assert lineup.methods() == [b"BYE"]


# What the callee asks before it has answered.


def ring(lineup: Lineup, *, is_answered: bool) -> Request:
    """A call that rings, reliably, with or without the answer to our offer."""
    _, invite = lineup.dial()
    headers: Headers = (CONTACT, (b"Require", b"100rel"), (b"RSeq", b"1"))
    if is_answered:
        lineup.respond(invite, 183, headers=(*headers, SDP_TYPE), body=answer_sdp())
    else:
        lineup.respond(invite, 183, headers=headers)
    lineup.datagrams()
    lineup.events()
    return invite


def test_an_update_before_the_answer_to_our_offer_is_491() -> None:
    lineup = Lineup()
    invite = ring(lineup, is_answered=False)
    lineup.ask(invite, b"UPDATE", headers=(SDP_TYPE,), body=MOVED)
    assert [response.status for response in lineup.responses()] == [491]


def test_an_unreliable_answer_is_none_yet() -> None:
    lineup = Lineup()
    _, invite = lineup.dial()
    lineup.respond(invite, 183, headers=(CONTACT, SDP_TYPE), body=answer_sdp())
    lineup.ask(invite, b"UPDATE", headers=(SDP_TYPE,), body=MOVED)
    assert [response.status for response in lineup.responses()] == [491]


@pytest.mark.parametrize("is_answered", [True, False])
def test_an_early_update_without_an_offer_moves_the_target(is_answered: bool) -> None:
    lineup = Lineup()
    invite = ring(lineup, is_answered=is_answered)
    lineup.ask(invite, b"UPDATE", headers=(NEW_CONTACT,))
    assert [response.status for response in lineup.responses()] == [200]
    again: Headers = (CONTACT, (b"Require", b"100rel"), (b"RSeq", b"2"))
    lineup.respond(invite, 180, headers=again)
    ((_, address),) = lineup.datagrams()
    assert address == Hop("192.0.2.97", 5097)


def test_an_early_update_with_an_offer_is_answered_and_moves_the_media_of_the_answer() -> None:
    lineup = Lineup()
    invite = ring(lineup, is_answered=True)
    lineup.ask(invite, b"UPDATE", headers=(SDP_TYPE,), body=MOVED)
    (response,) = lineup.responses()
    assert (response.status, b"o=- 7 2 IN IP4" in response.body) == (200, True)
    assert lineup.events() == []
    lineup.respond(invite, 200, headers=(CONTACT,))
    assert lineup.events() == [MediaAgreed(MOVED_REMOTE, is_first=True)]


def test_an_early_offer_that_cannot_be_used_is_488() -> None:
    lineup = Lineup()
    invite = ring(lineup, is_answered=True)
    lineup.ask(invite, b"UPDATE", headers=(SDP_TYPE,), body=answer_sdp(codecs="9"))
    assert [response.status for response in lineup.responses()] == [488]


def test_what_the_callee_counted_early_is_counted_on_when_the_call_is_up() -> None:
    lineup = Lineup()
    invite = ring(lineup, is_answered=True)
    lineup.ask(invite, b"UPDATE", cseq=8, branch=b"z9hG4bK8")
    lineup.respond(invite, 200, headers=(CONTACT,))
    lineup.datagrams()
    lineup.ask(invite, b"INFO", cseq=7, branch=b"z9hG4bK7")
    lineup.ask(invite, b"INFO", cseq=9, branch=b"z9hG4bK9")
    assert [response.status for response in lineup.responses()] == [500, 200]


@pytest.mark.parametrize("method", [b"INFO", b"OPTIONS"])
def test_other_requests_in_an_early_dialog_are_answered(method: bytes) -> None:
    lineup = Lineup()
    invite = ring(lineup, is_answered=False)
    lineup.ask(invite, method)
    lineup.ask(invite, method, tag=b"never heard of", branch=b"z9hG4bK2")
    assert [response.status for response in lineup.responses()] == [200, 481]


@pytest.mark.parametrize("tag", [b"callee", b"never heard of"])
def test_a_reinvite_while_our_invite_is_unanswered_is_491(tag: bytes) -> None:
    lineup = Lineup()
    invite = ring(lineup, is_answered=True)
    lineup.ask(invite, b"INVITE", tag=tag, headers=(SDP_TYPE,), body=MOVED)
    assert [response.status for response in lineup.responses()] == [491]


def test_an_update_that_overtook_its_callees_200_may_come_again() -> None:
    lineup = Lineup()
    _, invite = lineup.dial()
    lineup.ask(invite, b"UPDATE", headers=(SDP_TYPE,), body=MOVED)
    assert [response.status for response in lineup.responses()] == [491]
    lineup.respond(invite, 200, headers=(CONTACT, SDP_TYPE), body=answer_sdp())
    lineup.requests()
    lineup.ask(invite, b"UPDATE", cseq=2, branch=b"z9hG4bK2", headers=(SDP_TYPE,), body=MOVED)
    assert [response.status for response in lineup.responses()] == [200]


def test_the_early_dialogs_of_the_other_forks_are_over_with_the_answer() -> None:
    lineup = Lineup()
    invite = ring(lineup, is_answered=False)
    lineup.respond(invite, 200, tag=b"other", headers=(CONTACT, SDP_TYPE), body=answer_sdp())
    lineup.datagrams()
    lineup.ask(invite, b"UPDATE", headers=(SDP_TYPE,), body=MOVED)
    assert [response.status for response in lineup.responses()] == [481]


# Hold.


def held(host: str, direction: bytes) -> bytes:
    return answer_sdp(host=host) + b"a=" + direction + b"\r\n"


@pytest.mark.parametrize(
    ("host", "direction", "answered", "remote"),
    [
        ("192.0.2.99", b"sendonly", b"a=recvonly", None),
        ("192.0.2.99", b"inactive", b"a=inactive", None),
        ("0.0.0.0", b"sendrecv", b"a=recvonly", Remote("0.0.0.0", 6000, 0)),
    ],
)
@pytest.mark.parametrize("method", [b"INVITE", b"UPDATE"])
def test_a_callee_puts_us_on_hold_and_takes_us_back(
    method: bytes, host: str, direction: bytes, answered: bytes, remote: Remote | None
) -> None:
    lineup = Lineup()
    _, invite = lineup.answer()
    lineup.ask(invite, method, headers=(SDP_TYPE,), body=held(host, direction))
    (response,) = lineup.responses()
    assert (response.status, answered in response.body) == (200, True)
    assert lineup.events() == ([] if remote is None else [MediaAgreed(remote, is_first=False)])
    lineup.ask(invite, b"ACK", branch=b"z9hG4bKack")
    lineup.ask(invite, method, cseq=2, branch=b"z9hG4bK2", headers=(SDP_TYPE,), body=answer_sdp())
    (response,) = lineup.responses()
    assert (response.status, b"a=sendrecv" in response.body) == (200, True)
    back = Remote("192.0.2.99", 6000, 0)
    assert lineup.events() == ([] if remote is None else [MediaAgreed(back, is_first=False)])


def test_an_answer_in_an_ack_may_hold_the_call_too() -> None:
    lineup = Lineup()
    _, invite = lineup.answer()
    lineup.ask(invite, b"INVITE", cseq=5)
    lineup.ask(
        invite,
        b"ACK",
        cseq=5,
        branch=b"z9hG4bKack",
        headers=(SDP_TYPE,),
        body=answer_sdp(host="0.0.0.0"),
    )
    assert lineup.events() == [MediaAgreed(Remote("0.0.0.0", 6000, 0), is_first=False)]


# Several bodies in one.


def mixed(sdp: bytes) -> tuple[tuple[bytes, bytes], bytes]:
    body = b"\r\n".join(
        (
            b"--edge",
            b"Content-Type: application/isup;version=itu-t92+",
            b"Content-Disposition: signal;handling=optional",
            b"",
            ISUP,
            b"--edge",
            b"Content-Type: application/sdp",
            b"",
            sdp,
            b"--edge--",
            b"",
        )
    )
    return (b"Content-Type", b'multipart/mixed;boundary="edge"'), body


def test_an_answer_beside_an_isup_part_is_found() -> None:
    lineup = Lineup()
    _, invite = lineup.dial()
    header, body = mixed(answer_sdp())
    lineup.respond(invite, 183, headers=(CONTACT, header), body=body)
    lineup.respond(invite, 200, headers=(CONTACT, header), body=body)
    assert lineup.events() == [
        Ringing(),
        MediaAgreed(Remote("192.0.2.99", 6000, 0), is_first=True),
    ]


def test_an_offer_beside_an_isup_part_is_answered() -> None:
    lineup = Lineup()
    _, invite = lineup.answer()
    header, body = mixed(MOVED)
    lineup.ask(invite, b"INVITE", headers=(header,), body=body)
    (response,) = lineup.responses()
    assert (response.status, response.content_type) == (200, b"application/sdp")
    assert lineup.events() == [MediaAgreed(MOVED_REMOTE, is_first=False)]
