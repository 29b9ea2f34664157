"""G.711: μ-law and A-law, encoded and decoded by table (ITU-T G.711, arithmetic as in G.191).

Linear samples are signed 16-bit, of which μ-law uses the upper 14 bits and A-law the upper 13.
A table is made when it is first asked for and kept: 64 KiB for encoding, 512 bytes for decoding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

SAMPLE_RATE_HZ: Final = 8000
FRAME_SAMPLES: Final = 160
"""20 ms."""

ULAW_SILENCE: Final = 0xFF
"""The μ-law octet of the sample 0."""
ALAW_SILENCE: Final = 0xD5
"""The A-law octet of the smallest positive sample, 8: A-law has no 0."""

_ULAW_BIAS: Final = 33
"""Added to a 14-bit magnitude, so that each segment begins at a power of two (G.711 table 2)."""
_ULAW_MAGNITUDE_MAX: Final = 0x1FFF


def encode_ulaw(samples: NDArray[np.int16]) -> NDArray[np.uint8]:
    """Signed 16-bit samples of any shape to μ-law octets of the same shape."""
    return _ulaw_octets()[samples.view(np.uint16)]


def decode_ulaw(octets: NDArray[np.uint8]) -> NDArray[np.int16]:
    """μ-law octets of any shape to signed 16-bit samples of the same shape."""
    return _ulaw_samples()[octets]


def encode_alaw(samples: NDArray[np.int16]) -> NDArray[np.uint8]:
    """Signed 16-bit samples of any shape to A-law octets of the same shape."""
    return _alaw_octets()[samples.view(np.uint16)]


def decode_alaw(octets: NDArray[np.uint8]) -> NDArray[np.int16]:
    """A-law octets of any shape to signed 16-bit samples of the same shape."""
    return _alaw_samples()[octets]


def _all_samples() -> NDArray[np.int32]:
    """Every 16-bit sample, in the order of its unsigned pattern: the index of an encoding table."""
    return np.arange(65_536, dtype=np.uint16).view(np.int16).astype(np.int32)


def _bit_length(values: NDArray[np.int32]) -> NDArray[np.int32]:
    _, exponent = np.frexp(values.astype(np.float64))
    return exponent.astype(np.int32)


@cache
def _ulaw_octets() -> NDArray[np.uint8]:
    samples = _all_samples()
    # The one's complement of a negative sample keeps both halves of the curve mirror images.
    magnitude = (np.where(samples < 0, ~samples, samples) >> 2) + _ULAW_BIAS
    magnitude = np.minimum(magnitude, _ULAW_MAGNITUDE_MAX)
    segment = _bit_length(magnitude) - 6
    step = (magnitude >> (segment + 1)) & 0xF
    code = ~((segment << 4) | step) & 0x7F
    octets: NDArray[np.int32] = np.where(samples < 0, code, code | 0x80)
    return octets.astype(np.uint8)


@cache
def _ulaw_samples() -> NDArray[np.int16]:
    code = ~np.arange(256, dtype=np.int32) & 0xFF
    segment = (code >> 4) & 0x7
    magnitude = ((((code & 0xF) << 1) + _ULAW_BIAS) << segment) - _ULAW_BIAS
    return (np.where(code & 0x80, -magnitude, magnitude) << 2).astype(np.int16)


@cache
def _alaw_octets() -> NDArray[np.uint8]:
    samples = _all_samples()
    magnitude = np.where(samples < 0, ~samples, samples) >> 4
    # The two lowest segments share one step width, hence the clip at 0.
    segment = np.maximum(_bit_length(magnitude) - 4, 0)
    step = (magnitude >> np.maximum(segment - 1, 0)) & 0xF
    code = (segment << 4) | step
    octets: NDArray[np.int32] = np.where(samples < 0, code, code | 0x80)
    return (octets ^ 0x55).astype(np.uint8)


@cache
def _alaw_samples() -> NDArray[np.int16]:
    code = np.arange(256, dtype=np.int32) ^ 0x55
    segment = (code >> 4) & 0x7
    step = code & 0xF
    # A sample stands for the middle of its step.
    lowest = (step << 4) + 8
    higher = ((step << 4) + 0x108) << np.maximum(segment - 1, 0)
    magnitude = np.where(segment == 0, lowest, higher)
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


class Law(Struct, frozen=True):
    """One of the two laws, with all that the rest of this room wants to know of it."""

    name: str
    """`ulaw` or `alaw`, which is also the suffix of its prompt files."""
    payload_type: int
    """The static number of RFC 3551 §6."""
    silence: bytes
    """20 ms of it, 160 octets."""
    encode: Callable[[NDArray[np.int16]], NDArray[np.uint8]]
    decode: Callable[[NDArray[np.uint8]], NDArray[np.int16]]


ULAW: Final = Law("ulaw", 0, bytes([ULAW_SILENCE]) * FRAME_SAMPLES, encode_ulaw, decode_ulaw)
ALAW: Final = Law("alaw", 8, bytes([ALAW_SILENCE]) * FRAME_SAMPLES, encode_alaw, decode_alaw)
LAWS: Final[Mapping[int, Law]] = MappingProxyType({law.payload_type: law for law in (ULAW, ALAW)})
"""Both, by static payload type."""
_LAW_TYPES: Final = tuple(sorted(LAWS))


def law_table_number(heard: int, spoken: int) -> int:
    """Which of `make_law_tables` makes payloads of one law those of another; both are numbers of `LAWS`."""
    return _LAW_TYPES.index(heard) * len(_LAW_TYPES) + _LAW_TYPES.index(spoken)


def make_law_tables() -> NDArray[np.uint8]:
    """From each law to each law, octet by octet: a table of 256 for each pair."""
    octets = np.arange(256, dtype=np.uint8)
    return np.stack(
        [
            octets if heard == spoken else LAWS[spoken].encode(LAWS[heard].decode(octets))
            for heard in _LAW_TYPES
            for spoken in _LAW_TYPES
        ]
    )
