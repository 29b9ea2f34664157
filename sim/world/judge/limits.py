"""No limit is broken in any sliding window, by counting: how many calls arrived in the window that ends with
each call, and how many were up at once.

A call whose process died counts as up no longer: nobody is there who could hang it up, or know of it. Calls
may overtake each other on their way, so they are counted in the order in which they arrive.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence
from math import inf
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from engine.model import AccountRules, CalleeCap, Cap
from sim.world.hours import country_of
from sim.world.judge.case import Call, Case, Rules
from sim.world.plan import COUNTRIES
from sim.world.tape import CallOver, Entry, Invite

if TYPE_CHECKING:
    from sim.world.run import Run

EXACT_S: Final = 1e-6
"""What floating-point arithmetic may lose of a window."""

DAY_S: Final = 86_400.0
NO_CAPACITY: Final = (429, 503)


class _Window:
    """At most so many calls in so many seconds; and the calls that may count."""

    def __init__(self, calls: int, per_s: float) -> None:
        self.calls = calls
        self.per_s = per_s
        self.arrivals: deque[float] = deque()

    def add(self, at: float) -> int:
        """One more arrives; how many there are now."""
        arrivals, since = self.arrivals, at - self.per_s + EXACT_S
        while arrivals and arrivals[0] <= since:
            arrivals.popleft()
        arrivals.append(at)
        return len(arrivals)


class _Party:
    """Who is limited."""

    def __init__(
        self, name: str, cps: float | None, channels: int | None, caps: Sequence[Cap]
    ) -> None:
        self.name = name
        self.channels = inf if channels is None else channels
        self.up = 0
        self.windows = [_Window(cap.calls, cap.per_s) for cap in caps]
        if cps is not None:
            self.windows.append(_Window(1, 1 / cps) if cps < 1 else _Window(int(cps), 1.0))


class _Way(Struct, frozen=True):
    """A call that is on its way."""

    arrives_at: float
    number: str
    parties: Sequence[_Party]
    callee_caps: Sequence[CalleeCap]
    account: str


class LimitRules(Rules):
    """Those of the installation, the accounts, the trunks, the flows, the DIDs and the callees."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        plan = case.plan
        self._engine = _Party("engine", plan.cps, plan.channels, plan.caps)
        self._trunks = {
            one.name: _Party(f"trunk {one.name}", one.cps, one.channels, one.caps)
            for one in plan.trunks
        }
        self._dids = {
            one.number: _Party(f"did {one.number}", one.cps, one.channels, one.caps)
            for one in plan.dids
        }
        self._flows = {
            one.id: _Party(
                f"flow {one.id}", one.settings.cps, one.settings.channels, one.settings.caps
            )
            for one in plan.flows
        }
        self._accounts = {one.id: _party_of(one.id, one.rules) for one in plan.accounts}
        self._countries = {
            (one.id, country): _Party(f"account {one.id} {country}", None, None, [Cap(most, DAY_S)])
            for one in plan.accounts
            for country, most in _countries_of(one.rules).items()
        }
        self._callee_caps = {
            flow.id: (
                *case.accounts[flow.account].rules.callee_caps,
                *flow.settings.callee_caps,
            )
            for flow in plan.flows
        }
        self._longest_s: dict[str, float] = {}
        """By account: the longest window of any cap on callees."""
        for flow in plan.flows:
            for cap in self._callee_caps[flow.id]:
                longest_s = self._longest_s.get(flow.account, 0.0)
                self._longest_s[flow.account] = max(longest_s, cap.per_s)
        self._ways: list[tuple[float, int, _Way]] = []
        """A heap, by when they arrive and when they left."""
        self._left = 0
        """Calls that left so far."""
        self._up: dict[str, Sequence[_Party]] = {}
        """By attempt whose call is up."""
        self._callees: dict[tuple[str, str], list[float]] = {}
        """By account and number: when its calls arrived that may count."""
        self._callee_ages: deque[tuple[float, tuple[str, str]]] = deque()
        """Of each of these when it does not count any more."""

    def invited(self, invite: Invite, call: Call | None) -> None:
        while self._ways and self._ways[0][0] <= invite.at:
            self._arrive(heapq.heappop(self._ways)[2])
        parties = self._parties_of(invite, call)
        for party in parties:
            party.up += 1
            if party.up > party.channels:
                what = f"{party.name}: {party.up} at {invite.at:.3f}"
                self.case.note("no more calls are up at once than channels", what)
        self._up[invite.attempt] = parties
        caps: Sequence[CalleeCap] = ()
        account = ""
        if call is not None and invite.code not in NO_CAPACITY:
            # A call that was refused for want of capacity reached nobody.
            caps, account = self._callee_caps[call.attempt.flow], call.attempt.account
        way = _Way(invite.arrived_at, invite.number, parties, caps, account)
        self._left += 1
        heapq.heappush(self._ways, (way.arrives_at, self._left, way))

    def read(self, entry: Entry) -> None:
        if isinstance(entry, CallOver):
            for party in self._up.pop(entry.attempt, ()):
                party.up -= 1

    def finish(self, run: Run) -> None:
        while self._ways:
            self._arrive(heapq.heappop(self._ways)[2])

    def _parties_of(self, invite: Invite, call: Call | None) -> Sequence[_Party]:
        parties = [self._engine, self._trunks[invite.trunk], self._dids[invite.caller]]
        one = self.case.tables.legs.get(invite.attempt) if call is None else call.attempt
        if one is not None:
            account = one.account
            parties += (self._flows[one.flow], self._accounts[account])
            if self._countries:
                limited = self._countries.get((account, country_of(invite.number)))
                parties += () if limited is None else (limited,)
        return parties

    def _arrive(self, way: _Way) -> None:
        at = way.arrives_at
        for party in way.parties:
            for window in party.windows:
                count = window.add(at)
                if count > window.calls:
                    self.case.note(
                        "no limit is exceeded in any sliding window",
                        f"{party.name}: {count} calls in the {window.per_s:g} s until {at:.3f},"
                        f" not {window.calls}",
                    )
        if way.account in self._longest_s:
            self._reach(way)

    def _reach(self, way: _Way) -> None:
        """Count a call for its callee: an account's caps are on all its calls, a flow's on its own, each
        counted over all calls of the account."""
        at, ages = way.arrives_at, self._callee_ages
        while ages and ages[0][0] <= at:
            _, gone = ages.popleft()
            kept = self._callees[gone]
            del kept[0]
            if not kept:
                del self._callees[gone]
        key = way.account, way.number
        calls = self._callees.setdefault(key, [])
        calls.append(at)
        # All in one line, however long each counts: so none leaves it too early.
        ages.append((at + max(self._longest_s.values()), key))
        for cap in way.callee_caps:
            since = at - cap.per_s + EXACT_S
            count = sum(one > since for one in calls)
            if count > cap.calls:
                self.case.note(
                    "nobody is called more often than the caps on callees allow",
                    f"{way.number}: {count} calls in the {cap.per_s:g} s until {at:.3f},"
                    f" not {cap.calls}",
                )


def _party_of(account: str, rules: AccountRules) -> _Party:
    caps = [*rules.caps]
    if rules.calls_per_day is not None:
        caps.append(Cap(rules.calls_per_day, DAY_S))
    return _Party(f"account {account}", rules.cps, rules.channels, caps)


def _countries_of(rules: AccountRules) -> dict[str, int]:
    """How many calls a day may go to each country that is limited."""
    most = rules.country_calls_per_day
    capped = {} if most is None else dict.fromkeys(COUNTRIES.values(), most)
    return capped | rules.country_caps
