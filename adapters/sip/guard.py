"""What somebody who is not in a call with us gets to hear: little, without state, and not often."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Collection, Container, Iterable
from hashlib import blake2s
from ipaddress import IPv6Address

from msgspec import Struct

from adapters.sip.call.dialog import Dialog
from adapters.sip.trunk import ALLOW
from adapters.sip.wire.fields import SipParseError, read_address, read_list
from adapters.sip.wire.hop import Hop
from adapters.sip.wire.inspection import (
    SDP_TYPE,
    Objection,
    check_syntax,
    find_objection,
    lacks_tag,
    salvage,
)
from adapters.sip.wire.message import (
    HEAD_BYTES_MAX,
    METHODS,
    Request,
    UnsafeValueError,
    build_response,
)
from adapters.sip.wire.uri import SIP_PORT, next_hop

_CALL_ID = re.compile(rb"\n(?:[Cc][Aa][Ll][Ll]-[Ii][Dd]|[Ii])[ \t]*+:\s*+(\S++)")
_BARE_RPORT = re.compile(rb";[ \t]*+rport[ \t]*+(?=;|\Z)", re.IGNORECASE)
_ANYWHERE = Hop("", 0)

REFUSALS_PER_S = 20.0
"""Answers to all strangers together, over a longer time."""
REFUSALS_AT_ONCE = 50.0
"""Answers to all strangers in one burst; beyond it there is silence."""
SOURCE_REFUSALS_PER_S = 2.0
"""Answers to one stranger, over a longer time."""
SOURCE_REFUSALS_AT_ONCE = 10.0
"""Answers to one stranger in one burst."""
TRUNK_ANSWERS_PER_S = 200.0
"""Answers outside any call to one address of a trunk, over a longer time."""
TRUNK_ANSWERS_AT_ONCE = 500.0
"""The same in one burst."""
TRUNKS_ANSWERS_PER_S = 1000.0
"""Answers outside any call to all addresses of trunks together, over a longer time."""
TRUNKS_ANSWERS_AT_ONCE = 2500.0
"""The same in one burst."""
SOURCES_MAX = 4096
"""Sources that are told apart; with one more the one that was silent for longest is forgotten."""
_IPV6_HOST_BITS = 64
"""Whoever has one IPv6 address has a /64 of them."""


class AnswerRate(Struct, frozen=True):
    """How often somebody is answered."""

    per_s: float
    """Over a longer time."""
    at_once: float
    """In one burst."""


class AnswerLimits(Struct, frozen=True):
    """How often sources of one kind are answered outside any call."""

    together: AnswerRate
    source: AnswerRate
    """Each of them."""


STRANGERS = AnswerLimits(
    AnswerRate(REFUSALS_PER_S, REFUSALS_AT_ONCE),
    AnswerRate(SOURCE_REFUSALS_PER_S, SOURCE_REFUSALS_AT_ONCE),
)
TRUNKS = AnswerLimits(
    AnswerRate(TRUNKS_ANSWERS_PER_S, TRUNKS_ANSWERS_AT_ONCE),
    AnswerRate(TRUNK_ANSWERS_PER_S, TRUNK_ANSWERS_AT_ONCE),
)


class _Bucket:
    """Answers that are left, at one rate. It begins full."""

    __slots__ = ("_filled_at", "_left", "_rate")

    def __init__(self, rate: AnswerRate, now: float) -> None:
        self._rate = rate
        self._left = rate.at_once
        self._filled_at = now

    def has_left(self, now: float) -> bool:
        """Whether there is one more answer now."""
        rate = self._rate
        refilled = self._left + (now - self._filled_at) * rate.per_s
        self._left, self._filled_at = min(rate.at_once, refilled), now
        return self._left >= 1

    def take(self, now: float) -> bool:
        """The same, and it counts as given."""
        if not self.has_left(now):
            return False
        self._left -= 1
        return True


class Refusals:
    """Who of the strangers may be answered, or who of the trunks outside a call: each within a rate of
    his own, so that one who floods us does not use up the answers of the others, and all of them within
    a common one.

    It also bounds what a forged source address can make us send to its owner. A datagram costs the
    same however many sources there are; a source that floods is never the one that is forgotten.
    """

    __slots__ = ("_limits", "_sources", "_together")

    def __init__(self, limits: AnswerLimits = STRANGERS) -> None:
        self._limits = limits
        self._together = _Bucket(limits.together, 0.0)
        self._sources: OrderedDict[str | int, _Bucket] = OrderedDict()
        """By `source_key`, the one that was heard of last at the end."""

    def __len__(self) -> int:
        """How many sources are told apart just now."""
        return len(self._sources)

    def has_left(self, host: str, now: float) -> bool:
        """Whether a source could be answered now. `host` is its IP address."""
        key = source_key(host)
        bucket = self._sources.get(key)
        if bucket is not None:
            # It was heard of, whatever comes of it.
            self._sources.move_to_end(key)
            if not bucket.has_left(now):
                return False
        return self._together.has_left(now)

    def take(self, host: str, now: float) -> bool:
        """Whether a source may be answered now, which counts as done. `host` is its IP address."""
        key = source_key(host)
        bucket = self._sources.get(key)
        if bucket is None:
            if len(self._sources) >= SOURCES_MAX:
                self._sources.popitem(last=False)
            bucket = self._sources[key] = _Bucket(self._limits.source, now)
        else:
            self._sources.move_to_end(key)
        return bucket.take(now) and self._together.take(now)


def source_key(host: str) -> str | int:
    """What stands for a source when sources are told apart: an IPv4 address, or the /64 of an IPv6
    address as a number. An IPv4 address in IPv6's clothes is the IPv4 address."""
    address = _unmapped(host)
    if isinstance(address, IPv6Address):
        return int(address) >> _IPV6_HOST_BITS
    return address


def _unmapped(host: str) -> str | IPv6Address:
    if ":" not in host:
        return host
    address = IPv6Address(host)
    return address if address.ipv4_mapped is None else str(address.ipv4_mapped)


def names_call(data: bytes, call_ids: Container[bytes]) -> bool:
    """Whether bytes that nobody has parsed yet have a Call-ID of these in their head. It may err on the
    side of yes, and costs a fraction of what parsing does."""
    head = data[:HEAD_BYTES_MAX]
    return any(call_id in call_ids for call_id in _CALL_ID.findall(head))


def is_expected_source(
    host: str,
    trunk_hosts: Collection[str],
    dialogs: Iterable[Dialog] = (),
    answered_by: str | None = None,
) -> bool:
    """Whether a request may come from an IP address: from a trunk's, or, into a call, from one that a
    dialog of that call named itself, in its route set or as its remote target.

    Names are not looked up. Where a dialog names nobody but by name, `answered_by` stands for them: the
    IP address that the 2xx which made the dialog came from. The check keeps out whoever learned a
    Call-ID. Over UDP a source can be forged, and then the tags of the dialog, which nobody else knows,
    are what is left.
    """
    plain = str(_unmapped(host))
    if plain in trunk_hosts or host in trunk_hosts:
        return True
    for dialog in dialogs:
        named = _named_hosts(dialog)
        if plain in named:
            return True
        if not named and answered_by is not None and plain == str(_unmapped(answered_by)):
            return True
    return False


def _named_hosts(dialog: Dialog) -> set[str]:
    """The IP addresses that a dialog names."""
    uris = {dialog.target}
    for route in dialog.routes:
        try:
            uris.add(read_address(route))
        except SipParseError:
            continue
    hops = (next_hop(uri, _ANYWHERE) for uri in uris)
    return {str(_unmapped(hop.host)) for hop in hops if hop is not None}


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
