"""What we offer and accept on one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Literal

from msgspec import Struct

from adapters.media.codecs.codec import DEFAULT_CODECS, CodecName
from adapters.media.sdp.crypto import KEY_BYTES
from adapters.media.types import SuiteName

SrtpPolicy = Literal["off", "optional", "required"]
"""`off` neither offers nor takes SRTP. `optional` offers it over RTP/AVP and takes what comes, secure or
not (RFC 8643). `required` offers RTP/SAVP and takes nothing else."""


class MediaTerms(Struct, frozen=True):
    """What we offer and accept on one call. It holds keys, and does not show them."""

    codecs: tuple[CodecName, ...] = DEFAULT_CODECS
    """In order of preference."""
    srtp: SrtpPolicy = "off"
    keys: Mapping[SuiteName, bytes] = MappingProxyType({})
    """Our own master key and salt for each suite that we take, in order of preference. Needed unless
    SRTP is off. They are the call's for its whole life: a description that repeats them changes no key
    (RFC 4568 §7.1.4)."""

    def __repr__(self) -> str:
        return f"MediaTerms(codecs={self.codecs!r}, srtp={self.srtp!r}, keys=…)"


PLAIN: Final = MediaTerms()
"""G.711 in the clear."""


def make_terms(
    codecs: tuple[CodecName, ...], srtp: SrtpPolicy, make_secret: Callable[[int], bytes]
) -> MediaTerms:
    """The terms of a new call, with a fresh key for each suite where keys are needed.

    `make_secret` makes so many octets that nobody can guess (`secrets.token_bytes`).
    """
    if srtp == "off":
        return PLAIN if codecs == PLAIN.codecs else MediaTerms(codecs)
    keys = {suite: make_secret(length) for suite, length in KEY_BYTES.items()}
    return MediaTerms(codecs, srtp, MappingProxyType(keys))
