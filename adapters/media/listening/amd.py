"""Who answered: a person, a machine or a fax, told from the first seconds of sound of many streams.

The parameters, and what they limit, are those of Asterisk's AMD application (docs.asterisk.org, AMD
and `amd.conf`): a person says a few words and waits, a machine goes on. Three things are added, each
of them so that in doubt it is a person:

- **The noise of the line is no voice.** Asterisk compares each frame with one fixed threshold. Here
  every stream is measured at six thresholds at once, and the one that counts is the lowest above the
  line's noise and above what is said in the background. So nothing that was heard before the noise was
  known has been counted wrongly.
- **Tones are no words**: ring-back and other call progress. A fax's tones end the analysis at once, and
  so does a beep after words.
- **Passing a limit is not enough.** A machine besides speaks for `shortest_machine_greeting` without
  such a pause as ends a person's greeting.

Whoever feeds it has `tone.ToneTable` look at each frame first, and hands on what that found:

    amd.start(row, AmdParameters())                     # at the answer, and tones.clear(row)
    rows = np.flatnonzero(amd.watching)
    verdicts = amd.hear(tones.hear(rows, samples))      # every 20 ms, len(rows) x 160 samples
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from adapters.media.listening.beep import is_beep
from adapters.media.listening.tone import FRAME_MS, ToneFrames
from adapters.media.listening.words import Speech, WordLimits, WordTable
from engine.ports.amd import AmdParameters, Answerer

Cause = Literal[
    "after_greeting_silence",
    "greeting",
    "maximum_number_of_words",
    "maximum_word_length",
    "beep",
    "initial_silence",
    "total_analysis_time",
    "fax_cng",
    "fax_ced",
    "ended",
]
"""Which limit decided, by the name of its parameter; or a tone; or `ended`, the call's own end."""


_WORD_LIMITS: Final = frozenset(
    {
        "min_word_length",
        "between_words_silence",
        "silence_threshold",
        "noise_margin",
        "background_share",
    }
)
"""The parameters that say what a word is; the others limit what a person says."""


class Verdict(Struct, frozen=True):
    """Who answered on one stream, and why."""

    row: int
    answer: Answerer
    cause: Cause
    elapsed_ms: int
    """How long after the first frame it was known."""
    words: int
    voice_ms: int
    """Voice within words."""
    greeting_ms: int
    """From the beginning of the first word to the end of the last voice."""


CNG_HZ: Final = 1100.0
CNG_TOLERANCE_HZ: Final = 45.0
"""38 Hz (ITU-T T.30 §4), and what the measurement adds."""
CNG_MS: Final = (400, 600)
"""0.5 s, plus or minus 15 %, and a frame."""
CED_HZ: Final = 2100.0
CED_TOLERANCE_HZ: Final = 25.0
"""15 Hz (ITU-T T.30 §4), and what the measurement adds."""
CED_MS: Final = 700
"""It lasts 2.6 s at least; no need to hear all of it."""

_LIMITS: Final = np.dtype(
    [(name, np.int32) for name in AmdParameters.__struct_fields__ if name not in _WORD_LIMITS]
)
"""The limits that `_RULES` ask for, of one stream."""


class _Evidence(Struct):
    """What is known of each of several streams: parallel arrays, one element a stream."""

    tones: ToneFrames
    speech: Speech
    clock_ms: NDArray[np.int32]
    """Time without tones."""
    limits: NDArray[np.void]
    """Records of `_LIMITS`."""


class AmdTable:
    """The analysis of up to `capacity` streams."""

    def __init__(self, capacity: int) -> None:
        self.watching = np.zeros(capacity, np.bool_)
        """The rows whose verdict is awaited: nothing needs to be heard of the others."""
        self._words = WordTable(capacity)
        self._limits = np.zeros(capacity, _LIMITS)
        self._frames = np.zeros(capacity, np.int32)
        self._tone_frames = np.zeros(capacity, np.int32)

    def start(self, row: int, parameters: AmdParameters) -> None:
        """Listen to this stream from here on, whatever was heard on the row before."""
        self._words.start(row, _word_limits(parameters))
        self._limits[row] = tuple(getattr(parameters, name) for name in _LIMITS.names or ())
        self._frames[row] = self._tone_frames[row] = 0
        self.watching[row] = True

    def stop(self, row: int) -> None:
        """Listen no longer; there will be no verdict."""
        self.watching[row] = False

    def hear(self, tones: ToneFrames) -> list[Verdict]:
        """Take the next 20 ms of these streams: the verdicts that they brought.

        A row with a verdict is watched no longer, and a row that is not watched is passed over.
        """
        tones = tones.only(self.watching[tones.rows])
        rows = tones.rows
        self._frames[rows] += 1
        self._tone_frames[rows] += tones.steady
        speech = self._words.hear(tones)
        limits = self._limits[rows]
        tone_ms = np.minimum(self._tone_frames[rows] * FRAME_MS, limits["total_analysis_time"])
        clock_ms = self._frames[rows] * FRAME_MS - tone_ms
        evidence = _Evidence(tones, speech, clock_ms, limits)
        return [
            self._decide(int(rows[place]), place, speech, *_RULES[rule][:2])
            for place, rule in _apply_rules(evidence)
        ]

    def conclude(self, row: int) -> Verdict:
        """The verdict on a watched stream that has ended: a person if there was a word."""
        assert self.watching[row]
        speech = self._words.read(np.array([row]))
        answer: Answerer = "human" if speech.words[0] else "unknown"
        return self._decide(row, 0, speech, answer, "ended")

    def _decide(
        self, row: int, place: int, speech: Speech, answer: Answerer, cause: Cause
    ) -> Verdict:
        self.watching[row] = False
        return Verdict(
            row=row,
            answer=answer,
            cause=cause,
            elapsed_ms=int(self._frames[row]) * FRAME_MS,
            words=int(speech.words[place]),
            voice_ms=int(speech.voice_ms[place]),
            greeting_ms=int(speech.greeting_ms[place]),
        )


def _word_limits(parameters: AmdParameters) -> WordLimits:
    return WordLimits(
        silence_threshold=parameters.silence_threshold,
        min_word_frames=-(-parameters.min_word_length // FRAME_MS),
        between_words_frames=-(-parameters.between_words_silence // FRAME_MS),
        noise_margin=parameters.noise_margin,
        background_share=parameters.background_share,
    )


def _apply_rules(evidence: _Evidence) -> list[tuple[int, int]]:
    """For each stream that any rule holds for: its place in the arrays, and the first such rule."""
    holds = np.stack([rule(evidence) for _, _, rule in _RULES])
    decided = np.flatnonzero(holds.any(axis=0))
    return [(int(place), int(holds[:, place].argmax())) for place in decided]


Mask = NDArray[np.bool_]


def _is_ced(of: _Evidence) -> Mask:
    near: Mask = np.abs(of.tones.hz - CED_HZ) <= CED_TOLERANCE_HZ
    return near & (of.tones.duration_ms >= CED_MS)


def _is_cng(of: _Evidence) -> Mask:
    """After words it is the beep of a machine."""
    shortest, longest = CNG_MS
    lasts: Mask = (of.tones.duration_ms >= shortest) & (of.tones.duration_ms <= longest)
    near: Mask = np.abs(of.tones.hz - CNG_HZ) <= CNG_TOLERANCE_HZ
    return of.tones.ended & near & lasts & _is_wordless(of)


def _has_beeped(of: _Evidence) -> Mask:
    return is_beep(of.tones) & ~_is_wordless(of)


def _is_wordless(of: _Evidence) -> Mask:
    wordless: Mask = of.speech.words == 0
    return wordless


def _speaks_like_a_machine(of: _Evidence) -> Mask:
    long: Mask = of.speech.greeting_ms >= of.limits["shortest_machine_greeting"]
    return long


def _is_long(of: _Evidence) -> Mask:
    too_long: Mask = of.speech.voice_ms >= of.limits["greeting"]
    return too_long & _speaks_like_a_machine(of)


def _is_wordy(of: _Evidence) -> Mask:
    too_many: Mask = of.speech.words > of.limits["maximum_number_of_words"]
    return too_many & _speaks_like_a_machine(of)


def _has_long_word(of: _Evidence) -> Mask:
    too_long: Mask = of.speech.word_ms >= of.limits["maximum_word_length"]
    return too_long & _speaks_like_a_machine(of)


def _waits(of: _Evidence) -> Mask:
    silent: Mask = of.speech.silence_ms >= of.limits["after_greeting_silence"]
    return silent & ~_is_wordless(of)


def _stays_silent(of: _Evidence) -> Mask:
    silent: Mask = of.speech.silence_ms >= of.limits["initial_silence"]
    return silent & _is_wordless(of)


def _is_late_with_words(of: _Evidence) -> Mask:
    return _is_late(of) & ~_is_wordless(of)


def _is_late(of: _Evidence) -> Mask:
    late: Mask = of.clock_ms >= of.limits["total_analysis_time"]
    return late


_RULES: Final[tuple[tuple[Answerer, Cause, Callable[[_Evidence], Mask]], ...]] = (
    ("fax", "fax_ced", _is_ced),
    ("fax", "fax_cng", _is_cng),
    ("machine", "beep", _has_beeped),
    ("machine", "greeting", _is_long),
    ("machine", "maximum_number_of_words", _is_wordy),
    ("machine", "maximum_word_length", _has_long_word),
    ("human", "after_greeting_silence", _waits),
    ("unknown", "initial_silence", _stays_silent),
    ("human", "total_analysis_time", _is_late_with_words),
    ("unknown", "total_analysis_time", _is_late),
)
"""What decides, in this order."""
