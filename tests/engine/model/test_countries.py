"""Countries of numbers, as phonenumbers itself has them."""

from __future__ import annotations

import phonenumbers
import pytest
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from engine.model.countries import country_of, is_country

EXAMPLES = sorted(
    {
        (phonenumbers.format_number(number, PhoneNumberFormat.E164), region)
        for region in phonenumbers.SUPPORTED_REGIONS
        for kind in PhoneNumberType.values()
        if (number := phonenumbers.example_number_for_type(region, kind)) is not None
    }
)


def test_every_example_number_is_in_the_country_that_phonenumbers_says() -> None:
    assert len(EXAMPLES) > 1_000
    found = {number: country_of(number) for number, _ in EXAMPLES}
    said = {
        number: phonenumbers.region_code_for_number(phonenumbers.parse(number))
        for number, _ in EXAMPLES
    }
    assert found == said


@pytest.mark.parametrize(
    ("number", "country"),
    [
        ("+14155550123", "US"),
        ("+18765550123", "JM"),
        ("+10005550123", "US"),
        ("+77012345678", "KZ"),
        ("+881612345678", "+881"),
        ("+80012345678", "+800"),
    ],
)
def test_shared_codes_and_codes_of_nobody(number: str, country: str) -> None:
    assert country_of(number) == country


def test_only_countries_that_numbers_can_be_in_are_known() -> None:
    assert [one for one in ("IN", "+881", "XX", "in", "+91", "+", "") if is_country(one)] == [
        "IN",
        "+881",
    ]
