"""No limit is broken in any sliding window, by counting: how many calls arrived in the window that ends with
each call, and how many were up at once.

A call whose process died counts as up no longer: nobody is there who could hang it up, or know of it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from engine.model import AccountRules, Cap
from sim.world.hours import country_of
from sim.world.judge.case import Breach, Case
from sim.world.plan import COUNTRIES
from sim.world.tape import CallOver, Invite

EXACT_S: Final = 1e-6
"""What floating-point arithmetic may lose of a window."""

DAY_S: Final = 86_400.0
NO_CAPACITY: Final = (429, 503)

Party = tuple[str, str]
"""What kind of party, and which."""
Window = tuple[int, float]
"""At most so many calls in so many seconds."""


def judge_limits(case: Case) -> Iterator[Breach]:
    """Those of the installation, the accounts, the trunks, the flows, the DIDs and the callees."""
    windows, channels = _limits_of(case)
    arrivals: defaultdict[Party, list[float]] = defaultdict(list)
    for one in case.invites:
        for party in _parties_of(case, one):
            arrivals[party].append(one.arrived_at)
    for party, limits in windows.items():
        for limit in limits:
            yield from _judge_window(party, limit, sorted(arrivals[party]))
    yield from _judge_channels(case, channels)
    yield from _judge_callees(case)


def _limits_of(case: Case) -> tuple[dict[Party, list[Window]], dict[Party, int]]:
    plan = case.plan
    settings: dict[Party, tuple[float | None, int | None, Sequence[Cap]]] = {
        ("engine", ""): (plan.cps, plan.channels, plan.caps)
    }
    for trunk in plan.trunks:
        settings["trunk", trunk.name] = trunk.cps, trunk.channels, trunk.caps
    for did in plan.dids:
        settings["did", did.number] = did.cps, did.channels, did.caps
    for flow in plan.flows:
        settings["flow", flow.id] = flow.settings.cps, flow.settings.channels, flow.settings.caps
    for account in plan.accounts:
        rules = account.rules
        settings["account", account.id] = rules.cps, rules.channels, rules.caps
        for country, most in _countries_of(rules).items():
            settings["account", f"{account.id} {country}"] = None, None, [Cap(most, DAY_S)]
        if rules.calls_per_day is not None:
            day_cap = Cap(rules.calls_per_day, DAY_S)
            settings["account", account.id] = rules.cps, rules.channels, (*rules.caps, day_cap)
    windows = {
        party: [
            *([] if cps is None else [_window_of(cps)]),
            *((cap.calls, cap.per_s) for cap in caps),
        ]
        for party, (cps, _, caps) in settings.items()
    }
    channels = {party: most for party, (_, most, _) in settings.items() if most is not None}
    return windows, channels


def _countries_of(rules: AccountRules) -> dict[str, int]:
    """How many calls a day may go to each country that is limited."""
    most = rules.country_calls_per_day
    capped = {} if most is None else dict.fromkeys(COUNTRIES.values(), most)
    return capped | rules.country_caps


def _window_of(cps: float) -> Window:
    return (1, 1 / cps) if cps < 1 else (int(cps), 1.0)


def _parties_of(case: Case, invite: Invite) -> Iterable[Party]:
    parties = [("engine", ""), ("trunk", invite.trunk), ("did", invite.caller)]
    attempt = case.attempts.get(invite.attempt)
    if attempt is None:
        return parties
    account = attempt.account
    country = f"{account} {country_of(invite.number)}"
    return [*parties, ("flow", attempt.flow), ("account", account), ("account", country)]


def _judge_window(party: Party, limit: Window, arrivals: list[float]) -> Iterator[Breach]:
    calls, per_s = limit
    for place, at in enumerate(arrivals):
        first = bisect_right(arrivals, at - per_s + EXACT_S)
        count = place + 1 - first
        if count > calls:
            yield Breach(
                "no limit is exceeded in any sliding window",
                f"{' '.join(party)}: {count} calls in the {per_s:g} s until {at:.3f}, not {calls}",
            )


def _judge_callees(case: Case) -> Iterator[Breach]:
    """Those of callees: an account's on all its calls, a flow's on its own, each counted over all calls of
    the account. A call that was refused for want of capacity reached nobody."""
    arrivals: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    for one in sorted(case.invites, key=lambda invite: invite.arrived_at):
        attempt = case.attempts.get(one.attempt)
        if attempt is None or one.code in NO_CAPACITY:
            continue
        before = arrivals[attempt.account, one.number]
        before.append(one.arrived_at)
        caps = (
            *case.accounts[attempt.account].rules.callee_caps,
            *case.flows[attempt.flow].settings.callee_caps,
        )
        for cap in caps:
            first = bisect_right(before, one.arrived_at - cap.per_s + EXACT_S)
            count = len(before) - first
            if count > cap.calls:
                yield Breach(
                    "nobody is called more often than the caps on callees allow",
                    f"{one.number}: {count} calls in the {cap.per_s:g} s until "
                    f"{one.arrived_at:.3f}, not {cap.calls}",
                )


def _judge_channels(case: Case, channels: dict[Party, int]) -> Iterator[Breach]:
    up: defaultdict[Party, int] = defaultdict(int)
    invites: dict[str, Invite] = {}
    for entry in case.entries:
        if isinstance(entry, Invite):
            invites[entry.attempt] = entry
            for party in _parties_of(case, entry):
                up[party] += 1
                if up[party] > channels.get(party, up[party]):
                    yield Breach(
                        "no more calls are up at once than channels",
                        f"{' '.join(party)}: {up[party]} at {entry.at:.3f}",
                    )
        elif isinstance(entry, CallOver):
            for party in _parties_of(case, invites[entry.attempt]):
                up[party] -= 1
