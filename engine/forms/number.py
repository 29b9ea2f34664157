"""What can be wrong with a number, or with a pace, that somebody sets up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from engine.form import Mistake
from engine.intake.numbers import NumberProblem, read_number

ANY_DESTINATION: Final = ("+",)
"""A number that calls come from, or that is not to be called, may be anywhere."""


def find_number_mistakes(text: Any, pointer: str) -> Iterator[Mistake]:
    number = read_number(text, ANY_DESTINATION) if isinstance(text, str) else None
    if isinstance(number, NumberProblem):
        yield Mistake(pointer, number.code, number.detail)


def find_pace_mistakes(cps: Any, pointer: str) -> Iterator[Mistake]:
    """A pace that no sliding second can hold exactly: 2.5 calls in a second."""
    if isinstance(cps, int | float) and cps > 1 and cps % 1:
        detail = "Calls a second are a whole number, or less than one: a call every 1/cps seconds."
        yield Mistake(pointer, "invalid_cps", detail)
