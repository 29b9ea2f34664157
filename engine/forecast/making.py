"""Puts a case together from what is set up. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from engine.dial.limits.windows import window_for_cps
from engine.dial.trunks.route import RouteSettings
from engine.dial.trunks.trunk import TrunkSettings
from engine.forecast.case import (
    Behaviour,
    Case,
    Cohort,
    FlowTerms,
    Group,
    Hours,
    Limit,
    Rate,
    Rules,
    Stream,
)
from engine.model import (
    PRIORITIES,
    Account,
    BlockerCode,
    Cap,
    Did,
    Flow,
    Priority,
    windows_of,
)
from engine.schedule.calling_hours import DAY_S


class Installation(Struct, frozen=True):
    """The limits of all calls, and what carries them."""

    channels: int
    cps: float
    caps: tuple[Cap, ...]
    trunks: tuple[TrunkSettings, ...]
    routes: tuple[RouteSettings, ...]
    calls_per_day: int | None
    """Of each account that has no such cap of its own."""


class CallingFlow(Struct, frozen=True):
    """A flow that has a list in the case."""

    flow: Flow
    behaviour: Behaviour


class Waiting(Struct, frozen=True):
    """The contacts of one list that are still to be called."""

    flow: str
    cohorts: tuple[Cohort, ...]
    priority: Priority | None = None
    """None is the flow's."""


def make_case(
    now: float,
    account: Account,
    installation: Installation,
    flows: Sequence[CallingFlow],
    lists: Sequence[Waiting],
    dids: Iterable[Did],
) -> Case | None:
    """The case in which the first of the lists is asked about. None where its flow has no DID that calls go
    by."""
    trunks = _trunks_of(installation)
    places = {name: place for place, name in enumerate(trunks)}
    alike: defaultdict[tuple[object, ...], list[Did]] = defaultdict(list)
    for did in dids:
        if did.trunk in trunks and did.rest is None:
            users = tuple(n for n, one in enumerate(flows) if did.number in one.flow.dids)
            alike[did.trunk, did.cps, did.channels, did.caps, users].append(did)
    groups, users_of = [], []
    for key, some in alike.items():
        pooled = pool([_limit_of_did(one) for one in some])
        groups.append(Group(pooled, places[some[0].trunk], len(some)))
        users_of.append(key[-1])
    numbers = {one.flow.id: n for n, one in enumerate(flows)}
    terms = [
        _terms_of(one, account, [g for g, users in enumerate(users_of) if n in users])  # type: ignore[operator]
        for n, one in enumerate(flows)
    ]
    if not terms[numbers[lists[0].flow]].groups:
        return None
    streams = [
        Stream(
            numbers[one.flow],
            PRIORITIES.index(one.priority or flows[numbers[one.flow]].flow.settings.priority),
            one.cohorts,
        )
        for one in lists
    ]
    whole = limit_of("engine_limit", installation.channels, installation.cps, installation.caps)
    return Case(
        now=now,
        streams=tuple(streams),
        flows=tuple(terms),
        groups=tuple(groups),
        trunks=tuple(trunks.values()),
        account=_limit_of_account(account, installation.calls_per_day),
        engine=whole,
    )


def limit_of(
    code: BlockerCode,
    channels: int | None,
    cps: float | None,
    caps: Iterable[Cap],
    cps_code: BlockerCode | None = None,
    cap_code: BlockerCode | None = None,
) -> Limit:
    """A limit as `engine.dial.limits.party` reads it."""
    rates = []
    if cps is not None:
        window = window_for_cps(cps)
        rates.append(Rate(cps_code or code, window.calls, window.per_s))
    rates += [Rate(cap_code or code, cap.calls, cap.per_s) for cap in caps]
    return Limit(code, channels, tuple(rates))


def pool(limits: Sequence[Limit]) -> Limit:
    """What several let go together: a window that not all of them have bars nobody."""
    calls: defaultdict[tuple[BlockerCode, float], list[int]] = defaultdict(list)
    for limit in limits:
        for rate in limit.rates:
            calls[rate.code, rate.per_s].append(rate.calls)
    rates = [
        Rate(code, sum(some), per_s)
        for (code, per_s), some in calls.items()
        if len(some) == len(limits)
    ]
    channels = [limit.channels for limit in limits]
    known = [one for one in channels if one is not None]
    together = sum(known) if len(known) == len(channels) else None
    return Limit(limits[0].channels_code, together, tuple(rates))


def _trunks_of(installation: Installation) -> Mapping[str, Limit]:
    """By name, those of trunks and of routes."""
    found = {
        one.name: limit_of(
            "trunk_channels", one.channels, one.cps, one.caps, "trunk_cps", "trunk_cap"
        )
        for one in installation.trunks
    }
    for route in installation.routes:
        found[route.name] = pool([found[name] for group in route.groups for name in group])
    return found


def _limit_of_did(did: Did) -> Limit:
    return limit_of("did_channels", did.channels, did.cps, did.caps, "did_cps", "did_cap")


def _limit_of_account(account: Account, calls_per_day: int | None) -> Limit:
    rules = account.rules
    a_day = calls_per_day if rules.calls_per_day is None else rules.calls_per_day
    limit = limit_of("account_limit", rules.channels, rules.cps, rules.caps)
    if not a_day:
        return limit
    return Limit(
        "account_limit", limit.channels, (*limit.rates, Rate("account_limit", a_day, DAY_S))
    )


def _terms_of(one: CallingFlow, account: Account, groups: Sequence[int]) -> FlowTerms:
    flow, settings = one.flow, one.flow.settings
    windows = [
        Hours(windows_of(settings.calling_window), flow.timezone),
        Hours(windows_of(account.rules.calling_window), account.timezone),
    ]
    return FlowTerms(
        rules=Rules(
            settings.attempts_max,
            settings.attempts_max_per_day,
            settings.retry,
            settings.declined == "stop",
            flow.timezone,
        ),
        limit=limit_of("flow_limit", settings.channels, settings.cps, settings.caps),
        behaviour=one.behaviour,
        groups=tuple(groups),
        weight=settings.weight,
        hours=tuple(hours for hours in windows if hours.windows),
    )
