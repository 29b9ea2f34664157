"""The 61 points of RFC 4475 and RFC 5118: for each a message of our own that has the same trait, the
verdict on it, and the reason. The verdict holds for the RFC's own message as well."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from adapters.sip.wire.hop import Hop
from adapters.sip.wire.message import Message, Request, Response
from adapters.sip.wire.uri import next_hop, read_uri
from tests.adapters.sip.lineup import answer_sdp

SDP = b"Content-Type: application/sdp"
OFFER = answer_sdp()
G726 = answer_sdp(codecs="2", host="2001:db8::7").replace(b"IN IP4", b"IN IP6")
TWO_FAMILIES = (
    b"v=0\r\no=- 4 4 IN IP4 pbx.example.net\r\ns=\r\nt=0 0\r\n"
    b"m=audio 22334 RTP/AVP 0\r\nc=IN IP4 192.0.2.1\r\n"
    b"m=video 7000 RTP/AVP 99\r\nc=IN IP6 2001:db8::7\r\n"
)


BEFORE = Hop("192.0.2.70", 5060)
"""Where a call went before its URI is followed."""


class Verdict(Struct, frozen=True):
    """What becomes of a message. Of a message that `parse` refuses nothing but an answer can come."""

    answer: int | None = None
    """The status that a trunk hears outside of any call; None for silence."""
    to_stranger: int | None = None
    """The same for everybody else."""
    refusal: str = ""
    """Why `parse` refuses it; empty where it does not."""
    unreadable: tuple[str, ...] = ()
    """The views that raise the typed error; all the others give their value."""
    strays: int = 0
    """Whether it counts as a response to nothing of ours."""


class Point(Struct, frozen=True):
    """One point of an RFC."""

    name: str
    """As in the RFC, and the name of its file."""
    section: str
    data: bytes
    """Our own message with this trait."""
    verdict: Verdict
    reason: str
    """What we do, and why that is what the RFC asks, in a sentence."""
    trait: Callable[[Message], object] = lambda message: None
    """What comes out of a message that could be read …"""
    value: object = None
    """… and must be this for the RFC's message and for ours."""


def everyone(status: int, *unreadable: str) -> Verdict:
    return Verdict(status, status, unreadable=unreadable)


def trunk_only(status: int, *unreadable: str) -> Verdict:
    """A stranger's scan or garbage gets silence."""
    return Verdict(status, unreadable=unreadable)


def refused(status: int | None, refusal: str) -> Verdict:
    return Verdict(status, refusal=refusal)


def stray(*unreadable: str) -> Verdict:
    return Verdict(strays=1, unreadable=unreadable)


def written(
    start: bytes,
    *more: bytes,
    via: bytes = b"SIP/2.0/UDP 198.51.100.4:5070;branch=z9hG4bKown",
    sender: bytes = b"<sip:anna@example.net>;tag=sender",
    to: bytes = b"<sip:bert@example.org>",
    call_id: bytes = b"own@example.net",
    cseq: bytes = b"",
    body: bytes = b"",
    length: bytes | None = None,
) -> bytes:
    """A message of ours; an empty line in `more` is left out, and so is an empty field."""
    fields = (
        (b"Via", via),
        (b"From", sender),
        (b"To", to),
        (b"Call-ID", call_id),
        (b"CSeq", cseq or b"7 " + start.split()[0]),
        (b"Content-Length", b"%d" % len(body) if length is None else length),
    )
    lines = [start, *(b"%b: %b" % field for field in fields if field[1]), *more]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def to_us(method: bytes, *more: bytes, uri: bytes = b"sip:bert@example.org") -> bytes:
    return written(b"%b %b SIP/2.0" % (method, uri), *more)


def invite(*more: bytes, uri: bytes = b"sip:bert@example.org", body: bytes = OFFER) -> bytes:
    return written(
        b"INVITE %b SIP/2.0" % uri, SDP, b"Contact: <sip:anna@198.51.100.4>", *more, body=body
    )


def as_request(message: Message) -> Request:
    assert isinstance(message, Request)
    return message


def reason_of(message: Message) -> tuple[int, bool, bool]:
    """Status, whether there is a phrase, and whether that is plain ASCII."""
    assert isinstance(message, Response)
    return message.status, bool(message.reason), message.reason.isascii()


def user_of(message: Message) -> bytes:
    return read_uri(as_request(message).uri).user or b""


def host_of(message: Message) -> bytes:
    return read_uri(as_request(message).uri).host


def port_of(message: Message) -> int | None:
    return read_uri(as_request(message).uri).port


def transports(message: Message) -> list[bytes]:
    return [via.transport for via in message.vias]


def contact_params(message: Message) -> tuple[bool, bool]:
    """Whether the Contact has a parameter of the field's, and one of the URI's."""
    head, _, tail = message.listed(b"contact")[0].partition(b">")
    uri = read_uri(message.contact or b"")
    return b";" in (tail if b"<" in head else head), bool(uri.params)


def tortuous(message: Message) -> object:
    return (
        message.cseq.number,
        int(message.first(b"max-forwards") or b"0"),
        transports(message),
        [via.port for via in message.vias],
        message.to_tag is not None,
        message.from_tag is not None,
        message.from_addr.display.endswith(b'\\"'),
        message.first(b"subject"),
        read_uri(message.contact or b"").scheme,
    )


TORTUOUS = (
    b"INVITE sip:bert@example.org;odd SIP/2.0\r\nTO :\r\n sip:bert@example.org ;  tag  = known\r\n"
    b'from  : "Anna \\\\\\""    <sip:anna@example.net>\r\n  ;\r\n  tag = sender\r\n'
    b"mAx-fOrWaRdS: 0068\r\nCall-ID: own@example.net\r\nContent-Length   : %d\r\ncseq: 0009\r\n"
    b"  INVITE\r\nVia  : SIP  /   2.0\r\n /UDP\r\n    198.51.100.4;branch=own\r\ns :\r\n"
    b"X-New:   one\r\n two\r\nX-Marks: ;;,,;;,;\r\nContent-Type: application/sdp\r\n"
    b"Route:\r\n <sip:edge.example.org;lr;odd=1>\r\nv:  SIP  / 2.0  / TCP     gate.example.net   ;\r\n"
    b"  branch  =   z9hG4bKtwo  ,\r\n SIP  /    2.0   / UDP  203.0.113.77   ; branch=\r\n z9hG4bKthree\r\n"
    b'm:"An \\"\\" na" <sip:anna@example.net> ; p =\r\n      v ;\r\n  bare ; q = 0.33\r\n\r\n%b'
) % (len(OFFER), OFFER)
ODD_METHOD = b"!Own-Method01_*+`.%odd'~"
ODD_CHARACTERS = written(
    ODD_METHOD + b" sip:odd~(user!)&isn't+it$/x?,/;;*:&pass=1@example.org SIP/2.0",
    b"X-Odd!-.%*+_`'~:\xef\xbb\xbf\xe5\xa4\xa7",
    sender=b"tok1~` tok2'+_ <sip:anna@example.net>;p''~+*_!.-%=\"\xd1\x8e\";tag=_odd~1'+`*%!-.",
    to=b'"BEL:\\\x07 NUL:\\\x00 DEL:\\\x7f" <sip:odd~;;*@example.org>',
    call_id=b"odd%Z-!.*_+'@x`~)(><:\\/\"][?}{",
)
TWICE = (
    b"Max-Forwards: 5\r\nCall-ID: two@example.net\r\nCSeq: 8 INVITE\r\nTo: <sip:carl@example.org>"
)
REGISTRAR = b"sip:example.org"
PARTS = (
    b"--cut\r\nContent-Type: text/plain\r\n\r\nHello\r\n--cut\r\n"
    b"Content-Type: application/octet-stream\r\n\r\n0\x82\x00\r\n\r\n\xff\x00\r\n--cut--\r\n"
)
LONG = b"very" * 60

POINTS = (
    Point(
        "wsinv", "RFC 4475 §3.1.1.1", TORTUOUS, everyone(481),
        "Folding, white space around every mark, any case and escaped quotes are all allowed, so "
        "each value comes out; 481 is due to a To tag of no dialog.",
        tortuous,
        (9, 68, [b"UDP", b"TCP", b"UDP"], [None] * 3, True, True, True, b"", b"sip"),
    ),
    Point(
        "intmeth", "RFC 4475 §3.1.1.2", ODD_CHARACTERS, everyone(501),
        "All of these characters are allowed where they stand, NUL behind a backslash too, so it is "
        "read and echoed; nobody knows the method, which is 501.",
        lambda m: (m.cseq.method.isalnum(), b"\\\0" in m.to_addr.display, user_of(m)[-3:]),
        (False, True, b";;*"),
    ),
    Point(
        "esc01", "RFC 4475 §3.1.1.3",
        invite(b"Max-Forwards: 87", uri=b"sip:sips%3Aanna%40example.net@example.org"),
        everyone(403),
        "Escapes stay as they came, so an escaped @ or colon ends no user part; 403 because this "
        "engine takes no calls.",
        lambda m: (b"%40" in user_of(m), b"@" in user_of(m)), (True, False),
    ),
    Point(
        "escnull", "RFC 4475 §3.1.1.4",
        to_us(
            b"REGISTER", b"Contact: <sip:%00@198.51.100.4>", b"Contact: <sip:%00%00@198.51.100.4>",
            uri=REGISTRAR,
        ),
        everyone(405),
        "An escaped NUL is three characters of a user part and ends nothing; REGISTER is 405, since "
        "we are no registrar.",
        lambda m: [read_uri(read[1:-1]).user for read in m.listed(b"contact")],
        [b"%00", b"%00%00"],
    ),
    Point(
        "esc02", "RFC 4475 §3.1.1.5",
        written(
            b"RE%47IST%45R sip:example.org SIP/2.0", b"Contact: <sip:a@198.51.100.4>",
            b"C%6Fntact: <sip:b@198.51.100.4>", b"Contact: <sip:c@198.51.100.4>",
            sender=b'"%Z%45" <sip:anna@example.net>;tag=sender',
        ),
        everyone(501),
        "Percent is a plain character in methods, header names and quoted strings: the method is an "
        "unknown one, and only two of the three are Contacts.",
        lambda m: (m.cseq.method, len(m.listed(b"contact")), m.from_addr.display),
        (b"RE%47IST%45R", 2, b"%Z%45"),
    ),
    Point(
        "lwsdisp", "RFC 4475 §3.1.1.6",
        written(b"OPTIONS sip:bert@example.org SIP/2.0", sender=b"caller<sip:a@b.example>;tag=s"),
        trunk_only(200),
        "No white space is needed between a display name and <, so both are read, and OPTIONS gets "
        "its 200.",
        lambda m: m.from_addr.display, b"caller",
    ),
    Point(
        "longreq", "RFC 4475 §3.1.1.7",
        written(
            b"INVITE sip:bert@example.org SIP/2.0", SDP, b"X-%b: %b" % (LONG, LONG),
            b"Contact: <sip:%b@example.net>" % LONG,
            *[b"Via: SIP/2.0/TCP h%d.example" % number for number in range(33)],
            sender=b"sip:%b@example.net;tag=%b;%b=%b;%b" % (LONG, LONG, LONG, LONG, LONG * 2),
            to=b'"%b"<sip:bert@example.org:6000;p=%b;%b>' % (LONG, LONG, LONG), body=OFFER,
        ),
        everyone(403),
        "No value is too long while the head keeps within its bound of 8 KiB, so that all of it is "
        "read.",
        lambda m: (len(m.from_addr.uri) > 100, len(m.from_tag or b"") > 100, len(m.vias)),
        (True, True, 34),
    ),
    Point(
        "dblreq", "RFC 4475 §3.1.1.8", to_us(b"REGISTER", uri=REGISTRAR) + invite(),
        everyone(405),
        "What stands behind the Content-Length of a datagram is ignored, so only the first request "
        "is seen.",
        lambda m: (m.cseq.method, m.body), (b"REGISTER", b""),
    ),
    Point(
        "semiuri", "RFC 4475 §3.1.1.9", to_us(b"OPTIONS", uri=b"sip:bert;par=x%40y@example.org"),
        trunk_only(200),
        "A semicolon in front of the @ is of the user part, so the URI has no parameters.",
        lambda m: (b";par=" in user_of(m), read_uri(as_request(m).uri).params), (True, {}),
    ),
    Point(
        "transports", "RFC 4475 §3.1.1.10",
        to_us(b"OPTIONS", *[b"Via: SIP/2.0/%b a.example" % t for t in (b"SCTP", b"TLS", b"UNKNOWN", b"TCP")]),
        trunk_only(200),
        "Any token is a transport in a Via, known or not; the answer goes by the top one.",
        transports, [b"UDP", b"SCTP", b"TLS", b"UNKNOWN", b"TCP"],
    ),
    Point(
        "mpart01", "RFC 4475 §3.1.1.11",
        written(
            b"MESSAGE sip:bert@example.org SIP/2.0", b"Content-Type: multipart/mixed;boundary=cut",
            body=PARTS,
        ),
        everyone(405),
        "A body is as many bytes as Content-Length says, whatever is in them; MESSAGE is a method "
        "that we do not take.",
        lambda m: (m.content_type, b"\0" in m.body, m.body.endswith(b"--\r\n")),
        (b"multipart/mixed", True, True),
    ),
    Point(
        "unreason", "RFC 4475 §3.1.1.12",
        written("SIP/2.0 200 = 2³ · 5² – чудно".encode(), cseq=b"7 INVITE"),
        stray(),
        "A reason phrase is UTF-8 and means nothing to the machine: the 200 is a 200.",
        reason_of, (200, True, False),
    ),
    Point(
        "noreason", "RFC 4475 §3.1.1.13", written(b"SIP/2.0 100 ", cseq=b"7 INVITE"), stray(),
        "A reason phrase may be empty.",
        reason_of, (100, False, True),
    ),
    Point(
        "badinv01", "RFC 4475 §3.1.2.1",
        written(
            b"INVITE sip:bert@example.org SIP/2.0", SDP, b"Contact: <sip:anna@example.net>;;;",
            via=b"SIP/2.0/UDP 198.51.100.4;;,;,,", body=OFFER,
        ),
        trunk_only(400, "vias"),
        "Separators with nothing between them make the Via unreadable: 400.",
    ),
    Point(
        "clerr", "RFC 4475 §3.1.2.2",
        written(b"INVITE sip:bert@example.org SIP/2.0", SDP, body=OFFER, length=b"9999"),
        refused(400, "body shorter than its Content-Length"),
        "In a datagram a body shorter than announced cannot grow any more: 400.",
    ),
    Point(
        "ncl", "RFC 4475 §3.1.2.3",
        written(b"INVITE sip:bert@example.org SIP/2.0", SDP, body=OFFER, length=b"-1"),
        refused(400, "not a number"),
        "A negative length is not a length: 400.",
    ),
    Point(
        "scalar02", "RFC 4475 §3.1.2.4",
        written(
            b"REGISTER sip:example.org SIP/2.0", b"Expires: 1" + b"0" * 99, b"Max-Forwards: 300",
            cseq=b"36893488147419103299 REGISTER",
        ),
        trunk_only(400, "cseq"),
        "A CSeq of 2³¹ or more is malformed: 400, while the other numbers are not looked at.",
    ),
    Point(
        "scalarlg", "RFC 4475 §3.1.2.5",
        written(
            b"SIP/2.0 503 Service Unavailable", b"Retry-After: 9" + b"4" * 30,
            cseq=b"9" * 22 + b" OPTIONS",
        ),
        stray("cseq"),
        "A response with such a CSeq matches no request of ours and is dropped.",
    ),
    Point(
        "quotbal", "RFC 4475 §3.1.2.6",
        written(b"INVITE sip:bert@example.org SIP/2.0", SDP, to=b'"Bert <sip:b@example.org>', body=OFFER),
        trunk_only(400, "to_tag", "to_addr"),
        "A quoted string that never ends makes To unreadable: 400, with To as it came.",
    ),
    Point(
        "ltgtruri", "RFC 4475 §3.1.2.7", invite(uri=b"<sip:bert@example.org>"),
        refused(400, "bad Request-URI"),
        "A Request-URI has no angle brackets: 400, and nothing is guessed.",
    ),
    Point(
        "lwsruri", "RFC 4475 §3.1.2.8", invite(uri=b"sip:bert@example.org; lr"),
        refused(400, "bad request line"),
        "White space in the Request-URI makes four words of three: 400.",
    ),
    Point(
        "lwsstart", "RFC 4475 §3.1.2.9",
        written(b"INVITE  sip:bert@example.org  SIP/2.0", SDP, body=OFFER),
        refused(400, "bad request line"),
        "One space stands between the words of a request line, and no more: 400.",
    ),
    Point(
        "trws", "RFC 4475 §3.1.2.10", written(b"OPTIONS sip:bert@example.org SIP/2.0  "),
        refused(400, "bad request line"),
        "Nothing stands behind the version: 400.",
    ),
    Point(
        "escruri", "RFC 4475 §3.1.2.11", invite(uri=b"sip:bert@example.org?Route=%3Csip:x.example%3E"),
        everyone(403),
        "Headers in a Request-URI may be ignored by who is liberal: they are read, and nothing is "
        "done with them.",
        lambda m: (host_of(m).startswith(b"example."), read_uri(as_request(m).uri).headers[:6]),
        (True, b"Route="),
    ),
    Point(
        "baddate", "RFC 4475 §3.1.2.12", invite(b"Date: Sun, 03 Feb 2019 10:00:00 CET"),
        everyone(403),
        "A Date in the wrong zone ought not to fail a request that does not depend on it, and none "
        "does here.",
        lambda m: (m.first(b"date") or b"GMT").endswith(b"GMT"), False,
    ),
    Point(
        "regbadct", "RFC 4475 §3.1.2.13",
        to_us(b"REGISTER", b"Contact: sip:anna@example.net?Route=%3Csip:x.example%3E", uri=REGISTRAR),
        trunk_only(400, "contact"),
        "An address with a question mark needs angle brackets: 400, and none are inferred.",
    ),
    Point(
        "badaspec", "RFC 4475 §3.1.2.14",
        written(b"OPTIONS sip:bert@example.org SIP/2.0", to=b'"Bert" < sip:bert@example.org >'),
        trunk_only(400, "to_tag", "to_addr"),
        "White space inside the angle brackets is malformed: 400.",
    ),
    Point(
        "baddn", "RFC 4475 §3.1.2.15",
        written(
            b"OPTIONS sip:bert@example.org SIP/2.0", sender=b"Carr, Anna <sip:anna@example.net>;tag=s",
            to=b"Doe, Bert <sip:bert@example.org>",
        ),
        trunk_only(200),
        "A comma in an unquoted name leaves no doubt in From and To, and who is liberal infers the "
        "quotes: it is read.",
        lambda m: (b", " in m.from_addr.display, m.from_addr.uri[:4], m.from_tag is None),
        (True, b"sip:", False),
    ),
    Point(
        "badvers", "RFC 4475 §3.1.2.16",
        written(b"OPTIONS sip:bert@example.org SIP/9.1", via=b"SIP/9.1/UDP 198.51.100.4;branch=z9hG4bKown"),
        refused(505, "not SIP 2.0"),
        "Another version of SIP is told that it is not spoken here: 505.",
    ),
    Point(
        "mismatch01", "RFC 4475 §3.1.2.17",
        written(b"OPTIONS sip:bert@example.org SIP/2.0", cseq=b"7 INVITE"),
        trunk_only(400, "cseq"),
        "A CSeq of another method than the request line's is malformed: 400.",
    ),
    Point(
        "mismatch02", "RFC 4475 §3.1.2.18",
        written(b"BREW sip:bert@example.org SIP/2.0", SDP, cseq=b"7 INVITE", body=OFFER),
        trunk_only(501, "cseq"),
        "Where the method is unknown besides, 501 is the answer that the RFC names first.",
    ),
    Point(
        "bigcode", "RFC 4475 §3.1.2.19",
        written(b"SIP/2.0 4294967396 wrapped around it would be 100", cseq=b"7 INVITE"),
        refused(None, "bad status code"),
        "A status code has three digits; such a response is dropped.",
    ),
    Point(
        "badbranch", "RFC 4475 §3.2.1",
        written(b"OPTIONS sip:bert@example.org SIP/2.0", via=b"SIP/2.0/UDP 198.51.100.4;branch=z9hG4bK"),
        trunk_only(200),
        "A branch of the bare magic cookie tells no transactions apart: without a call the answer is "
        "stateless, and in one the CSeq is compared as well (RFC 3261 §17.2.3).",
        lambda m: m.branch, b"z9hG4bK",
    ),
    Point(
        "insuf", "RFC 4475 §3.3.1",
        written(b"INVITE sip:bert@example.org SIP/2.0", SDP, sender=b"", to=b"", call_id=b"", body=OFFER),
        refused(400, "a mandatory header is missing"),
        "Without From, To and Call-ID there is nothing to serve: ideally 400, which echoes what "
        "there was.",
    ),
    Point(
        "unkscm", "RFC 4475 §3.3.2", to_us(b"OPTIONS", uri=b"unheardof:opaque"),
        trunk_only(416, "request_uri"),
        "A Request-URI of an unknown scheme is 416.",
    ),
    Point(
        "novelsc", "RFC 4475 §3.3.3", to_us(b"OPTIONS", uri=b"soap.beep://198.51.100.4:3002"),
        trunk_only(416, "request_uri"),
        "A registered scheme that we do not speak is 416 as well.",
    ),
    Point(
        "unksm2", "RFC 4475 §3.3.4",
        written(
            b"REGISTER sip:example.org SIP/2.0", b"Contact: <name:Anna>", to=b"isbn:3161484100",
            sender=b"<http://www.example.net>;tag=sender",
        ),
        everyone(405),
        "Schemes in From, To and Contact are only carried along; a registrar would look at them, "
        "and REGISTER is 405 here.",
        lambda m: (m.to_addr.uri[:5], m.from_addr.uri[:5], (m.contact or b"")[:5]),
        (b"isbn:", b"http:", b"name:"),
    ),
    Point(
        "bext01", "RFC 4475 §3.3.5",
        to_us(b"OPTIONS", b"Require: noSuchThing, norThat", b"Proxy-Require: notThisEither"),
        trunk_only(420),
        "Extensions that are required and unknown are 420, with their names in Unsupported; "
        "Proxy-Require is for proxies.",
        lambda m: (len(m.listed(b"require")), bool(m.first(b"proxy-require"))), (2, True),
    ),
    Point(
        "invut", "RFC 4475 §3.3.6",
        written(
            b"INVITE sip:bert@example.org SIP/2.0", b"Content-Type: application/unheardof",
            body=b"<audio/>\r\n",
        ),
        everyone(415),
        "An offer in a type that nobody knows is 415, with the one that we know in Accept.",
        lambda m: m.content_type[:12], b"application/",
    ),
    Point(
        "regaut01", "RFC 4475 §3.3.7",
        to_us(b"REGISTER", b"Authorization: UnheardOf opaque=1", uri=REGISTRAR),
        everyone(405),
        "Credentials of an unknown scheme count as none, and nobody needs any to hear 405.",
        lambda m: m.first(b"authorization") is None, False,
    ),
    Point(
        "multi01", "RFC 4475 §3.3.8", invite(TWICE), refused(400, "repeated header"),
        "Two values of what comes once leave no way to choose: 400.",
    ),
    Point(
        "mcl01", "RFC 4475 §3.3.9",
        written(
            b"OPTIONS sip:bert@example.org SIP/2.0", b"l: 3", b"Content-Type: text/plain",
            body=b"how long?",
        ),
        refused(400, "repeated header"),
        "With two lengths nobody knows where the body ends: 400.",
    ),
    Point(
        "bcast", "RFC 4475 §3.3.10",
        written(
            b"SIP/2.0 200 OK", SDP, b"Via: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bKall",
            cseq=b"7 INVITE", body=OFFER,
        ),
        stray(),
        "A response to nothing of ours is dropped, and a broadcast address below the top Via sends "
        "nothing anywhere.",
        lambda m: m.vias[1].host, b"255.255.255.255",
    ),
    Point(
        "zeromf", "RFC 4475 §3.3.11", to_us(b"OPTIONS", b"Max-Forwards: 0"), trunk_only(200),
        "Max-Forwards of 0 binds proxies: whom the request has reached answers it.",
        lambda m: m.first(b"max-forwards"), b"0",
    ),
    Point(
        "cparam01", "RFC 4475 §3.3.12",
        to_us(b"REGISTER", b"Contact: sip:+14155550123@gw.example.net;odd", uri=REGISTRAR),
        everyone(405),
        "Without angle brackets a parameter is the field's and not the URI's.",
        contact_params, (True, False),
    ),
    Point(
        "cparam02", "RFC 4475 §3.3.13",
        to_us(b"REGISTER", b"Contact: <sip:+14155550123@gw.example.net;odd>", uri=REGISTRAR),
        everyone(405),
        "Within angle brackets a parameter is the URI's and not the field's.",
        contact_params, (False, True),
    ),
    Point(
        "regescrt", "RFC 4475 §3.3.14",
        to_us(b"REGISTER", b"M: <sip:anna@example.net?Route=%3Csip:x.example%3E>", uri=REGISTRAR),
        everyone(405),
        "A Contact may carry headers: they stay in its URI.",
        lambda m: read_uri(m.contact or b"").headers[:6], b"Route=",
    ),
    Point(
        "sdp01", "RFC 4475 §3.3.15", invite(b"Accept: text/unheardof"), everyone(406),
        "Who accepts no SDP cannot be given an answer: 406.",
        lambda m: b"application/sdp" in m.listed(b"accept"), False,
    ),
    Point(
        "inv2543", "RFC 4475 §3.4.1",
        written(
            b"INVITE sip:bert@example.org SIP/2.0", SDP,
            b"Record-Route: <sip:bert@x.example;maddr=y.example>",
            via=b"SIP/2.0/UDP gw.example.net", sender=b"<sip:anna@example.net;user=phone>", length=b"",
            body=OFFER,
        ),
        everyone(403),
        "What RFC 2543 wrote has no branch, no From tag and no length, and is read all the same: "
        "the body is the rest of the datagram.",
        lambda m: (m.branch, m.from_tag, m.body[:3]), (None, None, b"v=0"),
    ),
    Point(
        "ipv6-good", "RFC 5118 §4.1",
        written(b"REGISTER sip:[2001:db8::a] SIP/2.0", via=b"SIP/2.0/UDP [2001:db8::9:5];branch=z9hG4bKown"),
        everyone(405),
        "An address in brackets is a host, in the URI and in the Via.",
        lambda m: (host_of(m)[:10], port_of(m), m.top_via.host[:10]), (b"2001:db8::", None, b"[2001:db8:"),
    ),
    Point(
        "ipv6-bad", "RFC 5118 §4.2", to_us(b"REGISTER", uri=b"sip:2001:db8::a"),
        trunk_only(400, "request_uri"),
        "An IPv6 address without brackets is no host: 400.",
    ),
    Point(
        "port-ambiguous", "RFC 5118 §4.3", to_us(b"REGISTER", uri=b"sip:[2001:db8::a:5070]"),
        everyone(405),
        "What stands inside the brackets is all of the address, so that there is no port.",
        lambda m: (host_of(m)[-5:], port_of(m)), (b":5070", None),
    ),
    Point(
        "port-unambiguous", "RFC 5118 §4.4", to_us(b"REGISTER", uri=b"sip:[2001:db8::a]:5070"),
        everyone(405),
        "What stands behind the brackets is the port.",
        lambda m: (host_of(m)[:10], port_of(m)), (b"2001:db8::", 5070),
    ),
    Point(
        "via-received-param-with-delim", "RFC 5118 §4.5",
        written(
            b"BYE sip:[2001:db8::a] SIP/2.0", to=b"<sip:bert@example.org>;tag=known",
            via=b"SIP/2.0/UDP [2001:db8::9:5];received=[2001:db8::9:7];branch=z9hG4bKown",
        ),
        everyone(481),
        "The address in `received` may have brackets, as most write it; the BYE is of no call of "
        "ours.",
        lambda m: (m.top_via.params[b"received"] or b"")[:10], b"[2001:db8:",
    ),
    Point(
        "via-received-param-no-delim", "RFC 5118 §4.5",
        written(
            b"OPTIONS sip:[2001:db8::a] SIP/2.0",
            via=b"SIP/2.0/UDP [2001:db8::9:5];received=2001:db8::9:7;branch=z9hG4bKown",
        ),
        trunk_only(200),
        "The address in `received` may stand without brackets, as the grammar has it.",
        lambda m: (m.top_via.params[b"received"] or b"")[:10], b"2001:db8::",
    ),
    Point(
        "ipv6-in-sdp", "RFC 5118 §4.6", invite(uri=b"sip:bert@[2001:db8::a]", body=G726),
        everyone(403),
        "The body of an IPv6 host is read as it came; outside of a call nobody answers it.",
        lambda m: (host_of(m)[:10], b"c=IN IP6 2001:db8::" in m.body), (b"2001:db8::", True),
    ),
    Point(
        "mult-ip-in-header", "RFC 5118 §4.7",
        written(
            b"BYE sip:bert@example.org SIP/2.0", b"Via: SIP/2.0/UDP 198.51.100.9;branch=z9hG4bKtwo",
            b"Via: SIP/2.0/TCP [2001:db8::9:8];branch=z9hG4bKthree;received=198.51.100.8",
            to=b"<sip:bert@example.org>;tag=known",
            via=b"SIP/2.0/UDP [2001:db8::9:5]:6050;branch=z9hG4bKown",
        ),
        everyone(481),
        "Each Via stands for itself, so both families may meet in one message.",
        lambda m: [(via.host[:1] == b"[", via.port) for via in m.vias],
        [(True, 6050), (False, None), (True, None)],
    ),
    Point(
        "mult-ip-in-sdp", "RFC 5118 §4.8",
        invite(uri=b"sip:bert@[2001:db8::a]", body=TWO_FAMILIES), everyone(403),
        "Each medium may have an address of its own family; inside of a call the audio's is taken.",
        lambda m: (m.body.count(b"c=IN IP4"), m.body.count(b"c=IN IP6")), (1, 1),
    ),
    Point(
        "ipv4-mapped-ipv6", "RFC 5118 §4.9",
        written(
            b"INVITE sip:bert@example.org SIP/2.0", SDP, b"Via: SIP/2.0/UDP [::ffff:198.51.100.9]",
            b"Contact: <sip:anna@[::ffff:198.51.100.4]>", body=G726,
            via=b"SIP/2.0/UDP [::ffff:198.51.100.4]:19823;branch=z9hG4bKown",
        ),
        everyone(403),
        "An IPv4 address in IPv6 clothes is an IPv6 address to the parser, in Via and Contact.",
        lambda m: ([via.host[:8] for via in m.vias], read_uri(m.contact or b"").host[:7]),
        ([b"[::ffff:"] * 2, b"::ffff:"),
    ),
    Point(
        "ipv6-bug-abnf-3-colons", "RFC 5118 §4.10",
        to_us(b"OPTIONS", uri=b"sip:bert@[2001:db8:::198.51.100.4]"), trunk_only(200),
        "The third colon, which the grammar of RFC 3261 asked for by mistake, is tolerated; nothing "
        "is ever sent to such an address.",
        lambda m: (b":::" in host_of(m), next_hop(as_request(m).uri, BEFORE)), (True, None),
    ),
    Point(
        "ipv6-correct-abnf-2-colons", "RFC 5118 §4.10",
        to_us(b"OPTIONS", uri=b"sip:bert@[2001:db8::198.51.100.4]"), trunk_only(200),
        "With two colons it is an address that could be sent to.",
        lambda m: (b":::" in host_of(m), next_hop(as_request(m).uri, BEFORE) is None), (False, False),
    ),
)  # fmt: skip
