"""Brings a contact to the DID that can take it soonest."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Final

import msgspec
import trio
from msgspec import Struct

from engine.dial.account import AccountDesk
from engine.dial.assignment import INTENT_MAX_S, AttemptServices
from engine.dial.blockers import find_capped, find_closed, find_wait, opening_of
from engine.dial.callees import CalleeBook, Callees
from engine.dial.callers import CallerPool
from engine.dial.choice import DidChoice
from engine.dial.day_caps import DAY_S, DayCapDefaults
from engine.dial.did import DidActor
from engine.dial.elsewhere import PATIENCE_S
from engine.dial.explaining import Explainer
from engine.dial.floor import Floor, Ticket
from engine.dial.flow_desk import FlowDesk
from engine.dial.limits import Block, Limits, Window, limits_of_did, limits_of_flow, windows_of_flow
from engine.dial.parking import STICKY_WAIT_S, Parking
from engine.dial.route import RouteSettings, check_routes, make_routes
from engine.dial.trunk import Trunk, TrunkSettings
from engine.dial.turns import RANKS, URGENT
from engine.flow.definition import read_definition
from engine.model import Account, Contact, Did, Flow
from engine.ports.clock import WallClock
from engine.ports.dial_store import RecentStart
from engine.ports.telephony import TrunkCondition
from engine.schedule.feed import Work
from engine.schedule.outlet import Aside, Hold

Offer = Callable[[str], bool]
"""Asks the scheduler for one more contact of a flow; whether it has yet more."""
NextOf = Callable[[str], Contact | None]
"""The contact that the scheduler would offer next of a flow that is not held."""


ERRANDS_MAX: Final = 10_000
"""Contacts whose agents are about to be called."""
AGENT_WAIT_S: Final = 5.0
"""How long a contact waits whose agent is not free, and a flow when there are too many of those."""
RETIRED_MAX: Final = 10_000
"""Removed DIDs whose limits are remembered."""
UNFIT_WAIT_S: Final = 86_400.0
"""How soon a contact is looked at again that none of its flow's DIDs may call; sooner when the flow, its DIDs
or its account are changed."""


class Errand(Struct, frozen=True):
    """A contact that an agent is to be brought to before it is called."""

    work: Work
    ticket: Ticket


class Router:
    """Holds the flows in operation and the actors of their DIDs. All synchronous but `run_did`."""

    def __init__(
        self,
        clock: WallClock,
        engine: Limits,
        trunks: Iterable[TrunkSettings],
        routes: Sequence[RouteSettings] = (),
        day_caps: DayCapDefaults = DayCapDefaults(),  # noqa: B008, it is frozen
    ) -> None:
        """Raises ValueError for routes that cannot be; see `make_routes`."""
        self._clock = clock
        self._engine = engine
        self._day_caps = day_caps
        self.trunks = {one.name: Trunk(one) for one in trunks}
        self._routes = make_routes(self.trunks, routes)
        self._desks: dict[str, FlowDesk] = {}
        self._actors: dict[str, DidActor] = {}
        self._flows_of: dict[str, dict[str, None]] = {}
        """Flows in operation, by the DIDs that they call from."""
        self.parking = Parking()
        """Contacts that wait for the DID that they know."""
        self._has_parked = trio.Event()
        self._retired: dict[str, Limits] = {}
        """Those of DIDs that were removed."""
        self.callees = CalleeBook()
        """Who was called lately, by each account."""
        self._accounts: dict[str, AccountDesk] = {}
        self._waiting_for_channel: set[str] = set()
        self._send_errand, self.errands = trio.open_memory_channel[Errand](ERRANDS_MAX)
        """`errands` are contacts whose agent comes before their call."""
        self._freed: dict[str, None] = {}
        self._has_freed = trio.Event()
        self._choice = DidChoice(engine, self._desks, self._actors)
        self.explainer = Explainer(clock, engine, self._desks, self._actors, self.parking)
        """Knows why contacts are not dialled."""

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
            trunk = self.trunks.get(one.name)
            has_changed = trunk is None or trunk.change(one, now)
            trunk = trunk or Trunk(one)
            self.trunks[one.name] = trunk
            if has_changed:
                self._recall(trunk.limits, starts.get(one.name, ()))
        self.trunks = {one.name: self.trunks[one.name] for one in trunks}
        before, self._routes = self._routes, make_routes(self.trunks, routes)
        for name, route in before.items():
            fresh = self._routes.get(name)
            if fresh is not None and fresh.groups == route.groups:
                self._routes[name], route = route, fresh  # nobody loses its place in the line
            route.close()
        for actor in self._actors.values():
            actor.set_did(actor.did, self._routes.get(actor.did.trunk))
            self._put_back_caller(actor.did.number)

    def set_limits(self, channels: int, windows: Sequence[Window], starts: Sequence[float]) -> None:
        """Go by other limits of the whole installation from now on, as `set_trunks`."""
        if self._engine.channels != channels or not self._engine.are(windows):
            self._engine.change(channels, windows)
            self._recall(self._engine, starts)

    def flows(self) -> list[str]:
        """Those in operation."""
        return [*self._desks]

    def set_account(self, account: Account) -> list[str]:
        """Take an account, or its change, into operation. Of which of its flows contacts that were set aside
        are to be looked at again for that."""
        desk = self._accounts.get(account.id)
        if desk is None:
            self._accounts[account.id] = AccountDesk(account, self._day_caps)
            return []
        desk.set_account(account)
        flows = [(id_, flow) for id_, flow in self._desks.items() if flow.account is desk]
        is_new = desk.has_other_caps
        return [
            id_
            for id_, flow in flows
            if flow.set_callers() | flow.set_hours() | flow.set_callees() | is_new
        ]

    def flows_of_account(self, account: str) -> list[str]:
        """Flows in operation of an account."""
        return [flow for flow, desk in self._desks.items() if desk.flow.account == account]

    def knows_account(self, account: str) -> bool:
        """Whether this account is in operation, as it must be before its flows."""
        return account in self._accounts

    def set_flow(self, flow: Flow) -> bool:
        """Take a flow, or its change, into operation. Its limits keep their count across a change. Whether
        contacts of a flow that was there are to be looked at again that were set aside."""
        definition = read_definition(flow.definition)
        desk = self._desks.get(flow.id)
        self._note_callers(flow.id, () if desk is None else desk.flow.dids, flow.dids)
        if desk is None:
            limits, account = limits_of_flow(flow.settings), self._accounts[flow.account]
            limits.on_change.append(partial(self._note_channel, flow.id))
            floor = Floor(flow, self._note_freed)
            desk = FlowDesk(flow, definition, limits, account, floor, self.callees)
            self._desks[flow.id] = desk
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
        desk = self._desks.get(flow)
        if desk is not None:
            paused_at = desk.flow.paused_at or self._clock.now()
            desk.flow = msgspec.structs.replace(desk.flow, paused_at=paused_at if paused else None)

    def hold_flow(self, flow: str, by: int) -> None:
        """One more (1), or one less (-1), who wants no call of a flow to begin for the moment."""
        desk = self._desks.get(flow)
        if desk is not None:
            desk.holders += by

    def remove_flow(self, flow: str) -> None:
        """Take a deleted flow out of operation."""
        desk = self._desks.pop(flow, None)
        if desk is not None:
            self._note_callers(flow, desk.flow.dids, ())
            desk.floor.ask_all_to_leave()

    def add_did(self, did: Did, starts: Sequence[float] = ()) -> DidActor:
        """Make the actor of a DID, whose account is in operation; `run_did` runs it. `starts` as of
        `set_did`."""
        route, account = self._routes.get(did.trunk), self._accounts[did.account]
        actor = DidActor(did, route, account, self._engine, self._desks.get, self._choice)
        self._actors[did.number] = actor
        retired = self._retired.pop(did.number, None)
        if retired is not None:
            retired.change(actor.limits.channels, actor.limits.windows)
            actor.limits = retired
        self._recall(actor.limits, starts)
        self._set_rest(actor)
        self._put_back_caller(did.number)
        return actor

    def find_did(self, number: str) -> Did | None:
        """A DID in operation, as it is now."""
        actor = self._actors.get(number)
        return None if actor is None else actor.did

    def set_did(self, did: Did, starts: Sequence[float] = ()) -> None:
        """Take a change of a DID into operation, if it has an actor.

        Args:
            starts: where its limits are others, when its latest calls began, seconds since the epoch,
                oldest first.
        """
        actor = self._actors.get(did.number)
        if actor is None:
            return
        before = actor.did
        actor.set_did(did, self._routes.get(did.trunk))
        self._set_rest(actor)
        if (before.cps, before.channels, before.caps) != (did.cps, did.channels, did.caps):
            fresh = limits_of_did(did.cps, did.channels, did.caps)
            actor.limits.change(fresh.channels, fresh.windows)
            self._recall(actor.limits, starts)
        self._put_back_caller(did.number)

    def remove_did(self, number: str) -> None:
        """Take a DID out of operation. Its limits are kept for when it comes back."""
        actor = self._actors.pop(number, None)
        if actor is not None:
            actor.close()
            self._release(number)
            self._retired[number] = actor.limits
            if len(self._retired) > RETIRED_MAX:
                del self._retired[next(iter(self._retired))]

    def _set_rest(self, actor: DidActor) -> None:
        rest = actor.did.rest
        if rest is None:
            actor.rest = None
            return
        lag = self._clock.now() - trio.current_time()
        until = math.inf if rest.until is None else rest.until - lag
        detail = f"The caller number {actor.did.number} rests: {rest.detail}"
        actor.rest = Block("did_cap", until, detail=detail)
        self._release(actor.did.number)

    def _release(self, number: str) -> None:
        """Nobody is to wait for this DID."""
        self.parking.release(number)
        self._has_parked.set()

    def _recall(self, limits: Limits, starts: Sequence[float]) -> None:
        """Have each window count the calls that only the store remembers. One that both remember may count
        twice: that costs a call of pace, and breaks no limit."""
        now = trio.current_time()
        lag = self._clock.now() - now
        for _, window in limits.windows:
            oldest = window.oldest_at
            earlier = [at - lag for at in starts if at - lag < oldest]
            window.recall([min(now, oldest, at + INTENT_MAX_S) for at in earlier])

    def flows_of(self, number: str) -> list[str]:
        """Flows in operation that call from this DID."""
        return [*self._flows_of.get(number, ())]

    def _note_callers(self, flow: str, before: Iterable[str], now: Iterable[str]) -> None:
        """A flow calls from other DIDs now."""
        for number in before:
            self._flows_of[number].pop(flow)
            if not self._flows_of[number]:
                del self._flows_of[number]
        for number in now:
            self._flows_of.setdefault(number, {})[flow] = None

    def _put_back_caller(self, number: str) -> None:
        """A DID may have room for a contact, of any of its flows."""
        for flow in self._flows_of.get(number, ()):
            self._desks[flow].callers.put(number)

    def knows_did(self, number: str) -> bool:
        """Whether this DID has its actor."""
        return number in self._actors

    def note_condition(self, condition: TrunkCondition) -> None:
        """The telephone network tells whether a trunk can be used. One that is not known is nobody's."""
        trunk = self.trunks.get(condition.trunk)
        if trunk is not None:
            trunk.note_condition(condition.is_usable, condition.detail)

    async def run_did(
        self,
        actor: DidActor,
        attempts: trio.Nursery,
        services: AttemptServices,
        offer: Offer,
        next_of: NextOf,
    ) -> None:
        """Run a DID's actor until cancelled, and keep its mailbox filled from all its flows in turn."""

        def fill(actor: DidActor) -> None:
            self._put_back_caller(actor.did.number)
            while (
                actor.has_room(RANKS - 1)
                and (work := self.parking.take(actor.did.number)) is not None
            ):
                answer = self.take(work)
                if isinstance(answer, Aside):
                    services.set_aside(work, answer.due_at, answer.code)
                elif answer is not None:
                    services.put_back(work, work.contact)
            while (flow := actor.take_hungry()) is not None:
                if not offer(flow):
                    # What was offered in vain waits for something else than room, which offers it again.
                    continue
                following = next_of(flow)
                desk = self._desks.get(flow)
                if following is not None and desk is not None:
                    actor.note_hungry(desk.claimant_of(following))

        def free(flow: str) -> None:
            if flow in self._waiting_for_channel:
                self._waiting_for_channel.discard(flow)
                while offer(flow):
                    pass

        await actor.run(attempts, services, fill, free)

    def floor_of(self, flow: str) -> Floor | None:
        """Where the customers of a flow in operation meet its agents."""
        desk = self._desks.get(flow)
        return None if desk is None else desk.floor

    def floors(self) -> list[Floor]:
        """Those of all flows in operation."""
        return [desk.floor for desk in self._desks.values()]

    def ways_of(self, flow: str, number: str | None) -> list[tuple[DidActor, FlowDesk]]:
        """The DIDs in operation that calls of a flow may go by: all of them, or the one that is named."""
        desk = self._desks.get(flow)
        if desk is None:
            return []
        numbers = desk.flow.dids if number is None else (number,)
        return [(self._actors[one], desk) for one in numbers if one in self._actors]

    async def wait_freed(self) -> list[str]:
        """Flows whose agents, or whose channels, may let more calls go."""
        await self._has_freed.wait()
        self._has_freed = trio.Event()
        freed, self._freed = self._freed, {}
        return [*freed]

    def take(self, work: Work) -> Hold | Aside | None:
        """The scheduler's outlet: put the contact into the mailbox of the DID that is free soonest, bring it
        to the agent whom it is meant for, or have it set aside until its calling window opens."""
        desk = self._desks.get(work.feed.flow)
        if desk is None or not desk.may_call:
            return Hold(None)
        now, wall_now = trio.current_time(), self._clock.now()
        waits = find_wait(work.contact, desk.day_budget, now, wall_now)
        number = work.contact.number
        barred = waits or find_closed(number, desk.hours, now, wall_now)
        barred = barred or find_capped(number, desk.account.day_caps, now)
        barred = barred or desk.callees.blocked_by(number, now)
        if barred is not None:
            return Aside(opening_of(barred, now, wall_now), barred.code)
        if work.claim is None and desk.flow.kind == "dialer":
            if work.contact.agent is not None:
                return self._bring_to_agent(work, desk)
            if desk.flow.settings.dialing == "preview":
                shown = desk.floor.show_next(work, now)
                return Hold(None) if shown is None else None
            if desk.floor.room <= 0:
                return Hold(None)
        return self._post(work, desk)

    def _bring_to_agent(self, work: Work, desk: FlowDesk) -> Hold | Aside | None:
        """Take a contact that one agent is to talk with, if that one is free."""
        number = work.contact.agent
        assert number is not None
        floor, was_freed = desk.floor, desk.flow.id in self._freed
        seat = floor.seat_at(number) or floor.invite_guest(number)
        ticket = floor.reserve(work, seat, trio.current_time())
        if ticket is None:
            return Aside(self._clock.now() + AGENT_WAIT_S, "agents_busy")
        hold: Hold | Aside | None = None
        if desk.flow.settings.first == "customer":
            hold = self._post(work, desk)
        else:
            try:
                self._send_errand.send_nowait(Errand(work, ticket))
            except trio.WouldBlock:
                hold = Hold(self._clock.now() + AGENT_WAIT_S)
        if hold is not None:
            ticket.close()
            work.claim = None
            if not was_freed:
                # The agent was taken and given back: offered again for that, it would come here for ever.
                self._freed.pop(desk.flow.id, None)
        return hold

    def _note_channel(self, flow: str) -> None:
        """A flow may have a channel of its own free again; second legs take and give them back as well."""
        desk = self._desks.get(flow)
        if flow in self._waiting_for_channel and desk is not None and not desk.is_full:
            self._waiting_for_channel.discard(flow)
            self._note_freed(flow)

    def _note_freed(self, flow: str) -> None:
        self._freed[flow] = None
        self._has_freed.set()

    def _post(self, work: Work, desk: FlowDesk) -> Hold | Aside | None:
        now, wall_now = trio.current_time(), self._clock.now()
        if desk.is_full:
            self._waiting_for_channel.add(desk.flow.id)
            return Hold(None)
        blocked = desk.limits.blocked_by(now)
        if blocked is not None and math.isfinite(blocked.until):
            return Hold(wall_now + blocked.until - now)
        # Many flows wait for their account together, as for the other limits that they share; but not long.
        blocked = desk.account.limits.blocked_by(now)
        if (
            blocked is not None
            and math.isfinite(blocked.until)
            and blocked.until - now > PATIENCE_S
        ):
            return Hold(wall_now + blocked.until - now)
        callee = work.contact.number
        pool = desk.callers.pool_for(callee)
        if not pool.numbers and desk.callers.numbers:
            return Aside(wall_now + UNFIT_WAIT_S, "no_trunk")
        claimant = desk.claimant_of(work.contact)
        known = self._find_known(work, desk, pool)
        if known is not None and not self._choice.has_room(claimant.rank, known):
            if claimant.rank != URGENT and self._may_wait_for(known, work, desk, now):
                self.parking.add(known, work, now)
                self._has_parked.set()
                return None
            known = None
        chosen = known or self._choice.choose(pool, callee, claimant.rank, now)
        if chosen is None:
            for number in pool.numbers:
                if number in self._actors:
                    self._actors[number].note_hungry(claimant)
            return Hold(None)
        if work.claim is None and desk.flow.kind == "dialer" and desk.floor.admit(work) is None:
            return Hold(None)
        self._actors[chosen].post(work, desk)
        return None

    def _find_known(self, work: Work, desk: FlowDesk, pool: CallerPool) -> str | None:
        """The DID that called the contact's number last, of those that may call it now."""
        if desk.flow.settings.caller_numbers != "sticky" or work.callers is None:
            return None
        for number in work.callers.get(work.contact.number, ()):
            actor = self._actors.get(number)
            if number in pool.numbers and actor is not None and actor.rest is None:
                return number
        return None

    def _may_wait_for(self, known: str, work: Work, desk: FlowDesk, now: float) -> bool:
        """Whether a contact waits for a DID that is busy: where its turn is likely to come in time, and no
        agent is kept waiting for it."""
        if work.has_waited or desk.flow.kind == "dialer":
            return False
        actor = self._actors[known]
        if actor.route is None or actor.route.down_by(now) is not None:
            return False
        blocked = actor.limits.blocked_by(now)
        is_known = blocked is not None and math.isfinite(blocked.until)
        held_s = blocked.until - now if blocked is not None and is_known else 0.0
        queue_s = (self.parking.count(known) + 1) / actor.did.cps
        return held_s + actor.backlog_s + queue_s <= STICKY_WAIT_S

    def callees_of(self, flow: str) -> Callees | None:
        """How often a flow in operation may call one callee."""
        desk = self._desks.get(flow)
        return None if desk is None else desk.callees

    def dids_of(self, flow: str) -> int:
        """How many DIDs a flow calls from."""
        desk = self._desks.get(flow)
        return 0 if desk is None else len(desk.flow.dids)

    def is_sticky(self, flow: str) -> bool:
        """Whether a flow calls people from the DID that they know."""
        desk = self._desks.get(flow)
        return desk is not None and desk.flow.settings.caller_numbers == "sticky"

    async def end_waits(self, put_back: Callable[[Work, Contact], None]) -> None:
        """Give back who has waited long enough for a DID, until cancelled.

        Args:
            put_back: tells the scheduler that a contact waits again.
        """
        while True:
            self._has_parked = trio.Event()
            for work in self.parking.expire(trio.current_time()):
                work.has_waited = True
                put_back(work, work.contact)
            end = self.parking.next_end
            with trio.move_on_at(math.inf if end is None else end):
                await self._has_parked.wait()

    def rank_of(self, contact: Contact) -> int:
        """By which a contact goes before others of its flow."""
        desk = self._desks.get(contact.flow)
        return RANKS - 1 if desk is None else desk.claimant_of(contact).rank

    def load_of(self, number: str) -> tuple[int, int]:
        """(calls at once, calls that left in the last second) of a DID."""
        actor = self._actors.get(number)
        if actor is None:
            return 0, 0
        return actor.limits.in_use, actor.limits.windows[0][1].count(trio.current_time())

    @property
    def engine_limits(self) -> Limits:
        """Those of all calls together."""
        return self._engine

    @property
    def dids_full(self) -> int:
        """DIDs that carry as many calls as they may."""
        return sum(actor.limits.is_full for actor in self._actors.values())

    @property
    def did_count(self) -> int:
        """DIDs in operation."""
        return len(self._actors)

    def looks_back_s(self) -> float:
        """How far back intents still count: the longest window of any limit, and what may lie between an
        intent and its call."""
        parties = [self._engine]
        parties += [trunk.limits for trunk in self.trunks.values()]
        parties += [desk.limits for desk in self._accounts.values()]
        parties += [desk.limits for desk in self._desks.values()]
        parties += [actor.limits for actor in self._actors.values()]
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
            actor, desk = self._actors.get(start.did), self._desks.get(start.flow)
            trunk, account = self.trunks.get(start.trunk), self._accounts.get(start.account)
            if account is not None:
                account.day_caps.restore(start.number, at)
            parties = [
                actor.limits if actor is not None else None,
                desk.limits if desk is not None else None,
                trunk.limits if trunk is not None else None,
                account.limits if account is not None else None,
                self._engine,
            ]
            for limits in parties:
                if limits is not None:
                    limits.restore(at)
