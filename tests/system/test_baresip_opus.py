"""Calls to a real baresip that are held in Opus, and what each side heard of the other."""

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

RATE_HZ = 48_000
"""Of the sound that Opus carries."""

pytestmark = pytest.mark.peer


async def test_baresip_hears_the_prompt_in_opus_and_we_hear_its_packets(tmp_path: Path) -> None:
    programs = require_baresip()
    async with open_baresip(
        programs, tmp_path, TONES_HZ, codecs="opus/48000/1", rate_hz=RATE_HZ
    ) as baresip:
        config = make_config(tmp_path / "data", f"sip:127.0.0.1:{baresip.port}")
        config += 'codecs = ["opus", "PCMU"]\n'
        async with open_installation(tmp_path, config) as engine:
            flow = await dial_everyone(engine, baresip, tmp_path, TONES_HZ)
            attempts = await get_attempts(engine, flow)
    log = (tmp_path / "baresip.log").read_text(errors="replace")
    assert "Set audio decoder: opus" in log
    assert {(one.number, one.disposition, one.media.loss) for one in attempts} == {
        (number, "answered", 0.0) for number in TONES_HZ
    }
    heard = {
        number: measure_tones(read_recording(tmp_path / f"{number}.wav", rate_hz=RATE_HZ), RATE_HZ)
        for number in TONES_HZ
    }
    assert {number: [*tones] for number, tones in heard.items()} == {
        number: [PROMPT_HZ] for number in TONES_HZ
    }
    lengths = {number: tones[PROMPT_HZ] for number, tones in heard.items()}
    assert lengths == pytest.approx(dict.fromkeys(TONES_HZ, PROMPT_S), abs=INEXACT_S)
