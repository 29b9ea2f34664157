"""RTP of all calls over one port: what each callee says, and counts of what each caller sends.

Callers are told apart by the address their packets come from, which is the one their SDP names.
Where two calls name the same address (sipp does so for all of its calls), what comes in counts for
the one that was answered last. Pure: packets come and go as arguments.
"""

from __future__ import annotations

import struct
from functools import cache
from math import inf
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from adapters.media.codecs.g711 import SAMPLE_RATE_HZ, encode_alaw, encode_ulaw
from adapters.media.plane.dtmf_tones import keys_octets
from adapters.media.types import Remote
from adapters.media.wire.dtmf import DigitPacket, make_script

FRAME_S: Final = 0.02
FRAME_SAMPLES: Final = 160

SEQUENCE_JUMP_MAX: Final = 3000
"""A sequence number further ahead than this begins a new stream (RFC 3550 appendix A.1)."""

BEEP_S: Final = 0.4
_HEADER: Final = struct.Struct(">BBHII")
_HEADER_BYTES: Final = 12

Frames = tuple[bytes, ...]
"""G.711 payloads of 20 ms each, played round and round."""


class Sounds(Struct, frozen=True):
    """What there is to hear, in one encoding."""

    speech: Frames
    """Noise that rises and falls like syllables."""
    beep: Frames
    """1000 Hz."""
    ringing: Frames
    """425 Hz, one second in three."""
    silence: Frames


@cache
def sounds(payload_type: int) -> Sounds:
    """The sounds as PCMU for 0, as PCMA for 8; always the same."""
    encode = encode_alaw if payload_type == 8 else encode_ulaw

    def frames(samples: NDArray[np.float64]) -> Frames:
        return _cut(encode(samples.astype(np.int16)).tobytes())

    second = np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    noise = np.random.default_rng(1).normal(0.0, 3000.0, SAMPLE_RATE_HZ)
    syllables = 0.15 + 0.85 * np.abs(np.sin(2 * np.pi * 2.0 * second))
    tone = 6000.0 * np.sin(2 * np.pi * 425.0 * second)
    return Sounds(
        speech=frames(np.clip(noise * syllables, -32_000, 32_000)),
        beep=frames(8000.0 * np.sin(2 * np.pi * 1000.0 * second)),
        ringing=frames(np.concatenate((tone, np.zeros(2 * SAMPLE_RATE_HZ)))),
        silence=frames(np.zeros(FRAME_SAMPLES)),
    )


def _cut(octets: bytes) -> Frames:
    return tuple(octets[i : i + FRAME_SAMPLES] for i in range(0, len(octets), FRAME_SAMPLES))


class Stream(Struct, gc=False):
    """One call's RTP, both ways."""

    remote: tuple[str, int]
    payload_type: int
    ssrc: int
    telephone_event: int | None = None
    """Payload type of RFC 4733 events, None where they were not agreed."""
    sent: int = 0
    received: int = 0
    """Packets from the caller."""
    frames: Frames = ()
    """What is being played."""
    until: float = inf
    """The packet, counted as `sent` is, at which `later` takes over."""
    later: tuple[tuple[Frames, float], ...] = ()
    """What is played after it: frames, and for how many packets."""
    keys: dict[int, DigitPacket] | None = None
    """Packets of keys by the packet, counted as `sent` is, in whose place they go."""
    _keys_from: int = 0
    _first: int = 0
    _highest: int = -1
    """Sequence numbers, extended beyond 16 bits; -1 before the first."""
    _lost_before: int = 0

    @property
    def gaps(self) -> int:
        """Packets that never came, by the sequence numbers of those that did (RFC 3550 appendix A.3)."""
        return self._lost_before + self._lost()

    def _lost(self) -> int:
        if self._highest < 0:
            return 0
        return max(0, self._highest - self._first + 1 - self.received)

    def play(self, *parts: tuple[Frames, float]) -> None:
        """Play these from the next packet on, each for so many seconds, the last one for ever."""
        packets = tuple((frames, round(seconds / FRAME_S)) for frames, seconds in parts[:-1])
        self.later = (*packets, (parts[-1][0], inf))
        self.until = self.sent

    def next_packet(self) -> bytes:
        """The next 20 ms (RFC 3550 §5.1)."""
        n = self.sent
        self.sent = n + 1
        if self.keys is not None and n in self.keys:
            return self._key_packet(n, self.keys[n])
        while n >= self.until:
            (self.frames, lasts), *rest = self.later
            self.later = tuple(rest)
            self.until += lasts
        marked = self.payload_type if n else self.payload_type | 0x80
        timestamp = n * FRAME_SAMPLES & 0xFFFFFFFF
        header = _HEADER.pack(0x80, marked, n & 0xFFFF, timestamp, self.ssrc)
        return header + self.frames[n % len(self.frames)]

    def press(self, digits: str, after_s: float) -> None:
        """Press these keys so long after now, by events (RFC 4733). They must have been agreed."""
        self._keys_from = self.sent + round(after_s / FRAME_S)
        script = make_script(digits)
        self.keys = {self._keys_from + packet.tick: packet for packet in script.packets}

    def _key_packet(self, n: int, packet: DigitPacket) -> bytes:
        assert self.telephone_event is not None
        second = self.telephone_event | packet.marker << 7
        timestamp = self._keys_from * FRAME_SAMPLES + packet.timestamp & 0xFFFFFFFF
        return _HEADER.pack(0x80, second, n & 0xFFFF, timestamp, self.ssrc) + packet.payload

    def take(self, sequence: int) -> None:
        """Count a packet with this sequence number."""
        ahead = (sequence - self._highest) & 0xFFFF
        if self._highest < 0:
            self._first = self._highest = sequence
        elif ahead <= SEQUENCE_JUMP_MAX:
            self._highest += ahead
        elif ahead < 0x10000 - SEQUENCE_JUMP_MAX:
            # The caller's sound was started anew: what came before is settled, and no loss lies between.
            self._lost_before += self._lost()
            self._highest = sequence
            self._first = sequence - self.received
        self.received += 1


class Streams:
    """All calls' streams."""

    def __init__(self, sending_max: int) -> None:
        """At most `sending_max` streams are sent to at once; 0 switches sending off."""
        self.sending_max = sending_max
        self._by_source: dict[tuple[str, int], Stream] = {}
        self._opened = 0
        self.sending: dict[int, Stream] = {}
        """The streams that are sent to, by their SSRC."""
        self.sent = 0
        """Packets of streams that are closed; those of open ones are in the streams."""
        self.send_failed = 0
        """Packets that the kernel did not take."""
        self.received = 0
        self.strays = 0
        """Packets of no call, or that are not RTP."""

    def open(self, remote: Remote) -> Stream:
        """A stream for a call that is answered, or that rings with early media."""
        self._opened += 1
        where = (remote.host, remote.port)
        ssrc = self._opened & 0xFFFFFFFF
        stream = Stream(where, remote.payload_type, ssrc, remote.telephone_event)
        self._by_source[where] = stream
        on_hold = remote.host in ("0.0.0.0", "::")  # noqa: S104 (an SDP hold, nothing is bound)
        if len(self.sending) < self.sending_max and not on_hold:
            self.sending[stream.ssrc] = stream
        return stream

    def ring(self, stream: Stream) -> None:
        """Play the ringing tone."""
        stream.play((sounds(stream.payload_type).ringing, inf))

    def greet(self, stream: Stream, greeting_s: float, keys: str = "") -> None:
        """Speak like a human who picks up: a few words, then silence, or keys before that."""
        voice = sounds(stream.payload_type)
        if keys and stream.telephone_event is not None:
            stream.press(keys, greeting_s)
        elif keys:
            tones = _cut(keys_octets(keys, stream.payload_type))
            lasts_s = FRAME_S * len(tones)
            stream.play((voice.speech, greeting_s), (tones, lasts_s), (voice.silence, inf))
            return
        stream.play((voice.speech, greeting_s), (voice.silence, inf))

    def announce(self, stream: Stream, greeting_s: float) -> None:
        """Speak like a machine: a long greeting, a beep, then silence."""
        voice = sounds(stream.payload_type)
        stream.play((voice.speech, greeting_s), (voice.beep, BEEP_S), (voice.silence, inf))

    def close(self, stream: Stream) -> None:
        """Stop sending and counting."""
        if self._by_source.get(stream.remote) is stream:
            del self._by_source[stream.remote]
        if self.sending.pop(stream.ssrc, None) is not None:
            self.sent += stream.sent

    def receive(self, data: bytes, source: tuple[str, int]) -> None:
        """Count a datagram that came in."""
        stream = self._by_source.get(source)
        if stream is None or len(data) < _HEADER_BYTES or data[0] & 0xC0 != 0x80:
            self.strays += 1
            return
        self.received += 1
        stream.take(data[2] << 8 | data[3])
