"""How many calls of one contact count on one calendar day, in a forecast (`engine.schedule.day_budget`)."""

from __future__ import annotations

import math
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from engine.forecast.case import Rules


class Days:
    """When contacts whose day has had its calls are due instead: after each so many calls on the next day, as
    if none of them had gone over midnight."""

    def __init__(self, rules: Rules, now: float, step_s: float) -> None:
        self._a_day = rules.attempts_max_per_day
        self._timezone = rules.timezone
        self._now = now
        self._step_s = step_s
        self._ends: dict[tuple[str, ...], int] = {}

    def due(self, zones: tuple[str, ...], spent: int, step: int, due: int) -> int:
        """In which step contacts are due that would be at `due`, after the call that ended in `step` and was
        the `spent`-th that counts."""
        if self._a_day is None or spent == 0 or spent % self._a_day:
            return due
        end = self._ends.get(zones, -1)
        if end <= step:
            end = self._ends[zones] = self._end_of_day(zones, step)
        return max(due, end)

    def _end_of_day(self, zones: tuple[str, ...], step: int) -> int:
        clock = ZoneInfo(zones[0] if len(zones) == 1 else self._timezone)
        today = datetime.fromtimestamp(self._now + step * self._step_s, clock).date()
        end = datetime.combine(today + timedelta(days=1), time(), clock).timestamp()
        return math.ceil((end - self._now) / self._step_s)
