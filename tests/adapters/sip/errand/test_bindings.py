"""For how long a registrar's answer keeps us."""

from __future__ import annotations

import pytest

from adapters.sip.errand.bindings import read_expiry
from adapters.sip.wire.message import Response, parse

OURS = b"<sip:callwheel@192.0.2.1:5062>"


def granted(*headers: bytes, contact: bytes = OURS) -> int:
    lines = [
        b"SIP/2.0 200 OK",
        b"Via: SIP/2.0/UDP x;branch=b",
        b"From: <sip:a@x>;tag=t",
        b"To: <sip:a@x>;tag=u",
        b"Call-ID: id",
        b"CSeq: 1 REGISTER",
        *headers,
    ]
    response = parse(b"\r\n".join(lines) + b"\r\n\r\n")
    assert isinstance(response, Response)
    return read_expiry(response, contact, 3600)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ((), 3600),
        ((b"Expires: 600",), 600),
        ((b"Expires: soon",), 3600),
        ((b"Expires: 7200",), 3600),
        ((b"Contact: " + OURS + b";expires=120",), 120),
        ((b"Contact: " + OURS + b";expires=120", b"Expires: 600"), 120),
        ((b"Contact: " + OURS + b';expires="120"',), 120),
        ((b"Contact: " + OURS + b";q=0.5;Expires = 120",), 120),
        ((b"Contact: " + OURS + b";expires=x", b"Expires: 600"), 600),
        ((b"Contact: " + OURS, b"Expires: 600"), 600),
        ((b"m: sip:CALLWHEEL@192.0.2.1:5062;expires=9",), 9),
        ((b"Contact: " + OURS + b";expires=99999999999999999999999",), 3600),
        ((b"Contact: " + OURS + b";expires=0",), 0),
        # Alone, and rewritten on the way.
        ((b"Contact: <sip:x@203.0.113.9:40000>;expires=60",), 60),
        # One of several, in one line and in two.
        ((b"Contact: <sip:desk@192.0.2.9>;expires=5, " + OURS + b";expires=77",), 77),
        ((b"Contact: <sip:desk@192.0.2.9>;expires=5", b"Contact: " + OURS + b";expires=77"), 77),
        ((b"Contact: <sip:callwheel@192.0.2.1:5062;transport=UDP>;expires=8, <sip:b@c>",), 8),
        # The same place over another transport, port or user is another binding.
        ((b"Contact: <sip:callwheel@192.0.2.1:5062;transport=tcp>;expires=8, <sip:b@c>",), 3600),
        ((b"Contact: <sip:callwheel@192.0.2.1>;expires=8, <sip:b@c>",), 3600),
        ((b"Contact: <sip:other@192.0.2.1:5062>;expires=8, <sip:b@c>", b"Expires: 600"), 600),
        ((b"Contact: <mailto:a@b>;expires=8, <sip:b@c>;expires=5", b"Expires: 600"), 600),
        # What cannot be read.
        ((b'Contact: "open <sip:a@b>;expires=5', b"Expires: 600"), 600),
        ((b"Contact:",), 3600),
        ((b"Contact: *",), 3600),
    ],
)
def test_the_time_that_an_answer_grants(headers: tuple[bytes, ...], seconds: int) -> None:
    assert granted(*headers) == seconds


def test_the_usual_port_may_be_left_out() -> None:
    contact = b"<sip:callwheel@192.0.2.1:5060>"
    header = b"Contact: <sip:callwheel@192.0.2.1>;expires=8, <sip:b@c>;expires=5"
    assert granted(header, contact=contact) == 8
