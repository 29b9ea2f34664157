"""The voices of all synthesisers, and which of them a name means."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from adapters.speech.synthesiser import Description, Synthesiser
from engine.ports.speech import SpeechRefused, Voice

NAME_LENGTH_SHOWN_MAX: Final = 40
"""How much of an unknown name is repeated to whoever asked for it."""
_NEAR_MAX: Final = 5
"""Names that are shown because they are like the unknown one."""


class Speaker(NamedTuple):
    """Who speaks, and how."""

    synthesiser: Synthesiser
    version: str
    voice: str
    """In the synthesiser's own letters."""


class Catalogue:
    """Names are found whatever the size of their letters; of two equal ones the first is meant."""

    def __init__(self, synthesisers: Sequence[tuple[Synthesiser, Description]]) -> None:
        self._speakers: dict[str, tuple[Synthesiser, Description, str]] = {}
        voices: list[Voice] = []
        for synthesiser, description in synthesisers:
            for voice in description.voices:
                if voice.name.lower() not in self._speakers:
                    self._speakers[voice.name.lower()] = (synthesiser, description, voice.name)
                    voices.append(voice)
        self.voices: Final = tuple(voices)
        """All that can be named; aliases and variants are not among them."""
        self._by_name = {voice.name.lower(): voice for voice in voices}
        for synthesiser, description in synthesisers:
            for alias, name in description.aliases.items():
                self._speakers.setdefault(alias.lower(), (synthesiser, description, name))

    def find(self, name: str) -> Speaker:
        """Whom a name means. Raises `SpeechRefused` (`unknown_voice`), which says what there is."""
        base, plus, variant = name.lower().partition("+")
        found = self._speakers.get(base)
        if found is None:
            raise self._unknown(name)
        synthesiser, description, voice = found
        if not plus:
            return Speaker(synthesiser, description.version, voice)
        for known in description.variants:
            if known.lower() == variant:
                return Speaker(synthesiser, description.version, f"{voice}+{known}")
        raise self._unknown(name)

    def describe(self, name: str) -> Voice:
        """The voice that a name means, under that name. Raises `SpeechRefused` as `find` does."""
        self.find(name)
        _, _, own = self._speakers[name.lower().partition("+")[0]]
        voice = self._by_name[own.lower()]
        return msgspec.structs.replace(voice, name=name)

    def choose(self, language: str, preferred: str) -> Voice:
        """A voice that speaks a language (BCP 47): the preferred one if it does, else one of the same region,
        else one of another; the preferred one where nobody speaks it. Raises `SpeechRefused` as `find`
        does."""
        wanted, own = language.lower(), self.describe(preferred)
        primary, _, region = wanted.partition("-")

        def rank(voice: Voice) -> tuple[bool, bool]:
            is_own = voice.name == own.name
            return voice.language == wanted or (is_own and not region), is_own

        speaking = [
            voice for voice in (own, *self.voices) if voice.language.partition("-")[0] == primary
        ]
        return max(speaking, key=rank, default=own)

    def _unknown(self, name: str) -> SpeechRefused:
        names = tuple(voice.name for voice in self.voices)
        if not names:
            return SpeechRefused("unknown_voice", "nothing is installed that speaks")
        shown = name[:NAME_LENGTH_SHOWN_MAX]
        near = difflib.get_close_matches(shown.lower(), names, _NEAR_MAX, 0.3) or names[:_NEAR_MAX]
        detail = f"there is no voice {shown!r}; {len(names)} voices are installed, such as "
        return SpeechRefused("unknown_voice", detail + ", ".join(near), names)
