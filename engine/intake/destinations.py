"""Where calls may go: the allow-list of prefixes, and the ranges that cost so much that a prefix has to name
them. Pure.

Whoever breaks into an account calls premium and satellite numbers whose owner shares the fee. So a prefix as
wide as a country leaves these ranges out; one that reaches into the range itself lets them in.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

import phonenumbers
from phonenumbers import PhoneMetadata

EVERYWHERE: Final = "+"
"""The one prefix, which no configuration can have, that names every range: of numbers that are not called."""
WHOLE_CODES: Final[dict[str, str]] = {
    "808": "shared-cost",
    "870": "satellite",
    "878": "personal-number",
    "881": "satellite",
    "882": "international-network",
    "883": "international-network",
    "888": "disaster-relief",
    "979": "premium-rate",
}
"""Country codes that are nobody's country (ITU-T E.164, list of assigned codes)."""
NAMING_DIGITS: Final = 2
"""Digits beyond the country code with which a prefix names a range …"""
NAMING_DIGITS_NANP: Final = 3
"""… and in the North American plan, whose ranges are area codes."""
_KINDS: Final = (
    ("premium_rate", "premium-rate"),
    ("shared_cost", "shared-cost"),
    ("personal_number", "personal-number"),
    ("pager", "pager"),
)


def find_refusal(number: str, destinations: tuple[str, ...]) -> str | None:
    """Why a number may not be called, one sentence for a person; None where it may be. About 3 µs.

    Args:
        number: E.164 with `+`.
        destinations: prefixes in E.164 with `+` of which the number must have one; none refuses every number.
    """
    if not number.startswith(destinations):
        return f"{number} is not in the destinations that this installation may call."
    found = _find_costly(number)
    if found is None:
        return None
    kind, code = found
    named = len(code) + 1
    if code not in WHOLE_CODES:
        named += NAMING_DIGITS_NANP if code == "1" else NAMING_DIGITS
    for prefix in destinations:
        if number.startswith(prefix) and (prefix == EVERYWHERE or len(prefix) >= named):
            return None
    wanted = number[:named]
    return f"{number} is a {kind} number, which only a destination such as {wanted} lets be called."


def costly_patterns(code: str) -> list[str]:
    """What national numbers of a country code look like that only a prefix of their own lets be called."""
    return [pattern.pattern for _, pattern in _patterns_of(code) or ()]


def _find_costly(number: str) -> tuple[str, str] | None:
    """What kind of costly number it is, if any, and its country code."""
    digits = number[1:]
    for width in (1, 2, 3):
        code = digits[:width]
        if code in WHOLE_CODES:
            return WHOLE_CODES[code], code
        patterns = _patterns_of(code)
        if patterns is None:
            continue
        national = digits[width:]
        for kind, pattern in patterns:
            if pattern.fullmatch(national):
                return kind, code
        return None
    return None


@cache  # at most one entry for each string of one to three digits
def _patterns_of(code: str) -> tuple[tuple[str, re.Pattern[str]], ...] | None:
    """Kinds of costly national numbers of a country code; None where there is no such code."""
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(int(code)) if code else None
    if regions is None or code[0] == "0":
        return None
    found = []
    for field, kind in _KINDS:
        patterns = set()
        for region in regions:
            metadata = PhoneMetadata.metadata_for_region(region)
            described = None if metadata is None else getattr(metadata, field)
            if described is not None and described.national_number_pattern is not None:
                patterns.add(described.national_number_pattern)
        if patterns:
            either = "|".join(f"(?:{one})" for one in sorted(patterns))
            found.append((kind, re.compile(either)))
    return tuple(found)
