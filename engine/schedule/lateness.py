"""How late contacts are brought forward: a histogram, which costs one entry a turn of the scheduler."""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

BOUNDS_S: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""What each place of the histogram holds at most; one more holds all that is later."""


class Lateness:
    """Counts contacts by how much later than their moment they came out of the wheel."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_S) + 1)
        """By place of `BOUNDS_S`."""
        self.sum_s = 0.0

    def note(self, late_s: float, contacts: int) -> None:
        """So many came out together, which were to come `late_s` ago; one that is early is in time."""
        late_s = max(0.0, late_s)
        self.counts[bisect_left(BOUNDS_S, late_s)] += contacts
        self.sum_s += late_s * contacts
