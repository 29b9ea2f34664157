"""What forecasts are made from."""

from __future__ import annotations

import trio

from engine.forecast.behaviour import SeenCall
from engine.forecast.case import Cohort
from engine.forecast.cohorts import Cohorts
from engine.ports.forecast_store import GOING_ON_MAX
from sim.memory_store.tables import Tables

UNSEEN = (None, "canceled", "unknown")


class MemoryForecasts:
    """The methods of `engine.ports.forecast_store.ForecastStore`."""

    _tables: Tables

    async def open_cohorts(self, account: str, call_list: str, now: float) -> list[Cohort]:
        """From all contacts of the list."""
        await trio.lowlevel.checkpoint()
        entry = self._tables.list_of(account, call_list)
        cohorts = Cohorts(now)
        for one in entry.contacts if entry is not None else ():
            contact = self._tables.contacts[one]
            if contact.state == "open":
                cohorts.note(contact)
        return cohorts.told()

    async def seen_calls(self, account: str, flow: str, now: float, limit: int) -> list[SeenCall]:
        """The latest by their ids."""
        await trio.lowlevel.checkpoint()
        tables = self._tables
        found: list[SeenCall] = []
        ended = 0
        for one in reversed(tables.attempts_of_account.get(account, ())):
            attempt = tables.attempts[one]
            if ended == limit or len(found) == limit + GOING_ON_MAX:
                break
            if attempt.flow != flow:
                continue
            if attempt.ended_at is None:
                found.append(SeenCall(None, now - attempt.initiated_at))
            elif attempt.disposition not in UNSEEN:
                hold_s = attempt.ended_at - attempt.initiated_at
                found.append(SeenCall(attempt.disposition, hold_s))
                ended += 1
        return found
