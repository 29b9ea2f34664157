"""The beep after which an answering machine records, and when it is over, of many streams at once.

A beep is a single tone of 400 to 2,000 Hz that stands for a while and ends in silence. A vowel is not
one, because its energy is not in one place and does not stay there, and it seldom ends at once; a
digit of DTMF is two tones (`tone.py` says how each is told apart).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from adapters.media.listening.tone import END_MS, FRAME_MS, ToneFrames

BEEP_HZ: Final = (395.0, 2010.0)
"""400 to 2,000 Hz, and what the measurement adds."""
BEEP_MS: Final = (100, 2500)
"""The shortest and the longest, as measured. A tone of 100 ms may be measured as 80 or 120; from 120
on it is always heard. What stands longer is no signal to speak."""


class Beep(Struct, frozen=True):
    """A beep that is over."""

    row: int
    ended_ms: int
    """When it ended, after the stream was started, within 20 ms or so; it is told
    `tone.END_MS` later."""
    duration_ms: int
    hz: float


class BeepTable:
    """The beeps of up to `capacity` streams, each of them as often as it beeps."""

    def __init__(self, capacity: int) -> None:
        self.watching = np.zeros(capacity, np.bool_)
        """The rows that somebody waits for."""
        self._frames = np.zeros(capacity, np.int64)

    def start(self, row: int) -> None:
        """Listen to this stream, and count its time, from here on."""
        self._frames[row] = 0
        self.watching[row] = True

    def stop(self, row: int) -> None:
        """Listen no longer."""
        self.watching[row] = False

    def hear(self, tones: ToneFrames) -> list[Beep]:
        """Take the next 20 ms of these streams: the beeps that are now known to be over.

        A row that nobody waits for is passed over.
        """
        tones = tones.only(self.watching[tones.rows])
        self._frames[tones.rows] += 1
        return [
            Beep(
                row=int(tones.rows[place]),
                ended_ms=int(self._frames[tones.rows[place]]) * FRAME_MS - END_MS,
                duration_ms=int(tones.duration_ms[place]),
                hz=float(tones.hz[place]),
            )
            for place in np.flatnonzero(is_beep(tones))
        ]


def is_beep(tones: ToneFrames) -> NDArray[np.bool_]:
    """Which of these streams have just had a beep."""
    shortest, longest = BEEP_MS
    lowest_hz, highest_hz = BEEP_HZ
    lasted = (tones.duration_ms >= shortest) & (tones.duration_ms <= longest)
    return tones.ended & lasted & (tones.hz >= lowest_hz) & (tones.hz <= highest_hz)
