"""Digits heard in the sound itself (ITU-T Q.23, Q.24), of many streams at once.

Where telephone events were not agreed a key is two tones, one of four lower and one of four higher
frequencies. Each stream is looked at every 10 ms through a window of 20 ms, and a window shows a digit
when nearly all its energy is in one frequency of each group. Two windows in a row make a digit: they
fit into 40 ms of tone, and a voice seldom holds two such tones apart so well for so long.

The energies are those of Goertzel's filters. For many streams they cost least as a matrix product,
one column a filter; and since hardly any window of speech or silence comes near to a digit, eight
filters tell which windows are worth the 56 that measure the frequencies exactly.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from adapters.media.wire.dtmf import DIGITS

Floats = NDArray[np.float32]
Places = NDArray[np.intp]

FRAME_SAMPLES: Final = 160
"""Sound comes in multiples of 20 ms."""
WINDOW_SAMPLES: Final = 160
HOP_SAMPLES: Final = 80

ROWS_HZ: Final = (697.0, 770.0, 852.0, 941.0)
COLUMNS_HZ: Final = (1209.0, 1336.0, 1477.0, 1633.0)
KEYS: Final = ("123A", "456B", "789C", "*0#D")
"""The digits by row and column (ITU-T Q.23)."""
DEVIATIONS: Final = (-0.03, -0.018, -0.009, 0.0, 0.009, 0.018, 0.03)
"""Where around each frequency it is measured. A tone that is strongest at either end is another's: so
1.5 % off is taken, and 3.5 % is not (Q.24)."""

LEVEL_MIN_DBM0: Final = -37.0
"""The softer tone's least level. Q.24's receivers take -25 to -29 dBm, and something for the line."""
SHARE_MIN: Final = 0.82
"""What both tones have of all energy: 0.97 in white noise 15 dB below them, 0.9 where the frequencies
lie between those that are measured."""
COARSE_SHARE_MIN: Final = 0.38
"""The same before the frequencies are known exactly: a filter 1.5 % off sees as little as 0.43."""
COLUMN_LOUDER_MAX_DB: Final = 6.0
ROW_LOUDER_MAX_DB: Final = 10.0
"""Twist. Q.24 wants 4 and 8 dB taken; the rest is for what noise does to the weaker tone."""
GROUP_MARGIN_DB: Final = 6.0
"""How far the strongest tone of a group is above its neighbours, which see some of it."""

HITS: Final = 2
"""Windows in a row that make a digit."""
MISSES: Final = 4
"""Windows without it that end a digit: a pause of 40 ms has five, a break of 20 ms at most three."""

_NONE: Final = -1
_POWER_MIN: Final = (22_300 * 10 ** (LEVEL_MIN_DBM0 / 20)) ** 2 / 2
"""A sine of 0 dBm0 has an amplitude of 22,300."""


class Press(Struct, frozen=True):
    """A digit, told when its tone has been heard for about 30 ms."""

    row: int
    digit: str
    """One of `dtmf.DIGITS`."""


class DigitTable:
    """The digits heard in the sound of up to `capacity` streams."""

    def __init__(self, capacity: int) -> None:
        self._tail = np.zeros((capacity, WINDOW_SAMPLES - HOP_SAMPLES), np.float32)
        """The end of the sound before, with which the first window begins."""
        self._last = np.full(capacity, _NONE, np.int8)
        """The digit of the last window."""
        self._hits = np.zeros(capacity, np.int8)
        """Windows in a row that showed it."""
        self._pressed = np.full(capacity, _NONE, np.int8)
        """The digit that was told and is not over."""
        self._misses = np.zeros(capacity, np.int8)
        """Windows in a row that did not show that."""

    def clear(self, row: int) -> None:
        """Forget a stream: the row is another's from now on."""
        self._tail[row] = 0
        self._last[row] = self._pressed[row] = _NONE
        self._hits[row] = self._misses[row] = 0

    def hear(self, rows: Places, samples: NDArray[np.int16] | Floats) -> list[Press]:
        """Take the next sound of each of these streams, `len(rows)` x a multiple of 160 samples at
        8 kHz on the scale of signed 16 bits: the digits that have been recognised in it.

        Silence is to be given for what was not received. No row may come twice.
        """
        assert samples.shape[1] % FRAME_SAMPLES == 0
        sound = np.concatenate((self._tail[rows], samples), axis=1, dtype=np.float32)
        self._tail[rows] = sound[:, -self._tail.shape[1] :]
        shown = _read_windows(sound)
        presses: list[Press] = []
        for column in shown.T:
            presses += self._follow(rows, column)
        return presses

    def _follow(self, rows: Places, shown: NDArray[np.int8]) -> list[Press]:
        """Go on by one window: which streams have a new digit."""
        hits = np.where(shown == self._last[rows], self._hits[rows] + 1, 1)
        hits = np.where(shown == _NONE, 0, np.minimum(hits, HITS)).astype(np.int8)
        self._last[rows], self._hits[rows] = shown, hits
        pressed = self._pressed[rows]
        begins = (hits == HITS) & (shown != pressed)
        pressed = np.where(begins, shown, pressed)
        misses = np.where(shown == pressed, 0, np.minimum(self._misses[rows] + 1, MISSES))
        self._misses[rows] = misses
        self._pressed[rows] = np.where(misses >= MISSES, _NONE, pressed)
        return [
            Press(int(rows[place]), DIGITS[int(shown[place])]) for place in np.flatnonzero(begins)
        ]


def _read_windows(sound: Floats) -> NDArray[np.int8]:
    """The code of the digit that each window shows: streams x windows."""
    windows = sliding_window_view(sound, WINDOW_SAMPLES, axis=1)[:, ::HOP_SAMPLES]
    halves = (sound.reshape(len(sound), -1, HOP_SAMPLES) ** 2).sum(axis=2)
    power = (halves[:, :-1] + halves[:, 1:]) / WINDOW_SAMPLES
    shown = np.full(power.shape, _NONE, np.int8)
    # Two tones at once have at least this.
    loud = np.nonzero(power >= 2 * _POWER_MIN)
    if len(loud[0]) == 0:
        return shown
    heard, of_all = windows[loud], power[loud]
    likely = np.flatnonzero(_coarse_share(heard) >= COARSE_SHARE_MIN * of_all)
    if len(likely):
        shown[loud[0][likely], loud[1][likely]] = _read_digits(heard[likely], of_all[likely])
    return shown


def _coarse_share(windows: Floats) -> Floats:
    """The power of the strongest nominal frequency of each group, both together."""
    tones = _tone_powers(windows, (0.0,))[:, :, 0]
    total: Floats = tones[:, :4].max(axis=1) + tones[:, 4:].max(axis=1)
    return total


def _read_digits(windows: Floats, power: Floats) -> NDArray[np.int8]:
    """The code of the digit that each window shows, -1 for none."""
    around = _tone_powers(windows, DEVIATIONS)
    strongest = around.argmax(axis=2)
    tones = around.max(axis=2)
    row, row_power, row_clear = _pick(tones[:, :4])
    column, column_power, column_clear = _pick(tones[:, 4:])
    each = np.arange(len(windows))
    exact = np.ones(len(windows), np.bool_)
    for tone in (row, column + 4):
        exact &= (strongest[each, tone] > 0) & (strongest[each, tone] < len(DEVIATIONS) - 1)
    good = (
        exact
        & row_clear
        & column_clear
        & (row_power + column_power >= SHARE_MIN * power)
        & (np.minimum(row_power, column_power) >= _POWER_MIN)
        & (column_power <= row_power * _ratio(COLUMN_LOUDER_MAX_DB))
        & (row_power <= column_power * _ratio(ROW_LOUDER_MAX_DB))
    )
    return np.where(good, _codes()[row, column], _NONE).astype(np.int8)


def _pick(group: Floats) -> tuple[Places, Floats, NDArray[np.bool_]]:
    """The strongest of four tones, its power, and whether it stands clear of the other three."""
    ordered = np.sort(group, axis=1)
    clear = ordered[:, -1] >= ordered[:, -2] * _ratio(GROUP_MARGIN_DB)
    return group.argmax(axis=1), ordered[:, -1], clear


def _tone_powers(windows: Floats, deviations: tuple[float, ...]) -> Floats:
    """The power of each of the eight tones at each deviation: windows x 8 x deviations."""
    parts: Floats = windows @ _filters(deviations)
    half = parts.shape[1] // 2
    powers = parts[:, :half] ** 2 + parts[:, half:] ** 2
    by_tone: Floats = powers.reshape(len(windows), 8, len(deviations))
    return by_tone


@cache
def _filters(deviations: tuple[float, ...]) -> Floats:
    """Cosines, then sines, scaled so that a tone's power comes out: samples x filters."""
    hz = np.outer(ROWS_HZ + COLUMNS_HZ, 1 + np.array(deviations)).ravel()
    turns = np.outer(np.arange(WINDOW_SAMPLES) / 8000, hz)
    waves = np.hstack((np.cos(2 * np.pi * turns), np.sin(2 * np.pi * turns)))
    return (waves * (2**0.5 / WINDOW_SAMPLES)).astype(np.float32)


@cache
def _codes() -> NDArray[np.int8]:
    return np.array([[DIGITS.index(key) for key in row] for row in KEYS], np.int8)


def _ratio(db: float) -> np.float32:
    return np.float32(10 ** (db / 10))
