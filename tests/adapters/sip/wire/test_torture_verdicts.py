"""The verdict on each of the 61 points of RFC 4475 and RFC 5118; the reasons stand in `torture`.

Each is given to messages of our own, and to the RFC's where a folder of them is at hand."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from adapters.media.types import Remote
from adapters.sip.call.outbox import MediaAgreed
from adapters.sip.core import SipCore
from adapters.sip.wire.hop import Hop
from adapters.sip.wire.message import Message, Request, SipParseError, parse
from adapters.sip.wire.uri import read_uri
from tests.adapters.sip.lineup import TRUNK, Lineup, answer_sdp
from tests.adapters.sip.wire.torture import POINTS, Point, Verdict, invite, written

FOLDER = Path(
    os.environ.get(
        "CALLWHEEL_SIP_TORTURE",
        Path(__file__).parents[4] / ".." / "shared" / "data" / "sip-torture",
    )
)
STRANGER = Hop("203.0.113.5", 5999)
VIEWS = (
    "branch", "from_tag", "to_tag", "from_addr", "to_addr", "cseq", "vias", "top_via", "contact",
    "content_type",
)  # fmt: skip
BY_NAME = {point.name: point for point in POINTS}

each_point = pytest.mark.parametrize("point", POINTS, ids=lambda point: point.name)


def original(point: Point) -> bytes:
    folder = point.section.partition(" §")[0].lower().replace(" ", "")
    path = FOLDER / folder / f"{point.name}.dat"
    if not path.exists():
        pytest.skip("no torture messages: point CALLWHEEL_SIP_TORTURE to a folder of them")
    return path.read_bytes()


def unreadable_views(message: Message) -> tuple[str, ...]:
    found = []
    for view in VIEWS:
        try:
            getattr(message, view)
        except SipParseError:
            found.append(view)
    if isinstance(message, Request):
        try:
            read_uri(message.uri)
        except SipParseError:
            found.append("request_uri")
    return tuple(found)


def answer_of(core: SipCore, data: bytes, source: Hop) -> int | None:
    core.receive(data, source, 0.0)
    answers = [int(answer.split(b" ")[1]) for answer, _ in core.datagrams_to_send()]
    assert len(answers) < 2
    return answers[0] if answers else None


def verdict_on(data: bytes) -> Verdict:
    refusal = ""
    unreadable: tuple[str, ...] = ()
    try:
        unreadable = unreadable_views(parse(data))
    except SipParseError as error:
        refusal = error.reason
    core = SipCore(b"secret", frozenset({TRUNK[0]}))
    answer = answer_of(core, data, TRUNK)
    strays = core.statistics().strays
    to_stranger = answer_of(core, data, STRANGER)
    assert (core.statistics().faults, core.statistics().calls_kept) == (0, 0)
    return Verdict(answer, to_stranger, refusal, unreadable, strays)


def test_each_of_the_61_points_has_its_verdict() -> None:
    sections = [point.section.partition(" §")[0] for point in POINTS]
    assert (len(BY_NAME), sections.count("RFC 4475"), sections.count("RFC 5118")) == (61, 49, 12)


@each_point
def test_a_message_of_ours_gets_the_verdict(point: Point) -> None:
    assert verdict_on(point.data) == point.verdict, point.reason
    if not point.verdict.refusal:
        assert point.trait(parse(point.data)) == point.value, point.reason


@each_point
def test_the_message_of_the_rfc_gets_the_same_verdict(point: Point) -> None:
    data = original(point)
    assert verdict_on(data) == point.verdict, point.reason
    if not point.verdict.refusal:
        assert point.trait(parse(data)) == point.value, point.reason


# The same traits inside of a call.

_ADDRESSING = re.compile(
    rb"(?:via|v|from|f|to|t|call-id|i|cseq)[ \t]*:[^\r]*(?:\r\n[ \t][^\r]*)*\r\n", re.IGNORECASE
)


def into_call(data: bytes, invite: Request) -> bytes:
    """A request as the callee of the call that `invite` made would have sent it."""
    head, blank, body = data.partition(b"\r\n\r\n")
    start, _, rest = (head + b"\r\n").partition(b"\r\n")
    kept = b"".join(
        line for line in re.findall(rb"[^\r]*\r\n(?:[ \t][^\r]*\r\n)*", rest)
        if not _ADDRESSING.fullmatch(line)
    )  # fmt: skip
    addressing = b"".join(
        b"%b: %b\r\n" % line
        for line in (
            (b"Via", b"SIP/2.0/UDP 192.0.2.70:5070;branch=z9hG4bKinside"),
            (b"From", invite.fields[b"to"][0] + b";tag=callee"),
            (b"To", invite.fields[b"from"][0]),
            (b"Call-ID", invite.call_id),
            (b"CSeq", b"1 " + start.split(b" ")[0]),
        )
    )
    return start + b"\r\n" + addressing + kept + blank[2:] + body


INSIDE: tuple[tuple[str, int, dict[bytes, int], str], ...] = (
    ("bext01", 420, {b"unsupported": 1}, "Required extensions are unknown inside of a call too."),
    ("invut", 415, {b"accept": 1}, "A new offer in an unknown type is refused, and the call goes on."),
    ("sdp01", 406, {}, "Who takes no SDP gets no answer in SDP."),
    ("unkscm", 416, {}, "The target that we gave was a SIP URI."),
    ("novelsc", 416, {}, "The target that we gave was a SIP URI."),
    ("zeromf", 200, {b"allow": 1}, "The request has arrived, and may have used up its hops."),
    ("baddate", 200, {b"contact": 1}, "An odd Date does not stop a new offer."),
    ("escruri", 200, {b"contact": 1}, "Headers in the Request-URI are passed over."),
    ("longreq", 200, {b"contact": 1}, "Length alone refuses nothing."),
    ("ipv6-in-sdp", 488, {}, "There is no codec in common; the address is not the reason."),
    ("mult-ip-in-sdp", 200, {b"contact": 1}, "The audio has an address that we can use."),
    ("mpart01", 405, {b"allow": 1}, "MESSAGE is none of the methods that a call here takes."),
    ("esc02", 501, {b"allow": 1}, "Nobody knows the method."),
)  # fmt: skip


@pytest.mark.parametrize("whose", ["ours", "the RFC's"])
@pytest.mark.parametrize(
    ("name", "status", "headers", "reason"), INSIDE, ids=[x[0] for x in INSIDE]
)
def test_inside_of_a_call_the_verdict_is(
    name: str, status: int, headers: dict[bytes, int], reason: str, whose: str
) -> None:
    point = BY_NAME[name]
    data = point.data if whose == "ours" else original(point)
    lineup = Lineup()
    _, invite = lineup.answer()
    lineup.core.receive(into_call(data, invite), TRUNK, lineup.now)
    (response,) = lineup.responses()
    found = {header: len(response.raw(header)) for header in headers}
    assert (response.status, found) == (status, headers), reason
    assert (lineup.core.statistics().faults, lineup.core.statistics().calls_kept) == (0, 1)


@pytest.mark.parametrize("whose", ["ours", "the RFC's"])
def test_an_offer_with_an_address_of_each_family_moves_the_audio_to_its_own(whose: str) -> None:
    point = BY_NAME["mult-ip-in-sdp"]
    data = point.data if whose == "ours" else original(point)
    lineup = Lineup()
    _, invite = lineup.answer()
    lineup.core.receive(into_call(data, invite), TRUNK, lineup.now)
    remote = Remote("192.0.2.1", 22334, 0, None, 20)
    assert lineup.events() == [MediaAgreed(remote, is_first=False)]


def test_an_offer_with_an_ipv6_address_moves_the_audio_there() -> None:
    lineup = Lineup()
    _, request = lineup.answer()
    offer = answer_sdp(host="2001:db8::20").replace(b"IN IP4", b"IN IP6")
    lineup.core.receive(into_call(invite(body=offer), request), TRUNK, lineup.now)
    remote = Remote("2001:db8::20", 6000, 0, None, 20)
    assert lineup.events() == [MediaAgreed(remote, is_first=False)]


@pytest.mark.parametrize("branch", [b";branch=z9hG4bK", b""])
def test_a_branch_that_says_nothing_does_not_make_two_requests_one(branch: bytes) -> None:
    lineup = Lineup()
    _, request = lineup.answer()
    for number, method in enumerate((b"INFO", b"INFO", b"OPTIONS", b"INFO"), 1):
        data = into_call(written(method + b" sip:us@192.0.2.1 SIP/2.0"), request)
        data = data.replace(b";branch=z9hG4bKinside", branch)
        lineup.core.receive(data.replace(b"CSeq: 1 ", b"CSeq: %d " % number), TRUNK, lineup.now)
    assert [response.cseq.number for response in lineup.responses()] == [1, 2, 3, 4]


def test_a_malformed_request_inside_of_a_call_is_400_and_the_call_goes_on() -> None:
    lineup = Lineup()
    _, request = lineup.answer()
    data = into_call(written(b"INFO sip:us@192.0.2.1 SIP/2.0"), request)
    lineup.core.receive(data.replace(b"1 INFO", b"1 INVITE"), TRUNK, lineup.now)
    (response,) = lineup.responses()
    assert (response.status, lineup.core.statistics().calls_kept) == (400, 1)


def test_a_nul_behind_a_backslash_in_a_200_does_not_harm_the_call() -> None:
    lineup = Lineup()
    _, request = lineup.dial()
    request.fields[b"to"] = [b'"\\\0" <sip:callee@192.0.2.99>']
    lineup.respond(
        request, 200, headers=((b"Content-Type", b"application/sdp"),), body=answer_sdp()
    )
    (ack,) = lineup.requests()
    assert (ack.method, ack.to_addr.display) == (b"ACK", b"\\\0")
    assert lineup.core.statistics().faults == 0


def test_the_400_echoes_what_there_is_and_goes_where_the_via_says() -> None:
    core = SipCore(b"secret", frozenset({TRUNK[0]}))
    core.receive(BY_NAME["insuf"].data, TRUNK, 0.0)
    assert core.datagrams_to_send() == [
        (
            b"SIP/2.0 400 Bad Request\r\n"
            b"Via: SIP/2.0/UDP 198.51.100.4:5070;branch=z9hG4bKown;received=192.0.2.70\r\n"
            b"CSeq: 7 INVITE\r\nContent-Length: 0\r\n\r\n",
            TRUNK,
        )
    ]


@pytest.mark.parametrize(
    "data",
    [
        written(b"ACK sip:us@192.0.2.1 SIP/2.0 "),
        written(b"SIP/2.0 2000 OK"),
        written(b"BYE sip:us@192.0.2.1 SIP/2.0 ", via=b""),
        written(b"BYE sip:us@192.0.2.1 SIP/2.0 ", via=b"nonsense"),
        written(b"BYE sip:us@192.0.2.1 SIP/2.0 ", via=b"SIP/2.0/UDP x;a=\nb"),
        written(b"BYE sip:us@192.0.2.1 SIP/2.0 ", b"X: " + b"x" * 8192),
        written(b"B@E sip:us@192.0.2.1 SIP/2.0"),
        written(b"GET / HTTP/1.1"),
        b"\r\n ",
    ],
)  # fmt: skip
def test_what_is_not_to_be_answered_or_cannot_be_is_not(data: bytes) -> None:
    core = SipCore(b"secret", frozenset({TRUNK[0]}))
    core.receive(data, TRUNK, 0.0)
    assert (core.datagrams_to_send(), core.statistics().faults) == ([], 0)
    assert core.statistics().parse_errors == 1


def test_a_malformed_request_is_answered_the_same_again_without_state() -> None:
    core = SipCore(b"secret", frozenset({TRUNK[0]}))
    for _ in range(2):
        core.receive(BY_NAME["clerr"].data, TRUNK, 0.0)
    first, second = core.datagrams_to_send()
    assert first == second
    assert b"To: <sip:bert@example.org>;tag=" in first[0]
