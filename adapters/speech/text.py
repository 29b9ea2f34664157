"""What may be spoken: plain text of a bounded length, with nothing in it that a synthesiser obeys.

Texts carry what strangers wrote: a name from a list, an answer of somebody's server. Synthesisers know
markup (SSML), phonemes in double brackets, and commands behind control characters; a text reaches them
with none of these. What a person would read out stays.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from engine.ports.speech import SpeechRefused

TEXT_LENGTH_MAX: Final = 2_000
"""Characters of one text: about two minutes of speech."""

_SPACES: Final = frozenset("\t\n\r")
"""Control characters that are meant as space."""
_JOINERS: Final = frozenset("\u200c\u200d")
"""Format characters without which Persian and the scripts of India read differently."""
_TAG_OPENER: Final = re.compile(r"<(?=[^\W\d_]|[/!?])")
"""The bracket that begins a tag of XML. One that stands before a space or a digit is a sign."""
_DOUBLE_BRACKET: Final = re.compile(r"\[(?=\[)|\](?=\])")


def read_text(text: str) -> str:
    """The text as it is spoken: composed (NFC), each run of space one space, markup taken apart. Texts
    that sound the same for sure become the same.

    Raises `SpeechRefused` (`no_text`, `text_too_long`, `forbidden_character`).
    """
    if len(text) > TEXT_LENGTH_MAX:
        raise SpeechRefused("text_too_long", f"a text has at most {TEXT_LENGTH_MAX} characters")
    if not (text.isascii() and text.isprintable()):
        text = unicodedata.normalize("NFC", "".join(map(_read_character, text)))
    text = _TAG_OPENER.sub(" ", text)
    text = _DOUBLE_BRACKET.sub(r"\g<0> ", text)
    text = " ".join(text.split())
    if not text:
        raise SpeechRefused("no_text", "there is no text to speak")
    return text


def _read_character(character: str) -> str:
    """A character as it is spoken; nothing, or a space, for one that is not."""
    match unicodedata.category(character):
        case "Cc" if character not in _SPACES:
            number = ord(character)
            raise SpeechRefused(
                "forbidden_character", f"a text has no control characters; there is U+{number:04X}"
            )
        case "Cs":
            raise SpeechRefused("forbidden_character", "half of a surrogate pair is no character")
        case "Cf":
            return character if character in _JOINERS else ""
        case "Cc" | "Co" | "Cn":
            return " "
        case _:
            return character
