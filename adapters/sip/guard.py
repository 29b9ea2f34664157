"""What somebody who is not in a call with us gets to hear: little, without state, and not often."""

from __future__ import annotations

import re
from hashlib import blake2s

from msgspec import Struct

from adapters.sip.fields import read_list
from adapters.sip.message import METHODS, Request, build_response
from adapters.sip.trunk import ALLOW
from adapters.sip.uri import SIP_PORT, Address

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
    open ports should. Whatever is in a dialog that we do not know is 481, a call to us 403, since
    this engine takes none, and anything else 405 or 501 (RFC 3261 §8.2.1, §12.2.2).

    Raises `SipParseError`, and `UnsafeValueError` for the NUL that RFC 3261 allows in quotes.
    """
    if request.method == b"ACK" or request.cseq.method != request.method:
        return None
    headers: tuple[tuple[bytes, bytes], ...] = ()
    if request.method == b"OPTIONS" and request.to_tag is None:
        if not is_trunk:
            return None
        status = 200
        headers = ((b"Allow", ALLOW), (b"Accept", b"application/sdp"))
    elif request.to_tag is not None or request.method in (b"CANCEL", b"BYE"):
        status = 481
    elif request.method == b"INVITE":
        status = 403
    else:
        status = 405 if request.method in METHODS else 501
        headers = ((b"Allow", ALLOW),)
    return build_response(request, status, to_tag=stateless_tag(request, secret), headers=headers)


def stateless_tag(request: Request, secret: bytes) -> bytes:
    """The same tag for the same request again, without remembering it (RFC 3261 §8.2.7)."""
    seed = request.call_id + b"\0" + (request.branch or b"")
    return blake2s(seed, digest_size=8, key=secret).hexdigest().encode("ascii")


def stamp_via(request: Request, source: Address) -> Address:
    """Note in the top Via where a request came from, and say where its response goes: the source
    address, at the source port where `rport` asks for that (RFC 3261 §18.2.2, RFC 3581).

    Raises `SipParseError`.
    """
    via = request.top_via
    host, port = source
    items = read_list(request.fields[b"via"][0])
    if b"received" not in via.params and via.host.strip(b"[]") != host.encode("ascii"):
        items[0] += b";received=" + host.encode("ascii")
    wants_source_port = b"rport" in via.params
    if wants_source_port:
        items[0] = _BARE_RPORT.sub(b";rport=%d" % port, items[0], count=1)
    request.fields[b"via"][0] = b", ".join(items)
    return host, port if wants_source_port else via.port or SIP_PORT
