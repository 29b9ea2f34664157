"""How many calls are up over the time of a forecast."""

from __future__ import annotations

from typing import Final

SAMPLES_MAX: Final = 480
"""Of calls at once that are kept of a run: half as many are twice as far apart."""


class Channels:
    """How many calls were up, by spans of time that grow as the run does."""

    def __init__(self) -> None:
        self._span = 1
        self._sums: list[float] = []

    def note(self, step: int, until: int, up: int) -> None:
        """So many were up from one step until another."""
        while until > self._span * SAMPLES_MAX:
            sums = self._sums
            self._sums = [sum(sums[at : at + 2]) for at in range(0, len(sums), 2)]
            self._span *= 2
        need = (until - 1) // self._span + 1
        self._sums += [0.0] * (need - len(self._sums))
        while step < until:
            place = step // self._span
            upto = min(until, (place + 1) * self._span)
            self._sums[place] += up * (upto - step)
            step = upto

    def told(self, step_s: float, end: int) -> tuple[tuple[float, float], ...]:
        """(second, calls that were up on an average from then on), rising."""
        return tuple(
            (at * self._span * step_s, sums / min(self._span, max(1, end - at * self._span)))
            for at, sums in enumerate(self._sums)
            if at * self._span < max(1, end)
        )
