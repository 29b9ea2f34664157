"""Every codec that the plane speaks: the two laws of G.711, and G.722 (ITU-T G.722, RFC 3551 §4.5.2).

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

from adapters.media.g711 import ALAW, LAWS, SAMPLE_RATE_HZ, ULAW, Law

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


WIDE: Final = Law("g722", 9, G722_SILENCE, encode_g722, decode_g722)
"""G.722, which is no law, but is told of in the same words."""
VOICES: Final[Mapping[int, Law]] = MappingProxyType(
    {voice.payload_type: voice for voice in (ULAW, ALAW, WIDE)}
)
"""All of them, by static payload type."""


def make_translator(heard: int, spoken: int) -> Callable[[bytes], bytes]:
    """What makes payloads of one codec those of another, one after the other, by their payload types."""
    if heard == spoken:
        return lambda payload: payload
    decode = LAWS[heard].decode if heard in LAWS else G722Coder().decode
    encode = LAWS[spoken].encode if spoken in LAWS else G722Coder().encode

    def translate(payload: bytes) -> bytes:
        return encode(decode(np.frombuffer(payload, np.uint8))).tobytes()

    return translate
