"""`a=crypto`: the keys of SRTP in SDP (RFC 4568, RFC 7714 §14.2).

A line is one suite and one master key with its salt. Lines that want what libsrtp is not asked for here
are passed over, as if they were not there: several keys with their identifiers (MKI), and session
parameters that change the protection. A lifetime is read and not counted down: the shortest that the
field sends, 2^20 packets, is six hours of a call, and libsrtp refuses to go beyond 2^48.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from adapters.media.types import SuiteName

KEY_BYTES: Final[Mapping[SuiteName, int]] = MappingProxyType(
    {"AES_CM_128_HMAC_SHA1_80": 30, "AEAD_AES_128_GCM": 28, "AES_CM_128_HMAC_SHA1_32": 30}
)
"""Octets of each suite's master key and salt together."""
SUITES: Final[tuple[SuiteName, ...]] = tuple(KEY_BYTES)
"""In the order in which we offer them: what every peer has, what is better, and what is weaker."""

_NAMES: Final[Mapping[bytes, SuiteName]] = MappingProxyType(
    {suite.encode("ascii"): suite for suite in SUITES}
)
_TAG_DIGITS_MAX: Final = 9
_HARMLESS_PARAMETERS: Final = (b"WSH=", b"-")
"""A hint for the replay window, and what its sender says may be passed over (RFC 4568 §6.3.7)."""


class CryptoLine(Struct, frozen=True):
    """One line. It holds a key, and does not show it."""

    tag: int
    suite: SuiteName
    key: bytes
    """Master key and salt of whoever wrote the line."""

    def __repr__(self) -> str:
        return f"CryptoLine(tag={self.tag}, suite={self.suite!r}, key=…)"


def read_crypto(value: bytes) -> CryptoLine | None:
    """The value of an `a=crypto:` line; None for one that we have no use for, or that is broken."""
    tag, *rest = value.split() or [b""]
    if not tag.isdigit() or len(tag) > _TAG_DIGITS_MAX or len(rest) < 2:
        return None
    suite = _NAMES.get(rest[0].upper())
    if suite is None or not all(word.startswith(_HARMLESS_PARAMETERS) for word in rest[2:]):
        return None
    key = _read_inline(rest[1], KEY_BYTES[suite])
    return None if key is None else CryptoLine(int(tag), suite, key)


def write_crypto(tag: int, suite: SuiteName, key: bytes) -> str:
    """A whole line."""
    assert len(key) == KEY_BYTES[suite]
    return f"a=crypto:{tag} {suite} inline:{b64encode(key).decode('ascii')}"


def _read_inline(parameters: bytes, length: int) -> bytes | None:
    """The key of `inline:KEY[|LIFETIME]`."""
    method, _, rest = parameters.partition(b":")
    text, _, further = rest.partition(b"|")
    # Behind the lifetime would stand an MKI, which has a colon; behind the key another key.
    if method.lower() != b"inline" or b";" in parameters or b":" in further or b"|" in further:
        return None
    try:
        key = b64decode(text.rstrip(b"=") + b"=" * (-len(text.rstrip(b"=")) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if len(key) == length else None
