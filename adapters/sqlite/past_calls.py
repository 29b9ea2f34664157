"""What dialling reads of past calls: who called a number, when, and what became of the calls of a DID."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final

from adapters.sqlite.connected import Connected
from adapters.sqlite.rows import Row, read_strings, text
from engine.model import CALLEE_CALLS_MAX
from engine.model.did_health import ANSWERED, COUNTED, HEALTH_STEP_S, HealthStep, Tally
from engine.ports.dial_store import CALLERS_KEPT, PastCall, RecentStart

# ruff: noqa: S608 (statements are put together from constants only; values are parameters)

NUMBERS_ASKED_AT_ONCE: Final = 5_000
"""Numbers of one question; more are asked for in turn."""


def _any_of(words: Iterable[str]) -> str:
    """Constants, as a statement lists them."""
    return ", ".join(f"'{word}'" for word in sorted(words))


RECENT_STARTS: Final = (
    "SELECT a.id, f.id, t.did, t.trunk, t.number, t.initiated_at AS at, t.id AS id FROM accounts a "
    "CROSS JOIN attempts t ON t.account = a.n "
    "AND t.initiated_at >= ?1 AND t.initiated_at < ?2 "
    "JOIN flows f ON f.n = t.flow "
    "UNION ALL "
    "SELECT a.id, f.id, g.did, g.trunk, g.number, g.initiated_at, g.id FROM legs g "
    "JOIN accounts a ON a.n = g.account JOIN flows f ON f.n = g.flow "
    "WHERE g.initiated_at >= ?1 AND g.initiated_at < ?2 ORDER BY at, id"
)
LAST_CALLERS: Final = (
    "SELECT j.value, (SELECT json_group_array(x.did) FROM (SELECT t.did FROM attempts t "
    "INDEXED BY attempts_by_number WHERE t.account = a.n AND t.number = j.value "
    f"ORDER BY t.id DESC LIMIT {CALLERS_KEPT}) x) "
    "FROM accounts a CROSS JOIN json_each(?) j WHERE a.id = ?"
)
PAST_CALLS: Final = (
    "SELECT t.number, t.id, t.initiated_at FROM accounts a CROSS JOIN json_each(?) j "
    "CROSS JOIN attempts t ON t.account = a.n AND t.id IN (SELECT x.id FROM attempts x "
    "INDEXED BY attempts_by_number WHERE x.account = a.n AND x.number = j.value "
    "AND (x.disposition IS NOT 'congested' OR x.ringing_at IS NOT NULL) "
    f"ORDER BY x.id DESC LIMIT {CALLEE_CALLS_MAX}) "
    "WHERE a.id = ? ORDER BY t.id DESC"
)
DID_HEALTH: Final = (
    f"SELECT t.did, CAST(t.ended_at / {HEALTH_STEP_S} AS INTEGER) AS step, count(*), "
    f"sum(t.disposition IN ({_any_of(ANSWERED)})), sum(t.disposition = 'blocked') "
    "FROM accounts a CROSS JOIN attempts t ON t.account = a.n AND t.initiated_at >= ? "
    "JOIN dids d ON d.number = t.did AND t.ended_at >= d.counts_from "
    f"WHERE t.disposition IN ({_any_of(COUNTED)}) GROUP BY t.did, step ORDER BY t.did, step"
)
DID_STARTS: Final = (
    "SELECT t.initiated_at AS at FROM accounts a "
    "CROSS JOIN attempts t ON t.account = a.n AND t.initiated_at >= ? WHERE t.did = ? "
    "UNION ALL SELECT g.initiated_at FROM legs g WHERE g.initiated_at >= ? AND g.did = ? "
    "ORDER BY at DESC LIMIT ?"
)


class SqlitePastCalls(Connected):
    """The methods of `engine.ports.dial_store.DialStore` that ask what was."""

    async def last_callers(
        self, account: str, numbers: Sequence[str]
    ) -> dict[str, tuple[str, ...]]:
        """Which DIDs called each of the numbers, the latest first."""
        found: dict[str, tuple[str, ...]] = {}
        for start in range(0, len(numbers), NUMBERS_ASKED_AT_ONCE):
            some = text(numbers[start : start + NUMBERS_ASKED_AT_ONCE])
            rows = await self._readers.rows(LAST_CALLERS, (some, account), _to_callers)
            found.update(row for row in rows if row[1])
        return found

    async def past_calls(
        self, account: str, numbers: Sequence[str]
    ) -> dict[str, tuple[PastCall, ...]]:
        """The latest attempts on each number that may have reached somebody."""
        found: dict[str, list[PastCall]] = {}
        for start in range(0, len(numbers), NUMBERS_ASKED_AT_ONCE):
            some = text(numbers[start : start + NUMBERS_ASKED_AT_ONCE])
            for number, call in await self._readers.rows(PAST_CALLS, (some, account), _to_call):
                found.setdefault(number, []).append(call)
        return {number: tuple(calls) for number, calls in found.items()}

    async def did_health(self, since: float) -> list[HealthStep]:
        """What the calls of each DID came to."""
        return await self._readers.rows(DID_HEALTH, (since,), _to_health_step)

    async def did_starts(self, number: str, since: float, limit: int) -> list[float]:
        """When the latest calls of a DID began."""
        found = await self._readers.rows(
            DID_STARTS, (since, number, since, number, limit), lambda row: float(row[0])
        )
        return found[::-1]

    async def recent_starts(self, since: float, until: float = math.inf) -> list[RecentStart]:
        """Attempts and legs initiated within a time."""
        return await self._readers.rows(
            RECENT_STARTS, (since, until), lambda row: RecentStart(*row[:6])
        )


def _to_callers(row: Row) -> tuple[str, tuple[str, ...]]:
    return row[0], tuple(dict.fromkeys(read_strings(row[1])))


def _to_call(row: Row) -> tuple[str, PastCall]:
    return row[0], PastCall(row[1], row[2])


def _to_health_step(row: Row) -> HealthStep:
    return HealthStep(row[0], row[1], Tally(*row[2:]))
