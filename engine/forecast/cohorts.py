"""Contacts put together that are alike."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import Final

from engine.forecast.case import SHAPES_MAX, Cohort
from engine.model import BlockerCode, Contact
from engine.model.disposition import Disposition
from engine.schedule.zones import zones_of

Shape = tuple[
    float,
    tuple[str, ...],
    int,
    int,
    int,
    tuple[tuple[Disposition, int], ...],
    BlockerCode | None,
]
"""(due_at, zones, tels, tel_index, spent, tries, waits_for)."""
OWN_WAITS: Final = ("starttime", "retry_wait")
"""What a contact waits for that no limit and no window is."""


def due_minute(due_at: float, now: float) -> float:
    """At `now`, or at the end of a minute."""
    return now if due_at <= now else math.ceil(due_at / 60.0) * 60.0


class Cohorts:
    """Counts contacts by what they are like."""

    def __init__(self, now: float) -> None:
        self._now = now
        self._counts: Counter[Shape] = Counter()

    def note(self, contact: Contact, count: float = 1.0) -> None:
        """One more, who stands for so many. Who was set aside until their window opens is due, and waits for
        the window, which the run has as well."""
        code, due_at = contact.wait_code, contact.due_at
        if code == "calling_window":
            due_at = self._now
        waits = due_at > self._now and code not in OWN_WAITS
        shape = (
            due_minute(due_at, self._now),
            zones_of(contact.number),
            len(contact.tel),
            contact.tel_index,
            contact.spent,
            tuple(sorted(contact.tries.items())),
            code if waits else None,
        )
        self._counts[shape] += count  # type: ignore[assignment]

    def told(self, whole: int | None = None) -> list[Cohort]:
        """The cohorts, of `whole` contacts together where that is known."""
        counted = sum(self._counts.values())
        scale = 1.0 if whole is None or not counted else whole / counted
        return round_cohorts(
            (shape, count * scale) for shape, count in self._counts.most_common(SHAPES_MAX)
        )


def round_cohorts(shapes: Iterable[tuple[Shape, float]]) -> list[Cohort]:
    """Whole contacts, whose sum is that of the fractions."""
    found, owed = [], 0.0
    for (due_at, zones, tels, tel_index, spent, tries, code), share in shapes:
        owed += share
        count = round(owed)
        owed -= count
        if count > 0:
            found.append(Cohort(due_at, count, zones, tels, tel_index, spent, dict(tries), code))
    return found
