from __future__ import annotations

from adapters.sip.call.dialog import Dialog, addressing, destination, establish, refresh
from adapters.sip.call.reach import Reach
from adapters.sip.wire.hop import Hop
from adapters.sip.wire.message import Request, Response, build_request, parse

FALLBACK = Hop("192.0.2.70", 5070)
INVITE_URI = b"sip:b@192.0.2.70"


def answer(*headers: bytes) -> Response:
    lines = (
        b"SIP/2.0 200 OK",
        b"Via: SIP/2.0/UDP x;branch=1",
        b"From: <sip:a@x>;tag=f",
        b"To: B <sip:b@y>;x=1;tag=a+b!",
        b"Call-ID: c",
        b"CSeq: 1 INVITE",
        *headers,
    )
    message = parse(b"\r\n".join(lines) + b"\r\n\r\n")
    assert isinstance(message, Response)
    return message


def dialog(*headers: bytes) -> Dialog:
    return establish(answer(*headers), INVITE_URI, 4)


def test_a_dialog_keeps_what_the_answer_said_as_it_said_it() -> None:
    made = dialog(b"Contact: <sip:b@192.0.2.9:5090;x=y>", b"Record-Route: <sip:p2;lr>, <sip:p1;lr>")
    assert (made.remote_tag, made.remote) == (b"a+b!", b"B <sip:b@y>;x=1;tag=a+b!")
    assert made.target == b"sip:b@192.0.2.9:5090;x=y"
    assert made.routes == (b"<sip:p1;lr>", b"<sip:p2;lr>")
    assert (made.local_cseq, made.remote_cseq) == (4, None)
    assert (made.next_cseq(), made.next_cseq()) == (5, 6)


def test_without_routes_a_request_goes_to_the_contact() -> None:
    made = dialog(b"Contact: <sip:b@192.0.2.9:5090>")
    assert addressing(made) == (b"sip:b@192.0.2.9:5090", ())
    assert destination(made, FALLBACK, Reach()) == Hop("192.0.2.9", 5090)


def test_a_loose_route_leaves_the_request_uri_alone() -> None:
    made = dialog(b"Contact: <sip:b@192.0.2.9>", b"Record-Route: <sip:192.0.2.3:5063;lr>")
    assert addressing(made) == (b"sip:b@192.0.2.9", (b"<sip:192.0.2.3:5063;lr>",))
    assert destination(made, FALLBACK, Reach()) == Hop("192.0.2.3", 5063)


def test_a_strict_route_goes_into_the_request_uri_and_the_target_behind_the_rest() -> None:
    made = dialog(
        b"Contact: <sip:b@192.0.2.9>",
        b"Record-Route: <sip:192.0.2.4;lr>",
        b"Record-Route: <sip:192.0.2.3:5063>",
    )
    assert addressing(made) == (
        b"sip:192.0.2.3:5063",
        (b"<sip:192.0.2.4;lr>", b"<sip:b@192.0.2.9>"),
    )
    assert destination(made, FALLBACK, Reach()) == Hop("192.0.2.3", 5063)


def test_a_host_name_is_reached_where_the_trunk_was() -> None:
    made = dialog(b"Contact: <sip:b@gateway.example>")
    assert addressing(made) == (b"sip:b@gateway.example", ())
    assert destination(made, FALLBACK, Reach()) == FALLBACK


def test_an_answer_with_an_unreadable_contact_or_route_still_makes_a_dialog() -> None:
    made = dialog(b'Contact: "open <sip:b@x>', b"Record-Route: <sip:p;lr>, <broken")
    assert addressing(made) == (INVITE_URI, ())


def test_a_target_refresh_moves_the_target() -> None:
    made = dialog(b"Contact: <sip:b@192.0.2.9>")
    headers = (
        (b"Via", b"SIP/2.0/UDP x;branch=2"),
        (b"From", b"<sip:b@y>;tag=t"),
        (b"To", b"<sip:a@x>;tag=f"),
        (b"Call-ID", b"c"),
        (b"CSeq", b"1 UPDATE"),
    )
    for contact, target in (
        ((b"Contact", b"<sip:b@192.0.2.10>"), b"sip:b@192.0.2.10"),
        ((b"X-None", b""), b"sip:b@192.0.2.10"),
        ((b"Contact", b"*"), b"sip:b@192.0.2.10"),
    ):
        update = parse(build_request(b"UPDATE", b"sip:a@x", (*headers, contact)))
        assert isinstance(update, Request)
        refresh(made, update)
        assert made.target == target
