"""What the callees' sound says, of the streams that somebody listens to: digits in the sound, who answered,
beeps, and what is recorded.

Nobody listens to most streams, and those cost nothing. Whoever listens first has a stream's packets made
into frames (`frames.py`), which all that listen to it then hear; with the last of them that ends.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from adapters.media.control_listening import (
    AwaitBeep,
    Beeped,
    Detect,
    Detected,
    EndRecording,
    ListeningCommand,
    ListeningEvent,
    Record,
    Withdraw,
)
from adapters.media.listening.amd import AmdTable
from adapters.media.listening.beep import BeepTable
from adapters.media.listening.frames import FRAME_NS, Fragments, Frames, FrameTable, Places
from adapters.media.listening.goertzel import DigitTable, Press
from adapters.media.listening.payloads import Decoders, read_payloads
from adapters.media.listening.tapes import Tapes
from adapters.media.listening.tone import ToneTable
from adapters.media.recording.link import RecorderLink
from adapters.media.sockets.receiver import Batch
from adapters.media.wire.rtp import Arrivals
from engine.ports.amd import AmdVerdict

PARTS: Final = 10
"""The clock is looked at for a tenth of the rows at a time: the silence of thousands who say nothing would
else come to several ms at once."""
_NOTHING: Final = 0xFF
"""No payload type: it is not known what is spoken."""


class Listening:
    """The listeners of up to `capacity` streams."""

    def __init__(
        self,
        capacity: int,
        recorder: RecorderLink | None = None,
        note_length: Callable[[int, int], None] = lambda row, samples: None,
    ) -> None:
        """`note_length` is told how many samples a packet of a row held that was decoded by itself."""
        self.rows = 0
        """Streams that are listened to."""
        self.presses: list[Press] = []
        """Digits heard in the sound; whoever takes them empties the list."""
        self.events: list[ListeningEvent] = []
        """Answers to questions; whoever takes them empties the list."""
        self._decoders = Decoders(capacity, note_length)
        self._frames = FrameTable(capacity)
        self._voice = np.full(capacity, _NOTHING, np.uint8)
        self._hears_digits = np.zeros(capacity, np.bool_)
        self._digits = DigitTable(capacity)
        self._tones = ToneTable(capacity)
        self._amd = AmdTable(capacity)
        self._beeps = BeepTable(capacity)
        self._tapes = Tapes(capacity, recorder)
        self._detects: dict[int, Detect] = {}
        self._awaits: dict[int, AwaitBeep] = {}
        """By row: what was asked and is not answered."""
        self._now_ns = 0
        self._look_ns = 0
        """When the clock is looked at again."""
        self._part = 0
        self._rows_per_part = -(-capacity // PARTS)

    @property
    def is_asked(self) -> bool:
        """Whether an answer is awaited for which time must go on, though nobody sends."""
        return bool(self._detects or self._awaits or self._tapes.is_busy)

    def expect(self, row: int, payload_type: int, *, has_digits: bool) -> None:
        """What a stream's sound comes in, and whether its keys are in the sound."""
        self._voice[row] = payload_type
        self._decoders.expect(row, payload_type)
        if has_digits and not self._hears_digits[row]:
            self._digits.clear(row)
        self._hears_digits[row] = has_digits
        self._settle(row)

    def obey(self, row: int, command: ListeningCommand) -> None:
        """Listen as a command says."""
        match command:
            case Detect():
                self._prepare_tones(row)
                self._amd.start(row, command.parameters)
                self._detects[row] = command
            case AwaitBeep():
                self._prepare_tones(row)
                self._beeps.start(row)
                self._awaits[row] = command
            case Withdraw():
                self._withdraw(row, command.question)
            case Record():
                self._prepare_tones(row)
                self._tapes.start(row, command, self._now_ns)
            case EndRecording():
                self._tapes.end(row, command.ending, command.question)
        self._settle(row)

    def leave(self, row: int) -> None:
        """The stream is over: nobody listens to it any more."""
        if self._frames.is_open[row]:
            for frames in self._frames.flush(row):
                self._hear(frames)
        self._tapes.end(row, "call_ended")
        self._stop_detection(row)
        self._stop_awaiting(row)
        self._hears_digits[row] = False
        self._voice[row] = _NOTHING
        self._decoders.close(row)
        self._settle(row)

    def takes_key(self, row: int, digit: str) -> bool:
        """Whether a key that was pressed ends a recording, and is for nobody else."""
        taken = self._tapes.take_key(row, digit)
        if taken:
            self._settle(row)
        return taken

    def take(self, batch: Batch, arrivals: Arrivals) -> None:
        """Take packets, of which those of streams that are listened to are heard."""
        rows = arrivals.rows
        wanted = np.flatnonzero(
            self._frames.is_open[rows] & (arrivals.payload_type == self._voice[rows])
        )
        if len(wanted) == 0:
            return
        for payloads in read_payloads(batch, arrivals, wanted):
            for spoken in self._decoders.decode(rows[payloads.places], payloads):
                at = spoken.places
                fragments = Fragments(
                    rows=rows[at],
                    ssrc=arrivals.ssrc[at],
                    timestamp=arrivals.timestamp[at],
                    ticks_per_sample=self._decoders.ticks_per_sample(rows[at]),
                    samples=spoken.samples,
                )
                for frames in self._frames.take(fragments, self._now_ns):
                    self._hear(frames)

    def go_on(self, now_ns: int) -> None:
        """Let time pass, before the packets that have come by then are taken."""
        self._now_ns = now_ns
        if self.rows:
            for frames in self._frames.give_away():
                self._hear(frames)
        if self.rows and now_ns >= self._look_ns:
            self._look_ns = now_ns + FRAME_NS // PARTS
            self._part = (self._part + 1) % PARTS
            first = self._part * self._rows_per_part
            part = slice(first, first + self._rows_per_part)
            for frames in self._frames.look(now_ns, part):
                self._hear(frames)
        if self._tapes.is_busy:
            self.events += self._tapes.exchange(now_ns)

    def close(self) -> None:
        """Let what was recorded be made safe."""
        self._tapes.close()

    def _hear(self, frames: Frames) -> None:
        rows, samples = frames.rows, frames.samples
        self._tapes.hear(frames)
        digits = self._hears_digits[rows]
        if digits.any():
            self.presses += self._digits.hear(rows[digits], samples[digits])
        toned = self._amd.watching[rows] | self._beeps.watching[rows] | self._tapes.minding[rows]
        if toned.any():
            self._hear_tones(Frames(rows[toned], samples[toned]))
        for row in rows[~self._is_wanted(rows)].tolist():
            self._settle(row)

    def _hear_tones(self, frames: Frames) -> None:
        tones = self._tones.hear(frames.rows, frames.samples)
        self._tapes.mind_silence(tones)
        for verdict in self._amd.hear(tones) if self._detects else ():
            asked = self._detects.pop(verdict.row)
            answer = AmdVerdict(verdict.answer, verdict.cause, verdict.elapsed_ms)
            self.events.append(Detected(asked.stream, asked.question, answer))
        for beep in self._beeps.hear(tones) if self._awaits else ():
            awaited = self._awaits[beep.row]
            self.events.append(Beeped(awaited.stream, awaited.question))
            self._stop_awaiting(beep.row)

    def _withdraw(self, row: int, question: int) -> None:
        if row in self._detects and self._detects[row].question == question:
            self._stop_detection(row)
        if row in self._awaits and self._awaits[row].question == question:
            self._stop_awaiting(row)

    def _stop_detection(self, row: int) -> None:
        self._detects.pop(row, None)
        self._amd.stop(row)

    def _stop_awaiting(self, row: int) -> None:
        self._awaits.pop(row, None)
        self._beeps.stop(row)

    def _prepare_tones(self, row: int) -> None:
        """Begin with an ear that has heard nothing, unless it is listening already."""
        if not (self._amd.watching[row] | self._beeps.watching[row] | self._tapes.minding[row]):
            self._tones.clear(row)

    def _is_wanted(self, rows: Places) -> NDArray[np.bool_]:
        wanted: NDArray[np.bool_] = (
            self._hears_digits[rows]
            | self._amd.watching[rows]
            | self._beeps.watching[rows]
            | self._tapes.watching[rows]
        )
        return wanted

    def _settle(self, row: int) -> None:
        """Make frames of a stream while somebody listens to it, and not beyond."""
        is_wanted = bool(self._is_wanted(np.array([row]))[0])
        if is_wanted == bool(self._frames.is_open[row]):
            return
        if is_wanted:
            self._frames.open(row, self._now_ns)
            self.rows += 1
        else:
            self._frames.close(row)
            self.rows -= 1
