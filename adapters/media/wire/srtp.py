"""SRTP of one stream (RFC 3711, RFC 7714), by libsrtp: what is sent is protected, what is heard is opened.

libsrtp counts the rollovers of the sequence number in both directions, refuses what was replayed, and
keeps nothing of a packet that is not authentic, so that a forged one leaves no trace. It is reached
through `pylibsrtp` alone, and through this module alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from pylibsrtp import Error, Policy, Session

from adapters.media.types import SrtpKeys, SuiteName

SEQUENCE_FIRST_MAX: Final = 0x7FFF
"""A stream that begins in the upper half could wrap before its first packet arrives, and its receiver
would count one rollover too few for ever (RFC 3711 §3.3.1)."""

_PROFILES: Final[Mapping[SuiteName, int]] = MappingProxyType(
    {
        "AES_CM_128_HMAC_SHA1_80": Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
        "AES_CM_128_HMAC_SHA1_32": Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
        "AEAD_AES_128_GCM": Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    }
)
TAG_BYTES: Final[Mapping[SuiteName, int]] = MappingProxyType(
    {"AES_CM_128_HMAC_SHA1_80": 10, "AES_CM_128_HMAC_SHA1_32": 4, "AEAD_AES_128_GCM": 16}
)
"""By how much each suite makes a packet of RTP longer."""
SENDERS_MAX: Final = 4
"""Keys of ours that one stream remembers: a call has one for each suite, and never another."""
SOURCES_MAX: Final = 32
"""Sources that are heard under one key: libsrtp keeps what it knows of each for ever. A callee seldom has
more than one, and one more for each time that it is moved to another machine."""

_RTP_SOURCE: Final = slice(8, 12)
_RTCP_SOURCE: Final = slice(4, 8)
"""Where a packet names its source."""

_Key = tuple[SuiteName, bytes]


class Shield:
    """The SRTP of one stream. It holds keys, and does not show them."""

    def __init__(self, keys: SrtpKeys) -> None:
        self._keys = keys
        self._senders: dict[_Key, Session] = {}
        """By key. One that comes back goes on where it was: to count its packets from the first again
        would send two of them under one key stream, which gives both away."""
        self._sender = self._sender_of(keys)
        self._opener = _session(keys.suite, keys.heard, Policy.SSRC_ANY_INBOUND)
        self._sources: set[bytes] = set()
        """The sources of whom something authentic was heard."""

    @property
    def tag_bytes(self) -> int:
        """By how much a packet of RTP becomes longer."""
        return TAG_BYTES[self._keys.suite]

    def change(self, keys: SrtpKeys) -> None:
        """Go on with these keys. Those that are the same stay as they are, with their counts. Raises
        `ValueError` for one key too many."""
        before, self._keys = self._keys, keys
        self._sender = self._sender_of(keys)
        if (keys.suite, keys.heard) != (before.suite, before.heard):
            self._opener = _session(keys.suite, keys.heard, Policy.SSRC_ANY_INBOUND)
            self._sources.clear()

    def protect(self, packet: bytes) -> bytes | None:
        """A packet of RTP as it is sent; None where it must not be: its number was used before."""
        try:
            return self._sender.protect(packet)
        except (Error, ValueError):
            return None

    def protect_rtcp(self, packet: bytes) -> bytes | None:
        """The same for one of RTCP."""
        try:
            return self._sender.protect_rtcp(packet)
        except (Error, ValueError):
            return None

    def open(self, packet: bytes) -> bytes | None:
        """A packet of RTP that came; None where it is forged, replayed, or no SRTP at all, and where it is
        of one source more than are heard."""
        return self._open_from(packet[_RTP_SOURCE], packet, self._opener.unprotect)

    def open_rtcp(self, packet: bytes) -> bytes | None:
        """The same for one of RTCP."""
        return self._open_from(packet[_RTCP_SOURCE], packet, self._opener.unprotect_rtcp)

    def _open_from(
        self, source: bytes, packet: bytes, unprotect: Callable[[bytes], bytes]
    ) -> bytes | None:
        if source not in self._sources and len(self._sources) >= SOURCES_MAX:
            return None
        try:
            opened = unprotect(packet)
        except (Error, ValueError):
            return None
        self._sources.add(source)
        return opened

    def _sender_of(self, keys: SrtpKeys) -> Session:
        key = (keys.suite, keys.sent)
        session = self._senders.get(key)
        if session is None:
            if len(self._senders) >= SENDERS_MAX:
                raise ValueError("this stream has changed its keys too often")
            session = _session(keys.suite, keys.sent, Policy.SSRC_ANY_OUTBOUND)
            self._senders[key] = session
        return session


def _session(suite: SuiteName, key: bytes, direction: int) -> Session:
    """Raises `ValueError` for a key that is too short."""
    return Session(Policy(key=key, ssrc_type=direction, srtp_profile=_PROFILES[suite]))
