"""The line that a soak puts through what it saw."""

from __future__ import annotations

from bench.soak import slope_of


def test_the_slope_is_that_of_the_line_that_fits_best() -> None:
    flat = [(0.0, 7.0), (5.0, 7.0), (10.0, 7.0)]
    rising = [(0.0, 1.0), (1.0, 3.5), (2.0, 4.5), (3.0, 7.0)]
    assert (slope_of(flat), slope_of(rising), slope_of(flat[:1])) == (0.0, 1.9, 0.0)
