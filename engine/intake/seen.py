"""Which numbers a list has had already, and in which row: half a million of them in some 14 MB.

A dict of them would take four times as much, and the processes that judge lists are to stay small. The first
hundred thousand are in one all the same, which is as large by then: it is much quicker.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Final

FEW_MAX: Final = 110_000
"""Numbers that are kept in a dict."""


class SeenNumbers:
    """Numbers with their rows, in a hash table with linear probing that is at most half full.

    The place of a number follows from Python's own hash of its text, which is another in every process:
    nobody can make up a file whose numbers all meet in one place.
    """

    def __init__(self) -> None:
        self._count = 0
        self._few: dict[int, int] | None = {}
        """As long as there are few; the arrays are empty meanwhile."""
        self._make(2)

    def __len__(self) -> int:
        return self._count

    def note(self, number: str, row: int) -> int:
        """Keep the number if it is new; the row that it was first seen in.

        Args:
            number: E.164 with `+`.
            row: from 1, below 2**32.
        """
        digits = int(number)
        if self._few is not None:
            found = self._few.setdefault(digits, row)
            self._count = len(self._few)
            if self._count > FEW_MAX:
                self._spread(self._few)
            return found
        return self._note(number, digits, row)

    def note_all(self, numbers: Sequence[int], rows: Sequence[int]) -> bool:
        """Keep some numbers with their rows if all of them are new; whether they are.

        Args:
            numbers: the digits of E.164.
            rows: of each, as of `note`.
        """
        both = dict(zip(numbers, rows, strict=True))
        if len(both) < len(numbers) or not self._are_new(both):
            return False
        if self._few is not None and len(self._few) + len(both) <= FEW_MAX:
            self._few |= both
            self._count = len(self._few)
        else:
            for number, row in both.items():
                self.note(f"+{number}", row)
        return True

    def _are_new(self, numbers: dict[int, int]) -> bool:
        if self._few is not None:
            return self._few.keys().isdisjoint(numbers)
        kept, mask = self._numbers, self._mask
        for wanted in numbers:
            place = hash(f"+{wanted}") & mask
            while found := kept[place]:
                if found == wanted:
                    return False
                place = (place + 1) & mask
        return True

    def _spread(self, few: dict[int, int]) -> None:
        """From the dict into the arrays."""
        self._few, self._count = None, 0
        self._make(1 << (2 * len(few)).bit_length())
        for digits, row in few.items():
            self._note(f"+{digits}", digits, row)

    def _note(self, number: str, digits: int, row: int) -> int:
        numbers, mask = self._numbers, self._mask
        place = hash(number) & mask
        while found := numbers[place]:
            if found == digits:
                return self._rows[place]
            place = (place + 1) & mask
        numbers[place] = digits
        self._rows[place] = row
        self._count += 1
        if 2 * self._count > mask:
            self._grow()
        return row

    def _make(self, slots: int) -> None:
        self._mask = slots - 1
        self._numbers = array("Q", bytes(8 * slots))
        self._rows = array("I", bytes(4 * slots))

    def _grow(self) -> None:
        old_numbers, old_rows = self._numbers, self._rows
        self._make(2 * len(old_numbers))
        numbers, rows, mask = self._numbers, self._rows, self._mask
        for digits, row in zip(old_numbers, old_rows, strict=True):
            if digits:
                place = hash(f"+{digits}") & mask
                while numbers[place]:
                    place = (place + 1) & mask
                numbers[place] = digits
                rows[place] = row
