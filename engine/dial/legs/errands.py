"""Brings the agent of a contact to the telephone, and then lets the contact be called.

So previews go that an agent has accepted, and single calls that name their agent. An agent who has answered
waits for room for the customer's call for a while, and is not rung without end where there is none.
"""

from __future__ import annotations

import math
from typing import Final, Literal

import msgspec
import structlog
import trio

from engine.dial.agents.floor import Floor, Ticket
from engine.dial.agents.seats import Seat
from engine.dial.agents.vain_rings import VainRings
from engine.dial.attempts import log_names
from engine.dial.attempts.assignment import AttemptServices
from engine.dial.attempts.live import LiveCall
from engine.dial.blockers import LIST_CANCELED, opening_of
from engine.dial.explaining import STOPPING, Explainer
from engine.dial.legs.held_calls import HeldCalls
from engine.dial.legs.leg import Cause, LegFailed, LegHeld, LegRequest, open_leg
from engine.dial.limits.party import Block
from engine.dial.operation import Operation
from engine.dial.router import Errand, Router
from engine.ports.stored import StoreUnavailable
from engine.ports.telephony import Call
from engine.schedule.feed import Work
from engine.schedule.outlet import Aside

log = structlog.get_logger(__name__)

BUSY_WAIT_S: Final = 5.0
"""How long a contact waits whose agent is not free."""
ROOM_WAIT_S: Final = 0.2
"""How often a contact whose agent is on the line looks for room at a DID …"""
ROOM_MAX_S: Final = 30.0
"""… and how long; then it waits again."""

END_RETRY_S: Final = 0.5
"""How soon the end of a contact is offered again to a store that did not take it."""
STOPPED: Final = ("account_stopped", "account_paused", "flow_paused", "list_paused")
"""What somebody has stopped."""
FOR_HOURS: Final = ("calling_window", "account_limit")
"""Rules that keep an agent's call from leaving until a moment that is known. A single call waits for it in
the store, where it is seen what it waits for."""
OF_AGENT: Final = (*FOR_HOURS, "no_trunk")
"""What may keep the call of one agent from leaving, and not that of another."""

LetGo = Literal["posted", "hung_up", "no_room", "not_reached", "held"]
"""What became of a contact whose agent was called. Unless it was `posted`, whoever asks has it in hand."""


class Errands:
    """Contacts whose agents come before their calls."""

    def __init__(
        self, services: AttemptServices, operation: Operation, router: Router, explainer: Explainer
    ) -> None:
        self._services = services
        self._operation = operation
        self._router = router
        self._explainer = explainer
        self._vain_rings = VainRings()
        """Of single calls."""
        self.held = HeldCalls(services, operation, self._settle_held)
        """Contacts whose agents cannot be called for our own limits; its `run` is a task of its own."""

    def note_called(self, contact: str) -> None:
        """A contact was called: whoever was rung for it was not rung in vain."""
        self._vain_rings.forget(contact)

    async def run(self, errand: Errand) -> None:
        """Call the agent of a contact, and then let the contact be called. It never raises."""
        work, ticket = errand.work, errand.ticket
        try:
            assert ticket.seat is not None, "an errand is for one agent"
            floor = self._operation.floor_of(work.contact.flow)
            if floor is None or work.is_void:
                self._services.finish(work)
            elif floor.flow.settings.first == "customer" or ticket.seat in floor.lines:
                if not await self._let_go(work):
                    self.put_back(work, BUSY_WAIT_S)
            elif trio.current_time() < self._vain_rings.find(work.contact.id).until:
                await self._give_up(work)
            else:
                await self._call_agent(floor, work, ticket, ticket.seat)
        except Exception:
            log.exception(
                "an agent was not brought to a contact", **log_names.of_contact(work.contact)
            )
            self.put_back(work, BUSY_WAIT_S)

    async def _call_agent(self, floor: Floor, work: Work, ticket: Ticket, seat: Seat) -> None:
        contact = work.contact
        ticket.attempt = self._services.ids.new("att")
        request = LegRequest(
            account=contact.account,
            flow=contact.flow,
            list=contact.list,
            number=seat.agent.number,
            ring_timeout_s=floor.flow.settings.agent_ring_timeout_s,
            attempt=ticket.attempt,
            contact=contact.id,
            agent=seat.agent.id or None,
            variables=contact.variables,
        )

        def recheck() -> Block | None:
            """Why the agent is not to be rung any more, whatever their own call waits for."""
            if work.is_void or work.feed.paused:
                return Block("list_paused", math.inf)
            if self.held.is_over:
                return STOPPING
            return Block("agents_busy", math.inf) if ticket.is_void else None

        how: LetGo | None = None
        held: Block | None = None
        with self._services.live.follow(LiveCall(contact.account)):
            try:
                ways, cause = self._operation.ways_of, Cause(ticket.note_held, recheck)
                async with open_leg(self._services, ways, request, cause) as line:
                    floor.lines[seat] = line
                    try:
                        how = await self._stay(floor, line, work, ticket)
                        if how == "no_room":
                            ticket.close()
                    finally:
                        floor.lines.pop(seat, None)
                        if not ticket.is_closed and seat.state == "taken":
                            # The agent hung up before there was a customer.
                            floor.lose(seat, "hung_up")
            except LegHeld as failed:
                how, held = "held", failed.block
            except LegFailed as failed:
                how = "not_reached"
                log.info(
                    "an agent was not reached",
                    reason=failed.reason,
                    **log_names.of_contact(contact),
                )
                if contact.agent is None:
                    floor.lose(seat, failed.why)
        # What is written down is not broken off with the agent's call.
        if held is None or work.is_void:
            await self._go_on(work, ticket, how)
        elif not self._settle_held(work, held):
            ticket.close()
            self.held.add(work, seat.agent.number, floor, held)

    def _settle_held(self, work: Work, block: Block) -> bool:
        """Our own limits or rules keep the agent's call from leaving: that is nobody's fault, and takes as
        long as it takes. Whether the contact waits for that where it waits for everything of the kind, and
        not for its agent's call alone."""
        is_rule = block.line is None
        if block is LIST_CANCELED:
            self._services.finish(work)  # or it is completed already
        elif block.code in STOPPED:
            self._services.put_back(work, work.contact)  # it goes on when they say so
        elif is_rule and work.contact.agent is None and block.code in OF_AGENT:
            self.put_back(work, BUSY_WAIT_S)  # another may look at it
        elif is_rule and work.contact.agent is not None and block.code in FOR_HOURS:
            now, wall_now = trio.current_time(), self._services.clock.now()
            self._services.set_aside(work, opening_of(block, now, wall_now), block.code)
        else:
            return False
        return True

    async def _go_on(self, work: Work, ticket: Ticket, how: LetGo | None) -> None:
        """What becomes of a contact whose agent was called; `how` is None where that call was broken off."""
        if how == "posted" or (how is None and (ticket.is_closed or work.is_calling)):
            return  # somebody else has it in hand
        if work.is_void:
            self._services.finish(work)
            return
        match how:
            case "not_reached" if work.contact.agent is None:
                self.put_back(work, BUSY_WAIT_S)
            case "not_reached":
                await self._end(work, "agent_not_reached")
            case "hung_up":
                await self._note_hung_up(work)
            case "no_room":
                await self._give_up(work)
            case None:
                # If it lies before a DID, that finds it void from now on.
                self._vain_rings.find(work.contact.id).until = -math.inf
                self.put_back(work, BUSY_WAIT_S)

    async def _stay(self, floor: Floor, line: Call, work: Work, ticket: Ticket) -> LetGo:
        """Let the contact be called, and keep the agent's telephone up until that is over, or until nothing
        has come of a single call for long."""
        how: LetGo = "hung_up"
        give_up_at = trio.current_time() + ROOM_MAX_S
        if work.contact.agent is not None:
            self._vain_rings.count(work.contact.id, trio.current_time())
        async with trio.open_nursery() as nursery:

            async def watch() -> None:
                await line.wait_ended()
                nursery.cancel_scope.cancel()

            nursery.start_soon(watch)
            how = "posted" if await self._let_go(work) else "no_room"
            if how == "posted":
                with trio.move_on_at(give_up_at):
                    await ticket.closed.wait()
                is_called = ticket.is_closed or work.is_calling
                if work.contact.agent is None or is_called or ticket.seat is None:
                    await ticket.closed.wait()
                else:
                    # It lies before a DID, which gives it back as soon as it sees that.
                    floor.give_back(ticket.seat)
            nursery.cancel_scope.cancel()
        return how

    async def _let_go(self, work: Work) -> bool:
        """Post a contact whose agent is there to a DID, as soon as one has room, or have it wait for what
        bars it alone. False where nothing came of it for long; cancelled, it has done nothing."""
        with trio.move_on_after(ROOM_MAX_S):
            while True:
                answer = self._router.look_for_room(work)
                if isinstance(answer, Aside):
                    self._services.set_aside(work, answer.due_at, answer.code)
                    return True
                if answer is None:
                    return True
                await trio.sleep(ROOM_WAIT_S)
        return False

    async def _note_hung_up(self, work: Work) -> None:
        """An agent has answered, and hung up before a DID took their customer."""
        ring = self._vain_rings.find(work.contact.id)
        if work.contact.agent is not None and ring.is_last:
            await self._end(work, "agent_not_reached")
            return
        ring.until = -math.inf  # who may have had enough of waiting is called again soon
        self.put_back(work, BUSY_WAIT_S)

    async def _give_up(self, work: Work) -> None:
        """An agent has answered, and there was no room for their customer. That of a single call waits longer
        each time until its agent is rung again; the last time it ends. What somebody has stopped goes on when
        they say so, and not by the time."""
        contact = work.contact
        ring = self._vain_rings.find(contact.id)
        is_stopped = self._explainer.find_hold(contact.flow, list_paused=False) is not None
        if contact.agent is None or is_stopped:
            self.put_back(work, BUSY_WAIT_S)
        elif ring.is_last:
            await self._end(work, "no_room")
        else:
            wait_s = ring.until - trio.current_time()
            due_at = max(contact.due_at, self._services.clock.now() + wait_s)
            self._services.set_aside(work, due_at, "agents_busy")

    async def _end(self, work: Work, reason: str) -> None:
        """Somebody asked for this one call, and has seen it fail: calling the agent again is theirs to
        ask."""
        contact, services = work.contact, self._services
        while True:
            try:
                now = services.clock.now()
                await services.store.complete_contacts([contact.id], "skipped", now, reason)
                break
            except StoreUnavailable as error:
                # Put back instead, it would have its agent rung again.
                names = log_names.of_contact(contact)
                log.error("cannot write a contact's end down", error=str(error), **names)
                await trio.sleep(END_RETRY_S)
                if work.is_void:  # it was given another start time meanwhile
                    services.finish(work)
                    return
        self._vain_rings.forget(contact.id)
        services.finish(work)

    def put_back(self, work: Work, wait_s: float) -> None:
        """Have a contact wait for agents for so long at the least."""
        due_at = max(work.contact.due_at, self._services.clock.now() + wait_s)
        waiting = msgspec.structs.replace(work.contact, due_at=due_at, wait_code="agents_busy")
        self._services.put_back(work, waiting)
