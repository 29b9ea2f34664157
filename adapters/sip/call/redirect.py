"""The number that a 3xx names (RFC 3261 §8.1.3.4, §21.3)."""

from __future__ import annotations

import re
from contextlib import suppress

from adapters.sip.wire.fields import NameAddr, SipParseError, read_name_addr
from adapters.sip.wire.message import Response
from adapters.sip.wire.uri import read_uri

_ANOTHER_NUMBER = frozenset((300, 301, 302))
"""The others name a proxy (305) or something that is no call (380)."""
_Q_VALUE = re.compile(rb"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")
_NUMBER = re.compile(r"\+?[0-9]{1,15}")
_SEPARATORS = str.maketrans("", "", "-.()")


def redirected_to(response: Response) -> str | None:
    """The number of the best Contact that has one: `+` and digits, or digits alone, as given.

    Better is a greater `q`, and of equals the first. Contacts that name no number, or cannot be read,
    are passed over. None where none is left, and for what is no 300, 301 or 302. Never raises.
    """
    if response.status not in _ANOTHER_NUMBER:
        return None
    for contact in sorted(_contacts(response), key=_preference):
        number = _number(contact.uri)
        if number is not None:
            return number
    return None


def _contacts(response: Response) -> list[NameAddr]:
    try:
        values = response.listed(b"contact")
    except SipParseError:
        return []
    contacts = []
    for value in values:
        with suppress(SipParseError):
            contacts.append(read_name_addr(value))
    return contacts


def _preference(contact: NameAddr) -> float:
    """Sorts the best first. A `q` that is none comes last."""
    q = contact.params.get(b"q", b"1") or b""
    return -float(q) if _Q_VALUE.fullmatch(q) else 0.0


def _number(raw: bytes) -> str | None:
    try:
        uri = read_uri(raw)
    except SipParseError:
        return None
    # A SIP URI may have a tel URI's parameters in its user part (RFC 3261 §19.1.6), and any character
    # of it may be escaped; in a number that is the plus alone.
    user = (uri.user or b"").partition(b";")[0].replace(b"%2B", b"+").replace(b"%2b", b"+")
    number = user.decode("ascii", "replace").translate(_SEPARATORS)
    return number if _NUMBER.fullmatch(number) else None
