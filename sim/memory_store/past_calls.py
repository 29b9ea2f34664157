"""What calls that were made say of callers, callees, DIDs and windows."""

from __future__ import annotations

import math
from collections.abc import Sequence

import trio

from engine.model import (
    CALLEE_CALLS_MAX,
    Attempt,
)
from engine.model.agent import Leg
from engine.model.did_health import ANSWERED, COUNTED, HealthStep, Tally, step_of
from engine.ports.dial_store import (
    CALLERS_KEPT,
    PastCall,
    RecentStart,
)
from sim.memory_store.tables import Tables


class MemoryPastCalls:
    """The methods of `engine.ports.dial_store.DialStore` that ask about calls that were made."""

    _tables: Tables

    async def last_callers(
        self, account: str, numbers: Sequence[str]
    ) -> dict[str, tuple[str, ...]]:
        """Which DIDs called each of the numbers, the latest first."""
        await trio.lowlevel.checkpoint()
        tables, found = self._tables, dict[str, tuple[str, ...]]()
        for number in numbers:
            ids = tables.attempts_on.get((account, number), ())[: -CALLERS_KEPT - 1 : -1]
            if ids:
                found[number] = tuple(dict.fromkeys(tables.attempts[one].did for one in ids))
        return found

    async def past_calls(
        self, account: str, numbers: Sequence[str]
    ) -> dict[str, tuple[PastCall, ...]]:
        """The latest attempts on each number that may have reached somebody."""
        await trio.lowlevel.checkpoint()
        tables, found = self._tables, dict[str, tuple[PastCall, ...]]()
        for number in numbers:
            made = [tables.attempts[one] for one in tables.attempts_on.get((account, number), ())]
            calls = [
                PastCall(one.id, one.initiated_at)
                for one in made
                if one.disposition != "congested" or one.ringing_at is not None
            ]
            if calls:
                found[number] = tuple(calls[: -CALLEE_CALLS_MAX - 1 : -1])
        return found

    async def did_health(self, since: float) -> list[HealthStep]:
        """What the calls of each DID came to. Looks at each: it is asked at a start."""
        await trio.lowlevel.checkpoint()
        counts: dict[tuple[str, int], list[int]] = {}
        for one in self._tables.attempts.values():
            did = self._tables.dids.get(one.did)
            if did is None or one.ended_at is None or one.disposition not in COUNTED:
                continue
            if one.initiated_at >= since and one.ended_at >= did.counts_from:
                count = counts.setdefault((one.did, step_of(one.ended_at)), [0, 0, 0])
                count[0] += 1
                count[1] += one.disposition in ANSWERED
                count[2] += one.disposition == "blocked"
        return [HealthStep(*key, Tally(*count)) for key, count in sorted(counts.items())]

    async def did_starts(self, number: str, since: float, limit: int) -> list[float]:
        """When the latest calls of a DID began."""
        await trio.lowlevel.checkpoint()
        made: list[Attempt | Leg] = [*self._tables.attempts.values(), *self._tables.legs.values()]
        starts = [one.initiated_at for one in made if one.did == number]
        return sorted(at for at in starts if at >= since)[-limit:]

    async def recent_starts(self, since: float, until: float = math.inf) -> list[RecentStart]:
        """Attempts and legs initiated within a time. Looks at each: it is asked at a start."""
        await trio.lowlevel.checkpoint()
        made: list[Attempt | Leg] = [*self._tables.attempts.values(), *self._tables.legs.values()]
        recent = [one for one in made if since <= one.initiated_at < until]
        recent.sort(key=lambda one: (one.initiated_at, one.id))
        return [
            RecentStart(one.account, one.flow, one.did, one.trunk, one.number, one.initiated_at)
            for one in recent
        ]
