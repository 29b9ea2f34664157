"""Numbers as people and spreadsheets write them."""

from __future__ import annotations

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.intake.numbers import NumberProblem, ask_library, read_number, to_e164

EVERYWHERE = ("+",)
INDIAN = "+919876543210"


@pytest.mark.parametrize(
    "text",
    [
        "+919876543210",
        "919876543210",
        "00919876543210",
        "00 91 98765 43210",
        "+91 98765 43210",
        "+91-98765-43210",
        "+91.98765.43210",
        "+91 (98765) 43210",
        "[+91] 98765–43210",
        "  +91\u00a098765\u200943210\t",
        "\u202a+919876543210\u202c",
        "'+919876543210",
        "+91 ९८७६५ ४३२१०",
        "\uff0b91\uff19876543210",
        "+91 (0) 98765 43210",
    ],
)
def test_a_number_reads_the_same_in_every_spelling(text: str) -> None:
    assert read_number(text, EVERYWHERE) == INDIAN


@pytest.mark.parametrize(
    "text",
    [
        "9.19876E+11",
        "9,19876E+11",
        "9.19876543210e11",
        " 9.19876E+11 ",
        "9E+11",
        "9.E+11",
        "919876543210.0",
        "+919876543210.00",
        "919876543210,0",
        "919,876,543,210",
        "########",
    ],
)
def test_what_a_spreadsheet_damaged_is_never_guessed(text: str) -> None:
    detail = f"{text.strip()!r} was damaged by a spreadsheet; format the column as text."
    assert read_number(text, EVERYWHERE) == NumberProblem("spreadsheet_damage", detail)


@pytest.mark.parametrize(
    "text",
    [
        "hello",
        "+",
        "00",
        "0",
        "++919876543210",
        "91+9876543210",
        "+91987654321a",
        "1-800-FLOWERS",
        "+14155552671 ext. 5",
        "+14155552671;ext=5",
        "tel:+14155552671",
        "+0919876543210",
        "+9198",
        "+9198765432101234",
        "+2101234567890",
        "+١٢x",
        "²³⁴5678901",
        "\ud800",
        "1e5x",
    ],
)
def test_what_is_no_number_with_its_country_code_is_invalid(text: str) -> None:
    detail = f"{text!r} is not a phone number with its country code."
    assert read_number(text, EVERYWHERE) == NumberProblem("invalid_number", detail)


def test_a_text_as_long_as_a_book_is_invalid_and_shown_short() -> None:
    shown = "1" * 40 + "…"
    expected = NumberProblem(
        "invalid_number", f"{shown!r} is not a phone number with its country code."
    )
    assert read_number("1" * 1_000_000, EVERYWHERE) == expected


def test_a_number_outside_the_destinations_is_not_allowed() -> None:
    expected = NumberProblem(
        "number_not_allowed",
        "+447911123456 is not in the destinations that this installation may call.",
    )
    assert read_number("+44 7911 123456", ("+91", "+1")) == expected


def test_no_destination_at_all_refuses_every_number() -> None:
    found = read_number(INDIAN, ())
    assert isinstance(found, NumberProblem)
    assert found.code == "number_not_allowed"


def test_a_destination_may_be_longer_than_a_country_code() -> None:
    assert read_number("+14155552671", ("+1415",)) == "+14155552671"
    assert isinstance(read_number("+12125552671", ("+1415",)), NumberProblem)


def test_a_number_in_a_range_that_is_not_given_out_yet_is_tried() -> None:
    """Metadata grows stale: only the length counts."""
    assert read_number("+91 1111 111111", EVERYWHERE) == "+911111111111"
    assert not phonenumbers.is_valid_number(phonenumbers.parse("+911111111111"))


def test_the_example_number_of_every_region_is_taken() -> None:
    for region in phonenumbers.SUPPORTED_REGIONS:
        example = phonenumbers.example_number(region)
        assert example is not None
        number = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
        assert read_number(number, EVERYWHERE) == number


def test_the_fast_path_agrees_with_the_library_for_every_country_code_length_and_beginning() -> (
    None
):
    filling = "58213904676021358"
    for code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
        for length in range(1, 18):
            for beginning in ("0", "1", "15", "44", "6", "80", "9"):
                digits = f"{code}{(beginning + filling)[:length]}"
                assert to_e164(digits) == ask_library(digits), digits


@settings(deadline=None)
@given(st.from_regex(r"[0-9]{1,20}", fullmatch=True))
def test_the_fast_path_agrees_with_the_library_for_any_digits(digits: str) -> None:
    assert to_e164(digits) == ask_library(digits)


@settings(deadline=None)
@given(st.text() | st.text(alphabet="+0123456789 -.()eE,#'"))
def test_any_text_is_a_number_in_e164_or_has_a_problem(text: str) -> None:
    found = read_number(text, EVERYWHERE)
    if isinstance(found, str):
        assert found[0] == "+"
        assert found[1:].isascii()
        assert found[1:].isdecimal()
        assert read_number(found, EVERYWHERE) == found
