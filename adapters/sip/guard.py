"""What somebody who is not in a call with us gets to hear: little, without state, and not often."""

from __future__ import annotations

import re
from hashlib import blake2s

from msgspec import Struct

from adapters.sip.trunk import ALLOW
from adapters.sip.wire.fields import SipParseError, read_list
from adapters.sip.wire.hop import Hop
from adapters.sip.wire.inspection import (
    SDP_TYPE,
    Objection,
    check_syntax,
    find_objection,
    lacks_tag,
    salvage,
)
from adapters.sip.wire.message import METHODS, Request, UnsafeValueError, build_response
from adapters.sip.wire.uri import SIP_PORT

_BARE_RPORT = re.compile(rb";[ \t]*+rport[ \t]*+(?=;|\Z)", re.IGNORECASE)


REFUSALS_PER_S = 20.0
"""Answers to strangers, over a longer time."""
REFUSALS_AT_ONCE = 50.0
"""Answers to strangers in one burst; beyond it there is silence."""


class RefusalRate(Struct):
    """A bucket of answers for strangers."""

    left: float = REFUSALS_AT_ONCE
    filled_at: float = 0.0

    def take(self, now: float) -> bool:
        """Whether one more stranger may be answered now."""
        refilled = self.left + (now - self.filled_at) * REFUSALS_PER_S
        self.left, self.filled_at = min(REFUSALS_AT_ONCE, refilled), now
        if self.left < 1:
            return False
        self.left -= 1
        return True


def answer_outside(request: Request, *, is_trunk: bool, secret: bytes) -> bytes | None:
    """The stateless answer to a request that belongs to no call of ours; None for silence.

    A trunk that asks OPTIONS hears 200. A stranger who does hears nothing, as whoever scans for
    open ports should. Whatever is in a dialog that we do not know is 481, anything but a call 405
    or 501, and a call to us 403, since this engine takes none, unless something in it is wrong
    already: 416, 420, 415, 406 (RFC 3261 §8.2, §12.2.2).

    Raises `SipParseError`.
    """
    method = request.method
    if method == b"ACK":
        return None
    is_inside = request.to_tag is not None or method in (b"CANCEL", b"BYE")
    if method == b"OPTIONS" and not is_inside and not is_trunk:
        return None
    check_syntax(request)
    verdict = Objection(481) if is_inside else _judge_outside(request)
    tag = stateless_tag(request, secret)
    return build_response(request, verdict.status, to_tag=tag, headers=verdict.headers)


def _judge_outside(request: Request) -> Objection:
    if request.method not in (b"INVITE", b"OPTIONS"):
        return Objection(405 if request.method in METHODS else 501, ((b"Allow", ALLOW),))
    objection = find_objection(request)
    if objection is not None:
        return objection
    if request.method == b"INVITE":
        return Objection(403)
    return Objection(200, ((b"Allow", ALLOW), (b"Accept", SDP_TYPE)))


def answer_malformed(data: bytes, source: Hop, secret: bytes) -> tuple[bytes, Hop] | None:
    """The stateless answer to a trunk's request that cannot be read, and where it goes: 505 for
    another version of SIP, 501 for a method that nobody knows, else 400; None for silence."""
    salvaged = salvage(data)
    if salvaged is None:
        return None
    request, version = salvaged
    fault = 400 if request.method in METHODS else 501
    status = fault if version == b"SIP/2.0" else 505
    tag = _tag(b"\0".join((*request.raw(b"call-id"), *request.raw(b"via"))), secret)
    try:
        reply_to = stamp_via(request, source)
        to_tag = tag if lacks_tag(request) else None
        headers = ((b"Allow", ALLOW),) if status == 501 else ()
        return build_response(request, status, to_tag=to_tag, headers=headers), reply_to
    except (SipParseError, UnsafeValueError):
        # Nobody can be told where the top Via says nothing, nor with bytes that end lines.
        return None


def stateless_tag(request: Request, secret: bytes) -> bytes:
    """The same tag for the same request again, without remembering it (RFC 3261 §8.2.7)."""
    return _tag(request.call_id + b"\0" + (request.branch or b""), secret)


def _tag(seed: bytes, secret: bytes) -> bytes:
    return blake2s(seed, digest_size=8, key=secret).hexdigest().encode("ascii")


def stamp_via(request: Request, source: Hop) -> Hop:
    """Note in the top Via where a request came from, and say where its response goes: back on its
    connection, or over UDP to the source address, at the source port where `rport` asks for that
    (RFC 3261 §18.2.2, RFC 3581).

    Raises `SipParseError`.
    """
    via = request.top_via
    host, port = source.host, source.port
    items = read_list(request.fields[b"via"][0])
    if b"received" not in via.params and via.host.strip(b"[]") != host.encode("ascii"):
        items[0] += b";received=" + host.encode("ascii")
    wants_source_port = b"rport" in via.params
    if wants_source_port:
        items[0] = _BARE_RPORT.sub(b";rport=%d" % port, items[0], count=1)
    request.fields[b"via"][0] = b", ".join(items)
    if source.is_reliable or wants_source_port:
        return source
    return Hop(host, via.port or SIP_PORT)
