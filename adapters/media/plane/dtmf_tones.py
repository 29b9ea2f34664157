"""Keys as tones in the sound (ITU-T Q.23), for whoever takes no telephone events."""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from adapters.media.codecs.g711 import SAMPLE_RATE_HZ
from adapters.media.codecs.voices import VOICES
from adapters.media.listening.goertzel import COLUMNS_HZ, KEYS, ROWS_HZ
from adapters.media.wire.dtmf import GAP_MS_MIN, TICK_MS, TONE_MS_MIN, VOLUME_DBM0
from adapters.media.wire.rtp import FRAME_BYTES

FULL_SCALE: Final = 22_300
"""The amplitude of a sine of 0 dBm0 (G.711 §4)."""
TONE_FRAMES: Final = -(-TONE_MS_MIN // TICK_MS)
GAP_FRAMES: Final = -(-GAP_MS_MIN // TICK_MS)


def make_tone(digit: str) -> NDArray[np.int16]:
    """One second of a key. All frequencies are whole, so that it goes on seamlessly from its beginning."""
    row = next(number for number, keys in enumerate(KEYS) if digit in keys)
    at = np.arange(SAMPLE_RATE_HZ)
    sound = np.zeros(SAMPLE_RATE_HZ)
    for hz in (ROWS_HZ[row], COLUMNS_HZ[KEYS[row].index(digit)]):
        sound += np.sin(2 * np.pi * hz / SAMPLE_RATE_HZ * at)
    return np.rint(FULL_SCALE * 10 ** (VOLUME_DBM0 / 20) * sound).astype(np.int16)


@cache
def tone_octets(digit: str, payload_type: int) -> bytes:
    """`make_tone` in the law of this payload type."""
    return VOICES[payload_type].encode(make_tone(digit)).tobytes()


def keys_octets(digits: str, payload_type: int) -> bytes:
    """Keys one after the other, each with a gap behind it, in whole frames."""
    gap = VOICES[payload_type].silence * GAP_FRAMES
    tones = (tone_octets(digit, payload_type)[: TONE_FRAMES * FRAME_BYTES] for digit in digits)
    return b"".join(tone + gap for tone in tones)
