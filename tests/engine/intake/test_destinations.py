"""Where calls may go, and the ranges that a prefix has to name; against the library's own verdicts."""

from __future__ import annotations

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import PhoneNumberType

from engine.intake.destinations import WHOLE_CODES, find_refusal
from engine.intake.numbers import NumberProblem, read_number

COSTLY = (
    PhoneNumberType.PREMIUM_RATE,
    PhoneNumberType.SHARED_COST,
    PhoneNumberType.PERSONAL_NUMBER,
    PhoneNumberType.PAGER,
)
PEOPLE = (
    PhoneNumberType.FIXED_LINE,
    PhoneNumberType.MOBILE,
    PhoneNumberType.FIXED_LINE_OR_MOBILE,
    PhoneNumberType.TOLL_FREE,
    PhoneNumberType.VOIP,
)
EVERY_CODE = tuple(f"+{digit}" for digit in range(1, 10))


def examples(kinds: tuple[int, ...]) -> set[str]:
    """A number of each kind in each country, E.164."""
    found = (
        phonenumbers.example_number_for_type(region, kind)
        for region in phonenumbers.SUPPORTED_REGIONS
        for kind in kinds
    )
    return {
        phonenumbers.format_number(one, phonenumbers.PhoneNumberFormat.E164)
        for one in found
        if one is not None and phonenumbers.number_type(one) in kinds
    }


def test_a_prefix_as_wide_as_a_country_lets_people_be_called_and_no_costly_range() -> None:
    people, costly = examples(PEOPLE), examples(COSTLY)
    assert (len(people) > 600, len(costly) > 150) == (True, True)
    for number in people:
        assert find_refusal(number, EVERY_CODE) is None, number
    for number in costly:
        code = phonenumbers.parse(number).country_code
        for wide in (EVERY_CODE, (f"+{code}",)):
            assert find_refusal(number, wide) is not None, number
        assert find_refusal(number, (f"+{code}", number[: len(str(code)) + 4])) is None, number


@pytest.mark.parametrize("code", sorted(WHOLE_CODES))
def test_a_code_that_is_nobodys_country_is_called_only_where_it_is_named(code: str) -> None:
    number = f"+{code}12345678"
    assert find_refusal(number, ("+8", "+9")) is not None
    assert find_refusal(number, (f"+{code}",)) is None
    assert find_refusal(number, ("+8", "+9", f"+{code}1")) is None


@pytest.mark.parametrize(
    ("destinations", "is_refused"),
    [((), True), (("+1",), True), (("+19",), True), (("+1900",), False), (("+1", "+1900"), False)],
)
def test_premium_numbers_of_america_are_named_by_their_area_code(
    destinations: tuple[str, ...], is_refused: bool
) -> None:
    found = read_number("+1 900 555 0123", destinations)
    if is_refused:
        assert isinstance(found, NumberProblem)
        assert found.code == "number_not_allowed"
    else:
        assert found == "+19005550123"


def test_a_refusal_says_what_to_do() -> None:
    assert find_refusal("+19005550123", ("+1",)) == (
        "+19005550123 is a premium-rate number, which only a destination such as +1900 lets be called."
    )
    assert find_refusal("+88161234567", ("+8",)) == (
        "+88161234567 is a satellite number, which only a destination such as +881 lets be called."
    )


@given(st.from_regex(r"\+[1-9][0-9]{3,14}", fullmatch=True), st.lists(st.sampled_from(EVERY_CODE)))
def test_no_number_outside_the_list_is_let_through(number: str, destinations: list[str]) -> None:
    is_inside = number.startswith(tuple(destinations))
    assert is_inside or find_refusal(number, tuple(destinations)) is not None
