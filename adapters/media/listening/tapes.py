"""Recordings that are being made: what ends each of them, and what of the sound goes to the recorder."""

from __future__ import annotations

from typing import Final

import numpy as np
from msgspec import Struct

from adapters.media.control_listening import Record, RecordingOver
from adapters.media.listening.frames import Frames
from adapters.media.listening.tone import FRAME_MS, ToneFrames
from adapters.media.listening.words import WordLimits, WordTable
from adapters.media.recording.link import RecorderLink
from engine.ports.amd import AmdParameters
from engine.ports.telephony import RecordingEnding

_NO_LIMIT: Final = np.iinfo(np.int32).max
_LIMITS: Final = AmdParameters()
_VOICE: Final = WordLimits(
    silence_threshold=_LIMITS.silence_threshold,
    # Any voice ends a silence, be it ever so short.
    min_word_frames=1,
    between_words_frames=1,
    noise_margin=_LIMITS.noise_margin,
    background_share=_LIMITS.background_share,
)
"""What is no silence: what is no silence to answering machine detection."""


class _Tape(Struct, eq=False):
    """One recording."""

    command: Record
    row: int
    frames: int = 0
    ending: RecordingEnding | None = None
    """None while it goes on."""


class Tapes:
    """The recordings of up to `capacity` streams, at most one of each."""

    def __init__(self, capacity: int, recorder: RecorderLink | None) -> None:
        self.watching = np.zeros(capacity, np.bool_)
        """The rows that are recorded."""
        self.minding = np.zeros(capacity, np.bool_)
        """Those of them that a silence ends."""
        self._recorder = recorder
        self._words = WordTable(capacity)
        self._frames = np.zeros(capacity, np.int32)
        self._frames_max = np.zeros(capacity, np.int32)
        self._silence_ms_max = np.zeros(capacity, np.int32)
        self._place = np.zeros(capacity, np.intp)
        self._tapes: dict[int, _Tape] = {}
        """By the recorder's place, until its answer has come."""
        self._over: list[RecordingOver] = []

    @property
    def is_busy(self) -> bool:
        """Whether anything is recorded, or not safe yet."""
        return bool(self._tapes or self._over)

    def start(self, row: int, command: Record, now_ns: int) -> None:
        """Record a row from its next frame on, and no longer as another recording."""
        self.end(row, "stopped")
        place = None
        if self._recorder is not None:
            place = self._recorder.begin(command.recording, now_ns)
        if place is None:
            reason = "nobody is there to write it, or too many are being written"
            self._over.append(
                RecordingOver(command.stream, command.question, 0.0, "failed", reason)
            )
            return
        self._tapes[place] = _Tape(command, row)
        self._place[row] = place
        self._frames[row] = 0
        self._frames_max[row] = max(1, -(-command.max_ms // FRAME_MS))
        silence_ms = command.silence_ms
        self._silence_ms_max[row] = _NO_LIMIT if silence_ms is None else silence_ms
        self._words.start(row, _VOICE, noise=0.0)
        self.watching[row] = True
        self.minding[row] = silence_ms is not None

    def hear(self, frames: Frames) -> None:
        """Take the next 20 ms of streams, and write those that are recorded."""
        those = self.watching[frames.rows]
        if not those.any():
            return
        assert self._recorder is not None
        rows = frames.rows[those]
        self._recorder.write(self._place[rows], frames.samples[those])
        self._frames[rows] += 1
        for row in rows[self._frames[rows] >= self._frames_max[rows]].tolist():
            self.end(row, "max")

    def mind_silence(self, tones: ToneFrames) -> None:
        """Take what was heard in the same 20 ms, and end the recordings in which nobody speaks."""
        tones = tones.only(self.minding[tones.rows])
        if len(tones.rows) == 0:
            return
        silence_ms = self._words.hear(tones).silence_ms
        for row in tones.rows[silence_ms >= self._silence_ms_max[tones.rows]].tolist():
            self.end(row, "silence")

    def take_key(self, row: int, digit: str) -> bool:
        """Whether this key ended the row's recording, and belongs to nobody else."""
        if not self.watching[row] or digit not in self._tape_of(row).command.finish_on:
            return False
        self.end(row, "key")
        return True

    def end(self, row: int, ending: RecordingEnding, question: int | None = None) -> None:
        """End what is recorded of a row, if anything is, and if it is what is meant."""
        if not self.watching[row]:
            return
        tape = self._tape_of(row)
        if question is not None and tape.command.question != question:
            return
        assert self._recorder is not None
        tape.ending, tape.frames = ending, int(self._frames[row])
        self.watching[row] = self.minding[row] = False
        self._recorder.end(int(self._place[row]))

    def exchange(self, now_ns: int) -> list[RecordingOver]:
        """Let the recorder have what it takes: the recordings that are over."""
        if self._tapes:
            assert self._recorder is not None
            for answer in self._recorder.exchange(now_ns):
                self._close(self._tapes.pop(answer.place), answer.failure)
        over, self._over = self._over, []
        return over

    def close(self) -> None:
        """What was recorded until now is all there will be."""
        if self._recorder is not None:
            self._recorder.close()

    def _tape_of(self, row: int) -> _Tape:
        return self._tapes[int(self._place[row])]

    def _close(self, tape: _Tape, failure: str) -> None:
        if tape.ending is None:
            # It has failed while it went on: its row is nobody else's yet.
            tape.frames = int(self._frames[tape.row])
            self.watching[tape.row] = self.minding[tape.row] = False
        ending = "failed" if failure or tape.ending is None else tape.ending
        duration_s = tape.frames * FRAME_MS / 1_000
        command = tape.command
        self._over.append(
            RecordingOver(command.stream, command.question, duration_s, ending, failure)
        )
