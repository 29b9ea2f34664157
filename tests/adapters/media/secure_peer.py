"""The other end of SRTP in tests: libsrtp as it is, asked for by its own names and not by ours."""

from __future__ import annotations

from pylibsrtp import Error, Policy, Session

from adapters.media.types import SrtpKeys, SuiteName

PROFILES: dict[SuiteName, int] = {
    "AES_CM_128_HMAC_SHA1_80": Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    "AEAD_AES_128_GCM": Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    "AES_CM_128_HMAC_SHA1_32": Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
}
SUITES = tuple(PROFILES)


def keys_of(suite: SuiteName, seed: int = 0) -> SrtpKeys:
    """Keys that differ by their seed."""
    length = 28 if suite == "AEAD_AES_128_GCM" else 30
    return SrtpKeys(suite, bytes([seed + 1]) * length, bytes([seed + 2]) * length)


class SecurePeer:
    """Whoever speaks with a stream that has these keys."""

    def __init__(self, keys: SrtpKeys) -> None:
        profile = PROFILES[keys.suite]
        self._hearing = Session(Policy(keys.sent, Policy.SSRC_ANY_INBOUND, 0, profile))
        self._speaking = Session(Policy(keys.heard, Policy.SSRC_ANY_OUTBOUND, 0, profile))

    def protect(self, packet: bytes) -> bytes:
        """What it sends."""
        return self._speaking.protect(packet)

    def protect_rtcp(self, packet: bytes) -> bytes:
        """What it sends of RTCP."""
        return self._speaking.protect_rtcp(packet)

    def open(self, packet: bytes) -> bytes | None:
        """What it hears; None where that is not authentic."""
        try:
            return self._hearing.unprotect(packet)
        except Error:
            return None

    def open_rtcp(self, packet: bytes) -> bytes | None:
        """The same of RTCP."""
        try:
            return self._hearing.unprotect_rtcp(packet)
        except Error:
            return None
