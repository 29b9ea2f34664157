"""In which time zones the bearer of a number may be, as far as its prefix tells. Pure."""

from __future__ import annotations

import re
from functools import cache
from typing import Final, NamedTuple

import phonenumbers
from phonenumbers import PhoneMetadata, PhoneNumberType
from phonenumbers.tzdata import TIMEZONE_DATA, TIMEZONE_LONGEST_PREFIX

NORTH_AMERICA: Final = "1"
"""Where fixed and mobile numbers have the same area codes, so that any number tells its area."""


class _Plan(NamedTuple):
    """What of a country code's numbers tells their zones."""

    zones: tuple[str, ...]
    """All that the country code may be in."""
    has_areas: bool
    """Whether every number tells its area: mobiles as well as fixed lines, or there is but one zone."""
    fixed: tuple[re.Pattern[str], ...]
    """National numbers of fixed lines, which tell theirs where mobiles do not."""


def zones_of(number: str) -> tuple[str, ...]:
    """IANA names of all zones that a number may be in; none where its prefix does not tell. About 2 µs.

    Where mobile numbers are not given out by area, a mobile has all zones of its country.

    Args:
        number: E.164 with `+`.
    """
    digits = number[1:]
    for width in (1, 2, 3):
        plan = _plan_of(digits[:width])
        if plan is None:
            continue
        national = digits[width:]
        if plan.has_areas or any(one.fullmatch(national) for one in plan.fixed):
            return _zones_of_prefix(digits)
        return plan.zones
    return ()


def _zones_of_prefix(digits: str) -> tuple[str, ...]:
    for length in range(TIMEZONE_LONGEST_PREFIX, 0, -1):
        zones = TIMEZONE_DATA.get(digits[:length])
        if zones is not None:
            return tuple(zones)
    return ()


@cache  # at most one entry for each string of one to three digits
def _plan_of(code: str) -> _Plan | None:
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(int(code)) if code else None
    if regions is None or code[0] == "0":
        return None
    zones = _zones_of_prefix(code)
    by_area = phonenumbers.is_number_type_geographical(PhoneNumberType.MOBILE, int(code))
    found = (PhoneMetadata.metadata_for_region(region) for region in regions)
    patterns = {
        one.fixed_line.national_number_pattern
        for one in found
        if one is not None and one.fixed_line is not None
    }
    return _Plan(
        zones,
        has_areas=code == NORTH_AMERICA or len(zones) <= 1 or by_area,
        fixed=tuple(re.compile(pattern) for pattern in sorted(filter(None, patterns))),
    )
