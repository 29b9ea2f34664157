"""What is wrong with a request before anybody asks what it means (RFC 3261 §8.2.1 to §8.2.3).

Three questions, for three answers: `check_syntax` raises where 400 is due, `find_objection` says
which of 416, 420, 415 and 406 is, and `salvage` finds what a 400 can echo of a request that `parse`
refused.
"""

from __future__ import annotations

from msgspec import Struct

from adapters.sip.wire.fields import SipParseError, is_token
from adapters.sip.wire.message import HEAD_BYTES_MAX, LINES_MAX, Fields, Request
from adapters.sip.wire.uri import SCHEMES, read_uri

SDP_TYPE = b"application/sdp"
"""The only body, or part of one, that means anything to us."""

_SDP_RANGES = frozenset((SDP_TYPE, b"application/*", b"*/*"))
_ECHOED = {
    b"via": b"via", b"v": b"via", b"from": b"from", b"f": b"from", b"to": b"to", b"t": b"to",
    b"call-id": b"call-id", b"i": b"call-id", b"cseq": b"cseq",
}  # fmt: skip
"""The headers that a response repeats, by their names in lower case."""


class Objection(Struct, frozen=True):
    """Why a request that is well-formed cannot be served, and what the sender could do about it."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...] = ()


def check_syntax(request: Request) -> None:
    """Read whatever an answer or a dialog would need of a request. Raises `SipParseError`."""
    _ = request.vias, request.from_addr, request.to_addr, request.cseq, request.contact
    if _scheme(request) in SCHEMES:
        read_uri(request.uri)


def find_objection(
    request: Request, extensions: frozenset[bytes] = frozenset()
) -> Objection | None:
    """The first thing that cannot be met: the scheme of the Request-URI, a required extension that is
    not among `extensions`, the type of the body, the type that the answer's body may have.

    Raises `SipParseError`.
    """
    if _scheme(request) not in SCHEMES:
        return Objection(416)
    unknown = [tag for tag in request.listed(b"require") if tag.lower() not in extensions]
    if unknown:
        return Objection(420, ((b"Unsupported", b", ".join(unknown)),))
    if request.method not in (b"INVITE", b"UPDATE"):
        return None
    if request.body and not _may_hold_sdp(request.content_type):
        return Objection(415, ((b"Accept", SDP_TYPE),))
    if (request.body or request.method == b"INVITE") and not _takes_sdp(request):
        return Objection(406)
    return None


def is_multipart(content_type: bytes) -> bool:
    """Whether a body of this type may have an SDP among its parts (RFC 5621 §3)."""
    return content_type.startswith(b"multipart/")


def _may_hold_sdp(content_type: bytes) -> bool:
    return content_type == SDP_TYPE or is_multipart(content_type)


def _scheme(request: Request) -> bytes:
    return request.uri.partition(b":")[0].lower()


def _takes_sdp(request: Request) -> bool:
    """Whether Accept allows the body that an answer has; without one it does (§20.1)."""
    if b"accept" not in request.fields:
        return True
    ranges = (item.partition(b";")[0].rstrip(b" \t").lower() for item in request.listed(b"accept"))
    return not _SDP_RANGES.isdisjoint(ranges)


def salvage(data: bytes) -> tuple[Request, bytes] | None:
    """What can still be echoed of a request that is malformed, and its version; None where nothing
    can, or no answer is due: to a response, an ACK, or what is not SIP at all.

    The fields of a response are there, each of them empty where it is missing; their values are
    unchecked, and the Request-URI is empty.
    """
    head = data.lstrip(b"\r\n").partition(b"\r\n\r\n")[0]
    lines = head.split(b"\r\n", LINES_MAX)
    words = lines[0].split()
    if len(head) > HEAD_BYTES_MAX or len(words) < 3:
        return None
    method, version = words[0], words[-1].upper()
    if not is_token(method) or method == b"ACK" or not version.startswith(b"SIP/"):
        return None
    fields: Fields = {name: [] for name in _ECHOED.values()}
    last: list[bytes] = []
    for line in lines[1:LINES_MAX]:
        if line[:1] in (b" ", b"\t"):
            if last:
                last[-1] = (last[-1] + b" " + line.strip(b" \t")).strip(b" \t")
            continue
        name, _, value = line.partition(b":")
        key = _ECHOED.get(name.strip(b" \t").lower(), b"")
        # Of a field that may come once only the first is echoed.
        last = [] if key == b"" or (key != b"via" and fields[key]) else fields[key]
        last.append(value.strip(b" \t"))
    if not fields[b"via"]:
        return None
    return Request(fields, b"", method, b""), version


def lacks_tag(request: Request) -> bool:
    """Whether a salvaged request has a To that can be read and has no tag yet."""
    try:
        return bool(request.fields[b"to"]) and request.to_addr.params.get(b"tag") is None
    except SipParseError:
        return False
