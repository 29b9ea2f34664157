"""Which part of a body is the session's description."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.sip.wire.message import Response
from adapters.sip.wire.multipart import PARTS_MAX, session_description

SDP = b"v=0\r\no=- 1 1 IN IP4 192.0.2.99\r\ns=-\r\nm=audio 6000 RTP/AVP 0"
MIXED = b"multipart/mixed;boundary=edge"
LF_SDP = SDP.replace(b"\r\n", b"\n")
SDP_PART = b"Content-Type: application/sdp\r\n\r\n" + SDP
ISUP_PART = b"Content-Type: application/isup\r\n\r\n\x01\x00\r\nv=0\r\n\x49"


def found(body: bytes, content_type: bytes | None = MIXED) -> bytes:
    fields = {} if content_type is None else {b"content-type": [content_type]}
    return session_description(Response(fields, body, 200, b"OK"))


def joined(*parts: bytes, boundary: bytes = b"edge", newline: bytes = b"\r\n") -> bytes:
    delimiter = newline + b"--" + boundary
    body = b"".join(delimiter + newline + part for part in parts)
    return (body + delimiter + b"--" + newline).removeprefix(newline)


@pytest.mark.parametrize(
    ("content_type", "body", "description"),
    [
        (b"application/sdp", SDP, SDP),
        (b"Application/SDP ; charset=utf-8", SDP, SDP),
        (None, SDP, SDP),
        (b"application/sdp", b"", b""),
        (b"application/isup", b"\x01", b""),
        (b"text/plain", SDP, b""),
    ],
)
def test_a_body_of_one_kind_is_taken_by_its_type(
    content_type: bytes | None, body: bytes, description: bytes
) -> None:
    assert found(body, content_type) == description


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        (b"multipart/mixed;boundary=edge", b"edge"),
        (b'multipart/mixed; boundary="a b:c"', b"a b:c"),
        (b"Multipart/Mixed; charset=x; BOUNDARY=edge", b"edge"),
        (b"multipart/related;type=x;boundary=edge", b"edge"),
    ],
)
def test_the_sdp_part_is_found_by_whatever_boundary(content_type: bytes, boundary: bytes) -> None:
    assert found(joined(ISUP_PART, SDP_PART, boundary=boundary), content_type) == LF_SDP


@pytest.mark.parametrize(
    "body",
    [
        joined(SDP_PART, ISUP_PART),
        b"This is a preamble.\r\n" + joined(SDP_PART),
        b"\r\n" + joined(SDP_PART) + b"An epilogue.",
        joined(b"c:application/sdp\r\n\r\n" + SDP),
        joined(b"X: y\r\nCONTENT-TYPE : application/sdp; a=b\r\nContent-Length: 3\r\n\r\n" + SDP),
        joined(b"Content-Type:\r\n application/sdp\r\n\r\n" + SDP),
        joined(b"Content-Disposition: session;handling=required\r\n" + SDP_PART),
        joined(b"Content-Transfer-Encoding: binary\r\n" + SDP_PART),
        joined(b"\r\nplain text without a header", SDP_PART),
        joined(SDP_PART, b"Content-Type: application/sdp\r\n\r\nv=0 of a second one"),
        joined(SDP_PART).replace(b"--edge\r\n", b"--edge \t\r\n"),
        joined(SDP_PART).removesuffix(b"\r\n--edge--\r\n"),
    ],
)  # fmt: skip
def test_the_first_sdp_part_is_taken_however_it_is_wrapped(body: bytes) -> None:
    assert found(body) == LF_SDP


def test_a_part_with_bare_line_feeds_is_found() -> None:
    body = joined(SDP_PART.replace(b"\r\n", b"\n"), newline=b"\n")
    assert found(body) == LF_SDP


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (MIXED, joined(ISUP_PART)),
        (MIXED, SDP),
        (MIXED, joined(b"Content-Disposition: render\r\n" + SDP_PART)),
        (MIXED, joined(b"Content-Transfer-Encoding: base64\r\n" + SDP_PART)),
        (MIXED, joined(SDP_PART, boundary=b"edgewise")),
        (MIXED, joined(ISUP_PART) + joined(SDP_PART)),
        (MIXED, joined(*[ISUP_PART] * PARTS_MAX, SDP_PART)),
        (b"multipart/mixed", joined(SDP_PART)),
        (b"multipart/mixed;boundary", joined(SDP_PART)),
        (b'multipart/mixed;boundary=""', joined(SDP_PART, boundary=b"")),
        (b'multipart/mixed;boundary="edge', joined(SDP_PART)),
        (b"multipart/mixed;boundary=" + b"e" * 71, joined(SDP_PART, boundary=b"e" * 71)),
    ],
)
def test_where_no_part_describes_the_session_there_is_nothing(
    content_type: bytes, body: bytes
) -> None:
    assert found(body, content_type) == b""


def test_the_last_part_that_is_looked_at_may_be_it() -> None:
    body = joined(*[ISUP_PART] * (PARTS_MAX - 1), SDP_PART)
    assert found(body) == LF_SDP


@given(st.binary(max_size=300), st.binary(max_size=40))
def test_whatever_the_bytes_nothing_is_raised(body: bytes, parameter: bytes) -> None:
    found(b"--edge\r\n" + body + b"\r\n--edge--")
    found(body, b"multipart/mixed;boundary=" + parameter)
