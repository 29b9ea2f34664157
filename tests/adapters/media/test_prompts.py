"""Uploads become prompts, or are refused with a reason."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from adapters.media.g711 import LAWS, ULAW, encode_alaw, encode_ulaw
from adapters.media.prompt_files import prompt_file
from adapters.media.prompts import PromptError, PromptLibrary


def chirp(rate_hz: int, duration_s: float) -> NDArray[np.float64]:
    """A tone that rises from 300 Hz to 1,500 Hz at half of full scale."""
    at_s = np.arange(int(rate_hz * duration_s)) / rate_hz
    rise = 1_200 / duration_s
    return 0.5 * np.sin(2 * np.pi * (300 * at_s + rise / 2 * at_s**2))


def audio_file(samples: NDArray[np.float64], rate_hz: int, kind: str, subtype: str) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate_hz, format=kind, subtype=subtype)
    return file.getvalue()


def heard(folder: Path, prompt_id: str, law_number: int) -> NDArray[np.float64]:
    law = LAWS[law_number]
    octets = np.frombuffer(prompt_file(folder, prompt_id, law).read_bytes(), np.uint8)
    return law.decode(octets).astype(np.float64) / 32_768


def likeness(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """The highest correlation of two sounds, at whatever delay within 1,000 samples."""
    size = min(len(one), len(other)) - 1_000
    return max(
        float(np.corrcoef(one[at : at + size], other[by : by + size])[0, 1])
        for shift in range(0, 1_000, 1)
        for at, by in ((shift, 0), (0, shift))
        if shift < 60 or shift % 10 == 0
    )


def test_8_khz_mono_is_encoded_sample_by_sample(tmp_path: Path) -> None:
    samples = (chirp(8_000, 0.5) * 32_767).astype(np.int16)
    data = audio_file(samples.astype(np.float64) / 32_768, 8_000, "WAV", "PCM_16")
    duration_s = PromptLibrary(tmp_path).add("hello", data)
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert (duration_s, files) == (
        0.5,
        {
            "hello.ulaw": encode_ulaw(samples).tobytes(),
            "hello.alaw": encode_alaw(samples).tobytes(),
        },
    )


def test_the_last_frame_is_filled_up_with_silence(tmp_path: Path) -> None:
    data = audio_file(np.full(161, 0.5), 8_000, "WAV", "PCM_16")
    duration_s = PromptLibrary(tmp_path).add("short", data)
    files = {path.name: path.read_bytes()[161:] for path in tmp_path.iterdir()}
    assert (duration_s, files) == (
        161 / 8_000,
        {"short.ulaw": b"\xff" * 159, "short.alaw": b"\xd5" * 159},
    )


@pytest.mark.parametrize(
    ("kind", "subtype", "rate_hz", "channels"),
    [
        ("WAV", "PCM_16", 44_100, 2),
        ("WAV", "PCM_U8", 11_025, 1),
        ("WAV", "FLOAT", 48_000, 6),
        ("WAV", "ULAW", 8_000, 1),
        ("FLAC", "PCM_24", 96_000, 1),
        ("OGG", "VORBIS", 22_050, 2),
        ("OGG", "OPUS", 48_000, 1),
        ("MP3", "MPEG_LAYER_III", 44_100, 2),
    ],
)
def test_any_format_rate_and_number_of_channels_sounds_the_same(
    tmp_path: Path, kind: str, subtype: str, rate_hz: int, channels: int
) -> None:
    source = np.repeat(chirp(rate_hz, 2.0)[:, None], channels, axis=1)
    duration_s = PromptLibrary(tmp_path).add("p", audio_file(source, rate_hz, kind, subtype))
    # MP3 adds its own lead-in; everything else keeps its length.
    assert duration_s == pytest.approx(2.0, abs=0.1 if kind == "MP3" else 0.001)
    for law_number in LAWS:
        assert likeness(heard(tmp_path, "p", law_number), chirp(8_000, 2.0)) > 0.99


def test_channels_are_mixed_not_chosen(tmp_path: Path) -> None:
    left_only = np.stack([chirp(8_000, 1.0), np.zeros(8_000)], axis=1)
    PromptLibrary(tmp_path).add("p", audio_file(left_only, 8_000, "WAV", "PCM_16"))
    sound = heard(tmp_path, "p", 0)
    assert float(np.abs(sound).max()) == pytest.approx(0.25, rel=0.05)


def test_sound_beyond_full_scale_and_no_numbers_are_clipped_not_wrapped(tmp_path: Path) -> None:
    samples = np.array([np.nan, np.inf, -np.inf, 1e38, -1e38, 0.0] * 100)
    PromptLibrary(tmp_path).add("p", audio_file(samples, 8_000, "WAV", "FLOAT"))
    loud = np.array([0, 32_767, -32_768, 32_767, -32_768, 0] * 100, np.int16)
    octets = np.frombuffer(prompt_file(tmp_path, "p", ULAW).read_bytes(), np.uint8)
    np.testing.assert_array_equal(octets[:600], encode_ulaw(loud))


REFUSED = {
    "nothing": ("p", b"", "empty"),
    "a WAV without a sample": ("p", audio_file(np.zeros(0), 8_000, "WAV", "PCM_16"), "empty"),
    "a text": ("p", b"tel1,name\n+14155550100,Ann\n" * 50, "not_audio"),
    "a WAV's head alone": ("p", b"RIFF\x24\x00\x00\x00WAVE", "not_audio"),
    "a rate that nobody uses": (
        "p",
        audio_file(np.zeros(900), 700, "WAV", "PCM_16"),
        "not_audio",
    ),
    "a second too much": ("p", audio_file(np.zeros(24_001), 8_000, "WAV", "PCM_16"), "too_long"),
    "an hour of silence in a few kilobytes": (
        "p",
        audio_file(np.zeros(8_000 * 600), 8_000, "FLAC", "PCM_16"),
        "too_long",
    ),
    "a large file": ("p", b"RIFF" * 200_000, "too_big"),
    "an id that climbs": ("../p", audio_file(np.zeros(800), 8_000, "WAV", "PCM_16"), "bad_id"),
    "an empty id": ("", audio_file(np.zeros(800), 8_000, "WAV", "PCM_16"), "bad_id"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_upload_that_is_no_prompt_is_refused_and_leaves_nothing(
    tmp_path: Path, name: str
) -> None:
    prompt_id, data, code = REFUSED[name]
    library = PromptLibrary(tmp_path, max_bytes=700_000, max_duration_s=3.0)
    with pytest.raises(PromptError) as caught:
        library.add(prompt_id, data)
    assert (caught.value.code, list(tmp_path.iterdir())) == (code, [])


SOUND = audio_file(chirp(16_000, 0.1), 16_000, "WAV", "PCM_16")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_file_is_a_prompt_or_a_prompt_error(tmp_path: Path, data: st.DataObject) -> None:
    damaged = bytearray(SOUND[: data.draw(st.integers(1, len(SOUND)))])
    for _ in range(data.draw(st.integers(0, 4))):
        damaged[data.draw(st.integers(0, min(59, len(damaged) - 1)))] = data.draw(
            st.integers(0, 255)
        )
    try:
        duration_s = PromptLibrary(tmp_path, max_duration_s=5.0).add("p", bytes(damaged))
    except PromptError:
        return
    assert 0 < duration_s <= 5.0


def test_a_disk_that_refuses_leaves_no_half_a_file(tmp_path: Path) -> None:
    folder = tmp_path / "prompts"
    library = PromptLibrary(folder)
    (folder / "p.ulaw").mkdir()
    with pytest.raises(OSError, match="directory"):
        library.add("p", SOUND)
    assert [path.name for path in folder.iterdir()] == ["p.ulaw"]
