"""A dialer call between two telephones of a real baresip, through the product: what each heard of the
other, and how late."""

from __future__ import annotations

import subprocess
import wave
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import trio
from msgspec import Struct

from adapters.http_client import HttpClient
from adapters.media.codecs.g711 import SAMPLE_RATE_HZ
from bench.installation import Installation, make_config, open_installation
from tests.system.baresip import (
    BOTH_WAYS,
    READ_S_MAX,
    RTP_PORTS,
    TONE_S,
    Baresip,
    Programs,
    Samples,
    open_baresip,
    open_capture,
    read_recording,
    require_baresip,
)
from tests.system.test_baresip import measure_tones

DID = "+14155550100"
AGENT, CUSTOMER = "+14155552001", "+14155552002"
TONES_HZ = {AGENT: 600, CUSTOMER: 1_100}
TALK_S = 6.0
HEARD_S_MIN = TALK_S - 1.0
NOISE = 150.0
"""Laid under each tone, so that no two packets are alike and each can be found again on the other side."""
TONE_LEVEL = 8_000
DELAY_MS_MAX = 40.0
SHARE = 0.99
CALL_S_MAX = 60.0

pytestmark = [pytest.mark.peer, pytest.mark.alone]


class Talk(Struct, frozen=True):
    """What is known of the call after its end."""

    attempt: Mapping[str, Any]
    presence: Sequence[str]
    """Of the agent: before, during and after the talk."""
    heard: Mapping[str, Samples]
    """By the number that heard it."""
    delays_ms: Sequence[float] | None
    """How long after it came each packet of either went on to the other; None where nobody may listen on the
    wire."""


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Talk:
    return trio.run(have_talk, require_baresip(), tmp_path_factory.mktemp("dialer"))


async def have_talk(programs: Programs, folder: Path) -> Talk:
    """Let an agent of a preview flow call a customer, and hang up after a while."""
    capture = folder / "media.pcap"
    async with open_baresip(programs, folder, TONES_HZ) as baresip:
        for hz in TONES_HZ.values():
            write_voice(folder / "baresip" / f"{hz}.wav", hz)
        config = make_config(folder / "data", f"sip:127.0.0.1:{baresip.port}")
        async with (
            open_installation(folder, config) as engine,
            open_capture(programs, capture, BOTH_WAYS) as captured,
        ):
            attempt, presence = await connect(engine, baresip, folder)
    heard = {number: read_recording(folder / f"{number}.wav") for number in TONES_HZ}
    delays_ms = measure_delays(programs, capture) if captured else None
    return Talk(attempt, presence, heard, delays_ms)


async def connect(
    engine: Installation, baresip: Baresip, folder: Path
) -> tuple[dict[str, Any], list[str]]:
    """One customer and one agent; the attempt, and what the agent's presence was."""

    async def ask(method: str, path: str, body: Any = None) -> Any:
        answer = await HttpClient().request(
            method,
            f"{engine.url}/v1/{path}",
            headers={
                "Authorization": f"Bearer {engine.admin_key}",
                "Content-Type": "application/json",
            },
            body=None if body is None else msgspec.json.encode(body),
        )
        assert answer.status < 300, answer.body
        return msgspec.json.decode(answer.body) if answer.body else None

    await engine.client.create_did(DID, "default", "main", cps=10, channels=10)
    definition = {"start": "bye", "nodes": {"bye": {"type": "hangup"}}}
    body = {
        "name": "desk",
        "kind": "dialer",
        "definition": definition,
        "settings": {"dialing": "preview", "wrap_up_s": 0},
    }
    flow = (await ask("POST", "flows", body))["id"]
    await engine.client.attach_dids(flow, [DID])
    await engine.client.activate_listener(flow)
    made = await ask("POST", f"flows/{flow}/agents", {"number": AGENT, "name": "Ada"})
    agent = f"flows/{flow}/agents/{made['id']}"
    await ask("PATCH", agent, {"presence": "available"})
    await engine.client.multicast(flow, "one", [{"tel": [CUSTOMER]}])
    contact = (await ask("POST", f"{agent}/next"))["contact"]["id"]
    presence = [(await ask("GET", agent))["presence"]]
    await ask("POST", f"{agent}/dial", {"contact": contact})
    await baresip.set_recording_aside(folder / f"{AGENT}.wav")
    await baresip.set_recording_aside(folder / f"{CUSTOMER}.wav")
    await trio.sleep(TALK_S)
    presence.append((await ask("GET", agent))["presence"])
    await ask("POST", f"{agent}/hangup", {"contact": contact})
    with trio.fail_after(CALL_S_MAX):
        while True:
            if (await ask("GET", f"contacts/{contact}"))["status"] == "completed":
                break
            # Another process has no event to wait for.
            await trio.sleep(0.1)
    [attempt] = (await ask("GET", f"contacts/{contact}"))["attempts"]
    presence.append((await ask("GET", agent))["presence"])
    return await ask("GET", f"attempts/{attempt['id']}"), presence


def write_voice(file: Path, hz: int) -> None:
    """A tone over noise."""
    seconds = np.arange(SAMPLE_RATE_HZ * TONE_S) / SAMPLE_RATE_HZ
    noise = np.random.default_rng(hz).normal(0, NOISE, len(seconds))
    samples = TONE_LEVEL * np.sin(2 * np.pi * hz * seconds) + noise
    with wave.open(str(file), "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(SAMPLE_RATE_HZ)
        writer.writeframes(samples.astype("<i2").tobytes())


def measure_delays(programs: Programs, file: Path) -> list[float]:
    """Milliseconds from each packet that baresip sent to the same sound on its way back to baresip."""
    said = subprocess.run(
        [
            *(programs.tshark, "-n", "-r", str(file), "-d", f"udp.port=={_ports()},rtp"),
            *("-Y", "rtp.p_type == 0", "-T", "fields"),
            *("-e", "frame.time_epoch", "-e", "udp.srcport", "-e", "rtp.payload"),
        ],
        check=True,
        capture_output=True,
        text=True,
        timeout=READ_S_MAX,
    )
    sent: dict[str, float] = {}
    delays_ms = []
    for line in said.stdout.splitlines():
        at, port, payload = line.split("\t")
        if int(port) in RTP_PORTS:
            sent.setdefault(payload, float(at))
        elif payload in sent:
            delays_ms.append(1000 * (float(at) - sent[payload]))
    return delays_ms


def _ports() -> str:
    return f"{RTP_PORTS[0]}-{RTP_PORTS[-1]}"


def test_each_telephone_hears_the_other_and_nothing_else(talk: Talk) -> None:
    heard = {number: measure_tones(sound) for number, sound in talk.heard.items()}
    assert {number: [*tones] for number, tones in heard.items()} == {
        AGENT: [TONES_HZ[CUSTOMER]],
        CUSTOMER: [TONES_HZ[AGENT]],
    }
    assert all(seconds > HEARD_S_MIN for tones in heard.values() for seconds in tones.values())


def test_the_bridge_adds_less_than_forty_milliseconds(talk: Talk) -> None:
    if talk.delays_ms is None:
        pytest.skip("this user may not capture on lo: root may, and the group `wireshark`")
    assert len(talk.delays_ms) > 2 * HEARD_S_MIN / 0.02 * SHARE
    late_ms = float(np.quantile(talk.delays_ms, SHARE))
    print(f"\nthe bridge adds {np.median(talk.delays_ms):.1f} ms, {late_ms:.1f} ms at {SHARE:.0%}")
    assert late_ms < DELAY_MS_MAX


def test_the_record_names_the_agent_and_the_leg(talk: Talk) -> None:
    [leg] = talk.attempt["legs"]
    assert (leg["number"], leg["outcome"], leg["sip_code"]) == (AGENT, "answered", 200)
    assert (talk.attempt["number"], talk.attempt["disposition"]) == (CUSTOMER, "answered")
    assert talk.attempt["agent"] == leg["agent"]
    assert talk.presence == ["busy", "busy", "available"]
