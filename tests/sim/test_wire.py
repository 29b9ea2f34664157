"""The bytes of a carrier's responses, SDP answers and BYEs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.media.sdp import SdpError, build_answer, build_offer
from adapters.sip.wire.message import Request, parse
from sim.wire import SDP_CACHE_MAX, SdpAnswers, echo, read_dialog, refuse, user_of

INVITE = (
    b"INVITE sip:+14155550100@127.0.0.1 SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 10.0.0.1:5060;rport;branch=z9hG4bK1\r\n"
    b"Via: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bK2\r\n"
    b"Record-Route: <sip:p1.example.com;lr>\r\n"
    b"Record-Route: <sip:p2.example.com;lr>, <sip:p3.example.com;lr>\r\n"
    b'f: "Doe, J" <sip:+14155550199@example.com>;tag=abc\r\n'
    b"t: <sip:+14155550100@127.0.0.1>\r\n"
    b"i: x@y\r\n"
    b"CSeq: 7 INVITE\r\n"
    b"Contact: <sip:caller@10.0.0.1:5066>;expires=60\r\n"
    b"\r\n"
)
SOURCE = ("127.0.0.1", 40123)
CONTACT = b"Contact: <sip:127.0.0.1:5070>"


def request(data: bytes = INVITE) -> Request:
    message = parse(data)
    assert isinstance(message, Request)
    return message


def test_a_refusal_echoes_the_request_and_carries_its_cause() -> None:
    dialog = read_dialog(request(), SOURCE, b"callee-1", CONTACT)
    assert refuse(486, dialog.lines) == (
        b"SIP/2.0 486 Busy Here\r\n"
        b"Via: SIP/2.0/UDP 10.0.0.1:5060;rport=40123;received=127.0.0.1;branch=z9hG4bK1\r\n"
        b"Via: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bK2\r\n"
        b'From: "Doe, J" <sip:+14155550199@example.com>;tag=abc\r\n'
        b"To: <sip:+14155550100@127.0.0.1>;tag=callee-1\r\n"
        b"Call-ID: x@y\r\n"
        b"CSeq: 7 INVITE\r\n"
        b"Reason: Q.850;cause=17\r\n"
        b"Content-Length: 0\r\n\r\n"
    )


def test_a_503_says_when_to_try_again() -> None:
    response = parse(refuse(503, echo(request(), SOURCE), 3))
    assert (response.first(b"retry-after"), response.first(b"reason")) == (b"3", b"Q.850;cause=34")


def test_the_200_keeps_the_routes_and_carries_contact_and_sdp() -> None:
    dialog = read_dialog(request(), SOURCE, b"callee-1", CONTACT)
    dialog.sdp = b"v=0\r\n"
    response = parse(dialog.accept("sdp"))
    assert response.raw(b"record-route") == request().raw(b"record-route")
    assert (response.contact, response.content_type, response.body) == (
        b"sip:127.0.0.1:5070", b"application/sdp", b"v=0\r\n",
    )  # fmt: skip
    assert parse(dialog.accept("empty")).body == b""


def test_a_bye_of_the_callee_goes_the_routes_to_the_callers_contact() -> None:
    """RFC 3261 §12.1.1 and §12.2.1.1: the route set of a callee is in the order it came."""
    dialog = read_dialog(request(), SOURCE, b"callee-1", CONTACT)
    assert dialog.build_bye() == (
        b"BYE sip:caller@10.0.0.1:5066 SIP/2.0\r\n"
        b"Via: SIP/2.0/UDP 127.0.0.1:5070;rport;branch=z9hG4bK-bye-callee-1\r\n"
        b"Route: <sip:p1.example.com;lr>\r\n"
        b"Route: <sip:p2.example.com;lr>, <sip:p3.example.com;lr>\r\n"
        b"From: <sip:+14155550100@127.0.0.1>;tag=callee-1\r\n"
        b'To: "Doe, J" <sip:+14155550199@example.com>;tag=abc\r\n'
        b"Call-ID: x@y\r\n"
        b"CSeq: 1 BYE\r\n"
        b"Max-Forwards: 70\r\n"
        b"Content-Length: 0\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("contact", "target"),
    [
        (b"Contact: sip:a@b:1;x=y\r\n", b"sip:a@b:1"),
        (b'Contact: "A, B" <sip:a@b>\r\n', b"sip:a@b"),
        (b"Contact: <sip:a b@c>\r\n", b"sip:127.0.0.1:40123"),
        (b"Contact: \r\n", b"sip:127.0.0.1:40123"),
        (b'Contact: "never closed <sip:a@b>\r\n', b"sip:127.0.0.1:40123"),
        (b"", b"sip:127.0.0.1:40123"),
    ],
)
def test_a_bye_finds_a_target_whatever_the_contact_is(contact: bytes, target: bytes) -> None:
    data = INVITE.replace(b"Contact: <sip:caller@10.0.0.1:5066>;expires=60\r\n", contact)
    bye = parse(read_dialog(request(data), SOURCE, b"t", CONTACT).build_bye())
    assert isinstance(bye, Request)
    assert bye.uri == target


@pytest.mark.parametrize(
    ("via", "marked"),
    [
        (b"SIP/2.0/UDP h;rport", b"SIP/2.0/UDP h;rport=40123;received=127.0.0.1"),
        (b"SIP/2.0/UDP h;rport=5", b"SIP/2.0/UDP h;rport=5"),
        (b"SIP/2.0/UDP h;branch=a", b"SIP/2.0/UDP h;branch=a"),
        (b"SIP/2.0/UDP h, SIP/2.0/UDP g;rport", b"SIP/2.0/UDP h, SIP/2.0/UDP g;rport"),
    ],
)
def test_only_the_top_via_learns_its_source_and_only_where_it_asks(
    via: bytes, marked: bytes
) -> None:
    data = INVITE.replace(b"SIP/2.0/UDP 10.0.0.1:5060;rport;branch=z9hG4bK1", via)
    assert echo(request(data), SOURCE)[0] == b"Via: " + marked


@pytest.mark.parametrize(
    ("address", "user"),
    [
        (b"sip:+14155550100@127.0.0.1:5070", "+14155550100"),
        (b"sips:+14155550100;npdi@h;user=phone", "+14155550100"),
        (b"sip:user:password@h", "user"),
        (b"sip:%2B1415@h", "+1415"),
        (b"tel:+14155550100;phone-context=x", "+14155550100"),
        (b"sip:127.0.0.1", ""),
        (b"nonsense", ""),
        (b'From: "a@b: c" <sip:+1415@h;x=y>;tag=1', "+1415"),
        (b"sip:%ff@h", "\N{REPLACEMENT CHARACTER}"),
    ],
)
def test_the_number_is_the_user_part_of_an_address(address: bytes, user: str) -> None:
    assert user_of(address) == user


@given(
    port=st.integers(1, 65_535),
    session=st.integers(0, 2**62),
    version=st.integers(1, 5),
    extra=st.sampled_from(
        [b"", b"a=x:m=audio 9 \r\n", b"m=video 9 RTP/AVP 96\r\n", b"a=inactive\r\n"]
    ),
)
def test_a_remembered_answer_is_the_one_that_reading_the_offer_gives(
    port: int, session: int, version: int, extra: bytes
) -> None:
    offer = build_offer("192.0.2.7", port, session, version) + extra
    ANSWERS.answer(build_offer("192.0.2.7", 9, 9, 9) + extra, 1)
    assert ANSWERS.answer(offer, 5) == build_answer(offer, "127.0.0.1", 7000, 5, 1)


ANSWERS = SdpAnswers("127.0.0.1", 7000)


@pytest.mark.parametrize("word", [b"0", b"65536", b"99999", b"x", b"", b"7/2"])
def test_a_port_that_is_none_is_no_shortcut(word: bytes) -> None:
    """Whatever is out of the ordinary in the media line is left to the SDP reader."""
    offer = build_offer("192.0.2.7", 4000, 1)
    ANSWERS.answer(offer, 1)
    odd = offer.replace(b"m=audio 4000 ", b"m=audio " + word + b" ")
    if word == b"7/2":
        assert ANSWERS.answer(odd, 1)[1].port == 7
    else:
        with pytest.raises(SdpError):
            ANSWERS.answer(odd, 1)


def test_the_shapes_that_are_remembered_are_bounded() -> None:
    answers = SdpAnswers("127.0.0.1", 7000)
    for i in range(SDP_CACHE_MAX + 50):
        answers.answer(build_offer("192.0.2.7", 4000, 1) + b"a=label:%d\r\n" % i, 1)
    assert len(answers._known) == SDP_CACHE_MAX
