"""Where text becomes sound that calls can play."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Literal, Protocol

from msgspec import Struct


class Voice(Struct, frozen=True):
    """One way of speaking."""

    name: str
    """What a flow names it by, such as `en-us`."""
    language: str
    """The language that it speaks (BCP 47, in small letters)."""
    description: str
    """A few words for a person, such as `English (America)`."""


class SpokenText(Struct, frozen=True):
    """A text, spoken, where calls find it."""

    prompt: str
    """The id that `Call.play` takes."""
    duration_s: float


SpeechRefusedCode = Literal["no_text", "text_too_long", "forbidden_character", "unknown_voice"]


class SpeechRefused(Exception):
    """This text cannot be spoken in this voice, however often it is tried. `code` is stable; `detail`
    says what to do; `voices` are the names that there are, where an unknown one was asked for."""

    def __init__(self, code: SpeechRefusedCode, detail: str, voices: tuple[str, ...] = ()) -> None:
        super().__init__(code, detail, voices)
        self.code = code
        self.detail = detail
        self.voices = voices


class SpeechFailed(Exception):
    """The text was not spoken this time: its maker died or took too long, the disk refused, or too much
    is waiting. It may be tried again."""


class Speech(Protocol):
    """Speaks texts. What was spoken once is kept, so that it need not be spoken again."""

    async def list_voices(self) -> tuple[Voice, ...]:
        """The voices that there are; none where nothing is installed that speaks. Raises
        `SpeechFailed`."""

    async def find_voice(self, name: str | None, language: str | None = None) -> Voice:
        """The voice of this name; without a name, one that speaks the language (BCP 47), the same region
        before another; without both, the configured one, as it is where nothing speaks the language. Raises
        `SpeechRefused` (`unknown_voice`) for a name that there is not, and `SpeechFailed`."""

    async def check(self, text: str, voice: str | None = None) -> None:
        """Raise `SpeechRefused` for what `make` would refuse unmade, or `SpeechFailed`."""

    def make(self, text: str, voice: str | None = None) -> AbstractAsyncContextManager[SpokenText]:
        """The text as a prompt, which exists for as long as the block lasts. To have it made ahead, enter
        and leave at once: it is kept while there is room.

        Entering it raises `SpeechRefused` or `SpeechFailed`. Whoever is cancelled while waiting takes
        nothing from others who wait for the same text.

        Args:
            text: plain text; markup in it is read out or left out, never obeyed.
            voice: a voice's name; None is the configured one.
        """
