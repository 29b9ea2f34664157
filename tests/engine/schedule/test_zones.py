"""Zones of numbers, against the library that the tables are of."""

from __future__ import annotations

import phonenumbers
import pytest
from phonenumbers import PhoneNumberType
from phonenumbers.timezone import UNKNOWN_TIMEZONE, time_zones_for_number

from engine.schedule.zones import zones_of

PEOPLE = (
    PhoneNumberType.FIXED_LINE,
    PhoneNumberType.MOBILE,
    PhoneNumberType.FIXED_LINE_OR_MOBILE,
)


@pytest.mark.parametrize("kind", PEOPLE)
def test_numbers_of_people_have_the_zones_that_the_library_gives_them(kind: int) -> None:
    """But for islands of the North American plan, whose mobiles it takes to be anywhere in the plan."""
    seen = 0
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        example = phonenumbers.example_number_for_type(region, kind)
        if example is None:
            continue
        number = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
        theirs = {zone for zone in time_zones_for_number(example) if zone != UNKNOWN_TIMEZONE}
        ours = zones_of(number)
        if number.startswith("+1"):
            assert set(ours) <= theirs, number
            assert ours or not theirs
        else:
            assert set(ours) == theirs, number
        seen += 1
    assert seen > 100


@pytest.mark.parametrize(
    ("number", "zones"),
    [
        ("+14155550123", ("America/Los_Angeles",)),
        ("+919876543210", ("Asia/Calcutta",)),
        ("+74951234567", ("Europe/Moscow",)),
        ("+80012345678", ()),
        ("+999123456789", ()),
        ("+0", ()),
        ("+", ()),
    ],
)
def test_a_number_tells_its_zones_or_none(number: str, zones: tuple[str, ...]) -> None:
    assert zones_of(number) == zones


def test_a_mobile_of_a_country_that_gives_no_areas_may_be_anywhere_in_it() -> None:
    assert {"Europe/Moscow", "Asia/Kamchatka"} < set(zones_of("+79161234567"))
