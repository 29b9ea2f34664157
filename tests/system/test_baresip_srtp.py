"""Calls to a real baresip whose sound is encrypted, and what each side heard of the other."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from msgspec import Struct

from adapters.http_client import HttpClient
from bench.installation import (
    Installation,
    make_config,
    make_flow,
    open_installation,
    wait_completed,
)
from tests.system.baresip import (
    RTP_PORTS,
    Programs,
    open_baresip,
    open_capture,
    read_recording,
    require_baresip,
)
from tests.system.test_baresip import (
    DID,
    INEXACT_S,
    PROMPT_HZ,
    PROMPT_S,
    Attempt,
    dial_everyone,
    get_attempts,
    measure_tones,
)

TONES_HZ = {f"+1415555{3000 + n}": 400 + 40 * n for n in range(3)}

pytestmark = [pytest.mark.peer, pytest.mark.punctual]


class Evening(Struct, frozen=True):
    """What is known of all calls after the last."""

    attempts: Sequence[Attempt]
    heard: Mapping[str, Mapping[int, float]]
    """By number, the tones that baresip heard."""
    trace: str
    """Of the first attempt, in full."""
    entropy: float | None
    """Distinct octets in the payloads on the wire; None where nobody may listen there."""


async def spend_evening(programs: Programs, folder: Path, srtp: str, mediaenc: str) -> Evening:
    """Call every number of a baresip that encrypts as it is told to, over a trunk with `srtp`."""
    capture = folder / "media.pcap"
    async with open_baresip(programs, folder, TONES_HZ, mediaenc=mediaenc) as baresip:
        config = make_config(folder / "data", f"sip:127.0.0.1:{baresip.port}")
        config += f'srtp = "{srtp}"\n'
        async with open_installation(folder, config) as engine:
            async with open_capture(programs, capture) as captured:
                flow = await dial_everyone(engine, baresip, folder, TONES_HZ)
            attempts = await get_attempts(engine, flow)
            trace = await read_trace(engine, flow)
    heard = {number: measure_tones(read_recording(folder / f"{number}.wav")) for number in TONES_HZ}
    return Evening(attempts, heard, trace, _spread(programs, capture) if captured else None)


async def read_trace(engine: Installation, flow: str) -> str:
    """The messages of the flow's first attempt."""
    headers = {"Authorization": f"Bearer {engine.admin_key}"}
    client = HttpClient()
    url = f"{engine.url}/v1/attempts?flow={flow}&limit=1"
    page = (await client.request("GET", url, headers=headers)).body.decode()
    attempt = page.partition('"id":"')[2].partition('"')[0]
    url = f"{engine.url}/v1/attempts/{attempt}/trace?full=true"
    return (await client.request("GET", url, headers=headers)).body.decode()


def _spread(programs: Programs, capture: Path) -> float:
    """How many of the 256 octets occur in what baresip has sent: a tone in μ-law has few."""
    said = subprocess.run(
        [
            *(programs.tshark, "-n", "-r", str(capture), "-Y", "rtp.p_type == 0", "-T", "fields"),
            *("-d", f"udp.port=={RTP_PORTS[0]}-{RTP_PORTS[-1]},rtp", "-e", "rtp.payload"),
        ],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    payloads = [bytes.fromhex(line.replace(":", "")) for line in said.stdout.splitlines()]
    return sum(len(set(payload)) for payload in payloads) / max(1, len(payloads))


@pytest.mark.parametrize(
    ("srtp", "mediaenc"),
    [("required", "srtp-mand"), ("optional", "srtp")],
)
async def test_baresip_and_we_hear_each_other_in_encrypted_calls(
    tmp_path: Path, srtp: str, mediaenc: str
) -> None:
    evening = await spend_evening(require_baresip(), tmp_path, srtp, mediaenc)
    assert {(one.number, one.disposition) for one in evening.attempts} == {
        (number, "answered") for number in TONES_HZ
    }
    assert {number: [*tones] for number, tones in evening.heard.items()} == {
        number: [PROMPT_HZ] for number in TONES_HZ
    }
    lengths = {number: tones[PROMPT_HZ] for number, tones in evening.heard.items()}
    assert lengths == pytest.approx(dict.fromkeys(TONES_HZ, PROMPT_S), abs=INEXACT_S)
    assert {one.media.loss for one in evening.attempts} == {0.0}
    assert "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:****" in evening.trace
    if evening.entropy is not None:
        # 170 octets by chance have some 124 different ones; a tone in μ-law far fewer.
        assert evening.entropy > 100


async def test_a_callee_that_does_not_encrypt_is_not_talked_to_where_that_is_required(
    tmp_path: Path,
) -> None:
    programs = require_baresip()
    async with open_baresip(programs, tmp_path, TONES_HZ) as baresip:
        config = make_config(tmp_path / "data", f"sip:127.0.0.1:{baresip.port}")
        async with open_installation(tmp_path, config + 'srtp = "required"\n') as engine:
            definition = {"start": "bye", "nodes": {"bye": {"type": "hangup"}}}
            flow = await make_flow(
                engine.client, {DID: 100}, definition=definition, settings={"attempts_max": 1}
            )
            number = next(iter(TONES_HZ))
            view = await engine.client.multicast(flow, "refused", [{"tel": [number]}])
            assert await wait_completed(engine.client, view.list) == {"failed": 1}
