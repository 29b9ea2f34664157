"""What a list looks like from afar: to which countries its numbers belong, and when its contacts start."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from typing import Final

import phonenumbers

from engine.drafts import Draft

MOMENTS_MAX: Final = 1_000
"""Start times that are told apart; where there are more they are rounded down, ever more coarsely."""
SHARED_DIGITS: Final = 7
"""Digits after the `+` by which the countries that share a code are told apart …"""
SHARED_DIGITS_NANP: Final = 4
"""… and in the North American plan, where the area code tells."""
SHAPES_MAX: Final = 500
"""Combinations of how many numbers, and how the first begins, that are told apart."""
SHAPE_WIDTH: Final = 7
"""So many characters of a number tell where its bearer is, but for few."""
KEPT_MAX: Final = 65_536
"""Beginnings of numbers whose region is remembered."""
WORLD: Final = "001"
"""The region of numbers that belong to no country (UN M.49)."""


class Outline:
    """Counts what it is shown."""

    def __init__(self) -> None:
        self.numbers = 0
        self.regions: Counter[str] = Counter()
        self._starts: Counter[float] = Counter()
        self._shapes: dict[tuple[int, str], tuple[str, int]] = {}
        self._grain_s = 0.0
        self.latest_at: float | None = None

    def note(self, draft: Draft) -> None:
        """Count a row that was taken."""
        self.numbers += len(draft.tel)
        for number in draft.tel:
            self.regions[region_of(number)] += 1
        shape = len(draft.tel), draft.tel[0][:SHAPE_WIDTH]
        if shape in self._shapes or len(self._shapes) < SHAPES_MAX:
            example, count = self._shapes.get(shape, (draft.tel[0], 0))
            self._shapes[shape] = example, count + 1
        at = draft.starttime
        if self.latest_at is None or at > self.latest_at:
            self.latest_at = at
        self._starts[at - at % self._grain_s if self._grain_s else at] += 1
        if len(self._starts) > MOMENTS_MAX:
            self._round()

    @property
    def starts(self) -> tuple[tuple[float, int], ...]:
        """(moment, contacts that start then), rising."""
        return tuple(sorted(self._starts.items()))

    @property
    def shapes(self) -> tuple[tuple[int, str, int], ...]:
        """(numbers, one that is like the first, contacts of which that is so), of nearly all contacts."""
        return tuple((tels, example, n) for (tels, _), (example, n) in self._shapes.items())

    def _round(self) -> None:
        while len(self._starts) > MOMENTS_MAX:
            self._grain_s = 2 * self._grain_s or 60.0
            rounded: Counter[float] = Counter()
            for at, count in self._starts.items():
                rounded[at - at % self._grain_s] += count
            self._starts = rounded


def region_of(number: str) -> str:
    """ISO 3166-1 alpha-2 of the country that a number in E.164 belongs to; `WORLD` for no country's."""
    for width in (1, 2, 3):
        regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(int(number[1 : 1 + width]))
        if regions is not None:
            if len(regions) == 1:
                return str(regions[0])
            digits = SHARED_DIGITS_NANP if number[1] == "1" else SHARED_DIGITS
            return _find_shared(number[: 1 + digits], len(number), str(regions[0]))
    return WORLD


@lru_cache(maxsize=KEPT_MAX)
def _find_shared(beginning: str, length: int, main: str) -> str:
    """The region of numbers of one length that begin alike, of which one that ends in twos stands for all."""
    number = phonenumbers.parse(beginning.ljust(length, "2"), None)
    return str(phonenumbers.region_code_for_number(number) or main)
