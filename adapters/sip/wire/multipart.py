"""The session description in a message, alone or as one part of a multipart body (RFC 5621).

Carriers that carry ISUP through SIP (RFC 3204, SIP-T) put an SDP and an ISUP part into one
`multipart/mixed`. The first part of the type application/sdp that is meant for the session is taken;
the others mean nothing to us and are passed over, `handling=required` or not: the audio does not
depend on them. A multipart inside a multipart is not looked into.

Bounded and linear: the body is cut at its boundary once, and each part at its first blank line.
"""

from __future__ import annotations

from adapters.sip.wire.fields import SipParseError, read_params, unquote
from adapters.sip.wire.inspection import SDP_TYPE, is_multipart
from adapters.sip.wire.message import Message

BOUNDARY_BYTES_MAX = 70
"""Longest boundary (RFC 2046 §5.1.1)."""
PARTS_MAX = 16
"""Most parts that are looked at; what is behind them is not."""

_PLAIN_ENCODINGS = (b"", b"7bit", b"8bit", b"binary")


def session_description(message: Message) -> bytes:
    """The SDP of a message, empty where it has none; the line ends of one that was a part are bare LF. A
    body without a Content-Type is taken for one, as it always means one. Never raises."""
    body, raw = message.body, message.first(b"content-type")
    if not body or raw is None or raw == SDP_TYPE:
        return body
    kind = message.content_type
    if not is_multipart(kind):
        return body if kind == SDP_TYPE else b""
    try:
        params = read_params(raw.partition(b";")[2])
    except SipParseError:
        return b""
    return _sdp_part(body, unquote(params.get(b"boundary") or b""))


def _sdp_part(body: bytes, boundary: bytes) -> bytes:
    if not 0 < len(boundary) <= BOUNDARY_BYTES_MAX:
        return b""
    # A delimiter stands at the start of a line. Some end their lines with a bare LF.
    preamble_and_parts = (b"\n" + body).split(b"\n--" + boundary, PARTS_MAX + 1)
    for part in preamble_and_parts[1 : PARTS_MAX + 1]:
        if part.startswith(b"--"):
            break
        head, content = _divided(part)
        if _is_session(_part_fields(head)):
            return content.removesuffix(b"\r")
    return b""


def _divided(part: bytes) -> tuple[bytes, bytes]:
    """Head and content of a part, at its first blank line."""
    first, _, rest = part.replace(b"\r\n", b"\n").partition(b"\n")
    if first.strip(b" \t"):
        # Something stands behind the boundary: it is another, longer one, and no delimiter of ours.
        return b"", b""
    if rest.startswith(b"\n"):
        return b"", rest[1:]
    head, _, content = rest.partition(b"\n\n")
    return head, content


def _part_fields(head: bytes) -> dict[bytes, bytes]:
    """The headers of a part, by their names in lower case, without their parameters."""
    fields = {}
    for line in head.replace(b"\n ", b" ").replace(b"\n\t", b" ").split(b"\n"):
        name, _, value = line.partition(b":")
        fields[name.strip(b" \t").lower()] = value.partition(b";")[0].strip(b" \t").lower()
    return fields


def _is_session(fields: dict[bytes, bytes]) -> bool:
    """Whether a part is a description of the session that can be read as it is; SDP is for the session
    unless its disposition says otherwise (RFC 5621 §8)."""
    return (
        fields.get(b"content-type", fields.get(b"c")) == SDP_TYPE
        and fields.get(b"content-disposition", b"session") == b"session"
        and fields.get(b"content-transfer-encoding", b"") in _PLAIN_ENCODINGS
    )
