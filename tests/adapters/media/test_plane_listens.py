"""What a plane in a process of its own makes of the callees' sound, over real sockets."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import trio
from numpy.typing import NDArray

from adapters.media.client import PlaneSettings, RtpMediaPlane
from adapters.media.codecs.codec import CODECS_BY_NUMBER
from adapters.media.codecs.g711 import LAWS, ULAW
from adapters.media.codecs.opus import OpusEncoder
from adapters.media.codecs.voices import VOICES, G722Coder
from adapters.media.listening.goertzel import COLUMNS_HZ, KEYS, ROWS_HZ
from adapters.media.recording.files import find_recording, make_header
from adapters.media.stream import PlaneStream
from adapters.media.types import Remote, StreamLost
from adapters.media.wire.rtp import Header, build_packet
from engine.ports.amd import AmdParameters, AmdVerdict
from engine.ports.telephony import Recorded
from tests.adapters.media.callee import HOST, Callee, open_callee
from tests.adapters.media.planes import running_plane
from tests.adapters.media.sounds import Samples, silence, syllables, through_g711, tone, voice
from tests.adapters.media.test_plane_hears import key
from tests.sizes import size

pytestmark = pytest.mark.punctual

EVENT = 101
ALL_KEYS = "".join(KEYS)


@pytest.fixture(params=["fastest", "sockets"][: size(1, 2)])
async def plane(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[RtpMediaPlane]:
    """What is made of sound is the same whichever way it came: `test_plane_hears` and `sockets/test_ways`
    have both."""
    settings = PlaneSettings(way=request.param)
    async with running_plane(tmp_path, settings, recordings=tmp_path) as one:
        yield one


class Caller:
    """A callee that speaks, at the pace at which the plane speaks to it."""

    def __init__(self, callee: Callee, stream: PlaneStream) -> None:
        self.callee = callee
        self.stream = stream
        self._sent = 0
        self._encode: Callable[[Samples], bytes | NDArray[np.uint8]] = VOICES[
            callee.payload_type
        ].encode
        # Of the codecs that remember each callee has its own.
        if callee.payload_type == 9:
            self._encode = G722Coder().encode
        elif callee.payload_type == 111:
            self._encode = OpusEncoder().encode
        self._step = CODECS_BY_NUMBER[callee.payload_type].timestamp_step

    async def say(self, samples: Samples) -> None:
        """Whole frames, one for each that is heard."""
        for frame in samples.reshape(-1, 160):
            await self.callee.hear(1)
            kind = self.callee.payload_type
            header = Header(kind, self._sent & 0xFFFF, self._step * self._sent, 5)
            packet = build_packet(header, bytes(self._encode(frame)))
            await self.callee.send_octets(self.stream.port, packet)
            self._sent += 1

    async def go_on(self, samples: Samples) -> None:
        """Say this, and then nothing for ever."""
        await self.say(samples)
        while True:
            await self.say(np.zeros(160, np.int16))


async def call(plane: RtpMediaPlane, callee: Callee, event: int | None = EVENT) -> Caller:
    """A stream to this callee, and the callee in its own words."""
    stream = await plane.open_stream()
    stream.connect(Remote(HOST, callee.remote.port, callee.payload_type, event))
    return Caller(callee, stream)


def press(digits: str) -> Samples:
    """The tones of these keys, 80 ms each."""
    parts = []
    for digit in digits:
        row = next(at for at, keys in enumerate(KEYS) if digit in keys)
        hz = ROWS_HZ[row], COLUMNS_HZ[KEYS[row].index(digit)]
        parts += [tone(80, *hz), silence(80)]
    return through_g711(*parts)


@pytest.mark.parametrize("payload_type", VOICES)
async def test_keys_in_the_sound_are_read_where_no_events_were_agreed(
    plane: RtpMediaPlane, payload_type: int
) -> None:
    async with open_callee(payload_type) as callee, trio.open_nursery() as nursery:
        caller = await call(plane, callee, event=None)
        nursery.start_soon(caller.go_on, press(ALL_KEYS))
        heard = [await caller.stream.next_digit() for _ in ALL_KEYS]
        assert "".join(heard) == ALL_KEYS
        nursery.cancel_scope.cancel()


async def test_keys_in_the_sound_are_no_keys_where_events_were_agreed(
    plane: RtpMediaPlane,
) -> None:
    async with open_callee() as callee:
        caller = await call(plane, callee)
        await caller.say(press("12"))
        for packet in key("7", 0, 0):
            await callee.send_octets(caller.stream.port, packet)
        assert await caller.stream.next_digit() == "7"
        await caller.stream.close()
        with pytest.raises(StreamLost):
            await caller.stream.next_digit()


GREETINGS: dict[str, Callable[[], Samples]] = {
    "human": lambda: through_g711(silence(300), voice(600)),
    "machine": lambda: through_g711(silence(300), *[syllables(4), silence(120)] * 6),
}


@pytest.mark.parametrize(
    ("who", "cause"),
    [("human", "after_greeting_silence"), ("machine", "greeting")],
)
@pytest.mark.parametrize("payload_type", [0, 9, 111])
async def test_who_answered_is_told(
    plane: RtpMediaPlane, who: str, cause: str, payload_type: int
) -> None:
    async with open_callee(payload_type) as callee, trio.open_nursery() as nursery:
        caller = await call(plane, callee)
        nursery.start_soon(caller.go_on, GREETINGS[who]())
        verdict = await caller.stream.detect_machine()
        assert (verdict.answerer, verdict.cause) == (who, cause)
        nursery.cancel_scope.cancel()


async def test_of_a_callee_of_whom_nothing_comes_it_is_unknown_who_answered(
    plane: RtpMediaPlane,
) -> None:
    async with open_callee() as callee:
        caller = await call(plane, callee)
        verdict = await caller.stream.detect_machine(AmdParameters(initial_silence=500))
        assert verdict == AmdVerdict("unknown", "initial_silence", 500)


async def test_time_goes_on_for_a_stream_on_hold_though_no_stream_sends(
    plane: RtpMediaPlane,
) -> None:
    async with open_callee() as callee:
        caller = await call(plane, callee)
        caller.stream.connect(Remote("0.0.0.0", callee.remote.port, 0, EVENT))
        verdict = await caller.stream.detect_machine(AmdParameters(initial_silence=500))
        assert verdict == AmdVerdict("unknown", "initial_silence", 500)


async def test_a_stream_that_ends_while_it_is_listened_to_is_lost_to_who_listens(
    plane: RtpMediaPlane,
) -> None:
    lost = []

    async def expect_loss(listen: Callable[[], Awaitable[object]]) -> None:
        with pytest.raises(StreamLost):
            await listen()
        lost.append(listen)

    async with open_callee() as callee, trio.open_nursery() as nursery:
        caller = await call(plane, callee)
        nursery.start_soon(expect_loss, caller.stream.detect_machine)
        nursery.start_soon(expect_loss, caller.stream.wait_for_beep)
        await callee.hear(3)
        await caller.stream.close()
    assert len(lost) == 2
    with pytest.raises(StreamLost):
        await caller.stream.detect_machine()


async def test_a_detection_that_was_cancelled_leaves_the_next_one_alone(
    plane: RtpMediaPlane,
) -> None:
    async with open_callee() as callee, trio.open_nursery() as nursery:
        caller = await call(plane, callee)
        with trio.move_on_after(0.05):
            await caller.stream.detect_machine()
        nursery.start_soon(caller.go_on, GREETINGS["human"]())
        assert (await caller.stream.detect_machine()).answerer == "human"
        nursery.cancel_scope.cancel()


async def test_a_beep_is_heard_when_it_is_over_and_a_voice_is_none(plane: RtpMediaPlane) -> None:
    async with open_callee() as callee, trio.open_nursery() as nursery:
        caller = await call(plane, callee)
        told = trio.Event()

        async def wait() -> None:
            await caller.stream.wait_for_beep()
            told.set()

        nursery.start_soon(wait)
        await caller.say(through_g711(voice(600), silence(200)))
        assert not told.is_set()
        nursery.start_soon(caller.go_on, through_g711(tone(300, 1000.0)))
        await told.wait()
        nursery.cancel_scope.cancel()


def chirp(frames: int) -> Samples:
    """Sound without a repetition, so that each sample has its one place."""
    at_s = np.arange(frames * 160) / 8_000
    sound = 9_000 * np.sin(2 * np.pi * (300 * at_s + 400 * at_s**2))
    return ULAW.decode(ULAW.encode(sound.astype(np.int16)))


def read_wav(folder: Path, recording: str) -> Samples:
    """The samples of a recording, as another program reads them."""
    samples, rate = soundfile.read(folder / f"{recording}.wav", dtype="int16")
    assert rate == 8_000
    return np.asarray(samples, np.int16)


def place_of(sound: Samples, recorded: Samples) -> int:
    """Where in a recording a sound begins, all of it without a gap and as it was sent."""
    at = int(np.flatnonzero(recorded == sound[1])[0]) - 1
    windows = range(max(0, at - 160), len(recorded) - len(sound) + 1)
    [place] = [at for at in windows if (recorded[at : at + len(sound)] == sound).all()]
    return place


@pytest.mark.parametrize("payload_type", [0, 8])
async def test_a_recording_is_what_was_sent_sample_for_sample(
    plane: RtpMediaPlane, tmp_path: Path, payload_type: int
) -> None:
    law = LAWS[payload_type]
    sound = law.decode(law.encode(chirp(60)))
    async with open_callee(payload_type) as callee, trio.open_nursery() as nursery:
        caller = await call(plane, callee)
        nursery.start_soon(caller.go_on, sound)
        recorded = await caller.stream.record("rec_1", max_s=1.5)
        nursery.cancel_scope.cancel()
    assert recorded == Recorded("rec_1", 1.5, "max")
    samples = read_wav(tmp_path, "rec_1")
    assert len(samples) == 12_000
    assert place_of(sound, samples) % 160 == 0
    found = find_recording(tmp_path, "rec_1")
    assert found is not None
    assert found.duration_s == 1.5


@pytest.mark.parametrize("payload_type", [9, 111])
async def test_a_recording_of_a_codec_that_remembers_sounds_as_what_was_said(
    plane: RtpMediaPlane, tmp_path: Path, payload_type: int
) -> None:
    sound = chirp(60)
    async with open_callee(payload_type) as callee, trio.open_nursery() as nursery:
        caller = await call(plane, callee)
        nursery.start_soon(caller.go_on, sound)
        recorded = await caller.stream.record("rec_1", max_s=1.5)
        nursery.cancel_scope.cancel()
    assert recorded == Recorded("rec_1", 1.5, "max")
    samples = read_wav(tmp_path, "rec_1").astype(np.float64)
    fits = np.correlate(samples, sound.astype(np.float64), "valid")
    at = int(fits.argmax())
    likeness = float(np.corrcoef(samples[at : at + len(sound)], sound)[0, 1])
    assert likeness > 0.98


async def test_a_silence_ends_a_recording(plane: RtpMediaPlane, tmp_path: Path) -> None:
    async with open_callee() as callee, trio.open_nursery() as nursery:
        caller = await call(plane, callee)
        nursery.start_soon(caller.go_on, through_g711(voice(600), silence(300), voice(600)))
        recorded = await caller.stream.record("rec_1", max_s=20, silence_s=0.5)
        nursery.cancel_scope.cancel()
    assert recorded.ending == "silence"
    # Three pieces of sound and the silence, within the frames before the first of them came.
    assert 1.98 <= recorded.duration_s <= 2.3
    assert len(read_wav(tmp_path, "rec_1")) == round(recorded.duration_s * 8_000)


@pytest.mark.parametrize("event", [EVENT, None])
async def test_a_key_ends_a_recording_and_is_not_kept_while_others_are(
    plane: RtpMediaPlane, event: int | None
) -> None:
    async with open_callee() as callee, trio.open_nursery() as nursery:
        caller = await call(plane, callee, event)

        async def press_keys() -> None:
            if event is None:
                await caller.go_on(press("1#2"))
            for at, digit in enumerate("1#2"):
                await callee.hear(3)
                for packet in key(digit, 16_000 * at, 10 * at):
                    await callee.send_octets(caller.stream.port, packet)

        nursery.start_soon(press_keys)
        recorded = await caller.stream.record("rec_1", max_s=20, finish_on="*#")
        assert recorded.ending == "key"
        assert [await caller.stream.next_digit() for _ in range(2)] == ["1", "2"]
        nursery.cancel_scope.cancel()


async def test_the_end_of_a_stream_ends_its_recording_which_is_safe_then(
    plane: RtpMediaPlane, tmp_path: Path
) -> None:
    sound = chirp(20)
    ends: list[Recorded] = []
    async with open_callee() as callee, trio.open_nursery() as nursery:
        caller = await call(plane, callee)

        async def record() -> None:
            ends.append(await caller.stream.record("rec_1", max_s=20))

        nursery.start_soon(record)
        await callee.hear(5)
        await caller.say(sound)
        await caller.stream.close()
    [recorded] = ends
    samples = read_wav(tmp_path, "rec_1")
    assert recorded == Recorded("rec_1", len(samples) / 8_000, "call_ended")
    # The last packets may still have been on their way.
    place_of(sound[: -2 * 160], samples)
    assert await caller.stream.record("rec_2", max_s=1) == Recorded("rec_2", 0.0, "call_ended")


async def test_a_recording_that_is_cancelled_is_kept(plane: RtpMediaPlane, tmp_path: Path) -> None:
    async with open_callee() as callee, trio.open_nursery() as nursery:
        caller = await call(plane, callee)
        nursery.start_soon(caller.go_on, chirp(200))
        with trio.move_on_after(0.3):
            await caller.stream.record("rec_1", max_s=20)
        recorded = await caller.stream.record("rec_2", max_s=0.1)
        nursery.cancel_scope.cancel()
    assert recorded == Recorded("rec_2", 0.1, "max")
    assert len(read_wav(tmp_path, "rec_1")) > 0


async def test_no_recording_replaces_another(plane: RtpMediaPlane, tmp_path: Path) -> None:
    (tmp_path / "rec_1.wav").write_bytes(b"somebody else's")
    async with open_callee() as callee:
        caller = await call(plane, callee)
        recorded = await caller.stream.record("rec_1", max_s=5)
    assert recorded.ending == "failed"
    assert (tmp_path / "rec_1.wav").read_bytes() == b"somebody else's"


async def test_without_a_folder_every_recording_fails(tmp_path: Path) -> None:
    async with running_plane(tmp_path) as plane, open_callee() as callee:
        caller = await call(plane, callee)
        recorded = await caller.stream.record("rec_1", max_s=5)
        assert recorded == Recorded("rec_1", 0.0, "failed")


async def test_a_plane_that_is_killed_leaves_whole_files_and_ends_their_recordings(
    plane: RtpMediaPlane, tmp_path: Path
) -> None:
    sound = chirp(100)
    ends: list[Recorded] = []
    async with open_callee() as callee, trio.open_nursery() as nursery:
        caller = await call(plane, callee)

        async def record() -> None:
            ends.append(await caller.stream.record("rec_1", max_s=20))

        nursery.start_soon(record)
        await callee.hear(5)
        await caller.say(sound)
        assert plane.process_id is not None
        os.kill(plane.process_id, signal.SIGKILL)
    assert [one.ending for one in ends] == ["failed"]

    # The recorder outlives its plane by what it takes to write the rest, and its file is whole all the time.
    def is_complete() -> bool:
        octets = (tmp_path / "rec_1.wav").read_bytes()
        found = find_recording(tmp_path, "rec_1")
        assert found is not None
        assert found.data_bytes <= len(octets) - len(make_header(0))
        return len(np.trim_zeros(read_wav(tmp_path, "rec_1"))) > 97 * 160

    while not is_complete():  # noqa: ASYNC110  # it is no child of ours and tells nobody
        await trio.sleep(0.01)
    place_of(sound[: -2 * 160], read_wav(tmp_path, "rec_1"))
