"""What makes sound of text, seen from this room: an engine that runs in a worker process."""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from engine.ports.speech import SpeechRefused, Voice

SOUND_S_MAX: Final = 300.0
"""The longest sound that is made of one text."""


class SynthesiserMissing(Exception):
    """The synthesiser, or a file of it, is not installed; the message says what to install."""


class Sound(NamedTuple):
    """One channel of sound."""

    samples: NDArray[np.int16]
    rate_hz: int


class Description(Struct, frozen=True):
    """What a synthesiser says of itself."""

    version: str
    """Its name and everything that changes how it sounds: another version makes all texts anew."""
    voices: tuple[Voice, ...]
    aliases: dict[str, str] = {}
    """Further names of voices, in small letters → the voice's name."""
    variants: tuple[str, ...] = ()
    """What may follow any voice's name behind a `+`, and alters it."""


class Synthesiser(Protocol):
    """Made of values only, because it is sent to worker processes; its methods are called there."""

    def describe(self) -> Description:
        """Raises `SynthesiserMissing`."""

    def make(self, text: str, voice: str) -> Sound:
        """The text, spoken. Raises `SpeechRefused` where it would sound for longer than `SOUND_S_MAX`,
        and whatever goes wrong inside.

        Args:
            text: as `read_text` leaves it.
            voice: a name of `describe`'s, in its very letters, with `+` and a variant or without.
        """


def refuse_long_sound() -> SpeechRefused:
    """The error for a text that does not end."""
    return SpeechRefused("text_too_long", f"the text sounds for longer than {SOUND_S_MAX:g} s")
