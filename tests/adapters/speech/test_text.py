"""What reaches a synthesiser of a text that a stranger wrote."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.speech.text import TEXT_LENGTH_MAX, read_text
from engine.ports.speech import SpeechRefused


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("Hello, Ann.", "Hello, Ann."),
        ("  two\tlines\r\nand  spaces ", "two lines and spaces"),
        ("cafe\u0301", "café"),
        ("5 < 6 and 7 > 3, I <3 you", "5 < 6 and 7 > 3, I <3 you"),
        ("<speak>hi<break time='10s'/></speak>", "speak>hi break time='10s'/> /speak>"),
        ("<\u00adbreak/>", "break/>"),
        ("<!-- x --><?xml?>", "!-- x --> ?xml?>"),
        ("[[h@l'oU]] [one] [[[x]]]", "[ [h@l'oU] ] [one] [ [ [x] ] ]"),
        ("[\u200b[x]\u200b]", "[ [x] ]"),
        ("می‌خواهم", "می\u200cخواهم"),
        ("a\u202eb\ufeffc", "abc"),
        ("Ann \uf8ff Lee", "Ann Lee"),
        ("नमस्ते 🙂 日本語", "नमस्ते 🙂 日本語"),
        ("&lt;break/&gt;", "&lt;break/&gt;"),
        ("`rm -rf /`; $(reboot) --stdin", "`rm -rf /`; $(reboot) --stdin"),
    ],
)
def test_a_text_is_spoken_as_a_person_would_read_it(text: str, spoken: str) -> None:
    assert read_text(text) == spoken


@pytest.mark.parametrize(
    ("text", "code", "detail"),
    [
        ("", "no_text", "there is no text to speak"),
        (" \n\u00ad\ufeff ", "no_text", "there is no text to speak"),
        ("a" * 2_001, "text_too_long", "a text has at most 2000 characters"),
        ("\x01 400Shi", "forbidden_character", "a text has no control characters; there is U+0001"),
        ("a\0b", "forbidden_character", "a text has no control characters; there is U+0000"),
        ("a\x85b", "forbidden_character", "a text has no control characters; there is U+0085"),
        ("\ud83d", "forbidden_character", "half of a surrogate pair is no character"),
    ],
)
def test_what_cannot_be_spoken_is_refused_with_a_reason(text: str, code: str, detail: str) -> None:
    with pytest.raises(SpeechRefused) as caught:
        read_text(text)
    assert caught.value.args == (code, detail, ())


def test_a_text_of_the_longest_length_is_spoken() -> None:
    assert read_text("a" * TEXT_LENGTH_MAX) == "a" * TEXT_LENGTH_MAX


TEXTS = st.text(st.one_of(st.characters(), st.sampled_from("<>[]/!? \u200c\u00ad\n")), max_size=60)


@given(TEXTS)
def test_nothing_that_a_synthesiser_obeys_is_left(text: str) -> None:
    try:
        spoken = read_text(text)
    except SpeechRefused:
        return
    categories = {unicodedata.category(character) for character in spoken} - {"Cf"}
    assert not {category for category in categories if category.startswith("C")}
    assert re.search(r"\[\[|\]\]|<[a-zA-Z/!?]|\s\s", spoken) is None
    assert read_text(spoken) == spoken
