"""espeak-ng itself: it speaks, obeys nothing in a text, and harms only its own process."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import soxr
import trio

from adapters.media.codecs.g711 import LAWS
from adapters.media.prompts.files import prompt_file
from adapters.media.prompts.library import KeptPrompt, PromptLibrary
from adapters.media.prompts.loudness import level, measure_lufs
from adapters.speech.espeak import DATA_PATH_BYTES_MAX, EspeakSynthesiser, find_espeak
from adapters.speech.spoken_texts import SpeechStatistics, open_speech
from adapters.speech.synthesiser import Description, Sound, SynthesiserMissing
from adapters.workers import open_process_workers
from engine.ports.speech import SpeechFailed, SpeechRefused, Voice

REMINDER = "Hello Ann, this is Callwheel. Your appointment is tomorrow at nine."


@pytest.fixture(scope="session")
def espeak() -> EspeakSynthesiser:
    """espeak-ng; the test is skipped where there is none, or fails where it is required."""
    found = find_espeak()
    try:
        found.describe()
    except SynthesiserMissing as error:
        if os.environ.get("CALLWHEEL_REAL_PEERS") == "required":
            pytest.fail(str(error))
        pytest.skip(str(error))
    return found


class Crashing(NamedTuple):
    """espeak-ng with a text that ends its process, as a fault in C does."""

    espeak: EspeakSynthesiser

    def describe(self) -> Description:
        return self.espeak.describe()

    def make(self, text: str, voice: str) -> Sound:
        if text == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        return self.espeak.make(text, voice)


def duration_s(sound: Sound) -> float:
    return len(sound.samples) / sound.rate_hz


def test_it_says_which_voices_it_has(espeak: EspeakSynthesiser) -> None:
    described = espeak.describe()
    names = [voice.name for voice in described.voices]
    assert Voice("en-us", "en-us", "English (America)") in described.voices
    assert {"de", "es", "fr-fr", "hi", "pt-br"} <= set(names)
    assert (len(set(names)), described.version.split()[0]) == (len(names), "espeak-ng")
    assert {"f3", "m1", "whisper"} <= set(described.variants)


@pytest.mark.parametrize(
    ("voice", "text"),
    [
        ("en-us", "Good morning"),
        ("en-gb", "Good morning"),
        ("es", "Buenos días"),
        ("pt-br", "Bom dia"),
        ("fr-fr", "Bonjour à tous"),
        ("hi", "नमस्ते, आप कैसे हैं"),
        ("ta", "வணக்கம் நண்பரே"),
        ("ar", "صباح الخير"),
        ("cmn", "早上好，你好吗"),
        ("ru", "Доброе утро"),
    ],
)
def test_large_languages_are_spoken(espeak: EspeakSynthesiser, voice: str, text: str) -> None:
    sound = espeak.make(text, voice)
    assert 0.4 < duration_s(sound) < 4.0
    assert measure_lufs((sound.samples / 32_768).astype(np.float32)) > -35.0


def test_a_sentence_sounds_for_as_long_as_it_takes_to_say_it(espeak: EspeakSynthesiser) -> None:
    sound = espeak.make(REMINDER, "en-us")
    assert 2.5 < duration_s(sound) < 6.0
    assert 1_000 < float(np.abs(sound.samples).max()) <= 32_767


def test_voices_and_variants_sound_different(espeak: EspeakSynthesiser) -> None:
    made = {espeak.make(REMINDER, name).samples.tobytes() for name in ("en-us", "de", "en-us+f3")}
    assert len(made) == 3


@pytest.mark.parametrize("voice", ["xx", "", "en-us+", "en-us+nobody", "en-us+" + "x" * 300])
def test_a_voice_that_it_does_not_have_never_reaches_it(
    espeak: EspeakSynthesiser, voice: str
) -> None:
    with pytest.raises(LookupError, match="espeak-ng has no voice"):
        espeak.make("Hello", voice)


def test_markup_and_phonemes_are_read_out_and_never_obeyed(espeak: EspeakSynthesiser) -> None:
    """Even those that came past `read_text`: a break of an hour lasts no hour."""
    hour = espeak.make("<speak>hi<break time='3600s'/>you</speak>", "en-us")
    phonemes = espeak.make("[[h@l'oU]]", "en-us")
    assert (duration_s(hour) < 10, duration_s(phonemes) > 0.3) == (True, True)


def test_a_text_that_sounds_for_too_long_is_refused_and_the_next_is_spoken(
    espeak: EspeakSynthesiser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.speech.espeak.SOUND_S_MAX", 2.0)
    with pytest.raises(SpeechRefused) as caught:
        espeak.make(REMINDER, "en-us")
    assert caught.value.code == "text_too_long"
    assert duration_s(espeak.make("Hello", "en-us")) < 2.0


def test_where_there_is_none_it_says_what_to_install() -> None:
    nowhere = EspeakSynthesiser((("/nowhere/libespeak-ng.so.1", None),))
    with pytest.raises(SynthesiserMissing, match="pip install espeakng-loader, or apt-get install"):
        nowhere.describe()


def test_data_at_a_path_that_is_too_long_for_it_is_said_to_be() -> None:
    """A fault of espeak-ng 1.51 and 1.52, which would look for its data elsewhere."""
    deep = EspeakSynthesiser((("libespeak-ng.so.1", "/" + "d" * DATA_PATH_BYTES_MAX),))
    with pytest.raises(SynthesiserMissing, match="is longer than the 158 bytes it takes"):
        deep.describe()


async def test_a_thousand_calls_hear_one_sentence_that_a_worker_made_once(
    espeak: EspeakSynthesiser, tmp_path: Path
) -> None:
    """Through every part: espeak-ng in its process, the prompt library, both laws."""
    library = PromptLibrary(tmp_path)
    prompts: list[str] = []

    async def call() -> None:
        async with speech.make(REMINDER) as spoken:
            prompts.append(spoken.prompt)

    async with (
        open_process_workers(1) as workers,
        open_speech([espeak], workers, library) as speech,
    ):
        async with trio.open_nursery() as nursery:
            for _ in range(1_000):
                nursery.start_soon(call)
        [kept] = library.list_kept("say-")
        assert (set(prompts), len(prompts)) == ({kept.prompt_id}, 1_000)
        statistics = SpeechStatistics(1, kept.size_bytes, 0, made=1, reused=999, failed=0)
        assert speech.statistics() == statistics
    for law in LAWS.values():
        octets = np.frombuffer(prompt_file(tmp_path, kept.prompt_id, law).read_bytes(), np.uint8)
        sound = law.decode(octets) / 32_768
        assert measure_lufs(sound.astype(np.float32)) == pytest.approx(-20.0, abs=1.0)


def test_what_is_played_is_what_was_spoken(espeak: EspeakSynthesiser, tmp_path: Path) -> None:
    sound = espeak.make(REMINDER, "en-us")
    kept = PromptLibrary(tmp_path).add_samples("say-1", sound.samples, sound.rate_hz)
    spoken = soxr.resample(sound.samples / np.float32(32_768), sound.rate_hz, 8_000)
    count = len(spoken)
    frames = -(-count // 160)
    assert kept == KeptPrompt("say-1", frames * 0.02, frames * 320)
    for law in LAWS.values():
        octets = np.frombuffer(prompt_file(tmp_path, "say-1", law).read_bytes(), np.uint8)
        played = law.decode(octets)[:count]
        assert float(np.corrcoef(played, level(spoken))[0, 1]) > 0.995


async def test_a_crash_in_the_synthesiser_is_one_text_s_and_no_more(
    espeak: EspeakSynthesiser, tmp_path: Path
) -> None:
    async with (
        open_process_workers(1) as workers,
        open_speech([Crashing(espeak)], workers, PromptLibrary(tmp_path)) as speech,
    ):
        with pytest.raises(SpeechFailed, match="the worker process died"):
            async with speech.make("crash"):
                pass
        async with speech.make("Hello") as spoken:
            assert (tmp_path / f"{spoken.prompt}.ulaw").exists()
