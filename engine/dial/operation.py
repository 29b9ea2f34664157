"""The accounts, flows, trunks and DIDs in operation, each as it is now.

Whoever changes one says so here, and it counts from that moment on; `Router` goes by what stands here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Final

import msgspec
import trio

from engine.dial.account import AccountDesk
from engine.dial.agents.floor import Floor
from engine.dial.dids.choice import DidChoice
from engine.dial.dids.did import DidActor
from engine.dial.dids.parking import Parking
from engine.dial.flow_desk import FlowDesk
from engine.dial.freed import FreedFlows
from engine.dial.limits.callees import CalleeBook, Callees
from engine.dial.limits.day_caps import DAY_S, DayCapDefaults
from engine.dial.limits.party import (
    Block,
    Limits,
    Window,
    limits_of_did,
    limits_of_flow,
    windows_of_flow,
)
from engine.dial.limits.windows import INTENT_MAX_S
from engine.dial.trunks.route import RouteSettings, check_routes, make_routes
from engine.dial.trunks.trunk import Trunk, TrunkSettings
from engine.flow.definition import read_definition
from engine.model import Account, Contact, Did, Flow
from engine.ports.clock import WallClock
from engine.ports.dial_store import RecentStart
from engine.ports.telephony import TrunkCondition
from engine.schedule.turns import RANKS

RETIRED_MAX: Final = 10_000
"""Removed DIDs whose limits are remembered, and removed trunks."""


class Operation:
    """What is in operation. All synchronous."""

    def __init__(
        self,
        clock: WallClock,
        engine: Limits,
        trunks: Iterable[TrunkSettings],
        routes: Sequence[RouteSettings] = (),
        day_caps: DayCapDefaults = DayCapDefaults(),  # noqa: B008, it is frozen
    ) -> None:
        """`engine` are the limits of all calls together. Raises ValueError for routes that cannot be; see
        `make_routes`."""
        self._clock = clock
        self.engine_limits = engine
        """Those of all calls together."""
        self._day_caps = day_caps
        self.trunks = {one.name: Trunk(one) for one in trunks}
        self._routes = make_routes(self.trunks, routes)
        self._accounts: dict[str, AccountDesk] = {}
        self.desks: dict[str, FlowDesk] = {}
        """Flows, by id. This dict and the next are the same at all times."""
        self.actors: dict[str, DidActor] = {}
        """Of DIDs, by number."""
        self._flows_of: dict[str, dict[str, None]] = {}
        """Flows, by the DIDs that they call from."""
        self._retired: dict[str, Limits] = {}
        """Those of DIDs that were removed."""
        self._retired_trunks: dict[str, Trunk] = {}
        """Trunks that were removed, by name: their calls go on."""
        self.callees = CalleeBook()
        """Who was called lately, by each account."""
        self.parking = Parking()
        """Contacts that wait for the DID that they know."""
        self.freed = FreedFlows(self.desks)
        """Flows that may let more calls go."""
        self.choice = DidChoice(engine, self.desks, self.actors)
        """Which of a flow's DIDs a contact goes by."""

    def set_trunks(
        self,
        trunks: Sequence[TrunkSettings],
        routes: Sequence[RouteSettings],
        starts: Mapping[str, Sequence[float]],
    ) -> None:
        """Go by other trunks and routes from now on; calls that are up stay where they are. Raises ValueError
        with nothing changed for routes that cannot be.

        Args:
            starts: when the calls of a trunk began that its caps may count, seconds since the epoch, oldest
                first, by its name.
        """
        check_routes([one.name for one in trunks], routes)
        now = trio.current_time()
        for one in trunks:
            trunk = self.trunks.get(one.name) or self._bring_back_trunk(one.name)
            has_changed = trunk is None or trunk.change(one, now)
            trunk = trunk or Trunk(one)
            self.trunks[one.name] = trunk
            if has_changed:
                self._recall(trunk.limits, starts.get(one.name, ()))
        self._retire_trunks(self.trunks.keys() - {one.name for one in trunks})
        self.trunks = {one.name: self.trunks[one.name] for one in trunks}
        before, self._routes = self._routes, make_routes(self.trunks, routes)
        for name, route in before.items():
            fresh = self._routes.get(name)
            if fresh is not None and fresh.groups == route.groups:
                self._routes[name], route = route, fresh  # nobody loses its place in the line
            route.close()
        for actor in self.actors.values():
            actor.set_did(actor.did, self._routes.get(actor.did.trunk))
            self.note_room(actor.did.number)

    def _retire_trunks(self, names: Iterable[str]) -> None:
        for name in names:
            self._retired_trunks[name] = self.trunks.pop(name)
            if len(self._retired_trunks) > RETIRED_MAX:
                del self._retired_trunks[next(iter(self._retired_trunks))]

    def _bring_back_trunk(self, name: str) -> Trunk | None:
        """The trunk of a name that was taken away, if one was."""
        trunk = self._retired_trunks.pop(name, None)
        if trunk is not None:
            trunk.come_back()
        return trunk

    def set_limits(self, channels: int, windows: Sequence[Window], starts: Sequence[float]) -> None:
        """Go by other limits of the whole installation from now on, as `set_trunks`."""
        if self.engine_limits.channels != channels or not self.engine_limits.are(windows):
            self.engine_limits.change(channels, windows)
            self._recall(self.engine_limits, starts)

    def flows(self) -> list[str]:
        """Those in operation."""
        return [*self.desks]

    def set_account(self, account: Account) -> list[str]:
        """Take an account, or its change, into operation. Of which of its flows contacts that were set aside
        are to be looked at again for that."""
        desk = self._accounts.get(account.id)
        if desk is None:
            self._accounts[account.id] = AccountDesk(account, self._day_caps)
            return []
        desk.set_account(account)
        flows = [(id_, flow) for id_, flow in self.desks.items() if flow.account is desk]
        is_new = desk.has_other_caps
        return [
            id_
            for id_, flow in flows
            if flow.set_callers() | flow.set_hours() | flow.set_callees() | is_new
        ]

    def flows_of_account(self, account: str) -> list[str]:
        """Flows in operation of an account."""
        return [flow for flow, desk in self.desks.items() if desk.flow.account == account]

    def knows_account(self, account: str) -> bool:
        """Whether this account is in operation, as it must be before its flows."""
        return account in self._accounts

    def set_flow(self, flow: Flow) -> bool:
        """Take a flow, or its change, into operation. Its limits keep their count across a change. Whether
        contacts of a flow that was there are to be looked at again that were set aside."""
        definition = read_definition(flow.definition)
        desk = self.desks.get(flow.id)
        self._note_callers(flow.id, () if desk is None else desk.flow.dids, flow.dids)
        if desk is None:
            limits, account = limits_of_flow(flow.settings), self._accounts[flow.account]
            limits.on_change.append(partial(self.freed.note_channel, flow.id))
            floor = Floor(flow, self.freed.note)
            desk = FlowDesk(flow, definition, limits, account, floor, self.callees)
            self.desks[flow.id] = desk
            return False
        was_standing = desk.floor.is_standing
        desk.floor.flow = flow
        if desk.floor.is_standing != was_standing:
            desk.floor.ask_all_to_leave()  # agents are reached in another way from now on
        windows = windows_of_flow(flow.settings)
        if desk.limits.channels != flow.settings.channels or not desk.limits.are(windows):
            desk.limits.change(flow.settings.channels, windows)
        return desk.set_flow(flow, definition)

    def pause_flow(self, flow: str, paused: bool) -> None:
        """A flow is paused, or goes on; at once, and before anything else of its change."""
        desk = self.desks.get(flow)
        if desk is not None:
            paused_at = desk.flow.paused_at or self._clock.now()
            desk.flow = msgspec.structs.replace(desk.flow, paused_at=paused_at if paused else None)

    def hold_flow(self, flow: str, by: int) -> None:
        """One more (1), or one less (-1), who wants no call of a flow to begin for the moment."""
        desk = self.desks.get(flow)
        if desk is not None:
            desk.holders += by

    def remove_flow(self, flow: str) -> None:
        """Take a deleted flow out of operation."""
        desk = self.desks.pop(flow, None)
        if desk is not None:
            self._note_callers(flow, desk.flow.dids, ())
            desk.floor.ask_all_to_leave()
            self.freed.forget(flow)

    def add_did(self, did: Did, starts: Sequence[float] = ()) -> DidActor:
        """Make the actor of a DID, whose account is in operation; `Router.run_did` runs it. `starts` as of
        `set_did`."""
        route, account = self._routes.get(did.trunk), self._accounts[did.account]
        actor = DidActor(did, route, account, self.engine_limits, self.desks.get, self.choice)
        self.actors[did.number] = actor
        retired = self._retired.pop(did.number, None)
        if retired is not None:
            retired.change(actor.limits.channels, actor.limits.windows)
            actor.limits = retired
        self._recall(actor.limits, starts)
        self._set_rest(actor)
        self.note_room(did.number)
        return actor

    def find_did(self, number: str) -> Did | None:
        """A DID in operation, as it is now."""
        actor = self.actors.get(number)
        return None if actor is None else actor.did

    def set_did(self, did: Did, starts: Sequence[float] = ()) -> None:
        """Take a change of a DID into operation, if it has an actor.

        Args:
            starts: where its limits are others, when its latest calls began, seconds since the epoch,
                oldest first.
        """
        actor = self.actors.get(did.number)
        if actor is None:
            return
        before = actor.did
        actor.set_did(did, self._routes.get(did.trunk))
        self._set_rest(actor)
        if (before.cps, before.channels, before.caps) != (did.cps, did.channels, did.caps):
            fresh = limits_of_did(did.cps, did.channels, did.caps)
            actor.limits.change(fresh.channels, fresh.windows)
            self._recall(actor.limits, starts)
        self.note_room(did.number)

    def remove_did(self, number: str) -> None:
        """Take a DID out of operation. Its limits are kept for when it comes back."""
        actor = self.actors.pop(number, None)
        if actor is not None:
            actor.close()
            self.parking.release(number)
            self._retired[number] = actor.limits
            if len(self._retired) > RETIRED_MAX:
                del self._retired[next(iter(self._retired))]

    def knows_did(self, number: str) -> bool:
        """Whether this DID has its actor."""
        return number in self.actors

    def flows_of(self, number: str) -> list[str]:
        """Flows in operation that call from this DID."""
        return [*self._flows_of.get(number, ())]

    def note_condition(self, condition: TrunkCondition) -> None:
        """The telephone network tells whether a trunk can be used. One that is not known is nobody's."""
        trunk = self.trunks.get(condition.trunk)
        if trunk is not None:
            trunk.note_condition(condition.is_usable, condition.detail)

    def note_room(self, number: str) -> None:
        """A DID may have room for a contact, of any of its flows."""
        for flow in self._flows_of.get(number, ()):
            self.desks[flow].callers.put(number)

    def floor_of(self, flow: str) -> Floor | None:
        """Where the customers of a flow in operation meet its agents."""
        desk = self.desks.get(flow)
        return None if desk is None else desk.floor

    def floors(self) -> list[Floor]:
        """Those of all flows in operation."""
        return [desk.floor for desk in self.desks.values()]

    def ways_of(self, flow: str, number: str | None) -> list[tuple[DidActor, FlowDesk]]:
        """The DIDs in operation that calls of a flow may go by: all of them, or the one that is named."""
        desk = self.desks.get(flow)
        if desk is None:
            return []
        numbers = desk.flow.dids if number is None else (number,)
        return [(self.actors[one], desk) for one in numbers if one in self.actors]

    def callees_of(self, flow: str) -> Callees | None:
        """How often a flow in operation may call one callee."""
        desk = self.desks.get(flow)
        return None if desk is None else desk.callees

    def dids_of(self, flow: str) -> int:
        """How many DIDs a flow calls from."""
        desk = self.desks.get(flow)
        return 0 if desk is None else len(desk.flow.dids)

    def is_sticky(self, flow: str) -> bool:
        """Whether a flow calls people from the DID that they know."""
        desk = self.desks.get(flow)
        return desk is not None and desk.flow.settings.caller_numbers == "sticky"

    def rank_of(self, contact: Contact) -> int:
        """By which a contact goes before others of its flow."""
        desk = self.desks.get(contact.flow)
        return RANKS - 1 if desk is None else desk.claimant_of(contact).rank

    def load_of(self, number: str) -> tuple[int, int]:
        """(calls at once, calls that left in the last second) of a DID."""
        actor = self.actors.get(number)
        if actor is None:
            return 0, 0
        return actor.limits.in_use, actor.limits.windows[0][1].count(trio.current_time())

    @property
    def dids_full(self) -> int:
        """DIDs that carry as many calls as they may."""
        return sum(actor.limits.is_full for actor in self.actors.values())

    @property
    def did_count(self) -> int:
        """DIDs in operation."""
        return len(self.actors)

    def looks_back_s(self) -> float:
        """How far back intents still count: the longest window of any limit, and what may lie between an
        intent and its call."""
        parties = [self.engine_limits]
        parties += [trunk.limits for trunk in self.trunks.values()]
        parties += [desk.limits for desk in self._accounts.values()]
        parties += [desk.limits for desk in self.desks.values()]
        parties += [actor.limits for actor in self.actors.values()]
        longest_s = max(window.per_s for limits in parties for _, window in limits.windows)
        if any(desk.day_caps.are_set for desk in self._accounts.values()):
            longest_s = max(longest_s, DAY_S)
        return longest_s + INTENT_MAX_S

    def restore(self, starts: Iterable[RecentStart]) -> None:
        """Enter attempts made before this process began into the windows they count in, oldest first.
        Each counts from the latest moment at which its call can have left; that is not in the future, even
        where the clock was set back."""
        now = trio.current_time()
        lag = self._clock.now() - now
        for start in starts:
            at = min(now, start.initiated_at + INTENT_MAX_S - lag)
            actor, desk = self.actors.get(start.did), self.desks.get(start.flow)
            trunk, account = self.trunks.get(start.trunk), self._accounts.get(start.account)
            if account is not None:
                account.day_caps.restore(start.number, at)
            parties = [
                actor.limits if actor is not None else None,
                desk.limits if desk is not None else None,
                trunk.limits if trunk is not None else None,
                account.limits if account is not None else None,
                self.engine_limits,
            ]
            for limits in parties:
                if limits is not None:
                    limits.restore(at)

    def _set_rest(self, actor: DidActor) -> None:
        rest = actor.did.rest
        if rest is None:
            actor.rest = None
            return
        lag = self._clock.now() - trio.current_time()
        until = math.inf if rest.until is None else rest.until - lag
        detail = f"The caller number {actor.did.number} rests: {rest.detail}"
        actor.rest = Block("did_cap", until, detail=detail)
        self.parking.release(actor.did.number)

    def _recall(self, limits: Limits, starts: Sequence[float]) -> None:
        """Have each window count the calls that only the store remembers. One that both remember may count
        twice: that costs a call of pace, and breaks no limit."""
        now = trio.current_time()
        lag = self._clock.now() - now
        for _, window in limits.windows:
            oldest = window.oldest_at
            earlier = [at - lag for at in starts if at - lag < oldest]
            window.recall([min(now, oldest, at + INTENT_MAX_S) for at in earlier])

    def _note_callers(self, flow: str, before: Iterable[str], now: Iterable[str]) -> None:
        """A flow calls from other DIDs now."""
        for number in before:
            self._flows_of[number].pop(flow)
            if not self._flows_of[number]:
                del self._flows_of[number]
        for number in now:
            self._flows_of.setdefault(number, {})[flow] = None
