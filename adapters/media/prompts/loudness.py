"""How loud a sound is, and how it is brought to the loudness that all prompts have.

Loudness is that of ITU-R BS.1770-4 and EBU R 128: the mean power of blocks of 400 ms, weighted by
frequency as the ear weighs it, with pauses left out. It is measured on what the callee hears, one
channel at 8 kHz. Peaks that would then be cut off are turned down for a few milliseconds instead.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from adapters.media.codecs.g711 import SAMPLE_RATE_HZ

TARGET_LUFS: Final = -20.0
"""What every prompt is brought to. Loud speech that is cut off nowhere; about -14 dBm0 on the line."""
GAIN_DB_MAX: Final = 20.0
"""A recording is raised by no more than this: beyond it, noise is raised rather than speech."""
CEILING: Final = 10 ** (-1 / 20)
"""No sample is larger, of 1: 1 dB below full scale."""

_BLOCK: Final = SAMPLE_RATE_HZ * 400 // 1000
_HOP: Final = _BLOCK // 4
"""Blocks are of 400 ms and overlap by three quarters (BS.1770-4 annex 1)."""
_BATCH: Final = 64
"""Blocks that are weighed at once: 1.6 MB of them."""
_OFFSET_LU: Final = -0.691
"""Makes up for what the weighting adds at 997 Hz."""
_GATE_ABSOLUTE_LUFS: Final = -70.0
_GATE_RELATIVE_LU: Final = -10.0

_SHELF: Final = (
    (1.53512485958697, -2.69169618940638, 1.19839281085285),
    (1.0, -1.69065929318241, 0.73248077421585),
)
"""The head's shelf, numerator and denominator (BS.1770-4 table 1, for 48 kHz)."""
_HIGH_PASS: Final = ((1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621))
"""The low end's cut (BS.1770-4 table 2, for 48 kHz)."""
_FILTER_RATE_HZ: Final = 48_000

_STEP: Final = SAMPLE_RATE_HZ // 1000
"""Samples over which a peak is looked for: 1 ms."""
_REACH: Final = 5
"""Steps by which the gain goes down before a peak, and comes back after it."""


def level(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """The sound, -1 to 1 at 8 kHz, at `TARGET_LUFS` and with no sample beyond `CEILING`.

    It stays softer where it would have to be raised by more than `GAIN_DB_MAX`, or where it is
    nearly all peaks. Silence stays silence.
    """
    loudness = measure_lufs(samples)
    gain_db = 0.0 if loudness == -math.inf else min(TARGET_LUFS - loudness, GAIN_DB_MAX)
    return _limit(samples * np.float32(10 ** (gain_db / 20)))


def measure_lufs(samples: NDArray[np.float32]) -> float:
    """The integrated loudness of one channel at 8 kHz, -1 to 1; minus infinity for silence.

    A sound shorter than 400 ms is one block.
    """
    powers = _block_powers(samples)
    powers = powers[powers > _power(_GATE_ABSOLUTE_LUFS)]
    if not len(powers):
        return -math.inf
    powers = powers[powers > powers.mean() * 10 ** (_GATE_RELATIVE_LU / 10)]
    return _OFFSET_LU + 10 * math.log10(powers.mean())


def _power(lufs: float) -> float:
    return float(10 ** ((lufs - _OFFSET_LU) / 10))


def _block_powers(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """The weighted mean square of each block, by Parseval's theorem."""
    if not len(samples):
        return np.zeros(0)
    size = min(_BLOCK, len(samples))
    blocks = sliding_window_view(samples, size)[::_HOP]
    # A spectrum from 0 Hz to the middle holds half of the power, but for its two ends.
    weights = 2 * _weights(size) / size**2
    batches = (blocks[at : at + _BATCH] for at in range(0, len(blocks), _BATCH))
    return np.concatenate([(np.abs(np.fft.rfft(batch)) ** 2) @ weights for batch in batches])


def _weights(size: int) -> NDArray[np.float64]:
    """How much of the power counts, at each frequency of the spectrum of so many samples."""
    z = np.exp(-2j * np.pi * np.fft.rfftfreq(size, 1 / SAMPLE_RATE_HZ) / _FILTER_RATE_HZ)
    response = np.ones(len(z))
    for numerator, denominator in (_SHELF, _HIGH_PASS):
        above = np.abs(np.polyval(numerator[::-1], z))
        response *= (above / np.abs(np.polyval(denominator[::-1], z))) ** 2
    return response


def _limit(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turn peaks beyond the ceiling down, and what is around them with them.

    The gain of a step is the mean of what the steps around it ask for, each of which already asks
    for what the hungriest of its own neighbours needs. So it glides, and is never too high.
    """
    if not len(samples) or float(np.abs(samples).max()) <= CEILING:
        return samples
    steps = -(-len(samples) // _STEP)
    padded = np.zeros(steps * _STEP, np.float32)
    padded[: len(samples)] = samples
    peaks = np.abs(padded).reshape(steps, _STEP).max(axis=1)
    needed = np.minimum(1.0, CEILING / np.maximum(peaks, CEILING))
    # One step further than the mean reaches, because the gain of a sample lies between two steps'.
    lowest = _around(needed, _REACH + 1).min(axis=1)
    gains = _around(lowest, _REACH).mean(axis=1)
    middles = np.arange(steps) * _STEP + (_STEP - 1) / 2
    glide = np.interp(np.arange(len(samples)), middles, gains)
    # Rounding may leave a sample a millionth too high.
    limited: NDArray[np.float32] = np.clip(samples * glide, -CEILING, CEILING)
    return limited.astype(np.float32)


def _around(values: NDArray[np.float64], reach: int) -> NDArray[np.float64]:
    """For each value a row: itself and as many as `reach` to both sides, the ends repeated."""
    return sliding_window_view(np.pad(values, reach, mode="edge"), 2 * reach + 1)
