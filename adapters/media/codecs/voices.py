"""Every codec that the plane speaks: the two laws of G.711, G.722 (ITU-T G.722, RFC 3551 §4.5.2) and Opus.

G.722 is told here at 8 kHz, the rate of everything else: of its two bands the lower one, which is all
that a prompt made for the telephone holds. Its 20 ms are 160 octets and 160 steps of its RTP clock, as
those of G.711 are, so that it goes the same way: through the same arena, tick and relay. What differs is
that its octets depend on those before them. Sound that is joined to other sound, a prompt to silence say,
swings in within some milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import G722 as libg722
import numpy as np
from numpy.typing import NDArray

from adapters.media.codecs.codec import OPUS
from adapters.media.codecs.g711 import ALAW, FRAME_SAMPLES, LAWS, SAMPLE_RATE_HZ, ULAW, Law
from adapters.media.codecs.opus import SILENCE, OpusDecoder, OpusEncoder, decode_opus, encode_opus

BIT_RATE: Final = 64_000
G722_SILENCE: Final = 0xFC
"""Neither band moves: decoded, it is 0 within its first 20 ms, whatever was before."""


class G722Coder:
    """One stream of G.722, in one direction. It remembers what went before."""

    def __init__(self) -> None:
        self._state = libg722.G722(SAMPLE_RATE_HZ, BIT_RATE)

    def encode(self, samples: NDArray[np.int16]) -> NDArray[np.uint8]:
        """The octets of the next samples at 8 kHz, as many as these."""
        return np.frombuffer(self._state.encode(samples), np.uint8)

    def decode(self, octets: NDArray[np.uint8]) -> NDArray[np.int16]:
        """The samples at 8 kHz of the next octets, as many as these."""
        if not len(octets):
            return np.zeros(0, np.int16)
        return np.frombuffer(self._state.decode(octets.tobytes()), np.int16)


def encode_g722(samples: NDArray[np.int16]) -> NDArray[np.uint8]:
    """A whole sound, from its first sample on."""
    return G722Coder().encode(samples)


def decode_g722(octets: NDArray[np.uint8]) -> NDArray[np.int16]:
    """A whole sound, from its first octet on."""
    return G722Coder().decode(octets)


WIDE: Final = Law("g722", 9, bytes([G722_SILENCE]) * FRAME_SAMPLES, encode_g722, decode_g722)
"""G.722, which is no law, but is told of in the same words."""
NARROW: Final = Law("opus", OPUS.payload_type, SILENCE, encode_opus, decode_opus)
"""Opus, likewise. Its coders want PyAV."""
VOICES: Final[Mapping[int, Law]] = MappingProxyType(
    {voice.payload_type: voice for voice in (ULAW, ALAW, WIDE, NARROW)}
)
"""All of them, by the numbers that stand for them."""


class Translator:
    """Makes payloads of one codec those of another, one after the other, through their samples."""

    def __init__(self, heard: int, spoken: int) -> None:
        """Both are numbers of `VOICES`."""
        self._is_same = heard == spoken
        self._decode = make_decoder(heard)
        self._spoken = spoken
        self._encode: Callable[[NDArray[np.int16]], NDArray[np.uint8]] | None = None
        self._encoder: OpusEncoder | None = None
        if spoken == NARROW.payload_type:
            self._encoder = None if self._is_same else OpusEncoder()
        else:
            self._encode = LAWS[spoken].encode if spoken in LAWS else G722Coder().encode
        self._waiting = np.zeros(0, np.int16)
        self.heard = 0
        """Samples that the latest payload held; 0 where it was not decoded."""

    @property
    def joins(self) -> bool:
        """Whether payloads are made of several, or several of one: Opus is spoken in frames of 20 ms."""
        return self._encoder is not None

    @property
    def waiting(self) -> int:
        """Samples that were heard and do not make a frame yet."""
        return len(self._waiting)

    def translate(self, payload: bytes) -> list[bytes]:
        """What to send now: one payload, unless it `joins`."""
        if self._is_same:
            return [payload]
        samples = self._decode(payload)
        self.heard = len(samples)
        if self._encode is not None:
            return [self._encode(samples).tobytes()] if len(samples) else []
        assert self._encoder is not None
        samples = np.concatenate([self._waiting, samples])
        whole = len(samples) // FRAME_SAMPLES * FRAME_SAMPLES
        self._waiting = samples[whole:]
        return [self._encoder.encode(frame) for frame in samples[:whole].reshape(-1, FRAME_SAMPLES)]

    def samples_of(self, payload: bytes) -> int:
        """How long a payload is that `translate` gave. Opus that goes on as it came is taken for 20 ms."""
        return FRAME_SAMPLES if self._spoken == NARROW.payload_type else len(payload)


def make_translator(heard: int, spoken: int) -> Translator:
    """What makes payloads of one codec those of another, by the numbers of both."""
    return Translator(heard, spoken)


def make_decoder(payload_type: int) -> Callable[[bytes], NDArray[np.int16]]:
    """What makes samples of one stream's payloads, in the order in which they come."""
    if payload_type == NARROW.payload_type:
        return _LateDecoder().decode
    decode = LAWS[payload_type].decode if payload_type in LAWS else G722Coder().decode
    return lambda payload: decode(np.frombuffer(payload, np.uint8))


class _LateDecoder:
    """A decoder that is made when it is needed: most streams are never listened to."""

    def __init__(self) -> None:
        self._decoder: OpusDecoder | None = None

    def decode(self, payload: bytes) -> NDArray[np.int16]:
        self._decoder = self._decoder or OpusDecoder()
        return self._decoder.decode(payload)
