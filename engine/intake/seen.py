"""Which numbers a list has had already, and in which row: half a million of them in some 14 MB.

A dict of them would take four times as much, and the processes that judge lists are to stay small.
"""

from __future__ import annotations

from array import array
from typing import Final

_SLOTS_MIN: Final = 1 << 10


class SeenNumbers:
    """Numbers with their rows, in a hash table with linear probing that is at most half full.

    The place of a number follows from Python's own hash of its text, which is another in every process:
    nobody can make up a file whose numbers all meet in one place.
    """

    def __init__(self) -> None:
        self._count = 0
        self._make(_SLOTS_MIN)

    def __len__(self) -> int:
        return self._count

    def note(self, number: str, row: int) -> int:
        """Keep the number if it is new; the row that it was first seen in.

        Args:
            number: E.164 with `+`.
            row: from 1, below 2**32.
        """
        numbers, mask = self._numbers, self._mask
        digits = int(number)
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
