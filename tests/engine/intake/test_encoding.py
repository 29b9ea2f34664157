"""Encodings of uploaded files."""

from __future__ import annotations

import codecs

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.intake.encoding import decode_text, has_unreadable, replace_unreadable

TEXT = "tel1,name\n+919876543210,Zoë Müller – €\n"


@pytest.mark.parametrize(
    "data",
    [
        TEXT.encode(),
        codecs.BOM_UTF8 + TEXT.encode(),
        codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"),
        codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"),
        TEXT.encode("utf-16-le"),
        TEXT.encode("utf-16-be"),
        TEXT.encode("cp1252"),
    ],
    ids=[
        "utf-8",
        "utf-8-bom",
        "utf-16-le-bom",
        "utf-16-be-bom",
        "utf-16-le",
        "utf-16-be",
        "cp1252",
    ],
)
def test_a_text_reads_the_same_in_every_encoding(data: bytes) -> None:
    assert decode_text(data) == TEXT


def test_one_broken_character_does_not_turn_a_utf8_file_into_windows_1252() -> None:
    data = "a,Zoë\nb,Jürgen\n".encode() + b"c,Mar\xeda\n"
    assert decode_text(data) == "a,Zoë\nb,Jürgen\nc,Mar\udceda\n"


def test_a_byte_that_windows_1252_does_not_have_is_marked() -> None:
    assert decode_text(b"M\xfcller,\x81") == "Müller,\udc81"


def test_half_a_character_at_the_end_of_utf16_is_marked() -> None:
    data = codecs.BOM_UTF16_LE + "tel1\n1".encode("utf-16-le") + b"x"
    assert decode_text(data) == "tel1\n1\udcff"


def test_marks_can_be_found_and_replaced() -> None:
    assert [has_unreadable(text) for text in ("Zoë", "Z\udceb")] == [False, True]
    assert replace_unreadable("Z\udceb!") == "Z\ufffd!"


@settings(deadline=None)
@given(st.binary() | st.text().map(lambda text: text.encode("utf-16")))
def test_any_bytes_decode(data: bytes) -> None:
    text = decode_text(data)
    assert has_unreadable(replace_unreadable(text)) is False


@settings(deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\x00\ufeff")))
def test_any_text_survives_utf8(text: str) -> None:
    assert decode_text(text.encode()) == text
