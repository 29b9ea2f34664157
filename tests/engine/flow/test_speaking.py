"""Values as a voice is to say them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.flow.speaking import FORMS, find_locale, form_of, is_currency, speak_as
from engine.model.variable import Variable


@pytest.mark.parametrize(
    ("form", "text", "argument", "language", "spoken"),
    [
        ("date", "2030-03-03", "", "en", "March 3, 2030"),
        ("date", "2030-03-03", "", "de", "3. März 2030"),
        ("date", "2030-03-03T09:30", "", "en-GB", "3 March 2030"),
        ("day", "2030-03-03", "", "en", "Sunday, March 3, 2030"),
        ("time", "14:30", "", "de", "14:30"),
        ("datetime", "2030-03-03T14:30+05:30", "", "de", "Sonntag, 3. März 2030, 14:30"),
        ("money", "12.50", "USD", "en", "twelve dollars and fifty cents"),
        ("money", "12,5", "USD", "en", "twelve dollars and fifty cents"),
        ("money", "12", "USD", "en", "twelve dollars"),
        ("money", "0.50", "USD", "en", "fifty cents"),
        ("money", "12.00", "EUR", "de", "zwölf Euro"),
        ("money", "12.50", "", "en", "12.5"),
        ("money", "12.50", "XAU", "en", "12.50 troy ounces of gold"),
        ("number", "1234567.5", "", "en", "1,234,567.5"),
        ("digits", "47-1 1", "", "en", "4 7 1 1"),
        ("phone", "+1 (415) 555-0100", "", "en", "1, 4 1 5, 5 5 5, 0 1 0 0"),
        ("plain", "12.50", "", "en", "12.50"),
    ],
)
def test_a_value_is_written_as_it_is_to_be_said(
    form: str, text: str, argument: str, language: str, spoken: str
) -> None:
    assert speak_as(form, text, language, argument) == spoken


@pytest.mark.parametrize("form", FORMS)
def test_what_is_not_of_a_form_is_said_as_it_stands(form: str) -> None:
    assert speak_as(form, "soon, I hope", "en", "USD") == "soon, I hope"


@given(st.sampled_from(sorted(FORMS)), st.text(), st.text(max_size=30), st.text(max_size=8))
def test_nothing_that_a_list_brings_breaks_a_call(
    form: str, text: str, language: str, argument: str
) -> None:
    assert isinstance(speak_as(form, text, language, argument), str)


def test_a_variable_is_spoken_by_its_type_unless_the_text_says_otherwise() -> None:
    assert form_of(Variable(type="money", currency="INR")) == ("money", "INR")
    assert form_of(Variable()) == form_of(None) == ("plain", "")


def test_languages_and_currencies_that_are_not_there_are_known_as_such() -> None:
    assert [
        find_locale(name) is None for name in ("en", "pt-BR", "xx", "", "en/../..", "e" * 99)
    ] == [
        *(False, False),
        *(True, True, True, True),
    ]
    assert (is_currency("USD"), is_currency("ZZZ")) == (True, False)
