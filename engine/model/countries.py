"""Which country a number is in. Pure.

Some country codes are shared: +1 is that of 25 countries, and calls to some of them cost ten times what calls
to others do. So a country is told by more than its code, as phonenumbers knows it.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

import phonenumbers
from phonenumbers import PhoneMetadata

NOBODY: Final = "001"
"""What phonenumbers calls the region of a code that is nobody's country."""
_KINDS: Final = (
    "fixed_line",
    "mobile",
    "toll_free",
    "premium_rate",
    "shared_cost",
    "voip",
    "personal_number",
    "pager",
    "uan",
    "voicemail",
)


def country_of(number: str) -> str:
    """The country of a number, as ISO 3166-1 writes it (`IN`); of a code that is nobody's country, which is
    that of a satellite or the like, the code itself (`+881`). About 2 µs.

    Where a number fits none of the countries of its code it is taken to be in the first of them.

    Args:
        number: E.164 with `+`.
    """
    digits = number[1:]
    for width in (1, 2, 3):
        regions = _regions_of(digits[:width])
        if not regions:
            continue
        if regions == (NOBODY,):
            return f"+{digits[:width]}"
        if len(regions) == 1:
            return regions[0]
        national = digits[width:]
        for region, pattern in _patterns_of(regions):
            if pattern.match(national):
                return region
        return regions[0]
    return f"+{digits[:3]}"


def is_country(name: str) -> bool:
    """Whether numbers can be in a country that is written so."""
    if name.startswith("+"):
        return _regions_of(name[1:]) == (NOBODY,)
    return name in phonenumbers.SUPPORTED_REGIONS


def _regions_of(code: str) -> tuple[str, ...]:
    if not code.isascii() or not code.isdigit() or code[0] == "0":
        return ()
    return tuple(phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(int(code), ()))


@cache  # at most one entry for each country code that is shared
def _patterns_of(regions: tuple[str, ...]) -> tuple[tuple[str, re.Pattern[str]], ...]:
    """What the national numbers of each country look like, in the order of looking."""
    found = []
    for region in regions:
        metadata = PhoneMetadata.metadata_for_region(region)
        assert metadata is not None, "every region of a country code is described"
        if metadata.leading_digits is not None:
            pattern = f"(?:{metadata.leading_digits})"
        else:
            described = (getattr(metadata, kind) for kind in _KINDS)
            kinds = {one.national_number_pattern for one in described if one is not None}
            pattern = "(?:" + "|".join(f"(?:{one})" for one in sorted(filter(None, kinds))) + r")\Z"
        found.append((region, re.compile(pattern)))
    return tuple(found)
