"""Where a trunk's URI points before any look-up (RFC 3261 §19.1, RFC 3263 §4)."""

from __future__ import annotations

from typing import Final, Literal, cast

from msgspec import Struct

from adapters.sip.wire.fields import SipParseError
from adapters.sip.wire.hop import Transport
from adapters.sip.wire.uri import SIP_PORT, read_uri

SIPS_PORT: Final = 5061
"""The port of a URI that names none, over TLS."""

ALLOWED: Final[tuple[Transport, ...]] = ("udp", "tcp")
"""The transports that the DNS may choose from, where the operator names none. TLS is spoken where it
is asked for, because it needs a certificate that fits."""

Family = Literal[4, 6]
"""IPv4 or IPv6: what a socket can send to."""

_TRANSPORTS: Final = frozenset((b"udp", b"tcp", b"tls"))


class TrunkTarget(Struct, frozen=True):
    """What a trunk's URI says about where its requests go."""

    host: str
    """IP address without brackets, or domain."""
    port: int | None = None
    """None asks the SRV records, and is 5060 or 5061 where there are none."""
    transport: Transport | None = None
    """None leaves it to the domain's NAPTR and SRV records."""
    allowed: tuple[Transport, ...] = ALLOWED
    """What the domain may choose from, never empty. The first that has servers is preferred where
    the domain has SRV records but says nothing about its own preference."""


def read_target(uri: str, allowed: tuple[Transport, ...] = ALLOWED) -> TrunkTarget:
    """The target of a trunk's `sip:` or `sips:` URI. `sips:` means TLS, whatever is allowed
    otherwise (RFC 3261 §26.2.2). Raises `SipParseError`."""
    parts = read_uri(uri.encode())
    if parts.scheme == b"tel":
        raise SipParseError("a tel URI names no server")
    if parts.port == 0:
        raise SipParseError("port 0 is none")
    if b"maddr" in parts.params:
        raise SipParseError("maddr is not supported: write its address as the host")
    named = parts.params.get(b"transport")
    transport: Transport | None = None
    if b"transport" in parts.params:
        if named is None or named.lower() not in _TRANSPORTS:
            raise SipParseError("transport is none of udp, tcp and tls")
        transport = cast("Transport", named.lower().decode())
    if parts.scheme == b"sips":
        if transport == "udp":
            raise SipParseError("sips does not go over udp")
        allowed = ("tls",)
        transport = None if transport is None else "tls"
    return TrunkTarget(parts.host.decode(), parts.port, transport, allowed)


def transport_without_records(target: TrunkTarget) -> Transport:
    """The transport where nothing but the URI tells: UDP where it may be spoken (RFC 3263 §4.1)."""
    if target.transport is not None:
        return target.transport
    return "udp" if "udp" in target.allowed else target.allowed[0]


def default_port(transport: Transport) -> int:
    """The port where neither the URI nor an SRV record names one (RFC 3261 §19.1.2)."""
    return SIPS_PORT if transport == "tls" else SIP_PORT
