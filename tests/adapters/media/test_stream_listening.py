"""What one stream is asked about its sound: what is said to the plane, without one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from adapters.media import control
from adapters.media.control_listening import (
    AwaitBeep,
    Beeped,
    Detect,
    Detected,
    EndRecording,
    Record,
    RecordingOver,
    Withdraw,
)
from adapters.media.stream_listening import StreamListening
from adapters.media.types import StreamLost
from engine.ports.amd import AmdParameters, AmdVerdict
from engine.ports.telephony import Recorded

VERDICT = AmdVerdict("human", "after_greeting_silence", 1_200)


class Asked:
    """A stream, and what the plane was told."""

    def __init__(self) -> None:
        self.told: list[control.Command] = []
        self.listening = StreamListening(self.told.append, 7)
        self.answers: list[object] = []

    async def keep(self, ask: Callable[[], Awaitable[object]]) -> None:
        try:
            self.answers.append(await ask())
        except StreamLost:
            self.answers.append("lost")

    def detect(self) -> Awaitable[AmdVerdict]:
        return self.listening.detect_machine(None)

    def record(self) -> Awaitable[Recorded]:
        return self.listening.record("rec_1", 1.5, 0.25, "#*")


@pytest.mark.parametrize(
    ("recording", "max_s", "silence_s", "finish_on", "says"),
    [
        ("../rec_1", 1.0, None, "", "not the id of a recording"),
        ("", 1.0, None, "", "not the id of a recording"),
        ("rec_1", 0.0, None, "", "a recording lasts up to 86400 s, not 0.0"),
        ("rec_1", float("nan"), None, "", "a recording lasts"),
        ("rec_1", 1e9, None, "", "a recording lasts"),
        ("rec_1", 1.0, 0.0, "", "a silence of 0.0 s ends no recording"),
        ("rec_1", 1.0, None, "x", "not keys: 'x'"),
    ],
)
async def test_what_is_no_id_no_limit_or_no_key_is_refused(
    recording: str, max_s: float, silence_s: float | None, finish_on: str, says: str
) -> None:
    asked = Asked()
    with pytest.raises(ValueError, match=says):
        await asked.listening.record(recording, max_s, silence_s, finish_on)
    assert asked.told == []


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        (AmdParameters(greeting=-1), r"greeting is 0 to 3600000, not -1"),
        (AmdParameters(total_analysis_time=1 << 40), "total_analysis_time"),
        (AmdParameters(noise_margin=float("nan")), "noise_margin"),
    ],
)
async def test_parameters_out_of_bounds_are_refused_before_anything_is_asked(
    parameters: AmdParameters, says: str
) -> None:
    asked = Asked()
    with pytest.raises(ValueError, match=says):
        await asked.listening.detect_machine(parameters)
    assert asked.told == []


async def test_each_question_has_its_own_number_and_answer() -> None:
    asked = Asked()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(asked.keep, asked.detect)
        await wait_all_tasks_blocked()
        nursery.start_soon(asked.keep, asked.listening.wait_for_beep)
        await wait_all_tasks_blocked()
        nursery.start_soon(asked.keep, asked.record)
        await wait_all_tasks_blocked()
        # Answers to what nobody asks any more.
        asked.listening.note(Detected(7, 9, AmdVerdict("fax", "fax_ced", 1)))
        asked.listening.note(Beeped(7, 1))
        asked.listening.note(Beeped(7, 2))
        await wait_all_tasks_blocked()
        asked.listening.note(RecordingOver(7, 3, 0.5, "key"))
        await wait_all_tasks_blocked()
        asked.listening.note(Detected(7, 1, VERDICT))
    assert asked.told == [
        Detect(7, 1, AmdParameters()),
        AwaitBeep(7, 2),
        Record(7, 3, "rec_1", 1_500, 250, "#*"),
    ]
    assert asked.answers == [None, Recorded("rec_1", 0.5, "key"), VERDICT]


async def test_the_same_is_not_asked_twice_at_once() -> None:
    asked = Asked()
    async with trio.open_nursery() as nursery:
        for ask in (asked.detect, asked.listening.wait_for_beep, asked.record):
            nursery.start_soon(asked.keep, ask)
            await wait_all_tasks_blocked()
            with pytest.raises(trio.BusyResourceError):
                await ask()
        nursery.cancel_scope.cancel()


async def test_what_is_cancelled_is_withdrawn_and_a_recording_is_ended() -> None:
    asked = Asked()
    for ask in (asked.detect, asked.listening.wait_for_beep, asked.record):
        with trio.CancelScope() as scope:
            scope.cancel()
            await ask()
    assert asked.told[1::2] == [Withdraw(7, 1), Withdraw(7, 2), EndRecording(7, 3, "stopped")]


async def test_a_closed_stream_is_lost_to_who_listens_while_its_recording_is_made_safe() -> None:
    asked = Asked()
    async with trio.open_nursery() as nursery:
        for ask in (asked.detect, asked.listening.wait_for_beep, asked.record):
            nursery.start_soon(asked.keep, ask)
            await wait_all_tasks_blocked()
        asked.listening.end_recording()
        asked.listening.note_over()
        await wait_all_tasks_blocked()
        assert asked.listening.is_recording
        asked.listening.note(RecordingOver(7, 3, 2.0, "call_ended"))
    assert asked.told[-1] == EndRecording(7, 3, "call_ended")
    assert asked.answers == ["lost", "lost", Recorded("rec_1", 2.0, "call_ended")]
    with pytest.raises(StreamLost):
        await asked.detect()
    assert await asked.record() == Recorded("rec_1", 0.0, "call_ended")


async def test_a_plane_that_died_leaves_a_recording_that_has_failed(
    autojump_clock: trio.testing.MockClock,
) -> None:
    asked = Asked()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(asked.keep, asked.record)
        await trio.sleep(3)
        asked.listening.note_lost()
    assert asked.answers == [Recorded("rec_1", 3.0, "failed")]
