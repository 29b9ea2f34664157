"""Sounds that tests make, as they come out of G.711, and ways to let tables hear them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from adapters.media.codecs.g711 import ULAW

Sound = NDArray[np.float64]
Samples = NDArray[np.int16]

FRAME = 160


def silence(duration_ms: float) -> Sound:
    return np.zeros(round(duration_ms * 8))


def tone(duration_ms: float, *hz: float, dbm0: float = -15.0) -> Sound:
    """A tone, or several that are equally loud."""
    moments = np.arange(round(duration_ms * 8)) / 8000
    amplitude = 22_300 * 10 ** (dbm0 / 20)
    total: Sound = amplitude * np.sin(2 * np.pi * np.outer(hz, moments)).sum(axis=0)
    return total


def noise(duration_ms: float, level: float, seed: int = 1) -> Sound:
    """White noise of this mean magnitude."""
    sound = np.random.default_rng(seed).standard_normal(round(duration_ms * 8))
    scaled: Sound = sound * (level / np.abs(sound).mean())
    return scaled


def voice(duration_ms: float, level: float = 2000.0) -> Sound:
    """A vowel: 24 harmonics of 120 Hz, which rises and falls. No tone stands in it."""
    moments = np.arange(round(duration_ms * 8)) / 8000
    turns = 120 * moments + np.sin(2 * np.pi * 3 * moments)
    sound = sum((np.sin(2 * np.pi * n * turns) / n**0.5 for n in range(1, 25)), np.zeros(1))
    scaled: Sound = sound * (level / max(np.abs(sound).mean(), 1e-9))
    return scaled


def syllables(count: int, level: float = 2000.0) -> Sound:
    """So many of 160 ms, and after each 40 ms of silence, which do not part words."""
    return np.tile(np.concatenate([voice(160, level), silence(40)]), count)


def through_g711(*parts: Sound) -> Samples:
    """The parts one after the other, in whole frames."""
    sound = np.concatenate(parts)
    sound = np.concatenate([sound, np.zeros(-len(sound) % FRAME)])
    return ULAW.decode(ULAW.encode(np.clip(np.rint(sound), -32_768, 32_767).astype(np.int16)))


def frames(samples: Samples) -> Iterator[Samples]:
    """20 ms after 20 ms, each as the only stream of a matrix."""
    for first in range(0, len(samples) - FRAME + 1, FRAME):
        yield samples[np.newaxis, first : first + FRAME]


def stack(*calls: Samples) -> Samples:
    """One row a call, silence after the shorter ones."""
    longest = max(len(call) for call in calls)
    return np.stack([np.pad(call, (0, longest - len(call))) for call in calls])
