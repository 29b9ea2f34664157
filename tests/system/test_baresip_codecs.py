"""Calls to a real baresip that are held in wide-band codecs, and what each side heard of the other."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.installation import make_config, open_installation
from tests.system.baresip import open_baresip, read_recording, require_baresip
from tests.system.test_baresip import (
    INEXACT_S,
    PROMPT_HZ,
    PROMPT_S,
    dial_everyone,
    get_attempts,
    measure_tones,
)

TONES_HZ = {f"+1415555{3000 + n}": 400 + 40 * n for n in range(2)}

pytestmark = [pytest.mark.peer, pytest.mark.punctual]


@pytest.mark.parametrize(
    ("codec", "offered", "rate_hz"),
    [("G722", "G722", 16_000), ("opus", "opus/48000/1", 48_000)],
)
async def test_baresip_hears_the_prompt_in_a_wide_band_codec_and_we_hear_its_packets(
    tmp_path: Path, codec: str, offered: str, rate_hz: int
) -> None:
    """`offered` is the codec as baresip names it, `rate_hz` that of the sound that it carries."""
    programs = require_baresip()
    async with open_baresip(
        programs, tmp_path, TONES_HZ, codecs=offered, rate_hz=rate_hz
    ) as baresip:
        config = make_config(tmp_path / "data", f"sip:127.0.0.1:{baresip.port}")
        config += f'codecs = ["{codec}", "PCMU"]\n'
        async with open_installation(tmp_path, config) as engine:
            flow = await dial_everyone(engine, baresip, tmp_path, TONES_HZ)
            attempts = await get_attempts(engine, flow)
    log = (tmp_path / "baresip.log").read_text(errors="replace")
    assert f"Set audio decoder: {codec}" in log
    assert {(one.number, one.disposition, one.media.loss) for one in attempts} == {
        (number, "answered", 0.0) for number in TONES_HZ
    }
    heard = {
        number: measure_tones(read_recording(tmp_path / f"{number}.wav", rate_hz=rate_hz), rate_hz)
        for number in TONES_HZ
    }
    assert {number: [*tones] for number, tones in heard.items()} == {
        number: [PROMPT_HZ] for number in TONES_HZ
    }
    lengths = {number: tones[PROMPT_HZ] for number, tones in heard.items()}
    assert lengths == pytest.approx(dict.fromkeys(TONES_HZ, PROMPT_S), abs=INEXACT_S)
