"""Piper: how it is asked, by a stand-in for its package; and the real one where a voice is at hand."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from adapters.speech import piper
from adapters.speech.piper import PiperSynthesiser
from adapters.speech.synthesiser import SynthesiserMissing
from engine.ports.speech import SpeechRefused, Voice

STAND_IN = """
import numpy as np

loaded = []

class Settings:
    sample_rate = 16_000

class Chunk:
    def __init__(self, count):
        self.audio_int16_bytes = np.full(count, 7, np.int16).tobytes()

class PiperVoice:
    config = Settings()

    @staticmethod
    def load(path):
        loaded.append(path)
        return PiperVoice()

    def synthesize(self, text):
        return (Chunk(1_600 * len(sentence)) for sentence in text.split(".") if sentence)
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package that looks like piper-tts 1.8, in the place of any real one."""
    (tmp_path / "piper").mkdir()
    (tmp_path / "piper" / "__init__.py").write_text(STAND_IN)
    (tmp_path / "piper_tts-1.8.0.dist-info").mkdir()
    metadata = "Metadata-Version: 2.1\nName: piper-tts\nVersion: 1.8.0\n"
    (tmp_path / "piper_tts-1.8.0.dist-info" / "METADATA").write_text(metadata)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "piper", raising=False)
    piper._open_voice.cache_clear()
    yield
    piper._open_voice.cache_clear()
    sys.modules.pop("piper", None)


@pytest.fixture
def anna(tmp_path: Path) -> Path:
    """A voice's two files, which only the stand-in takes for a voice."""
    path = tmp_path / "de_DE-anna-low.onnx"
    path.write_bytes(b"weights")
    path.with_name(f"{path.name}.json").write_text('{"espeak": {"voice": "de"}, "audio": {}}')
    return path


@pytest.mark.usefixtures("package")
def test_the_operator_s_voices_have_the_operator_s_names(anna: Path) -> None:
    described = PiperSynthesiser((("Anna", str(anna)),)).describe()
    assert described.voices == (Voice("Anna", "de", "piper voice de_DE-anna-low"),)
    assert described.version.startswith("piper 1.8.0 ")


@pytest.mark.usefixtures("package")
def test_another_file_under_the_same_name_is_another_version(anna: Path) -> None:
    synthesiser = PiperSynthesiser((("Anna", str(anna)),))
    before = synthesiser.describe().version
    assert synthesiser.describe().version == before
    anna.write_bytes(b"better weights")
    assert synthesiser.describe().version != before


@pytest.mark.usefixtures("package")
def test_all_sentences_of_a_text_are_in_its_sound_and_a_voice_is_loaded_once(anna: Path) -> None:
    synthesiser = PiperSynthesiser((("Anna", str(anna)),))
    first, again = synthesiser.make("aa.bbb.", "Anna"), synthesiser.make("a", "Anna")
    assert (first.rate_hz, again.rate_hz) == (16_000, 16_000)
    np.testing.assert_array_equal(first.samples, np.full(8_000, 7, np.int16))
    np.testing.assert_array_equal(again.samples, np.full(1_600, 7, np.int16))
    assert importlib.import_module("piper").loaded == [str(anna)]


@pytest.mark.usefixtures("package")
def test_a_text_without_a_sentence_makes_no_sound(anna: Path) -> None:
    assert len(PiperSynthesiser((("Anna", str(anna)),)).make("...", "Anna").samples) == 0


@pytest.mark.usefixtures("package")
def test_a_text_that_sounds_for_too_long_is_refused(
    anna: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(piper, "SOUND_S_MAX", 1.0)
    with pytest.raises(SpeechRefused) as caught:
        PiperSynthesiser((("Anna", str(anna)),)).make("a" * 11, "Anna")
    assert caught.value.code == "text_too_long"


def test_without_the_package_it_says_what_to_install(
    anna: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find_nothing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", find_nothing)
    with pytest.raises(SynthesiserMissing, match="pip install piper-tts"):
        PiperSynthesiser((("Anna", str(anna)),)).describe()


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize("settings", [None, "no json", "[]"])
def test_a_voice_that_cannot_be_read_is_named(anna: Path, settings: str | None) -> None:
    file = anna.with_name(f"{anna.name}.json")
    file.unlink() if settings is None else file.write_text(settings)
    with pytest.raises(SynthesiserMissing, match="the piper voice Anna cannot be read"):
        PiperSynthesiser((("Anna", str(anna)),)).describe()


def test_a_real_voice_speaks() -> None:
    path = os.environ.get("CALLWHEEL_PIPER_VOICE")
    if path is None:
        pytest.skip("set CALLWHEEL_PIPER_VOICE to a piper voice (.onnx), and pip install piper-tts")
    synthesiser = PiperSynthesiser((("real", path),))
    [voice] = synthesiser.describe().voices
    sound = synthesiser.make("Good morning. This is a test.", voice.name)
    assert 0.5 < len(sound.samples) / sound.rate_hz < 10
