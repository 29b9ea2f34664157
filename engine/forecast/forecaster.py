"""Tells when a list will end: it puts the case together, and has a worker process let it happen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import msgspec

from engine.forecast.behaviour import (
    SEEN_MAX,
    RatesFrom,
    Stated,
    seen_behaviour,
    stated_behaviour,
)
from engine.forecast.case import RIVALS_MAX, Behaviour, Cohort
from engine.forecast.cohorts import due_minute, round_cohorts
from engine.forecast.making import CallingFlow, Installation, Waiting, make_case
from engine.forecast.outlook import Forecast, Shapes, Starts
from engine.forecast.runs import Told, forecast_case
from engine.model import CallList, Flow
from engine.ports.clock import Randomness
from engine.ports.store import Store
from engine.ports.workers import WorkerFailed, Workers
from engine.schedule.zones import zones_of

__all__ = ["ForecastBusy", "Forecaster", "Installation"]

ASSUMES: Final = (
    "Calls as they would be let go by the limits, calling windows and retry rules of this moment, beside"
    " the other lists that call from the same DIDs."
)
FROM: Final[dict[RatesFrom, str]] = {
    "stated": "What calls come to is as stated, and otherwise as this flow's calls were or as usual.",
    "seen": "What calls come to is as with this flow's latest calls.",
    "usual": "What calls come to is as usual, as this flow has hardly called anybody.",
}
AGENTS: Final = "There is always an agent free."
PAUSED: Final = "Who is paused goes on at once."
STOPPED: Final = "The account, which is stopped, is started at once."
INACTIVE: Final = "The listener is activated at once."
RIVAL_FLOWS_MAX: Final = 200
"""Flows of an account that are read to see whether they call from the same DIDs."""
SEEN_LEAST: Final = 25
"""Calls of a flow from which on it is told by them what its calls come to."""


AT_ONCE_MAX: Final = 1
"""Forecasts of all accounts together: one can take a worker's whole time, and lists are to find one free."""


class ForecastBusy(Exception):
    """A forecast for the account is being made already, or as many as are made at once."""


class Forecaster:
    """Makes forecasts, one at a time for each account."""

    def __init__(
        self,
        store: Store,
        workers: Workers,
        randomness: Randomness,
        installation: Installation,
    ) -> None:
        self.installation = installation
        """The limits that forecasts go by from now on."""
        self._store = store
        self._workers = workers
        self._randomness = randomness
        self._busy: set[str] = set()

    async def forecast_preview(
        self, flow: Flow, starts: Starts, shapes: Shapes, now: float
    ) -> Forecast | None:
        """When contacts of the flow that start then would have been called; None where that cannot be told
        just now."""
        counted = sum(count for _, _, count in shapes)
        cohorts = round_cohorts(
            ((due_minute(at, now), zones_of(like), tels, 0, 0, (), None), count * share / counted)
            for at, count in starts
            for tels, like, share in shapes
        )
        try:
            with self._taken(flow.account):
                return await self._forecast(
                    flow, Waiting(flow.id, tuple(cohorts)), "", Stated(), now
                )
        except (ForecastBusy, WorkerFailed):
            return None

    async def forecast_list(
        self, flow: Flow, call_list: CallList, stated: Stated, now: float
    ) -> Forecast:
        """When what is open of a list will have been called. Raises `ForecastBusy` and `WorkerFailed`."""
        with self._taken(flow.account):
            cohorts: Sequence[Cohort] = ()
            if call_list.status != "canceled":  # its contacts go by and by
                cohorts = await self._store.open_cohorts(flow.account, call_list.id, now)
            waiting = Waiting(flow.id, tuple(cohorts), call_list.priority)
            is_paused = call_list.status == "paused"
            return await self._forecast(flow, waiting, call_list.id, stated, now, is_paused)

    @contextmanager
    def _taken(self, account: str) -> Iterator[None]:
        if account in self._busy or len(self._busy) >= AT_ONCE_MAX:
            raise ForecastBusy
        self._busy.add(account)
        try:
            yield
        finally:
            self._busy.discard(account)

    async def _forecast(
        self,
        flow: Flow,
        waiting: Waiting,
        list_id: str,
        stated: Stated,
        now: float,
        is_paused: bool = False,
    ) -> Forecast:
        contacts = sum(one.count for one in waiting.cohorts)
        behaviour, rates_from, seen = await self._behaviour_of(flow, stated, now)
        account = await self._store.get_account(flow.account)
        assert account is not None, "a flow has its account"
        assumes = [ASSUMES, FROM[rates_from]]
        assumes += [AGENTS] if flow.kind == "dialer" else []
        assumes += [PAUSED] if is_paused or flow.paused_at or account.paused_at else []
        assumes += [STOPPED] if account.stopped_at else []
        assumes += [] if flow.listener_active else [INACTIVE]
        said = " ".join(assumes)
        if not contacts:
            return Forecast(now, 0.0, None, said, now, now, rates_from=rates_from, calls_seen=seen)
        flows, lists = [CallingFlow(flow, behaviour)], [waiting]
        await self._add_rivals(flow, list_id, flows, lists, now)
        numbers = sorted({number for one in flows for number in one.flow.dids})
        dids = await self._store.find_dids(flow.account, numbers)
        case = make_case(now, account, self.installation, flows, lists, dids)
        if case is None:
            return Forecast(
                None,
                0.0,
                "no_trunk",
                said,
                contacts=contacts,
                rates_from=rates_from,
                calls_seen=seen,
            )
        seed = self._randomness.getrandbits(63)
        encoded = await self._workers.run(forecast_case, msgspec.msgpack.encode(case), seed)
        told = msgspec.msgpack.decode(encoded, type=Told)
        return _to_forecast(told, now, contacts, said, rates_from, seen)

    async def _behaviour_of(
        self, flow: Flow, stated: Stated, now: float
    ) -> tuple[Behaviour, RatesFrom, int]:
        seen = await self._store.seen_calls(flow.account, flow.id, now, SEEN_MAX)
        found = seen_behaviour(seen, flow.settings.ring_timeout_s)
        ended = sum(one.disposition is not None for one in seen)
        if stated.says_something:
            return stated_behaviour(stated, found), "stated", ended
        return found, "seen" if ended >= SEEN_LEAST else "usual", ended

    async def _add_rivals(
        self,
        flow: Flow,
        list_id: str,
        flows: list[CallingFlow],
        lists: list[Waiting],
        now: float,
    ) -> None:
        """Add the lists that call from the same DIDs."""
        known: dict[str, Flow | None] = {flow.id: flow}
        for one in await self._store.open_lists():
            if one.account != flow.account or one.list == list_id or one.status == "paused":
                continue
            if len(lists) > RIVALS_MAX:
                return
            if one.flow not in known and len(known) > RIVAL_FLOWS_MAX:
                continue
            if one.flow not in known:
                other = await self._store.get_flow(one.account, one.flow)
                known[one.flow] = other if other and _calls_beside(other, flow) else None
                if known[one.flow] is not None and other is not None:
                    behaviour, _, _ = await self._behaviour_of(other, Stated(), now)
                    flows.append(CallingFlow(other, behaviour))
            if known[one.flow] is None:
                continue
            cohorts: Sequence[Cohort] = await self._store.open_cohorts(one.account, one.list, now)
            found = await self._store.get_list(one.account, one.list)
            if cohorts and found is not None:
                lists.append(Waiting(one.flow, tuple(cohorts), found.priority))


def _calls_beside(other: Flow, flow: Flow) -> bool:
    """Whether another flow takes calls of this one's DIDs."""
    is_calling = other.listener_active and other.paused_at is None
    return is_calling and not set(other.dids).isdisjoint(flow.dids)


def _to_forecast(
    told: Told, now: float, contacts: int, assumes: str, rates_from: RatesFrom, seen: int
) -> Forecast:
    lasts_s = 0.0 if told.ends_at is None else told.ends_at - now
    return Forecast(
        ends_at=told.ends_at,
        calls_per_s=round(told.attempts / lasts_s, 3) if lasts_s > 0 else 0.0,
        bottleneck=told.bottleneck,
        assumes=assumes,
        earliest_at=told.earliest_at,
        latest_at=told.latest_at,
        contacts=contacts,
        attempts=told.attempts,
        without_bottleneck_at=told.without_at,
        held_s={code: round(held_s, 1) for code, held_s in told.held_s.items()},
        channels=told.channels,
        rates_from=rates_from,
        calls_seen=seen,
        runs=told.runs,
    )
