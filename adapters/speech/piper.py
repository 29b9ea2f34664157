"""Piper, where the operator has put voice files: neural voices, by the optional package `piper-tts`.

A voice is two files beside each other, `NAME.onnx` and `NAME.onnx.json`. Piper runs only in worker
processes: a voice takes some hundred MB of memory there, once.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from msgspec import Struct

from adapters.speech.synthesiser import (
    SOUND_S_MAX,
    Description,
    Sound,
    SynthesiserMissing,
    refuse_long_sound,
)
from engine.ports.speech import Voice

PACKAGE: Final = "piper-tts"
VOICES_OPEN_MAX: Final = 4
"""Voices that one process keeps loaded."""


class PiperSynthesiser(Struct, frozen=True):
    """Piper with the operator's voices."""

    voices: tuple[tuple[str, str], ...]
    """Name, as flows say it → path of the voice's `.onnx` file."""

    def describe(self) -> Description:
        """See `Synthesiser`. The version covers what is in the files, so that a voice that was trained
        on is heard at once."""
        try:
            release = importlib.metadata.version(PACKAGE)
        except importlib.metadata.PackageNotFoundError:
            raise SynthesiserMissing(f"voices of piper need it: pip install {PACKAGE}") from None
        digest = hashlib.sha256()
        voices = []
        for name, path in self.voices:
            try:
                for file in (Path(path), _settings_file(path)):
                    with file.open("rb") as opened:
                        digest.update(hashlib.file_digest(opened, "sha256").digest())
                language = _read_language(path)
            except (OSError, msgspec.MsgspecError) as error:
                raise SynthesiserMissing(
                    f"the piper voice {name} cannot be read: {error}"
                ) from None
            voices.append(Voice(name, language, f"piper voice {Path(path).stem}"))
        return Description(f"piper {release} {digest.hexdigest()[:16]}", tuple(voices))

    def make(self, text: str, voice: str) -> Sound:
        """See `Synthesiser`."""
        opened = _open_voice(dict(self.voices)[voice])
        pieces = []
        rate_hz = int(opened.config.sample_rate)
        left = int(SOUND_S_MAX * rate_hz)
        for chunk in opened.synthesize(text):
            pieces.append(np.frombuffer(chunk.audio_int16_bytes, np.int16))
            left -= len(pieces[-1])
            if left < 0:
                raise refuse_long_sound()
        return Sound(np.concatenate(pieces) if pieces else np.zeros(0, np.int16), rate_hz)


class _EspeakSettings(Struct):
    voice: str = ""


class _VoiceSettings(Struct):
    """The part of a voice's settings that is read here."""

    espeak: _EspeakSettings = msgspec.field(default_factory=_EspeakSettings)


def _settings_file(path: str) -> Path:
    return Path(f"{path}.json")


def _read_language(path: str) -> str:
    settings = msgspec.json.decode(_settings_file(path).read_bytes(), type=_VoiceSettings)
    return settings.espeak.voice.lower()


@lru_cache(maxsize=VOICES_OPEN_MAX)
def _open_voice(path: str) -> Any:
    """A voice, loaded once in each process because that takes a second."""
    return importlib.import_module("piper").PiperVoice.load(path)
