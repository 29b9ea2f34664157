"""SIP, SIPS and tel URIs (RFC 3261 §19.1, RFC 3966), and where a request for one is to be sent."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import ip_address

from msgspec import Struct

from adapters.sip.wire.fields import Params, SipParseError, read_number, read_params
from adapters.sip.wire.hop import Hop, Transport

SIP_PORT = 5060
"""The port of a SIP URI that names none, over UDP and TCP."""
SIPS_PORT = 5061
"""The same over TLS."""
NEXT_HOPS_REMEMBERED = 1024
"""URIs whose next hop is remembered: the Contacts of one carrier are nearly always the same few."""

SCHEMES = frozenset((b"sip", b"sips", b"tel"))
"""The schemes that `read_uri` knows."""

Address = tuple[str, int]
"""IP address in text, and port: one of our own."""

_HOST_PORT = re.compile(rb"(\[[0-9A-Fa-f:.]++\]|[A-Za-z0-9._-]++)(?::([0-9]{1,5}))?\Z")
_PLAIN = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.!~*'()&=+$,/"


class Uri(Struct, frozen=True):
    """A URI taken apart. Escapes are left as they came."""

    scheme: bytes
    """Lower case: `sip`, `sips` or `tel`."""
    user: bytes | None
    """A tel URI's number; None where a SIP URI has no user part."""
    host: bytes
    """Lower case; an IPv6 address without its brackets. Empty in a tel URI."""
    port: int | None
    params: Params
    headers: bytes
    """What stands behind `?`."""


def read_uri(raw: bytes) -> Uri:
    """Take a URI apart in linear time. Raises `SipParseError`."""
    scheme, colon, rest = raw.partition(b":")
    scheme = scheme.lower()
    if not colon or scheme not in SCHEMES:
        raise SipParseError("URI of an unknown scheme")
    if scheme == b"tel":
        number, semicolon, tail = rest.partition(b";")
        if not number:
            raise SipParseError("bad URI")
        return Uri(scheme, number, b"", None, read_params(semicolon + tail), b"")
    user: bytes | None = None
    if b"@" in rest:
        userinfo, _, rest = rest.partition(b"@")
        user = userinfo.partition(b":")[0]
        if not user or b"@" in rest:
            raise SipParseError("bad URI")
    rest, _, headers = rest.partition(b"?")
    host_port, semicolon, tail = rest.partition(b";")
    match = _HOST_PORT.match(host_port)
    if match is None:
        raise SipParseError("bad URI")
    port = match.group(2)
    return Uri(
        scheme=scheme,
        user=user,
        host=match.group(1).strip(b"[]").lower(),
        port=None if port is None else read_number(port, 65535),
        params=read_params(semicolon + tail),
        headers=headers,
    )


def escape_user(text: str) -> bytes:
    """The user part of a URI: whatever is not allowed there is percent-escaped (RFC 3261 §25.1)."""
    raw = text.encode()
    if not raw.translate(None, _PLAIN):
        return raw
    return b"".join(b"%c" % octet if octet in _PLAIN else b"%%%02X" % octet for octet in raw)


def host_port(address: Address) -> bytes:
    """`host:port` as it stands in a URI or a Via."""
    host, port = address
    return (b"[%b]:%d" if ":" in host else b"%b:%d") % (host.encode("ascii"), port)


_TRANSPORTS: dict[bytes, Transport] = {b"udp": "udp", b"tcp": "tcp", b"tls": "tls"}


@lru_cache(maxsize=NEXT_HOPS_REMEMBERED)
def next_hop(raw: bytes, before: Hop) -> Hop | None:
    """Where a request to this URI goes, None where only a resolver could say (a host name, a tel
    URI) or the URI cannot be read.

    Args:
        raw: the URI.
        before: where the call's INVITE went. A URI that names no transport means that of the call,
            and the certificate that counts over TLS is that of the trunk.
    """
    try:
        uri = read_uri(raw)
        host = str(ip_address((uri.params.get(b"maddr") or uri.host).decode("ascii")))
    except (SipParseError, ValueError):
        return None
    named = (uri.params.get(b"transport") or b"").lower()
    transport = "tls" if uri.scheme == b"sips" else _TRANSPORTS.get(named, before.transport)
    if transport == "tls":
        return Hop(host, uri.port or SIPS_PORT, transport, before.name)
    return Hop(host, uri.port or SIP_PORT, transport)


def is_loose(raw: bytes) -> bool:
    """Whether a Route's URI names a loose router, as everybody's has since RFC 3261 (§19.1.1)."""
    try:
        return b"lr" in read_uri(raw).params
    except SipParseError:
        return False
