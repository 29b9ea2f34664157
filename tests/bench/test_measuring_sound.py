"""Whether scenarios about sound measure what they say: what is slowed down on purpose shows in its figure,
and what is slowed beside it in the floor alone."""

from __future__ import annotations

import msgspec
import pytest

from adapters.media.listening.amd import AmdTable, Verdict
from adapters.media.listening.listeners import Listening
from adapters.media.listening.tone import ToneFrames
from bench import amd, listening, media, media_rig
from bench.amd_corpus import Label, Scene
from engine.ports.amd import AmdParameters
from tests.adapters.media.sounds import Sound, silence, syllables, through_g711, tone, voice
from tests.bench.site import QUIET, burn, check, check_all, slow_within
from tests.bench.slowing import PLANE, Slower
from tests.sizes import size

pytestmark = pytest.mark.punctual

HUMAN = (silence(400), voice(500), silence(4_000))
MACHINE = (silence(400), syllables(40), silence(400), tone(400, 1000), silence(2_000))


async def test_listening(monkeypatch: pytest.MonkeyPatch) -> None:
    class SlowListening(Listening):
        def go_on(self, now_ns: int) -> None:
            burn(2e-4)
            super().go_on(now_ns)

    async def measure_here(task: listening.Task, streams: int, sound_s: int) -> float:
        return listening.measure(listening.prepare(task, streams), streams, sound_s)

    monkeypatch.setattr(listening, "STREAMS", 20)
    monkeypatch.setattr(listening, "TASKS", listening.TASKS[:1])
    monkeypatch.setattr(listening, "SOUND_S", {"quick": 1})
    monkeypatch.setattr(listening, "measure_apart", measure_here)
    plain = await listening.run("quick", QUIET)
    monkeypatch.setattr(listening, "Listening", SlowListening)
    slow = await listening.run("quick", QUIET)
    check_all(slow.metrics, plain.metrics, "nothing_us_per_packet")


async def test_media(slower: Slower, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media, "RAMPS", {"quick": media.Ramp((20,), (20,), (20,), 0.5, 1, 1)})
    monkeypatch.setattr(media, "TASKS", media.TASKS[: size(1, 3)])
    monkeypatch.setattr(media_rig, "SETTLE_S", 0.1)
    # What is late holds too: how late it is would not be told otherwise.
    monkeypatch.setattr(media_rig, "IN_TIME_SHARE_MIN", 0.0)
    monkeypatch.setattr(media_rig, "HEARD_SHARE_MIN", 0.0)
    with monkeypatch.context() as slow:
        slowings = [lambda: slower.over(PLANE), lambda: slower.stalling(PLANE)]
        slow_within(slow, media_rig.Load, "measure", *slowings)
        figure = await media.run("quick", QUIET)
    with slower.over("bench.media_floor"), slower.stalling("bench.media_floor"):
        floor = await media.run("quick", QUIET)
    for name in ("cpu_us_per_packet", "late_ms_p99", "late_ms_max"):
        check(figure, floor, f"play_{name}")
        check_all(figure.metrics, floor.metrics, *(f"{task}_{name}" for task in media.TASKS))
    assert figure.metrics["play_in_time_share"] < floor.metrics["play_in_time_share"]


def scene(label: Label, *parts: Sound, beep_ends_ms: int | None = None) -> Scene:
    return Scene("a call", label, through_g711(*parts), beep_ends_ms=beep_ends_ms)


def scenes() -> list[Scene]:
    """Of each who is heard for what they are, one is, and one is not."""
    beep_ends_ms = 9_200
    return [
        scene("human", *HUMAN),
        scene("human", *MACHINE),
        scene("machine", *MACHINE, beep_ends_ms=beep_ends_ms),
        scene("machine", *HUMAN, beep_ends_ms=beep_ends_ms),
        scene("reception", *HUMAN),
        scene("reception", *MACHINE),
        scene("fax", silence(500), tone(3_000, 2_100)),
        scene("fax", *HUMAN),
        scene("unknown", silence(1_000)),
    ]


async def hear_here(seed: int, renditions: int) -> amd.Heard:
    return amd.hear(seed, renditions)


async def test_amd(monkeypatch: pytest.MonkeyPatch) -> None:
    class SlowTable(AmdTable):
        """Slow with one of the two sets of parameters."""

        def start(self, row: int, parameters: AmdParameters) -> None:
            self.is_slow = parameters is slow
            super().start(row, parameters)

        def hear(self, heard: ToneFrames) -> list[Verdict]:
            burn(2e-3 * self.is_slow)
            return super().hear(heard)

    monkeypatch.setattr(amd, "make_scenes", lambda *_: scenes())
    monkeypatch.setattr(amd, "hear_apart", hear_here)
    monkeypatch.setattr(amd, "AmdTable", SlowTable)
    slow = amd.OURS
    figure = await amd.run("quick", QUIET)
    slow = amd.ASTERISK
    floor = await amd.run("quick", QUIET)
    check(figure, floor, "analysis_us_per_20ms")
    halves = {name: value for name, value in figure.metrics.items() if name.endswith("percent")}
    assert halves == dict.fromkeys(halves, 50.0)
    assert figure.metrics["beeps_invented"] == 1.0


async def test_amd_that_decides_late(monkeypatch: pytest.MonkeyPatch) -> None:
    def patient(parameters: AmdParameters) -> AmdParameters:
        return msgspec.structs.replace(
            parameters,
            after_greeting_silence=2_400,
            greeting=6_000,
            shortest_machine_greeting=6_000,
            maximum_word_length=6_000,
            total_analysis_time=20_000,
        )

    monkeypatch.setattr(amd, "make_scenes", lambda *_: scenes())
    monkeypatch.setattr(amd, "hear_apart", hear_here)
    names = [f"{who}_decided_ms_{part}" for who in ("human", "machine") for part in ("p50", "p90")]
    with monkeypatch.context() as late:
        late.setattr(amd, "OURS", patient(amd.OURS))
        figure = await amd.run("quick", QUIET)
    monkeypatch.setattr(amd, "ASTERISK", patient(amd.ASTERISK))
    floor = await amd.run("quick", QUIET)
    for name in names:
        check(figure, floor, name)
