"""Room is never given twice, and comes back whole."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from adapters.media.plane.extents import Extents

BLOCKS = 40


@given(st.lists(st.tuples(st.booleans(), st.integers(1, BLOCKS)), max_size=60))
def test_first_fit_agrees_with_a_map_of_every_block(steps: list[tuple[bool, int]]) -> None:
    extents = Extents(BLOCKS)
    taken: list[tuple[int, int]] = []
    free = [True] * BLOCKS
    for is_taking, number in steps:
        if is_taking:
            fits = (at for at in range(BLOCKS - number + 1) if all(free[at : at + number]))
            expected = next(fits, None)
            assert extents.take(number) == expected
            if expected is not None:
                free[expected : expected + number] = [False] * number
                taken.append((expected, number))
        elif taken:
            first, count = taken.pop(number % len(taken))
            extents.give_back(first, count)
            free[first : first + count] = [True] * count
    for first, count in taken:
        extents.give_back(first, count)
    assert extents.take(BLOCKS) == 0
