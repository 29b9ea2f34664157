"""Words in the sound of many streams at once, on lines that are noisy or not.

A word is voice for some time, ended by silence for some time, and voice is what is louder than a
threshold: so far this is Asterisk's AMD. But the right threshold depends on the line's noise, which
is only known after a while. So each stream's words are counted at several thresholds from the start,
and read at the lowest that is above the noise, and above what is said elsewhere in the room.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from adapters.media.listening.tone import FRAME_MS, Floats, ToneFrames

Counts = NDArray[np.int32]

THRESHOLDS: Final = 6
"""Levels at which each stream's words are counted."""
THRESHOLD_STEP: Final = 1.6
"""Each is so many times the one before: 4 dB."""
NOISE_FRAMES: Final = 30
"""The noise is the softest sound of the last 600 to 1,200 ms: nobody speaks so long without a gap."""

_UNKNOWN_NOISE: Final = np.float32(np.inf)


class WordLimits(Struct, frozen=True):
    """What counts as a word on one stream."""

    silence_threshold: float
    """Mean magnitude of a frame, of 32,767: the lowest threshold."""
    min_word_frames: int
    """Frames of voice that make a word."""
    between_words_frames: int
    """Frames of silence that end it."""
    noise_margin: float
    """Voice is so many times louder than the noise; 0 keeps to the lowest threshold."""
    background_share: float
    """Voice has this share of the level of the loudest word; 0 lets every voice count."""


class Speech(Struct):
    """What has been said on each of several streams until now: parallel arrays, one element a stream."""

    words: Counts
    voice_ms: Counts
    """Voice within words."""
    word_ms: Counts
    """Voice within the word that is being said; 0 between words."""
    silence_ms: Counts
    """Since the last voice or tone."""
    greeting_ms: Counts
    """From the beginning of the first word to the end of the last voice."""


class WordTable:
    """The words of up to `capacity` streams."""

    def __init__(self, capacity: int) -> None:
        self._thresholds = np.zeros((capacity, THRESHOLDS), np.float32)
        self._limits = np.zeros((4, capacity), np.float32)
        """By stream: the last four of `WordLimits`."""
        self._noise = np.zeros((2, capacity), np.float32)
        """The softest sound of this window, and that of the one before."""
        self._level = np.zeros(capacity, np.float32)
        """The last frame's level."""
        self._loudest = np.zeros(capacity, np.float32)
        """The loudest word's level."""
        self._heard = np.zeros(capacity, np.int32)
        shape = (capacity, THRESHOLDS)
        self._run = np.zeros(shape, np.int32)
        """Frames of voice since the last gap between words."""
        self._silence = np.zeros(shape, np.int32)
        self._words = np.zeros(shape, np.int32)
        self._voice = np.zeros(shape, np.int32)
        self._in_word = np.zeros(shape, np.bool_)
        self._first = np.zeros(shape, np.int32)
        """The frame in which the first word began."""
        self._last = np.zeros(shape, np.int32)
        """The frame after the last voice of a word."""

    def start(self, row: int, limits: WordLimits, *, noise: float = math.inf) -> None:
        """Count a stream's words from here on.

        Args:
            noise: the line's level as far as it is known before anything is heard. Whoever counts from
                the middle of a conversation should name one: what is said at once, without a gap, would
                else be taken for the noise itself.
        """
        steps = THRESHOLD_STEP ** np.arange(THRESHOLDS)
        self._thresholds[row] = limits.silence_threshold * steps
        self._limits[:, row] = (
            limits.min_word_frames,
            limits.between_words_frames,
            limits.noise_margin,
            limits.background_share,
        )
        self._noise[:, row] = noise
        state: tuple[NDArray[Any], ...] = (self._level, self._loudest, self._heard, self._run)
        state += (self._silence, self._words, self._voice, self._in_word, self._first, self._last)
        for one in state:
            one[row] = 0

    def hear(self, frames: ToneFrames) -> Speech:
        """Take the next 20 ms of each of these streams."""
        rows = frames.rows
        self._heard[rows] += 1
        self._measure_noise(rows, frames.level)
        self._count_words(frames)
        in_word = self._in_word[rows, 0]
        loudest = np.maximum(self._loudest[rows], np.where(in_word, frames.level, 0))
        self._loudest[rows] = loudest
        return self.read(rows)

    def read(self, rows: NDArray[np.intp]) -> Speech:
        """What has been said on these streams, at the threshold that is now known to be right."""
        noise = self._noise[:, rows].min(axis=0)
        # Before anything was heard there is no noise to be above of.
        noise = np.where(np.isfinite(noise), noise, 0)
        _, _, margin, share = self._limits[:, rows]
        least = np.maximum(noise * margin, self._loudest[rows] * share)
        too_low = self._thresholds[rows] < least[:, np.newaxis]
        right = (rows, np.minimum(too_low.sum(axis=1), THRESHOLDS - 1))
        words = self._words[right]
        greeting = np.where(words > 0, self._last[right] - self._first[right], 0)
        return Speech(
            words=words,
            voice_ms=self._voice[right] * FRAME_MS,
            word_ms=self._run[right] * self._in_word[right] * FRAME_MS,
            silence_ms=self._silence[right] * FRAME_MS,
            greeting_ms=greeting * FRAME_MS,
        )

    def _measure_noise(self, rows: NDArray[np.intp], level: Floats) -> None:
        """Two frames at a time: one alone may be softer than the noise by chance."""
        louder = np.maximum(level, self._level[rows])
        self._level[rows] = level
        begins = self._heard[rows] % NOISE_FRAMES == 0
        now, before = self._noise[:, rows]
        self._noise[1, rows] = np.where(begins, now, before)
        self._noise[0, rows] = np.minimum(np.where(begins, _UNKNOWN_NOISE, now), louder)

    def _count_words(self, frames: ToneFrames) -> None:
        rows = frames.rows
        tone = frames.steady[:, np.newaxis]
        voice = (frames.level[:, np.newaxis] > self._thresholds[rows]) & ~tone
        shortest, between = self._limits[:2, rows, np.newaxis]
        silence = np.where(voice | tone, 0, self._silence[rows] + 1)
        run = np.where((silence >= between) | tone, 0, self._run[rows] + voice)
        in_word = self._in_word[rows] & (run > 0)
        begins = voice & ~in_word & (run >= shortest)
        in_word |= begins
        heard = self._heard[rows, np.newaxis]
        words = self._words[rows]
        first_begins = begins & (words == 0)
        self._first[rows] = np.where(first_begins, heard - run, self._first[rows])
        self._last[rows] = np.where(voice & in_word, heard, self._last[rows])
        # A word's voice counts once it is long enough to be one.
        said = np.where(begins, run, voice & in_word)
        self._voice[rows] += said
        self._words[rows] = words + begins
        self._silence[rows], self._run[rows], self._in_word[rows] = silence, run, in_word
