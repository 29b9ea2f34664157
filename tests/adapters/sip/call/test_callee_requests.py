"""What the callee asks inside a dialog, and what it hears."""

from __future__ import annotations

import pytest

from adapters.media.types import Remote
from adapters.sip.call.outbox import MediaAgreed
from adapters.sip.wire.hop import Hop
from engine.ports.telephony import Ended
from tests.adapters.sip.lineup import SDP_TYPE, TRUNK, Lineup, answer_sdp

MOVED = answer_sdp(port=7000)
MOVED_REMOTE = Remote("192.0.2.99", 7000, 0)
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
        (
            b"REFER",
            (),
            b"",
            405,
            (b"allow", b"INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE"),
        ),
        (
            b"BREW",
            (),
            b"",
            501,
            (b"allow", b"INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE"),
        ),
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
