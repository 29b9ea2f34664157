"""A DID's actor: takes contacts from its mailbox one by one, and lets each go when every limit allows."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import msgspec
import structlog
import trio

from engine.dial.account import AccountDesk
from engine.dial.attempts.assignment import (
    NUMBER_BUSY_WAIT_S,
    UNAVAILABLE_WAIT_S,
    Assignment,
    AttemptServices,
)
from engine.dial.attempts.attempt import run_attempt
from engine.dial.blockers import (
    Case,
    DidWay,
    find_ban,
    find_blocker,
    find_line_blocker,
    find_unfit,
    opening_of,
)
from engine.dial.clearance import clear
from engine.dial.dids.elsewhere import (
    NOWHERE,
    PATIENCE_S,
    OtherDids,
    Place,
    is_kept,
    look_elsewhere,
)
from engine.dial.dids.mailbox import Mailbox
from engine.dial.flow_desk import FlowDesk
from engine.dial.limits.line import Patience
from engine.dial.limits.party import ROUNDING_S, Block, Limits, limits_of_did
from engine.dial.trunks.route import Route
from engine.model import Did
from engine.ports.stored import StoreUnavailable
from engine.schedule.feed import Work
from engine.schedule.turns import URGENT, Claimant, Turns

log = structlog.get_logger(__name__)

MAILBOX_S: Final = 1.0
"""Seconds of a DID's pace that its mailbox holds."""
MAILBOX_MIN: Final = 2
"""Contacts that it holds at the least, where more than one goes without a long wait between them."""
MAILBOX_MAX: Final = 500
HELD_PATIENCE_S: Final = 30.0
"""How long whoever has an agent kept for them waits for the DID: the agent may be on the telephone, and the
agent's own call be what has to be waited for."""
TRUNK_CHECK_S: Final = 1.0
"""How often a DID without a trunk, or before trunks that are down, looks again at the least."""
LONG_WAITS: Final = ("calling_window", "retry_wait", "account_limit", "callee_cap")
"""Blockers of a contact that waits for them in the store."""
TRUNK_BLOCKERS: Final = ("no_trunk", "trunk_down")


class DidActor:
    """Owns one DID's limits and channels. `run` is its only task; `post` is how work reaches it."""

    def __init__(
        self,
        did: Did,
        route: Route | None,
        account: AccountDesk,
        engine: Limits,
        desk_of: Callable[[str], FlowDesk | None],
        others: OtherDids,
    ) -> None:
        self.did = did
        self.route = route
        self.limits = limits_of_did(did.cps, did.channels, did.caps)
        self.hungry: dict[str, Claimant] = {}
        """Flows that had work for this DID when its mailbox was full, in the order of asking."""
        self.turns = Turns()
        """Of those flows."""
        self._account = account
        self._engine = engine
        self._desk_of = desk_of
        self._others = others
        self._mail = Mailbox(_mailbox_size(did.cps))
        self._resting = False
        self._is_stuck = False
        """Whether it rests as calls which do not end keep it or its trunks full."""
        self._on_flow_free: Callable[[str], None] = lambda flow: None
        """As of `run`."""
        self.rest: Block | None = None
        """That it is not called from for a while, by itself or as somebody said so."""

    @property
    def backlog_s(self) -> float:
        """Seconds that the mailbox's work takes at the DID's pace."""
        return len(self._mail) / self.did.cps

    def has_room(self, rank: int) -> bool:
        """Whether the mailbox takes one more of this rank. It takes none while the DID is barred or rests."""
        return self.rest is None and not self._resting and self._mail.has_room(rank)

    def set_did(self, did: Did, route: Route | None) -> None:
        """Go by what the DID is now; its limits are `Operation`'s to change."""
        self.did = did
        self.route = route
        self._mail.size = _mailbox_size(did.cps)

    def close(self) -> None:
        """It is not called from any more. What is in the mailbox goes back to the scheduler."""
        self._mail.close()

    def post(self, work: Work, desk: FlowDesk) -> None:
        """Put a contact into the mailbox, which must have room; first where an agent is kept for it."""
        claimant = desk.claimant_of(work.contact)
        work.waits_since = min(work.waits_since, trio.current_time())
        self.turns.charge(claimant, {one.rank for one in self.hungry.values()})
        is_kept = work.claim is not None and work.claim.is_held
        self._mail.post(work, URGENT if is_kept else claimant.rank)
        desk.posted += 1

    def note_hungry(self, claimant: Claimant) -> None:
        """A flow has a contact for which the mailbox has no room."""
        before = self.hungry.get(claimant.flow)
        if before is None or claimant.rank < before.rank:
            self.hungry[claimant.flow] = claimant

    def take_hungry(self) -> str | None:
        """The flow whose turn it is to put a contact into the mailbox; None where none may."""
        may = [one for one in self.hungry.values() if self.has_room(one.rank)]
        if not may:
            return None
        flow = self.turns.choose(may).flow
        del self.hungry[flow]
        return flow

    def as_way(self, desk: FlowDesk) -> DidWay:
        """What decides whether anybody may be called by this DID for a flow, as far as the DID does."""
        return DidWay(self.route, self.limits, self.did.number, desk.callers.rule, self.rest)

    def case_of(self, list_paused: bool, desk: FlowDesk, agents: Block | None = None) -> Case:
        """What decides whether a contact of this flow may go by this DID."""
        return Case(
            account_stopped=desk.account.is_stopped,
            account_paused=desk.account.is_paused,
            list_paused=list_paused,
            flow_active=desk.is_active and self.did.number in desk.callers.numbers,
            hours=desk.hours,
            route=self.route,
            flow=desk.limits,
            account=self._account.limits,
            engine=self._engine,
            did=self.limits,
            caller=self.did.number,
            series=desk.callers.rule,
            rest=self.rest,
            agents=agents,
            day_budget=desk.day_budget,
            day_caps=desk.account.day_caps,
            callees=desk.callees,
        )

    async def run(
        self,
        attempts: trio.Nursery,
        services: AttemptServices,
        on_room: Callable[[DidActor], None],
        on_flow_free: Callable[[str], None],
    ) -> None:
        """Let contacts go until cancelled.

        Args:
            attempts: where attempts run; it outlives this actor.
            on_room: told each time that the mailbox has room for one more.
            on_flow_free: told when a flow may have a channel of its own free again.
        """

        async def attempt(assignment: Assignment) -> None:
            await run_attempt(services, assignment)
            on_flow_free(assignment.flow.id)

        self._on_flow_free = on_flow_free
        while await self._mail.wait():
            await self._await_own_limits()
            work, assignment = await self._await_turn(*self._mail.take(), services)
            desk = self._desk_of(work.feed.flow)
            if desk is not None:
                desk.posted -= 1
            if assignment is not None:
                # Whoever is given back had no turn: all that a limit of their flow holds are, one by one.
                self._mail.end_turn()
                services.note_calling(work)
                attempts.start_soon(attempt, assignment)
                # Nobody is taken in who would be given back as soon as this call has left.
                self._resting = self._is_slow(trio.current_time())
            else:
                on_flow_free(work.feed.flow)
            if self._resting:
                self._return_mail(services)
                if not len(self._mail):
                    await self._rest()
            on_room(self)

    async def _await_own_limits(self) -> None:
        """Let pass what the DID's own limits ask for before anybody is taken from the mailbox: whoever is
        next goes then. A wait that is known to be long is left to `_await_turn`, and nobody waits where the
        DID is not called from any more."""
        now = trio.current_time()
        block = self.limits.blocked_by(now)
        if block is None or _is_long(block, now):
            await trio.lowlevel.checkpoint()
            return
        while block is not None and not (self._mail.is_closed or _is_long(block, now)):
            work, rank = self._mail.peek()
            desk = self._desk_of(work.feed.flow)
            if desk is None:
                return
            has_better = self._watch_others(block, work, rank, desk)
            if has_better is not None and has_better():
                return  # `_await_turn` brings it there
            if await self._wait_out(block, now, rank, desk.claimant_of(work.contact), has_better):
                return
            now = trio.current_time()
            block = self.limits.blocked_by(now)

    async def _wait_out(
        self,
        block: Block,
        now: float,
        rank: int,
        claimant: Claimant,
        has_better: Callable[[], bool] | None = None,
        patience_s: float = PATIENCE_S,
    ) -> bool:
        """Wait for a block's end in the place of a contact of this rank; False where an urgent one came
        before, or there is something better to do."""
        if block.line is None:
            # No trunk is up, for nobody: an urgent one that comes meanwhile waits for that as well.
            await trio.sleep(min(TRUNK_CHECK_S, max(0.0, block.until - now)))
            return True
        patience = Patience(patience_s, has_better)
        self._mail.on_urgent = None if rank == URGENT else patience.give_up
        await block.line.wait_turn(patience, claimant)
        self._mail.on_urgent = None
        return not patience.is_over

    def _return_mail(self, services: AttemptServices) -> None:
        """Give what lies in the mailbox back to the scheduler, but for contacts for whom an agent is kept."""
        flows = set()
        for work in self._mail.take_all(but=is_kept):
            desk = self._desk_of(work.feed.flow)
            if desk is not None:
                desk.posted -= 1
            services.put_back(work, work.contact)
            flows.add(work.feed.flow)
        for flow in flows:
            self._on_flow_free(flow)

    async def _rest(self) -> None:
        """Let the wait pass that no contact waits through in the mailbox."""
        while True:
            now = trio.current_time()
            shared = self._account.limits, self._engine
            block = find_line_blocker(self.route, shared, self.limits, now)
            if block is not None and _is_long(block, now):
                await _rest_out(block, now)
            elif self._is_stuck and self._is_full(block) and not self._mail.is_closed:
                await self._rest_in_line(block)
            elif self._is_slow(now):
                await self.limits.wait_eased(self.limits.not_before())
            else:
                break
        self._resting = self._is_stuck = False

    async def _rest_in_line(self, block: Block | None) -> None:
        """Let some of a wait for other calls' end pass. Whoever has work for this DID alone keeps a place in
        the line: a trunk that others wait for as well is never found free by looking now and then."""
        if block is None or block.line is None or not self.hungry:
            await trio.sleep(TRUNK_CHECK_S)
            return
        patience = Patience(has_better=lambda: True)
        await block.line.wait_turn(patience, self.turns.choose(self.hungry.values()))

    def _is_slow(self, now: float) -> bool:
        """Whether its own windows are known to bar it for long, also where it is not known for how long."""
        return self.limits.not_before() - now > PATIENCE_S

    async def _await_turn(
        self, work: Work, rank: int, services: AttemptServices
    ) -> tuple[Work, Assignment | None]:
        """Wait until this contact, or an urgent one that comes meanwhile, may go; None when it goes back to
        the scheduler instead."""
        while True:
            work, rank = self._mail.exchange(work, rank)
            desk = self._desk_of(work.feed.flow)
            if desk is None or work.is_void:
                services.finish(work)
                return work, None
            if services.live.holds_number(work.contact.list, work.contact.number):
                # Its attempt would ask again, but use a slot of every limit up for that.
                until = services.clock.now() + NUMBER_BUSY_WAIT_S
                services.set_aside(work, until, "callee_cap")
                return work, None
            if desk.callees.is_unknown(work.contact.number):
                if not await self._look_callees_up(work, desk, services):
                    return work, None
                continue
            case = self.case_of(work.feed.paused, desk, _void_of(work))
            now = trio.current_time()
            block = find_blocker(work.contact, case, now, services.clock.now())
            if block is None:
                return work, self._assign(work, desk, case, services, now)
            if find_unfit(work.contact.number, case) is not None:
                services.put_back(work, work.contact)  # the flow may have other DIDs
                return work, None
            is_the_lines = block.line is not None or block.code in TRUNK_BLOCKERS
            if block.line is desk.limits or not is_the_lines:
                self._put_back(work, block, services, now)
                return work, None
            patience_s = _patience_of(work)
            if _is_long(block, now):
                self._resting = True  # nobody else is taken in for as long
                if _is_long(block, now, patience_s):
                    services.put_back(work, work.contact)
                    return work, None
                self._return_mail(services)
            if self._give_way(block, work, rank, desk, services):
                return work, None
            has_better = self._watch_others(block, work, rank, desk)
            claimant = desk.claimant_of(work.contact)
            await self._wait_out(block, now, rank, claimant, has_better, patience_s)

    def _is_full(self, block: Block | None) -> bool:
        """Whether calls of this DID or of its trunks must end before there is room, and nobody knows when."""
        lines = self.route, self.limits
        return block is not None and block.line in lines and math.isinf(block.until)

    def _place_of(self, block: Block, work: Work, rank: int, desk: FlowDesk) -> Place | None:
        """Where a contact waits for a block's end; None where that is known, or nowhere else either."""
        if block.line is None or not self._is_full(block):
            return None
        return Place(work, rank, desk, self.did.number, block.line, self._mail)

    def _watch_others(
        self, block: Block, work: Work, rank: int, desk: FlowDesk
    ) -> Callable[[], bool] | None:
        """What tells a contact that waits for a block's end whether it had better go elsewhere; None where
        there is nothing to look for."""
        place = self._place_of(block, work, rank, desk)
        if place is None:
            return None
        return lambda: look_elsewhere(place, self._others, trio.current_time()) is not NOWHERE

    def _give_way(
        self, block: Block, work: Work, rank: int, desk: FlowDesk, services: AttemptServices
    ) -> bool:
        """Bring a contact elsewhere that waits for other calls' end, if there is anywhere; whether it has
        left."""
        place = self._place_of(block, work, rank, desk)
        found = (
            NOWHERE if place is None else look_elsewhere(place, self._others, trio.current_time())
        )
        if found.free is not None:
            work.waits_since = math.inf
            found.free.post(work, desk)
        elif found is not NOWHERE:
            self._resting = self._is_stuck = True
            if is_kept(work):
                self._return_mail(services)
                return False
            work.has_waited = True
            services.put_back(work, work.contact)
        return found is not NOWHERE

    async def _look_callees_up(self, work: Work, desk: FlowDesk, services: AttemptServices) -> bool:
        """Have it known how often the callee was called, and those of the same account that come next in
        the mailbox. Where the store cannot say, the contact is put back."""
        account = work.contact.account
        following = [one.contact for one in self._mail if one.contact.account == account]
        numbers = [one.number for one in (work.contact, *following)]
        try:
            await desk.callees.learn(services.store, services.clock, numbers)
        except StoreUnavailable as error:
            log.error("cannot look callees up", account=account, error=str(error))
            due_at = services.clock.now() + UNAVAILABLE_WAIT_S
            held = msgspec.structs.replace(work.contact, due_at=due_at, wait_code="engine_limit")
            services.put_back(work, held)
            return False
        return True

    def _assign(
        self, work: Work, desk: FlowDesk, case: Case, services: AttemptServices, now: float
    ) -> Assignment:
        number = work.contact.number
        attempt = (work.claim and work.claim.attempt) or services.ids.new("att")
        callee = desk.callees.take(number, attempt)
        clearance = clear(case, self.did, number, now, work.refused_by, callee)
        self._note_caller(work)
        call = clearance.call

        def recheck() -> Block | None:
            """The limits were taken with the permit; everything else is asked again."""
            if work.feed.paused or work.is_void:
                return Block("list_paused", math.inf)
            present = self._desk_of(work.feed.flow)
            if present is None:
                return Block("flow_paused", math.inf)
            if _void_of(work) is not None:
                return Block("agents_busy", math.inf)
            now = trio.current_time()
            banned = find_ban(number, self.case_of(False, present), now, services.clock.now())
            if banned is not None:
                return banned
            if not call.may_leave(trio.current_time()):
                return Block("trunk_down", math.inf)
            return None

        return Assignment(
            attempt=attempt,
            work=work,
            flow=desk.flow,
            definition=desk.definition,
            did=self.did,
            presentation=desk.presentation,
            route=clearance.route,
            call=call,
            permit=clearance.permit,
            recheck=recheck,
        )

    def _note_caller(self, work: Work) -> None:
        """This DID is the one that the number knows from now on."""
        work.has_waited = False
        if work.callers is not None:
            number = work.contact.number
            others = [one for one in work.callers.get(number, ()) if one != self.did.number]
            work.callers = {**work.callers, number: (self.did.number, *others)}

    def _put_back(self, work: Work, block: Block, services: AttemptServices, now: float) -> None:
        """Only this contact, or its flow, is held back: the DID goes on with others."""
        if work.contact.due_at > services.clock.now() + ROUNDING_S:
            services.put_back(work, work.contact)  # it was due: the clock was set back since
            return
        if block.code in LONG_WAITS:
            services.set_aside(work, opening_of(block, now, services.clock.now()), block.code)
            return
        wait_s = TRUNK_CHECK_S if math.isinf(block.until) else block.until - now
        due_at = max(work.contact.due_at, services.clock.now() + max(0.0, wait_s))
        held = msgspec.structs.replace(work.contact, due_at=due_at)
        services.put_back(work, held)


def _mailbox_size(cps: float) -> int:
    if cps * PATIENCE_S < 1:
        return 1  # it rests after each call
    return min(MAILBOX_MAX, max(MAILBOX_MIN, math.ceil(cps * MAILBOX_S)))


def _void_of(work: Work) -> Block | None:
    """The block of a contact whose agent has gone since it was let go."""
    is_void = work.claim is not None and work.claim.is_void
    return Block("agents_busy", math.inf) if is_void else None


def _patience_of(work: Work) -> float:
    """How long a contact waits for the DID that it lies before."""
    return HELD_PATIENCE_S if is_kept(work) else PATIENCE_S


def _is_long(block: Block, now: float, patience_s: float = PATIENCE_S) -> bool:
    """Whether the DID is barred for longer. What depends on other calls' end is not known to be."""
    if block.line is None:
        return True
    return math.isfinite(block.until) and block.until - now > patience_s


async def _rest_out(block: Block, now: float) -> None:
    """Wait for the end of a long block, which takes no turn from anybody."""
    if block.line is not None:
        await block.line.wait_eased(block.until)
    else:
        await trio.sleep(min(TRUNK_CHECK_S, max(0.0, block.until - now)))
