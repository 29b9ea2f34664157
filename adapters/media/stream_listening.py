"""What one stream is asked about its sound, as the control process holds it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, TypeVar

import structlog
import trio

from adapters.media import control
from adapters.media.control_listening import (
    AwaitBeep,
    Beeped,
    Detect,
    Detected,
    EndRecording,
    ListeningEvent,
    Record,
    RecordingOver,
    Withdraw,
)
from adapters.media.recording.files import is_recording_id
from adapters.media.types import StreamLost
from adapters.media.wire.dtmf import DIGITS
from engine.ports.amd import AmdParameters, AmdVerdict
from engine.ports.telephony import Recorded, RecordingEnding

AMD_LIMIT_MAX: Final = 3_600_000
"""The largest value of any parameter of answering machine detection: an hour."""
RECORDING_S_MAX: Final = 86_400.0
"""The longest recording: a day."""

log = structlog.get_logger(__name__)

Answer = TypeVar("Answer", bound=ListeningEvent)


class _Question(Generic[Answer]):
    """Something that was asked and not answered."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.answer: Answer | None = None
        """None for ever where the stream was over first."""
        self.done = trio.Event()


class StreamListening:
    """What one stream is asked: each thing once at a time."""

    def __init__(self, post: Callable[[control.Command], None], stream: int) -> None:
        self._post = post
        self._stream = stream
        self._asked = 0
        self._is_over = False
        self._detecting: _Question[Detected] | None = None
        self._awaiting: _Question[Beeped] | None = None
        self._recording: _Question[RecordingOver] | None = None

    @property
    def is_recording(self) -> bool:
        """Whether somebody waits for the end of a recording."""
        return self._recording is not None

    async def detect_machine(self, parameters: AmdParameters | None) -> AmdVerdict:
        """See `PlaneStream.detect_machine`."""
        parameters = parameters or AmdParameters()
        _check_parameters(parameters)
        question: _Question[Detected] = self._ask(self._detecting)
        self._detecting = question
        try:
            answer = await self._wait(question, Detect(self._stream, question.number, parameters))
        finally:
            self._detecting = None
        return answer.verdict

    async def wait_for_beep(self) -> None:
        """See `PlaneStream.wait_for_beep`."""
        question: _Question[Beeped] = self._ask(self._awaiting)
        self._awaiting = question
        try:
            await self._wait(question, AwaitBeep(self._stream, question.number))
        finally:
            self._awaiting = None

    async def record(
        self, recording: str, max_s: float, silence_s: float | None, finish_on: str
    ) -> Recorded:
        """See `PlaneStream.record`."""
        command = self._make_record(recording, max_s, silence_s, finish_on)
        if self._is_over:
            return Recorded(recording, 0.0, "call_ended")
        question: _Question[RecordingOver] = self._ask(self._recording)
        self._recording = question
        began = trio.current_time()
        self._post(command)
        try:
            await question.done.wait()
        except trio.Cancelled:
            self._end_recording("stopped")
            raise
        finally:
            self._recording = None
        over = question.answer
        if over is None:
            # How much of it is on disk only the file tells.
            return Recorded(recording, trio.current_time() - began, "failed")
        if over.failure:
            log.error("recording_failed", recording=recording, reason=over.failure)
        return Recorded(recording, over.duration_s, over.ending)

    def end_recording(self) -> None:
        """The call has ended, and with it what is recorded."""
        self._end_recording("call_ended")

    def note(self, event: ListeningEvent) -> None:
        """The plane answers."""
        match event:
            case Detected():
                _answer(self._detecting, event)
            case Beeped():
                _answer(self._awaiting, event)
            case RecordingOver():
                _answer(self._recording, event)

    def note_over(self) -> None:
        """The plane has the stream no longer; it may still tell of a recording."""
        self._is_over = True
        for question in (self._detecting, self._awaiting):
            if question is not None:
                question.done.set()

    def note_lost(self) -> None:
        """The plane says nothing more of this stream."""
        self.note_over()
        if self._recording is not None:
            self._recording.done.set()

    def _ask(self, asked: object | None) -> _Question[Answer]:
        if self._is_over:
            raise StreamLost
        if asked is not None:
            raise trio.BusyResourceError("this stream is asked for that already")
        self._asked += 1
        return _Question(self._asked)

    async def _wait(self, question: _Question[Answer], command: control.Command) -> Answer:
        self._post(command)
        try:
            await question.done.wait()
        except trio.Cancelled:
            self._post(Withdraw(self._stream, question.number))
            raise
        if question.answer is None:
            raise StreamLost
        return question.answer

    def _make_record(
        self, recording: str, max_s: float, silence_s: float | None, finish_on: str
    ) -> Record:
        if not is_recording_id(recording):
            raise ValueError(f"not the id of a recording: {recording!r}")
        if not 0 < max_s <= RECORDING_S_MAX:
            raise ValueError(f"a recording lasts up to {RECORDING_S_MAX:.0f} s, not {max_s}")
        if silence_s is not None and not 0 < silence_s <= RECORDING_S_MAX:
            raise ValueError(f"a silence of {silence_s} s ends no recording")
        if not set(finish_on) <= set(DIGITS):
            raise ValueError(f"not keys: {finish_on!r}")
        silence_ms = None if silence_s is None else round(1_000 * silence_s)
        return Record(
            *(self._stream, self._asked + 1, recording, round(1_000 * max_s), silence_ms),
            finish_on,
        )

    def _end_recording(self, ending: RecordingEnding) -> None:
        if self._recording is not None and not self._is_over:
            self._post(EndRecording(self._stream, self._recording.number, ending))


def _answer(question: _Question[Answer] | None, event: Answer) -> None:
    if question is not None and question.number == event.question:
        question.answer = event
        question.done.set()


def _check_parameters(parameters: AmdParameters) -> None:
    for name in parameters.__struct_fields__:
        value = getattr(parameters, name)
        if not 0 <= value <= AMD_LIMIT_MAX:
            raise ValueError(f"{name} is 0 to {AMD_LIMIT_MAX}, not {value}")
