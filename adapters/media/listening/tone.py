"""Steady tones in the sound of many streams at once: the common ground of `amd` and `beep`.

Each 20 ms of a stream are looked at through a Hann window of 32 ms, at the 66 bins of 31.25 Hz from
220 to 2,250 Hz. Almost all of a pure tone's energy lies in the five bins around it; a vowel's is
spread over the harmonics of the voice, which besides do not stand still. The transform is one matrix
product over all streams, which costs a quarter of numpy's FFT and needs no bins that nobody asks for.

It is fed a frame of every stream that somebody listens to, silence where nothing was received: time
is counted in frames.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Samples = NDArray[np.int16] | Floats
"""Linear samples at 8 kHz on the scale of signed 16 bits, one row a stream."""

FRAME_MS: Final = 20
FRAME_SAMPLES: Final = 160
WINDOW_SAMPLES: Final = 256
BIN_HZ: Final = 8000 / WINDOW_SAMPLES
BIN_FIRST: Final = 7
BINS: Final = 66

AUDIBLE_LEVEL: Final = 64.0
"""Mean magnitude, of 32,767: below it, about -50 dBm0, nothing is looked for."""
PURE_SHARE: Final = 0.92
"""A single tone has this share of all energy around it: at 15 dB above white noise it has 0.97, the
stronger half of a DTMF digit at most 0.87."""
DRIFT_MAX_HZ: Final = 15.0
"""A tone that moves further than this is another one."""
LAPSE_FRAMES: Final = 2
"""A tone goes on after so many frames of other sound: lines crackle, and the phase of a fax's answer
tone is reversed. Silence may last longer, until it ends the tone."""
END_FRAMES: Final = 4
"""A tone is over once it has been quiet for so long; what turns into other sound was no signal."""
END_SHARE: Final = 0.25
"""What is quiet after a tone: a level 12 dB below it."""
PAIR_SHARE: Final = 0.90
PAIR_FRAMES: Final = 3
"""Two peaks that have nearly all energy for so long are call progress (ITU-T E.180), not a voice."""


class _Peaks(Struct):
    """The strongest peak of each window, and what it has of the energy, alone and with the second."""

    hz: Floats
    share: Floats
    pair_share: Floats


class ToneFrames(Struct):
    """What was heard in one frame of each of several streams: parallel arrays, one element a stream."""

    rows: NDArray[np.intp]
    level: Floats
    """Mean magnitude of the 160 samples, as Asterisk's silence detector takes it."""
    steady: NDArray[np.bool_]
    """Whether a tone, or two at once, has been standing for 60 ms."""
    hz: Floats
    """Frequency of the single tone that stands; of the one that has just ended where `ended` says so."""
    duration_ms: NDArray[np.int32]
    """How long it has stood, or stood, within 20 ms; 0 where there is none."""
    ended: NDArray[np.bool_]
    """Whether it is known from this frame on that the tone is over: it ended `END_MS` ago."""

    def only(self, those: NDArray[np.bool_]) -> ToneFrames:
        """The same of some of the streams."""
        if those.all():
            return self
        return ToneFrames(
            self.rows[those],
            self.level[those],
            self.steady[those],
            self.hz[those],
            self.duration_ms[those],
            self.ended[those],
        )


END_MS: Final = FRAME_MS * END_FRAMES
"""How much later than it happens the end of a tone is told."""


class ToneTable:
    """The tones of up to `capacity` streams."""

    def __init__(self, capacity: int) -> None:
        self._tail = np.zeros((capacity, WINDOW_SAMPLES - FRAME_SAMPLES), np.float32)
        """The end of the frame before, with which the window begins."""
        self._hz = np.zeros(capacity, np.float32)
        self._frames = np.zeros(capacity, np.int32)
        """Frames for which the single tone has stood."""
        self._level = np.zeros(capacity, np.float32)
        """The tone's level."""
        self._lapse = np.zeros(capacity, np.int32)
        """Frames since it was heard."""
        self._quiet = np.zeros(capacity, np.int32)
        """Those of them that were quiet, if all were."""
        self._pair_frames = np.zeros(capacity, np.int32)

    def clear(self, row: int) -> None:
        """Forget a stream: the row is another's from now on."""
        self._tail[row] = 0
        for state in (self._hz, self._frames, self._level, self._lapse, self._quiet):
            state[row] = 0
        self._pair_frames[row] = 0

    def hear(self, rows: NDArray[np.intp], samples: Samples) -> ToneFrames:
        """Take the next 20 ms of each of these streams, an array of `len(rows)` x 160 samples.

        No row may come twice.
        """
        assert samples.shape == (len(rows), FRAME_SAMPLES)
        window = np.concatenate((self._tail[rows], samples), axis=1, dtype=np.float32)
        self._tail[rows] = window[:, FRAME_SAMPLES:]
        level: Floats = np.abs(window[:, -FRAME_SAMPLES:]).mean(axis=1)
        peak = _find_peaks(window, level)
        ended = self._follow(rows, level, peak)
        pair_frames = np.where(peak.pair_share >= PAIR_SHARE, self._pair_frames[rows] + 1, 0)
        self._pair_frames[rows] = pair_frames
        found = ToneFrames(
            rows=rows,
            level=level,
            steady=pair_frames >= PAIR_FRAMES,
            hz=self._hz[rows],
            duration_ms=self._frames[rows] * FRAME_MS,
            ended=ended,
        )
        self._frames[rows[ended]] = 0
        return found

    def _follow(self, rows: NDArray[np.intp], level: Floats, peak: _Peaks) -> NDArray[np.bool_]:
        """Go on with each stream's single tone, or begin or drop one: which of them are over."""
        pure = peak.share >= PURE_SHARE
        frames, hz, loudness = self._frames[rows], self._hz[rows], self._level[rows]
        same = pure & (frames > 0) & (np.abs(peak.hz - hz) <= DRIFT_MAX_HZ)
        lapse = np.where(pure, 0, self._lapse[rows] + 1)
        quiet = np.where(~pure & (level < END_SHARE * loudness), self._quiet[rows] + 1, 0)
        ended = (frames > 0) & (quiet >= END_FRAMES)
        lost = ~pure & (lapse > LAPSE_FRAMES) & (quiet < lapse - 1)
        bridged = self._lapse[rows]
        frames = np.where(same, frames + 1 + bridged, np.where(pure, 1, np.where(lost, 0, frames)))
        self._hz[rows] = np.where(same, hz + (peak.hz - hz) / 4, np.where(pure, peak.hz, hz))
        self._level[rows] = np.where(
            same, np.maximum(level, loudness), np.where(pure, level, loudness)
        )
        self._frames[rows], self._lapse[rows], self._quiet[rows] = frames, lapse, quiet
        return ended


_LOBE: Final = np.arange(-2, 3)
"""Where a pure tone's energy lies around its bin, but for a thousandth."""
_EDGE: Final = 3
"""Bins at each end of the spectrum at which no peak is looked for, so that each has its neighbours.
It leaves out what is below 312 Hz: there a voice has its strongest harmonics, and a network no tone."""


def _find_peaks(window: Floats, level: Floats) -> _Peaks:
    """The peaks of each window; none at all where it is too soft to have any."""
    count = len(window)
    found = _Peaks(*(np.zeros(count, np.float32) for _ in range(3)))
    loud = np.flatnonzero(level >= AUDIBLE_LEVEL)
    if len(loud) == 0:
        return found
    shaped: Floats = window[loud] * _hann()
    energy: Floats = np.einsum("ij,ij->i", shaped, shaped)
    parts: Floats = shaped @ _basis()
    power: Floats = parts[:, :BINS] ** 2
    power += parts[:, BINS:] ** 2
    # Parseval: half the energy is in the negative frequencies.
    power *= np.float32(2 / WINDOW_SAMPLES) / energy[:, np.newaxis]
    each = np.arange(len(loud))[:, np.newaxis]
    main = _EDGE + power[:, _EDGE:-_EDGE].argmax(axis=1)[:, np.newaxis]
    share = power[each, main + _LOBE].sum(axis=1)
    hz = _interpolate_hz(power, each, main)
    power[each, main + _LOBE] = 0
    second = _EDGE + power[:, _EDGE:-_EDGE].argmax(axis=1)[:, np.newaxis]
    pair_share = share + power[each, second + _LOBE].sum(axis=1)
    found.hz[loud], found.share[loud], found.pair_share[loud] = hz, share, pair_share
    return found


def _interpolate_hz(power: Floats, each: NDArray[np.intp], main: NDArray[np.intp]) -> Floats:
    """Where between the bins a peak is, which its two highest bins tell exactly for a Hann window."""
    below, middle, above = (np.sqrt(power[each, main + step])[:, 0] for step in (-1, 0, 1))
    ratio = np.maximum(below, above) / middle
    offset = (2 * ratio - 1) / (1 + ratio) * np.where(above > below, 1, -1)
    return ((main[:, 0] + BIN_FIRST + offset) * BIN_HZ).astype(np.float32)


@cache
def _hann() -> Floats:
    # The periodic form, whose bins are exact.
    return (0.5 - 0.5 * np.cos(2 * np.pi * _moments() / WINDOW_SAMPLES)).astype(np.float32)


@cache
def _basis() -> Floats:
    """Cosines, then sines, of every bin: samples x 2 bins."""
    turns = np.outer(_moments(), np.arange(BIN_FIRST, BIN_FIRST + BINS)) / WINDOW_SAMPLES
    return np.hstack((np.cos(2 * np.pi * turns), np.sin(2 * np.pi * turns))).astype(np.float32)


def _moments() -> NDArray[np.float64]:
    return np.arange(WINDOW_SAMPLES, dtype=np.float64)
