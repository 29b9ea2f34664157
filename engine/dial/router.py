"""Brings a contact to the DID that can take it soonest."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import trio
from msgspec import Struct

from engine.dial.agents.floor import Ticket
from engine.dial.attempts.assignment import AttemptServices
from engine.dial.blockers import find_capped, find_closed, find_wait, opening_of
from engine.dial.callers import CallerPool
from engine.dial.dids.did import DidActor
from engine.dial.dids.elsewhere import PATIENCE_S
from engine.dial.dids.parking import STICKY_WAIT_S
from engine.dial.flow_desk import FlowDesk
from engine.dial.operation import Operation
from engine.model import Contact
from engine.ports.clock import WallClock
from engine.schedule.feed import Work
from engine.schedule.outlet import Aside, Hold
from engine.schedule.turns import RANKS, URGENT, Claimant

Offer = Callable[[str], bool]
"""Asks the scheduler for one more contact of a flow; whether it has yet more."""
BestOf = Callable[[str], Contact | None]
"""The best contact that the scheduler may offer of a flow: by which the flow stands among others."""

ERRANDS_MAX: Final = 10_000
"""Contacts whose agents are about to be called."""
AGENT_WAIT_S: Final = 5.0
"""How long a contact waits whose agent is not free, and a flow when there are too many of those."""
UNFIT_WAIT_S: Final = 86_400.0
"""How soon a contact is looked at again that none of its flow's DIDs may call; sooner when the flow, its DIDs
or its account are changed."""


NO_ROOM: Final = Hold(None)
"""No DID of the flow has room."""


class Errand(Struct, frozen=True):
    """A contact that an agent is to be brought to before it is called."""

    work: Work
    ticket: Ticket


class Router:
    """Takes contacts from the scheduler. All synchronous but `run_did`."""

    def __init__(self, clock: WallClock, operation: Operation) -> None:
        self._clock = clock
        self._operation = operation
        self._desks = operation.desks
        self._actors = operation.actors
        self._parking = operation.parking
        self._freed = operation.freed
        self._choice = operation.choice
        self._send_errand, self.errands = trio.open_memory_channel[Errand](ERRANDS_MAX)
        """`errands` are contacts whose agent comes before their call."""

    async def run_did(
        self,
        actor: DidActor,
        attempts: trio.Nursery,
        services: AttemptServices,
        offer: Offer,
        best_of: BestOf,
    ) -> None:
        """Run a DID's actor until cancelled, and keep its mailbox filled from all its flows in turn."""

        def fill(actor: DidActor) -> None:
            self._operation.note_room(actor.did.number)
            while (
                actor.has_room(RANKS - 1)
                and (work := self._parking.take(actor.did.number)) is not None
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
                best = best_of(flow)
                desk = self._desks.get(flow)
                if best is not None and desk is not None:
                    actor.note_hungry(desk.claimant_of(best))

        def free(flow: str) -> None:
            if flow in self._freed.waiting_for_channel:
                self._freed.waiting_for_channel.discard(flow)
                while offer(flow):
                    pass

        await actor.run(attempts, services, fill, free)

    def take(self, work: Work) -> Hold | Aside | None:
        """The scheduler's outlet: put the contact into the mailbox of the DID that is free soonest, bring it
        to the agent whom it is meant for, or have it set aside until its calling window opens."""
        answer = self.look_for_room(work)
        if answer is NO_ROOM:
            self._note_hungry(work)
        return answer

    def look_for_room(self, work: Work) -> Hold | Aside | None:
        """As `take`, of a contact for which whoever asks looks again: no DID keeps that in mind."""
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
        floor, was_freed = desk.floor, desk.flow.id in self._freed.flows
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
        if hold is NO_ROOM:
            self._note_hungry(work)  # as one that has an agent
            hold = Hold(None)
        if hold is not None:
            ticket.close()
            work.claim = None
            if not was_freed:
                # The agent was taken and given back: offered again for that, it would come here for ever.
                self._freed.flows.pop(desk.flow.id, None)
        return hold

    def _post(self, work: Work, desk: FlowDesk) -> Hold | Aside | None:
        now, wall_now = trio.current_time(), self._clock.now()
        if desk.is_full:
            self._freed.waiting_for_channel.add(desk.flow.id)
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
        claimant = _claimant_of(work, desk)
        known = self._find_known(work, desk, pool)
        if known is not None and not self._choice.has_room(claimant.rank, known):
            if claimant.rank != URGENT and self._may_wait_for(known, work, desk, now):
                self._parking.add(known, work, now)
                return None
            known = None
        chosen = known or self._choice.choose(pool, callee, claimant.rank, now)
        if chosen is None:
            return NO_ROOM
        if work.claim is None and desk.flow.kind == "dialer" and desk.floor.admit(work) is None:
            return Hold(None)
        self._actors[chosen].post(work, desk)
        return None

    def _note_hungry(self, work: Work) -> None:
        """Each DID that may call a contact is to ask for its flow's contacts when it has room."""
        desk = self._desks[work.feed.flow]
        claimant = _claimant_of(work, desk)
        for number in desk.callers.pool_for(work.contact.number).numbers:
            if number in self._actors:
                self._actors[number].note_hungry(claimant)

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
        queue_s = (self._parking.count(known) + 1) / actor.did.cps
        return held_s + actor.backlog_s + queue_s <= STICKY_WAIT_S


def _claimant_of(work: Work, desk: FlowDesk) -> Claimant:
    """By which a contact has its turn. Whoever has an agent kept for them finds room before others do: the
    agent may be on the telephone."""
    claimant = desk.claimant_of(work.contact)
    if work.claim is not None and work.claim.is_held:
        return Claimant(claimant.flow, URGENT, claimant.weight)
    return claimant
