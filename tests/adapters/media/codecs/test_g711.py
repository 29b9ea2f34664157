"""G.711, each of its 65,536 samples and 256 octets, against the recommendation's segments."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from adapters.media.codecs.g711 import (
    ALAW_SILENCE,
    ULAW_SILENCE,
    decode_alaw,
    decode_ulaw,
    encode_alaw,
    encode_ulaw,
)

SAMPLES = np.arange(-32_768, 32_768, dtype=np.int16)
OCTETS = np.arange(256, dtype=np.uint8)

Encode = Callable[[NDArray[np.int16]], NDArray[np.uint8]]
Decode = Callable[[NDArray[np.uint8]], NDArray[np.int16]]


def ulaw_by_segments(sample: int) -> int:
    """G.711 table 2: eight segments that end at 31, 95, 223 … 8159, each twice as wide."""
    magnitude = min((~sample if sample < 0 else sample) >> 2, 8158)
    segment = next(n for n in range(8) if magnitude < (64 << n) - 33)
    step = (magnitude - ((32 << segment) - 33)) // (2 << segment)
    positive = 0xFF - (segment * 16 + step)
    return positive - 0x80 if sample < 0 else positive


def alaw_by_segments(sample: int) -> int:
    """G.711 table 1: two segments of step 2 up to 64 (of 4096), then each twice as wide."""
    magnitude = (~sample if sample < 0 else sample) >> 3
    if magnitude < 64:
        code = magnitude // 2
    else:
        segment = next(n for n in range(2, 8) if magnitude < 64 << (n - 1))
        code = segment * 16 + (magnitude - (32 << (segment - 1))) // (2 << (segment - 1))
    return (code if sample < 0 else code + 0x80) ^ 0x55


@pytest.mark.parametrize(
    ("encode", "by_segments"), [(encode_ulaw, ulaw_by_segments), (encode_alaw, alaw_by_segments)]
)
def test_every_sample_is_encoded_as_its_segment_says(
    encode: Encode, by_segments: Callable[[int], int]
) -> None:
    expected = np.array([by_segments(int(sample)) for sample in SAMPLES], dtype=np.uint8)
    np.testing.assert_array_equal(encode(SAMPLES), expected)


@pytest.mark.parametrize(
    ("octet", "sample"),
    [
        (0xFF, 0),
        (0x80, 32_124),
        (0x00, -32_124),
        (0xFE, 8),
        (0x7E, -8),
        (0xEF, 132),
        (0x8F, 16_764),
    ],
)
def test_ulaw_octets_decode_to_the_values_of_the_recommendation(octet: int, sample: int) -> None:
    assert decode_ulaw(np.array([octet], dtype=np.uint8)).tolist() == [sample]


@pytest.mark.parametrize(
    ("octet", "sample"),
    [(0xD5, 8), (0x55, -8), (0xAA, 32_256), (0x2A, -32_256), (0xC5, 264), (0xF5, 528)],
)
def test_alaw_octets_decode_to_the_values_of_the_recommendation(octet: int, sample: int) -> None:
    assert decode_alaw(np.array([octet], dtype=np.uint8)).tolist() == [sample]


def test_every_ulaw_octet_survives_decoding_but_for_its_second_zero() -> None:
    expected = OCTETS.copy()
    expected[0x7F] = ULAW_SILENCE
    np.testing.assert_array_equal(encode_ulaw(decode_ulaw(OCTETS)), expected)


def test_every_alaw_octet_survives_decoding() -> None:
    np.testing.assert_array_equal(encode_alaw(decode_alaw(OCTETS)), OCTETS)


@pytest.mark.parametrize(
    ("encode", "decode"), [(encode_ulaw, decode_ulaw), (encode_alaw, decode_alaw)]
)
def test_a_louder_sample_is_never_decoded_as_a_softer_one(encode: Encode, decode: Decode) -> None:
    decoded = decode(encode(SAMPLES)).astype(np.int32)
    assert int(np.diff(decoded).min()) == 0


def test_the_octets_of_silence_are_those_of_the_sample_0() -> None:
    zero = np.zeros(1, dtype=np.int16)
    assert (encode_ulaw(zero).tolist(), encode_alaw(zero).tolist()) == (
        [ULAW_SILENCE],
        [ALAW_SILENCE],
    )


def test_a_matrix_of_samples_keeps_its_shape() -> None:
    matrix = np.zeros((3, 160), dtype=np.int16)
    assert encode_ulaw(matrix).shape == decode_ulaw(encode_ulaw(matrix)).shape == (3, 160)
