"""Twenty calls to a real baresip, and what each side heard of the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest
import trio
from msgspec import Struct

from adapters.http_client import HttpClient
from adapters.media.codecs.g711 import SAMPLE_RATE_HZ
from bench.installation import (
    Installation,
    make_config,
    make_flow,
    open_installation,
    wait_completed,
)
from tests.system.baresip import (
    Baresip,
    Programs,
    Samples,
    make_tone,
    open_baresip,
    open_capture,
    read_capture,
    read_recording,
    require_baresip,
)

CALLS = 20
DID = "+14155550100"
PROMPT_HZ = 1800
PROMPT_S = 2.0
HOLD_S = 0.5
"""Silence after the prompt: its end is still in baresip's jitter buffer when it has been played."""
TONES_HZ = {f"+1415555{2000 + n}": 400 + 40 * n for n in range(CALLS)}
"""What each number speaks: no two the same, so that a call that hears another's is noticed."""

SLICE_S = 0.1
"""Sound is looked at in slices of this length: a spectrum in steps of 10 Hz."""
PURE = 0.9
"""Share of a slice's power that its loudest tone has where the slice is a tone."""
QUIET = 100
"""Root mean square of a slice that is silence."""
INEXACT_S = 0.3
"""By which the length of a tone may be off: slices at its edges, and the jitter buffer."""

pytestmark = [pytest.mark.peer, pytest.mark.punctual]


class Media(Struct, frozen=True):
    loss: float
    jitter_ms: float


class Attempt(Struct, frozen=True):
    """What is read of a call detail record."""

    number: str
    disposition: str
    media: Media


class _Page(Struct, frozen=True):
    items: list[Attempt]


class Evening(Struct, frozen=True):
    """What is known of all calls after the last."""

    attempts: Sequence[Attempt]
    heard_by_baresip: Mapping[str, Samples]
    """By number."""
    sent_by_baresip: Sequence[Samples] | None
    """Each stream that was on the wire; None where nobody may listen there."""


@pytest.fixture(scope="module")
def evening(tmp_path_factory: pytest.TempPathFactory) -> Evening:
    return trio.run(spend_evening, require_baresip(), tmp_path_factory.mktemp("baresip"))


async def spend_evening(programs: Programs, folder: Path) -> Evening:
    """Call every number of baresip, and gather what was heard."""
    capture = folder / "media.pcap"
    async with open_baresip(programs, folder, TONES_HZ) as baresip:
        trunk = f"sip:127.0.0.1:{baresip.port}"
        config = make_config(folder / "data", trunk)
        async with open_installation(folder, config) as engine:
            async with open_capture(programs, capture) as captured:
                flow = await dial_everyone(engine, baresip, folder)
            attempts = await get_attempts(engine, flow)
    return Evening(
        attempts,
        {number: read_recording(folder / f"{number}.wav") for number in TONES_HZ},
        read_capture(programs, capture) if captured else None,
    )


async def dial_everyone(
    engine: Installation, baresip: Baresip, folder: Path, numbers: Iterable[str] = TONES_HZ
) -> str:
    """Play the prompt to each number, and wait until all calls are over; the flow."""
    prompt = await engine.client.create_prompt("tone.wav", make_tone(PROMPT_HZ, PROMPT_S))
    definition = {
        "start": "play",
        "nodes": {
            "play": {"type": "play", "play": prompt.id, "next": "hold"},
            "hold": {"type": "wait", "duration_s": HOLD_S},
        },
    }
    flow = await make_flow(engine.client, {DID: 100}, definition=definition)
    lists = []
    for number in numbers:
        view = await engine.client.multicast(flow, number, [{"tel": [number]}])
        lists.append(view.list)
        await baresip.set_recording_aside(folder / f"{number}.wav")
    for call_list in lists:
        await wait_completed(engine.client, call_list)
    return flow


async def get_attempts(engine: Installation, flow: str) -> list[Attempt]:
    """The call detail records of a flow, with what the media plane says."""
    answer = await HttpClient().request(
        "GET",
        f"{engine.url}/v1/attempts?flow={flow}&limit={2 * CALLS}",
        headers={"Authorization": f"Bearer {engine.admin_key}"},
    )
    assert answer.status == 200, answer.body
    return msgspec.json.decode(answer.body, type=_Page).items


def measure_tones(samples: Samples, rate_hz: int = SAMPLE_RATE_HZ) -> dict[int, float]:
    """Every tone in a recording, Hz, and for how many seconds it lasts."""
    length = round(rate_hz * SLICE_S)
    slices = samples[: len(samples) // length * length].reshape(-1, length).astype(np.float64)
    slices = slices[np.sqrt(np.mean(slices**2, axis=1)) > QUIET]
    power = np.abs(np.fft.rfft(slices * np.hanning(length), axis=1)) ** 2
    loudest = np.argmax(power, axis=1)
    # The window spreads a tone over the steps beside its own.
    around = np.clip(loudest[:, None] + np.array([-1, 0, 1]), 0, power.shape[1] - 1)
    share = np.take_along_axis(power, around, axis=1).sum(axis=1) / power.sum(axis=1)
    steps, counts = np.unique(loudest[share > PURE], return_counts=True)
    return {
        round(step / SLICE_S): count * SLICE_S
        for step, count in zip(steps.tolist(), counts.tolist(), strict=True)
    }


def test_baresip_answers_each_of_twenty_calls(evening: Evening) -> None:
    dispositions = sorted((attempt.number, attempt.disposition) for attempt in evening.attempts)
    assert dispositions == [(number, "answered") for number in sorted(TONES_HZ)]


def test_baresip_hears_the_whole_prompt_in_each_call_and_nothing_else(evening: Evening) -> None:
    heard = {number: measure_tones(sound) for number, sound in evening.heard_by_baresip.items()}
    assert {number: [*tones] for number, tones in heard.items()} == {
        number: [PROMPT_HZ] for number in TONES_HZ
    }
    lengths = {number: tones[PROMPT_HZ] for number, tones in heard.items()}
    assert lengths == pytest.approx(dict.fromkeys(TONES_HZ, PROMPT_S), abs=INEXACT_S)


def test_our_media_plane_takes_the_packets_of_baresip_in_each_call(evening: Evening) -> None:
    media = {attempt.number: attempt.media for attempt in evening.attempts}
    assert {number: m.loss for number, m in media.items()} == dict.fromkeys(TONES_HZ, 0.0)
    # Packets that never came have no jitter; those of a thread that sleeps are never all on the dot.
    assert [number for number, m in media.items() if m.jitter_ms == 0] == []


def test_the_voice_of_each_number_comes_to_us_throughout_its_call(evening: Evening) -> None:
    if evening.sent_by_baresip is None:
        pytest.skip("this user may not capture on lo: root may, and the group `wireshark`")
    voices = [measure_tones(sound) for sound in evening.sent_by_baresip]
    assert sorted([*tones] for tones in voices) == [[hz] for hz in TONES_HZ.values()]
    too_short = [tones for tones in voices if min(tones.values()) < PROMPT_S]
    assert too_short == []
