"""How many calls of one contact count on one calendar day. Pure.

The day is the contact's own, where the prefix of its first number tells a single time zone; it is the flow's
where it does not. One person has one calendar, so all numbers of a contact go by the same.
"""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct

from engine.model import Contact, Flow
from engine.schedule.zones import zones_of

KEPT_S: Final = 26 * 3_600.0
"""How long it is remembered when a call was made: no calendar day is longer than 25 hours."""


class DayBudget(Struct, frozen=True):
    """At most so many calls of each contact that count, on any of its days."""

    calls: int
    timezone: str
    """IANA name: the clock of contacts whose number does not tell theirs."""

    def spent_until(self, contact: Contact, at: float) -> float | None:
        """When the contact's next day begins, where the one of the moment `at` has had all its calls; None
        where it has not. Seconds since the epoch."""
        if len(contact.spent_at) < self.calls:
            return None
        zones = zones_of(contact.tel[0])
        clock = ZoneInfo(zones[0] if len(zones) == 1 else self.timezone)
        today = datetime.fromtimestamp(at, clock).date()
        made = [datetime.fromtimestamp(moment, clock).date() for moment in contact.spent_at]
        if made.count(today) < self.calls:
            return None
        return datetime.combine(today + timedelta(days=1), time(), clock).timestamp()


def budget_of(flow: Flow) -> DayBudget | None:
    """What a flow allows of each contact in a day; None where it does not say."""
    calls = flow.settings.attempts_max_per_day
    return None if calls is None else DayBudget(calls, flow.timezone)


def note_spent(contact: Contact, made_at: float) -> tuple[float, ...]:
    """The moments of the contact's calls that count, with one more, as far as they are remembered."""
    return (*(one for one in contact.spent_at if one > made_at - KEPT_S), made_at)
