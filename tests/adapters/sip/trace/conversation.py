"""A call's messages, made for the tests of what is kept of them."""

from __future__ import annotations

from adapters.sip.trace.record import KeptTrace, TracedMessage
from adapters.sip.wire.hop import Hop
from adapters.sip.wire.message import Request as SipRequest
from adapters.sip.wire.message import build_request, build_response, parse

EPOCH = 1_767_225_600.0
"""2026-01-01T00:00:00Z."""
HERE = Hop("192.0.2.1", 5062)
TRUNK = Hop("192.0.2.70", 5070)
SDP = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 20000 RTP/AVP 0\r\n"
SDP_TYPE = (b"Content-Type", b"application/sdp")

Headers = tuple[tuple[bytes, bytes], ...]


def request(
    method: bytes, *, cseq: int = 1, headers: Headers = (), body: bytes = b"", via: bytes = b"UDP"
) -> bytes:
    return build_request(
        method,
        b"sip:+14155550199@192.0.2.70:5070",
        (
            (b"Via", b"SIP/2.0/%b 192.0.2.1:5062;branch=z9hG4bK%d" % (via, cseq)),
            (b"From", b"<sip:+14155550100@192.0.2.1>;tag=a"),
            (b"To", b"<sip:+14155550199@192.0.2.70>"),
            (b"Call-ID", b"c0ffee"),
            (b"CSeq", b"%d %b" % (cseq, method)),
            *headers,
        ),
        body,
    )


def response(to: bytes, status: int, *, headers: Headers = (), body: bytes = b"") -> bytes:
    asked = parse(to)
    assert isinstance(asked, SipRequest)
    return build_response(asked, status, to_tag=b"b", headers=headers, body=body)


INVITE = request(b"INVITE", headers=(SDP_TYPE,), body=SDP)
TRYING = response(INVITE, 100)
RINGING = response(INVITE, 180)
ANSWER = response(INVITE, 200, headers=(SDP_TYPE,), body=SDP)
ACK = request(b"ACK")
BYE = request(b"BYE", cseq=2)
BYE_ANSWER = response(BYE, 200)


def sent(after_s: float, data: bytes, remote: Hop = TRUNK, local: Hop = HERE) -> TracedMessage:
    return TracedMessage(EPOCH + after_s, True, local, remote, data)


def received(after_s: float, data: bytes, remote: Hop = TRUNK, local: Hop = HERE) -> TracedMessage:
    return TracedMessage(EPOCH + after_s, False, local, remote, data)


def kept(*messages: TracedMessage) -> KeptTrace:
    return KeptTrace("att_1", "c0ffee", messages, len(messages))


COMPLETE = (
    sent(0.0, INVITE),
    received(0.002, TRYING),
    received(0.25, RINGING),
    received(2.0, ANSWER),
    sent(2.001, ACK),
    sent(5.5, BYE),
    received(5.503, BYE_ANSWER),
)
"""A call that is answered, and ended by us."""
