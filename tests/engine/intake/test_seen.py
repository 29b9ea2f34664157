"""The numbers of a list, once each."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.intake.seen import SeenNumbers


@given(st.lists(st.integers(1, 50) | st.integers(1, 10**15 - 1)))
def test_each_number_is_known_by_the_row_it_was_first_seen_in(numbers: list[int]) -> None:
    seen, rows = SeenNumbers(), dict[int, int]()
    for row, number in enumerate(numbers, start=1):
        assert seen.note(f"+{number}", row) == rows.setdefault(number, row)
    assert len(seen) == len(rows)


def test_a_hundred_thousand_numbers_are_told_apart() -> None:
    seen = SeenNumbers()
    numbers = [f"+9198765{number:05d}" for number in range(100_000)]
    assert [seen.note(number, row) for row, number in enumerate(numbers, start=1)] == list(
        range(1, 100_001)
    )
    assert [seen.note(number, 0) for number in numbers[::1000]] == list(range(1, 100_001, 1000))
