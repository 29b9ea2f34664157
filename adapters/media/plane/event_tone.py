"""An event that is passed on as a tone, to somebody who takes no events (RFC 4733)."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from adapters.media.codecs.g711 import SAMPLE_RATE_HZ
from adapters.media.plane.dtmf_tones import tone_octets
from adapters.media.wire.dtmf import DIGITS
from adapters.media.wire.rtp import FRAME_BYTES

TONE_FRAMES_MAX: Final = 8
"""Frames of tone for one packet of an event: senders tell of an event every 20 to 100 ms."""
_EVENT_BYTES: Final = 4


class ToneFrame(Struct, frozen=True):
    """20 ms of a tone."""

    first: int
    """Where in the tone they begin, in samples at 8 kHz."""
    octets: bytes


class EventTone:
    """The event that one callee presses just now, as far as it has sounded."""

    def __init__(self) -> None:
        self._timestamp = -1
        self._played = 0
        """Samples of it that were sent, at 8 kHz."""

    def sound(
        self, timestamp: int, payload: bytes, clock_hz: int, payload_type: int
    ) -> list[ToneFrame]:
        """What has to sound by now of the event that a packet tells of, in a codec's octets; nothing where
        it has sounded already, and for what is no key."""
        if timestamp != self._timestamp:
            self._timestamp, self._played = timestamp, 0
        if len(payload) < _EVENT_BYTES or payload[0] >= len(DIGITS):
            return []
        duration = int.from_bytes(payload[2:4], "big") * SAMPLE_RATE_HZ // clock_hz
        octets = tone_octets(DIGITS[payload[0]], payload_type)
        frames = []
        for _ in range(min((duration - self._played) // FRAME_BYTES, TONE_FRAMES_MAX)):
            at = self._played % len(octets)
            frames.append(ToneFrame(self._played, octets[at : at + FRAME_BYTES]))
            self._played += FRAME_BYTES
        return frames
