"""Uploads become prompts, or are refused with a reason."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from adapters.media.codecs.g711 import LAWS, encode_alaw, encode_ulaw
from adapters.media.prompts import library
from adapters.media.prompts.files import prompt_file
from adapters.media.prompts.library import KeptPrompt, PromptError, PromptLibrary
from adapters.media.prompts.loudness import CEILING, level, measure_lufs


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


def levelled(sound: NDArray[np.float64]) -> NDArray[np.int16]:
    """The samples that are to be encoded of a sound at 8 kHz."""
    scaled: NDArray[np.float32] = np.rint(level(sound.astype(np.float32)) * 32_768.0)
    return scaled.astype(np.int16)


def test_8_khz_mono_is_brought_to_its_loudness_and_encoded_sample_by_sample(tmp_path: Path) -> None:
    sound = np.rint(chirp(8_000, 0.5) * 32_767) / 32_768
    duration_s = PromptLibrary(tmp_path).add("hello", audio_file(sound, 8_000, "WAV", "PCM_16"))
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert (duration_s, files) == (
        0.5,
        {
            "hello.ulaw": encode_ulaw(levelled(sound)).tobytes(),
            "hello.alaw": encode_alaw(levelled(sound)).tobytes(),
        },
    )


@pytest.mark.parametrize("amplitude", [0.02, 0.1, 0.5, 1.0])
def test_soft_and_loud_recordings_become_equally_loud(tmp_path: Path, amplitude: float) -> None:
    sound = chirp(44_100, 3.0) * 2 * amplitude
    PromptLibrary(tmp_path).add("p", audio_file(sound, 44_100, "WAV", "PCM_16"))
    for law_number in LAWS:
        played = heard(tmp_path, "p", law_number)
        assert measure_lufs(played.astype(np.float32)) == pytest.approx(-20.0, abs=0.3)


def test_the_last_frame_is_filled_up_with_silence(tmp_path: Path) -> None:
    data = audio_file(np.full(161, 0.5), 8_000, "WAV", "PCM_16")
    duration_s = PromptLibrary(tmp_path).add("short", data)
    files = {path.name: path.read_bytes()[161:] for path in tmp_path.iterdir()}
    assert (duration_s, files) == (
        161 / 8_000,
        {
            "short.ulaw": b"\xff" * 159,
            "short.alaw": b"\xd5" * 159,
        },
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
    """Of two channels that are each other's opposite nothing is left."""
    opposites = np.stack([chirp(8_000, 1.0), -chirp(8_000, 1.0)], axis=1)
    PromptLibrary(tmp_path).add("p", audio_file(opposites, 8_000, "WAV", "PCM_24"))
    assert prompt_file(tmp_path, "p", LAWS[0]).read_bytes() == b"\xff" * 8_000


def test_sound_beyond_full_scale_and_no_numbers_are_clipped_not_wrapped(tmp_path: Path) -> None:
    samples = np.array([np.nan, np.inf, -np.inf, 1e38, -1e38, 0.0] * 100)
    PromptLibrary(tmp_path).add("p", audio_file(samples, 8_000, "WAV", "FLOAT"))
    loud = np.array([0.0, 1.0, -1.0, 1.0, -1.0, 0.0] * 100)
    octets = np.frombuffer(prompt_file(tmp_path, "p", LAWS[0]).read_bytes(), np.uint8)
    np.testing.assert_array_equal(octets[:600], encode_ulaw(levelled(loud)))


def test_a_recording_that_is_nearly_all_peaks_is_not_cut_off(tmp_path: Path) -> None:
    sound = chirp(8_000, 2.0) * 0.002
    sound[4_000::4_000] = 0.9
    PromptLibrary(tmp_path).add("p", audio_file(sound, 8_000, "WAV", "FLOAT"))
    for law_number in LAWS:
        assert float(np.abs(heard(tmp_path, "p", law_number)).max()) < CEILING * 1.03


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
    "a kind of sound file that is not asked for": (
        "p",
        audio_file(np.zeros(800), 8_000, "AIFF", "PCM_16"),
        "not_audio",
    ),
    "a picture in the place of sound": ("p", b"RIFF\x10\x00\x00\x00WEBPVP8 ", "not_audio"),
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


def test_a_file_that_unpacks_without_end_is_given_up_though_it_is_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """15 KB that decode to fifteen million samples, and play only ten seconds."""
    monkeypatch.setattr(library, "SOURCE_SAMPLES_MAX", 1_000_000)
    bomb = audio_file(np.zeros((1_920_000, 8)), 192_000, "FLAC", "PCM_16")
    assert len(bomb) < 20_000
    with pytest.raises(PromptError) as caught:
        PromptLibrary(tmp_path).add("p", bomb)
    assert (caught.value.code, list(tmp_path.iterdir())) == ("too_big", [])


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


def test_samples_of_a_synthesiser_become_a_prompt(tmp_path: Path) -> None:
    samples = (chirp(22_050, 1.003) * 32_767).astype(np.int16)
    kept = PromptLibrary(tmp_path).add_samples("say-1", samples, 22_050)
    assert kept == KeptPrompt("say-1", duration_s=1.02, size_bytes=16_320)
    for law_number in LAWS:
        assert likeness(heard(tmp_path, "say-1", law_number), chirp(8_000, 1.003)) > 0.99


@pytest.mark.parametrize(
    ("prompt_id", "count", "rate_hz", "code"),
    [
        ("../p", 800, 8_000, "bad_id"),
        ("p", 0, 8_000, "empty"),
        ("p", 800, 10, "not_audio"),
        ("p", 24_001, 8_000, "too_long"),
    ],
)
def test_samples_that_are_no_prompt_are_refused_and_leave_nothing(
    tmp_path: Path, prompt_id: str, count: int, rate_hz: int, code: str
) -> None:
    library = PromptLibrary(tmp_path, max_duration_s=3.0)
    with pytest.raises(PromptError) as caught:
        library.add_samples(prompt_id, np.zeros(count, np.int16), rate_hz)
    assert (caught.value.code, list(tmp_path.iterdir())) == (code, [])


def test_a_tone_is_a_prompt_like_any_other_and_as_loud(tmp_path: Path) -> None:
    kept = PromptLibrary(tmp_path).add_signal("tone:440/500ms")
    sound = heard(tmp_path, "tone-440-500ms", 0)
    strongest_hz = np.fft.rfftfreq(4_000, 1 / 8_000)[np.abs(np.fft.rfft(sound)).argmax()]
    assert (kept, strongest_hz) == (KeptPrompt("tone-440-500ms", 0.5, 8_000), 440.0)
    assert measure_lufs(sound.astype(np.float32)) == pytest.approx(-20.0, abs=0.3)


def test_silence_is_a_prompt_without_a_sound(tmp_path: Path) -> None:
    kept = PromptLibrary(tmp_path).add_signal("silence:2s")
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert (kept, files) == (
        KeptPrompt("silence-2000ms", 2.0, 32_000),
        {
            "silence-2000ms.ulaw": b"\xff" * 16_000,
            "silence-2000ms.alaw": b"\xd5" * 16_000,
        },
    )


def test_a_signal_is_made_once(tmp_path: Path) -> None:
    library = PromptLibrary(tmp_path)
    first = library.add_signal("tone:350+440/1s")
    made = {path.name: path.stat().st_ino for path in tmp_path.iterdir()}
    assert library.add_signal("tone:440+350/1000ms") == first
    assert {path.name: path.stat().st_ino for path in tmp_path.iterdir()} == made


def test_what_is_no_signal_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(PromptError) as caught:
        PromptLibrary(tmp_path).add_signal("tone:440")
    assert caught.value.args == (
        "bad_signal",
        "a signal is written silence:2s, tone:440/500ms or tone:350+440/2s",
    )


def test_prompts_are_listed_by_the_beginning_of_their_id_oldest_first(tmp_path: Path) -> None:
    library = PromptLibrary(tmp_path)
    for at, prompt_id in enumerate(("say-b", "prm_1", "say-a", "say-half")):
        library.add_samples(prompt_id, np.zeros(1_600 * (at + 1), np.int16), 8_000)
        for path in tmp_path.glob(f"{prompt_id}.*"):
            os.utime(path, ns=(at, at))
    (tmp_path / "say-half.alaw").unlink()
    assert library.list_kept("say-") == [
        KeptPrompt("say-b", 0.2, 3_200),
        KeptPrompt("say-a", 0.6, 9_600),
    ]


def test_a_discarded_prompt_is_gone_and_may_be_discarded_again(tmp_path: Path) -> None:
    library = PromptLibrary(tmp_path)
    library.add_signal("silence:1s")
    library.discard("silence-1000ms")
    library.discard("silence-1000ms")
    assert (library.find("silence-1000ms"), list(tmp_path.iterdir())) == (None, [])


def test_what_a_crash_left_is_tidied_away_and_nothing_else(tmp_path: Path) -> None:
    library = PromptLibrary(tmp_path)
    whole = library.add_signal("silence:1s")
    library.add_signal("silence:2s")
    (tmp_path / "silence-2000ms.ulaw").unlink()
    (tmp_path / ".prm_1.ulaw.k2j3h4").write_bytes(b"half")
    library.tidy()
    assert library.list_kept() == [whole]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "silence-1000ms.alaw",
        "silence-1000ms.ulaw",
    ]
