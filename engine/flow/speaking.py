"""Values as a voice is to say them: dates, times, money, digits one by one. Pure.

A speech synthesiser reads `12/03/2030` and `USD 12.50` as it likes, so that whatever has a form is written
out in the flow's language first. A value that is not of the form is said as it stands: a call does not
fail for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_time
from babel.numbers import format_currency, format_decimal, get_currency_name
from num2words import CONVERTER_CLASSES, num2words
from phonenumbers import NumberParseException, PhoneNumberFormat, format_number, parse

from engine.model.variable import (
    Variable,
    read_date,
    read_datetime,
    read_digits,
    read_money,
    read_number,
    read_phone,
    read_time,
)

LANGUAGES_REMEMBERED: Final = 64
LANGUAGE_LENGTH_MAX: Final = 20
"""Characters of a language's name."""
_AND: Final = MappingProxyType({"en": " and", "de": " und", "fr": " et", "es": " con", "pt": " e"})
"""What stands between the two parts of an amount, where it is known."""


def find_locale(language: str) -> Locale | None:
    """The rules of a language, such as `en`, `en-GB` or `pt-BR` (BCP 47); None where they are not known."""
    if not language or len(language) > LANGUAGE_LENGTH_MAX:
        return None
    return _find_locale(language)


@lru_cache(maxsize=LANGUAGES_REMEMBERED)
def _find_locale(language: str) -> Locale | None:
    try:
        return Locale.parse(language, sep="-")
    except (UnknownLocaleError, ValueError):
        return None


def speak_as(form: str, text: str, language: str, argument: str = "") -> str:
    """A value in one of `FORMS`, written for a voice. An unknown form, or a value that is not of it, leaves
    the value as it is.

    Args:
        form: `date`, `money` ….
        text: the value.
        language: as `find_locale` takes it; an unknown one is spoken to as English.
        argument: of `money`, the currency (ISO 4217).
    """
    speak = FORMS.get(form)
    locale = find_locale(language) or Locale("en")
    return text if speak is None else speak(text, locale, argument)


def form_of(variable: Variable | None) -> tuple[str, str]:
    """How a variable is spoken where its text does not say: the form, and its argument."""
    if variable is None:
        return "plain", ""
    return _BY_TYPE.get(variable.type, "plain"), variable.currency or ""


def _speak_plain(text: str, _: Locale, __: str) -> str:
    return text


def _speak_number(text: str, locale: Locale, _: str) -> str:
    number = read_number(text)
    return (
        text
        if number is None
        else format_decimal(number, locale=locale, decimal_quantization=False)
    )


def _speak_money(text: str, locale: Locale, currency: str) -> str:
    amount = read_money(text)
    if amount is None:
        return text
    if not currency:
        return format_decimal(amount, locale=locale, decimal_quantization=False)
    return _in_words(amount, locale, currency) or format_currency(
        amount, currency, locale=locale, format_type="name"
    )


def _in_words(amount: Decimal, locale: Locale, currency: str) -> str | None:
    """`twelve dollars and fifty cents`; None where the words are not known."""
    language = locale.language
    converter = CONVERTER_CLASSES.get(language)
    if converter is None or currency not in getattr(converter, "CURRENCY_FORMS", {}):
        return None
    between = _AND.get(language, ",")
    try:
        words = str(
            num2words(amount, to="currency", lang=language, currency=currency, separator=between)
        )
    except (NotImplementedError, ValueError, KeyError, TypeError, IndexError, OverflowError):
        # It is well kept for the large languages, and has gaps in the others.
        return None
    whole, _, part = words.partition(f"{between} ")
    # Nobody says that there are no cents, or no dollars.
    if amount == amount.to_integral_value():
        return whole
    return part if part and abs(amount) < 1 else words


def _speak_date(text: str, locale: Locale, _: str) -> str:
    moment = read_datetime(text)
    day: date | None = moment.date() if moment is not None else read_date(text)
    return text if day is None else format_date(day, "long", locale=locale)


def _speak_day(text: str, locale: Locale, _: str) -> str:
    moment = read_datetime(text)
    day: date | None = moment.date() if moment is not None else read_date(text)
    return text if day is None else format_date(day, "full", locale=locale)


def _speak_time(text: str, locale: Locale, _: str) -> str:
    moment = read_datetime(text)
    at: time | None = moment.time() if moment is not None else read_time(text)
    return text if at is None else format_time(at, "short", locale=locale)


def _speak_datetime(text: str, locale: Locale, argument: str) -> str:
    moment: datetime | None = read_datetime(text)
    if moment is None:
        return text
    day = _speak_day(text, locale, argument)
    return f"{day}, {_speak_time(text, locale, argument)}"


def _speak_digits(text: str, _: Locale, __: str) -> str:
    digits = read_digits(text)
    return text if digits is None else " ".join(digits)


def _speak_phone(text: str, _: Locale, __: str) -> str:
    number = read_phone(text)
    if number is None:
        return text
    try:
        written = format_number(parse(number), PhoneNumberFormat.INTERNATIONAL)
    except NumberParseException:
        written = text
    # In the groups in which it is written down where it belongs; a comma is a short pause.
    return ", ".join(" ".join(group) for group in re.findall("[0-9]+", written))


FORMS: Final = MappingProxyType[str, Callable[[str, Locale, str], str]](
    {
        "plain": _speak_plain,
        "number": _speak_number,
        "money": _speak_money,
        "date": _speak_date,
        "day": _speak_day,
        "time": _speak_time,
        "datetime": _speak_datetime,
        "digits": _speak_digits,
        "phone": _speak_phone,
    }
)
"""What may stand behind a variable's name in a text: `{{due|date}}`."""

_BY_TYPE: Final = MappingProxyType(
    {
        "integer": "number",
        "number": "number",
        "money": "money",
        "date": "date",
        "time": "time",
        "datetime": "datetime",
        "digits": "digits",
        "phone": "phone",
    }
)


def is_currency(code: str) -> bool:
    """Whether there is such a currency (ISO 4217)."""
    return bool(get_currency_name(code, locale="en") != code)
