"""How long a registrar keeps us, read from its answer (RFC 3261 §10.2.4, §10.3)."""

from __future__ import annotations

from adapters.sip.wire.fields import (
    NameAddr,
    SipParseError,
    read_name_addr,
    read_number,
    unquote,
)
from adapters.sip.wire.message import Response
from adapters.sip.wire.uri import SIP_PORT, read_uri

_SECONDS_MAX = 2**32 - 1
"""The largest `delta-seconds` that RFC 3261 §20.19 knows."""


def read_expiry(response: Response, contact: bytes, asked_s: int) -> int:
    """The seconds for which a 2xx to a REGISTER keeps our binding: the `expires` of our Contact, else
    the Expires header, else what was asked. More than was asked is not counted on.

    A Contact that stands alone is ours whatever it says: border controllers rewrite it. Of several the
    one that names our `contact` is, and where none does, nothing is read from them. What cannot be read
    is passed over.
    """
    granted = (_contact_expiry(response, contact), _seconds(response.first(b"expires")))
    return min(asked_s, next((seconds for seconds in granted if seconds is not None), asked_s))


def _contact_expiry(response: Response, contact: bytes) -> int | None:
    try:
        bindings = [read_name_addr(item) for item in response.listed(b"contact")]
        ours = _place(read_name_addr(contact))
    except SipParseError:
        return None
    if len(bindings) != 1:
        bindings = [binding for binding in bindings if _place(binding) == ours]
    return _seconds(bindings[0].params.get(b"expires")) if bindings else None


def _place(binding: NameAddr) -> tuple[bytes | None, bytes, int, bytes] | None:
    """What tells two bindings of ours apart; None for a URI that cannot be ours."""
    try:
        uri = read_uri(binding.uri)
    except SipParseError:
        return None
    transport = uri.params.get(b"transport") or b"udp"
    return uri.user, uri.host, uri.port or SIP_PORT, transport.lower()


def _seconds(value: bytes | None) -> int | None:
    if value is None:
        return None
    try:
        return read_number(unquote(value), _SECONDS_MAX)
    except SipParseError:
        return None
