"""Which voice a name means."""

from __future__ import annotations

import pytest

from adapters.speech.catalogue import Catalogue
from adapters.speech.synthesiser import Description
from engine.ports.speech import SpeechRefused, Voice
from tests.adapters.speech.stand_ins import Parrot

PIPER, ESPEAK = Parrot("piper"), Parrot("espeak")
CATALOGUE = Catalogue(
    [
        (PIPER, Description("piper 1", (Voice("Anna", "de", "a"), Voice("pt", "pt", "b")))),
        (
            ESPEAK,
            Description(
                "espeak 2",
                (Voice("en-us", "en-us", "c"), Voice("pt", "pt", "d"), Voice("de", "de", "e")),
                aliases={"en": "en-us", "de": "en-us"},
                variants=("Alex", "f3"),
            ),
        ),
    ]
)


@pytest.mark.parametrize(
    ("name", "speaker"),
    [
        ("en-us", (ESPEAK, "espeak 2", "en-us")),
        ("EN-US", (ESPEAK, "espeak 2", "en-us")),
        ("anna", (PIPER, "piper 1", "Anna")),
        ("pt", (PIPER, "piper 1", "pt")),
        ("en", (ESPEAK, "espeak 2", "en-us")),
        ("de", (ESPEAK, "espeak 2", "de")),
        ("en-us+F3", (ESPEAK, "espeak 2", "en-us+f3")),
        ("en+alex", (ESPEAK, "espeak 2", "en-us+Alex")),
    ],
)
def test_a_name_means_the_first_voice_that_has_it(name: str, speaker: tuple[object, ...]) -> None:
    assert CATALOGUE.find(name) == speaker


@pytest.mark.parametrize(
    "name",
    ["", "en-uk", "en-us+", "en-us+f9", "en-us+f3+f3", "anna+f3", "../x", "+f3", "x" * 9_999],
)
def test_an_unknown_voice_is_refused_with_the_ones_there_are(name: str) -> None:
    with pytest.raises(SpeechRefused) as caught:
        CATALOGUE.find(name)
    refused = caught.value
    assert (refused.code, refused.voices) == ("unknown_voice", ("Anna", "pt", "en-us", "de"))
    assert len(refused.detail) < 200


def test_the_voices_that_are_like_the_unknown_one_are_named() -> None:
    with pytest.raises(SpeechRefused) as caught:
        CATALOGUE.find("en-uk")
    detail = "there is no voice 'en-uk'; 4 voices are installed, such as en-us"
    assert caught.value.detail == detail


def test_of_two_voices_of_one_name_one_is_listed() -> None:
    assert [voice.description for voice in CATALOGUE.voices] == ["a", "b", "c", "e"]


def test_where_nothing_speaks_every_voice_is_unknown() -> None:
    with pytest.raises(SpeechRefused) as caught:
        Catalogue([]).find("en-us")
    assert caught.value.args == ("unknown_voice", "nothing is installed that speaks", ())


@pytest.mark.parametrize(
    ("language", "preferred", "chosen"),
    [
        ("en", "en-us", "en-us"),
        ("de", "en-us", "Anna"),
        ("de", "de", "de"),
        ("de-AT", "en-us", "Anna"),
        ("PT-BR", "en-us", "pt"),
        ("fr", "en-us+f3", "en-us+f3"),
    ],
)
def test_a_language_is_spoken_by_the_preferred_voice_or_the_nearest(
    language: str, preferred: str, chosen: str
) -> None:
    assert CATALOGUE.choose(language, preferred).name == chosen


def test_a_voice_is_described_under_the_name_that_was_asked_for() -> None:
    assert CATALOGUE.describe("EN+f3") == Voice("EN+f3", "en-us", "c")
    with pytest.raises(SpeechRefused):
        CATALOGUE.describe("nobody")
