"""Phone numbers as people and spreadsheets write them → E.164, or the reason why not.

The check is lenient on purpose: a number is taken when its country code exists and its length is
possible there. Tables of valid ranges grow stale, and a wrong refusal costs more than a wrong try.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Final, Literal, NamedTuple

import phonenumbers
from msgspec import Struct

from engine.intake.destinations import WHOLE_CODES, costly_patterns, find_refusal

TEXT_LENGTH_MAX: Final = 64
"""Characters of a cell that can be a number at all, its brackets and blanks included."""
_DIGITS_MAX: Final = 20
_SHOWN_MAX: Final = 40

_DROPPED: Final = dict.fromkeys(
    (
        *map(ord, " \t\r\n.()[]-\u2010\u2011\u2012\u2013\u2014\u2015\u2212"),
        *map(ord, "\u00a0\u1680\u202f\u205f\u2060\u3000\ufeff"),  # blanks that are not the space
        *range(0x2000, 0x2010),  # more blanks, and the marks of writing direction that
        *range(0x202A, 0x202F),  # a number brings along when it is copied from an address book
        *range(0x2066, 0x206A),
    ),
    "",
)
_PLUS: Final = {**_DROPPED, 0xFF0B: "+"}  # the plus sign of full-width keyboards

_PLAIN: Final = re.compile(r"\+?[1-9][0-9]{3,18}")
_DAMAGED: Final = re.compile(
    r"""[+-]?[0-9]+(?:[.,][0-9]*)?[eE][+-]?[0-9]+   # 9.19876E+11, and 9,19876E+11 elsewhere
      | \+?[0-9]{7,}[.,]0+                          # 919876543210.0
      | [0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?       # 919,876,543,210
      | \#+                                         # a column that was too narrow
    """,
    re.VERBOSE,
)


class NumberProblem(Struct, frozen=True):
    """Why a text is not a number that may be dialled."""

    code: Literal["invalid_number", "number_not_allowed", "spreadsheet_damage"]
    detail: str


class _Plan(NamedTuple):
    """What the fast path knows of a country code."""

    lengths: frozenset[int]
    """Digits that may follow it."""
    prefix: re.Pattern[str] | None
    """What the library may strip or rewrite at the beginning of those digits."""


def read_number(text: str, destinations: tuple[str, ...]) -> str | NumberProblem:
    """The number in E.164 with `+`, or what is wrong with it.

    Args:
        text: digits with their country code; `+` or `00` before them, and blanks, dashes, dots and
            brackets among them, are welcome.
        destinations: prefixes in E.164 with `+` of which the number must have one; an empty tuple
            refuses every number. `engine.intake.destinations` says which a prefix has to name.
    """
    if _PLAIN.fullmatch(text):
        plain = text[1:] if text[0] == "+" else text
        pattern = _plain_pattern(plain[:3])
        if pattern is not None and pattern.fullmatch(plain):
            number: str | None = f"+{plain}"
            if f"+{plain}".startswith(destinations):
                return f"+{plain}"
        else:
            number = to_e164(plain)
    else:
        if _DAMAGED.fullmatch(text.strip()[:TEXT_LENGTH_MAX]):
            detail = f"{_show(text)} was damaged by a spreadsheet; format the column as text."
            return NumberProblem("spreadsheet_damage", detail)
        digits = _find_digits(text)
        number = to_e164(digits) if digits else None
    if number is None:
        detail = f"{_show(text)} is not a phone number with its country code."
        return NumberProblem("invalid_number", detail)
    refusal = find_refusal(number, destinations)
    if refusal is not None:
        return NumberProblem("number_not_allowed", refusal)
    return number


def find_plain_numbers(texts: Sequence[str], destinations: tuple[str, ...]) -> list[str]:
    """The numbers in E.164, of those texts that are plain ones which may be called; empty for all others,
    which are for `read_number`. A third of its price."""
    found = []
    patterns = _STARTS
    for text in texts:
        number = text if text[:1] == "+" else f"+{text}"
        start = number[1:4]
        pattern = patterns.get(start) or _find_start(start)
        if pattern.fullmatch(number, 1) and number.startswith(destinations):
            found.append(number)
        else:
            found.append("")
    return found


_NONE: Final = re.compile(r"(?!)")
_STARTS: Final[dict[str, re.Pattern[str]]] = {}
"""What plain numbers look like, by their first three digits: at most a thousand."""


def _find_start(start: str) -> re.Pattern[str]:
    if len(start) < 3 or not (start.isascii() and start.isdigit()):
        return _NONE
    pattern = _plain_pattern(start)
    _STARTS[start] = found = _NONE if pattern is None else pattern
    return found


def to_e164(digits: str) -> str | None:
    """E.164 with `+`, or None where the country code or the length does not exist.

    A plain number, which is nearly every one, is seen to be possible without the library's parser;
    the verdict is the library's in every case, and a test holds the two together.

    Args:
        digits: ASCII digits that begin with a country code.
    """
    for width in (1, 2, 3):
        plan = _read_plan(digits[:width])
        if plan is None:
            continue
        national = digits[width:]
        if len(national) not in plan.lengths or national[0] == "0":
            break
        if plan.prefix is not None and plan.prefix.match(national):
            break
        return f"+{digits}"
    return ask_library(digits)


def ask_library(digits: str) -> str | None:
    """The verdict of phonenumbers itself, at about 20 µs; arguments and result as of `to_e164`."""
    try:
        parsed = phonenumbers.parse(f"+{digits}", None)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(parsed):
        return None
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


@cache  # at most one entry for each string of three digits
def _plain_pattern(start: str) -> re.Pattern[str] | None:
    """What numbers that begin with these digits look like if nothing about them needs a closer look: that
    they are possible, and that calling them is not costly. The code is part of it; None where all need one.

    One match of it takes a tenth of the time of the checks that it stands for; a test holds the two together.
    """
    for width in (1, 2, 3):
        code = start[:width]
        plan = _read_plan(code)
        if plan is None:
            continue
        if code in WHOLE_CODES:
            return None
        looked_at = ["0"] if plan.prefix is None else ["0", plan.prefix.pattern]
        looked_at += [rf"(?:{pattern})\Z" for pattern in costly_patterns(code)]
        lengths = "|".join(f"[0-9]{{{length}}}" for length in sorted(plan.lengths))
        return re.compile(rf"{code}(?!{'|'.join(looked_at)})(?:{lengths})")
    return None


@cache  # at most one entry for each string of one to three digits
def _read_plan(code: str) -> _Plan | None:
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(int(code)) if code else None
    if regions is None or code[0] == "0":
        return None
    metadata = phonenumbers.PhoneMetadata.metadata_for_region_or_calling_code(int(code), regions[0])
    assert metadata is not None
    assert metadata.general_desc is not None
    lengths = {
        *metadata.general_desc.possible_length,
        *metadata.general_desc.possible_length_local_only,
    }
    prefix = metadata.national_prefix_for_parsing
    return _Plan(
        lengths=frozenset(length for length in lengths if length >= 2),
        prefix=re.compile(prefix) if prefix else None,
    )


def _find_digits(text: str) -> str | None:
    """The digits of a number in any spelling, country code first; None where it is something else."""
    if len(text) > TEXT_LENGTH_MAX:
        return None
    bare = text.strip().removeprefix("'").translate(_PLUS)  # ' keeps a spreadsheet from counting
    if bare.startswith("+"):
        bare = bare[1:]
    elif bare.startswith("00"):
        bare = bare[2:]
    if not bare.isascii():
        bare = "".join(str(int(sign)) if sign.isdecimal() else sign for sign in bare)
    if not bare.isascii() or not bare.isdigit() or len(bare) > _DIGITS_MAX:
        return None
    return bare


def _show(text: str) -> str:
    shown = text.strip()
    return repr(shown if len(shown) <= _SHOWN_MAX else f"{shown[:_SHOWN_MAX]}…")
