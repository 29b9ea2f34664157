"""Sound is proven: what is uploaded is what a callee hears, sample by sample and without a gap."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
import trio
from numpy.typing import NDArray

from adapters.media.client import PlaneSettings
from adapters.media.codecs.g711 import LAWS
from adapters.media.prompts.library import PromptLibrary
from tests.adapters.media.callee import continuous, open_callee
from tests.adapters.media.planes import running_plane

pytestmark = pytest.mark.punctual

RATE_HZ = 8_000
LIKENESS_MIN = 0.999
"""Correlation; the noise of G.711's steps takes it from 1."""


def rising_tone() -> NDArray[np.float64]:
    """Two seconds in which no stretch is like another: a gap or a repetition would show."""
    at_s = np.arange(2 * RATE_HZ) / RATE_HZ
    swell = 0.3 + 0.1 * np.sin(2 * np.pi * 1.3 * at_s)
    return swell * np.sin(2 * np.pi * (250 * at_s + 400 * at_s**2))


@pytest.mark.parametrize("way", ["fastest", "sockets"])
@pytest.mark.parametrize("payload_type", [0, 8])
async def test_an_uploaded_prompt_is_heard_as_it_was(
    tmp_path: Path, way: str, payload_type: int
) -> None:
    original = rising_tone()
    file = io.BytesIO()
    soundfile.write(file, original, RATE_HZ, format="WAV", subtype="PCM_16")
    PromptLibrary(tmp_path).add("tone", file.getvalue())
    settings = PlaneSettings(way="sockets" if way == "sockets" else "fastest")
    async with (
        running_plane(tmp_path, settings) as plane,
        open_callee(payload_type) as callee,
        trio.open_nursery() as nursery,
    ):
        stream = await plane.open_stream()
        stream.connect(callee.remote)
        nursery.start_soon(stream.play, "tone")
        await callee.hear_anything_but_silence()
        await callee.hear_silence()
    assert [header for header, _ in callee.heard] == continuous(callee.heard, payload_type)
    octets = np.frombuffer(b"".join(frame for _, frame in callee.heard), np.uint8)
    heard = LAWS[payload_type].decode(octets).astype(np.float64)
    at = int(np.argmax(np.correlate(heard, original[:RATE_HZ], "valid")))
    whole = heard[at : at + len(original)]
    assert at % 160 == 0
    assert float(np.corrcoef(whole, original)[0, 1]) > LIKENESS_MIN
    # Each 20 ms by itself: the whole would forgive a short gap.
    worst = min(
        float(np.corrcoef(whole[n : n + 160], original[n : n + 160])[0, 1])
        for n in range(0, len(original), 160)
    )
    assert worst > 0.98
