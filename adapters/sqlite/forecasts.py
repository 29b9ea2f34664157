"""What forecasts are made from."""

from __future__ import annotations

import sqlite3
from typing import Final

from adapters.sqlite.blocks import sample_blocks
from adapters.sqlite.connected import Connected
from adapters.sqlite.rows import CONTACT_COLUMNS, to_contact
from engine.forecast.behaviour import SeenCall
from engine.forecast.case import Cohort
from engine.forecast.cohorts import Cohorts
from engine.ports.forecast_store import GOING_ON_MAX, SAMPLE_CONTACTS

# ruff: noqa: S608 (statements are put together from constants only; values are parameters)

COUNT_OPEN: Final = (
    "SELECT l.n, l.open FROM lists l JOIN accounts a ON a.n = l.account WHERE l.id = ? AND a.id = ?"
)
OPEN_ROWS: Final = (
    f"SELECT {CONTACT_COLUMNS} FROM contacts c JOIN lists l ON l.n = c.list "
    "JOIN accounts a ON a.n = l.account JOIN flows f ON f.n = l.flow "
    "WHERE c.list = ?1 AND c.state = 'open' AND c.row % ?2 = 0"
)
SEEN: Final = (
    "SELECT iif(t.ended_at IS NULL, NULL, t.disposition), coalesce(t.ended_at, ?) - t.initiated_at "
    "FROM attempts t WHERE t.flow = (SELECT f.n FROM flows f JOIN accounts a ON a.n = f.account "
    "WHERE f.id = ? AND a.id = ?) AND (t.ended_at IS NULL OR t.disposition NOT IN ('canceled', 'unknown')) "
    "ORDER BY t.id DESC LIMIT ?"
)


class SqliteForecasts(Connected):
    """The methods of `engine.ports.forecast_store.ForecastStore`."""

    async def open_cohorts(self, account: str, call_list: str, now: float) -> list[Cohort]:
        """From all contacts of a small list, and from some, evenly chosen, of a large one."""

        def count(connection: sqlite3.Connection) -> list[Cohort]:
            found = connection.execute(COUNT_OPEN, (call_list, account)).fetchone()
            if found is None:
                return []
            n, open_ = found
            every = max(1, open_ // SAMPLE_CONTACTS)
            cohorts = Cohorts(now)
            for row in connection.execute(OPEN_ROWS, (n, every)):
                cohorts.note(to_contact(row), every)
            for batch, stands_for in sample_blocks(connection, n, every):
                step = max(1, batch.drafts.count * every // stands_for)
                some = batch.contacts()[::step]
                for contact in some:
                    cohorts.note(contact, stands_for / len(some))
            return cohorts.told(open_)

        return await self._readers.ask(count)

    async def seen_calls(self, account: str, flow: str, now: float, limit: int) -> list[SeenCall]:
        """The latest by their ids."""

        def look_back(connection: sqlite3.Connection) -> list[SeenCall]:
            found: list[SeenCall] = []
            ended = 0
            some = (now, flow, account, limit + GOING_ON_MAX)
            for disposition, hold_s in connection.execute(SEEN, some):
                found.append(SeenCall(disposition, hold_s))
                ended += disposition is not None
                if ended == limit:
                    break
            return found

        return await self._readers.ask(look_back)
