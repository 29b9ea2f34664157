"""Agents at work: who is there, whom they are called for, and what they ask of their floor.

Presence lives here. The store follows it, so that it is told, and at a start everybody is away: nobody may
ring somebody who has gone home meanwhile.
"""

from __future__ import annotations

import math
from typing import Final

import msgspec
import structlog
import trio

from engine.dial.agents.floor import Floor, FloorGlance, Ticket
from engine.dial.agents.seats import Seat
from engine.dial.attempts import log_names
from engine.dial.attempts.assignment import AttemptServices
from engine.dial.attempts.conversation import LegsOrder
from engine.dial.attempts.live import LiveCall
from engine.dial.blockers import DETAILS
from engine.dial.legs.errands import Errands
from engine.dial.legs.leg import LegFailed, LegHeld, LegRequest, end_interrupted_legs, open_leg
from engine.dial.legs.transfer import AttemptLegs
from engine.dial.limits.party import Block
from engine.dial.operation import Operation
from engine.dial.router import Errand, Router
from engine.flow.legs import Legs, NoLegs
from engine.model import Contact
from engine.model.agent import ABANDONED_DAYS, Agent, Presence, day_of
from engine.ports.stored import Conflict, StoreUnavailable
from engine.schedule.feed import Work

log = structlog.get_logger(__name__)

LINE_MAX_S: Final = 4 * 3600.0
"""How long an agent's telephone stays up; then it is hung up when no customer is on it."""
NEXT_WAIT_S: Final = 2.0
"""How long an agent who asks for the next contact waits for one."""
PREVIEW_MAX_S: Final = 300.0
"""How long an agent may look at a contact; then it goes to another."""
SKIP_S: Final = 300.0
"""How long a contact waits that an agent did not want to call."""
STORE_RETRY_S: Final = 1.0


class Workforce:
    """The agents of all flows."""

    def __init__(
        self, services: AttemptServices, operation: Operation, router: Router, errands: Errands
    ) -> None:
        self._services = services
        self._operation = operation
        self._router = router
        self._nursery: trio.Nursery | None = None
        self._is_closing = False
        self._previews: dict[str, tuple[Work, Ticket]] = {}
        """Contacts that an agent looks at, by contact."""
        self._errands = errands

    async def recover(self) -> None:
        """Take up what an earlier process left: everybody is away, nobody's leg goes on."""
        services = self._services
        now = services.clock.now()
        await services.store.reset_presence(now, "restart")
        for leg in await end_interrupted_legs(services):
            await self._settle_interrupted(leg.account, leg.contact, leg.attempt)
        days = await services.store.answer_days(day_of(now) - ABANDONED_DAYS + 1)
        for floor in self._operation.floors():
            floor.restore(day for day in days if day.flow == floor.flow.id)

    async def _settle_interrupted(
        self, account: str, contact: str | None, attempt: str | None
    ) -> None:
        """An agent was being called for a contact when the engine died. Calling both again unasked would
        be a second call of the agent: the contact ends, unless its flow asks for more."""
        if contact is None or attempt is None:
            return
        store = self._services.store
        if await store.get_attempt(account, attempt) is not None:
            return
        found = await store.get_contact(account, contact)
        floor = None if found is None else self._operation.floor_of(found.flow)
        if found is None or found.agent is None or floor is None:
            return
        if floor.flow.settings.on_unknown == "stop":
            await store.complete_contacts([contact], "unknown", self._services.clock.now())

    async def run(self, attempts: trio.Nursery) -> None:
        """Bring contacts to their agents until cancelled; whoever is with a customer then is not disturbed.

        Args:
            attempts: where calls run; it outlives this.
        """
        self._nursery = attempts
        try:
            async for errand in self._router.errands:
                attempts.start_soon(self._errands.run, errand)
        finally:
            self._is_closing = True
            for floor in self._operation.floors():
                floor.ask_all_to_leave()
            for work, _ in list(self._previews.values()):
                self._errands.put_back(work, 0.0)
            self._previews.clear()

    def make_legs(self, order: LegsOrder) -> Legs:
        """Second calls of one call."""
        floor = self._operation.floor_of(order.flow.id)
        if floor is None:
            return NoLegs()  # the flow was deleted a moment ago
        return AttemptLegs(self._services, self._operation.ways_of, floor, order)

    # What agents, and those who look after them, ask.

    def show(self, agent: Agent) -> Agent:
        """The agent with their presence and their contact as they are this moment."""
        seat = self._find_seat(agent)
        presence: Presence = "away" if seat is None else seat.presence
        # What was told last may be of a moment ago: its reason is not that of what is true now.
        reason = agent.presence_reason if presence == agent.presence else None
        contact = None if seat is None else seat.customer
        return msgspec.structs.replace(
            agent, presence=presence, presence_reason=reason, contact=contact
        )

    def refresh(self, agent: Agent) -> None:
        """An agent's name, number or wrap-up was changed; a telephone that is up stays so."""
        floor = self._operation.floor_of(agent.flow)
        for seat in () if floor is None else floor.seats_of(agent.id):
            seat.agent = msgspec.structs.replace(agent, presence=seat.presence)

    def let_come(self, agent: Agent) -> Seat:
        """An agent wants to come, or to end a wrap-up: the shift that they come to, whose `wait` says how
        that went. It holds from this step on: whoever is sent away after it is not rung. Raises `Conflict`:
        `listener_inactive`, `agent_busy`, `not_ready`."""
        floor = self._operating_floor(agent)
        assert self._nursery is not None
        refusal = _find_refusal(floor, agent)
        if refusal is not None and not floor.is_at_work(agent.id):
            raise refusal
        is_new = agent.id not in floor.seats
        seat = floor.expect(agent)
        seat.is_leaving = False
        floor.step(seat, "ready")
        if is_new:
            self._nursery.start_soon(self._attend, floor, seat)
        return seat

    def let_go(self, agent: Agent) -> None:
        """An agent goes. Who has a customer goes after that customer; so does who is counted on by a call in
        the air. Raises `Conflict("not_ready")`."""
        self._operating_floor(agent)
        self.remove(agent)

    def remove(self, agent: Agent) -> None:
        """An agent was taken away; who has a customer sees that customer through."""
        floor = self._operation.floor_of(agent.flow)
        if floor is not None:
            for seat in floor.seats_of(agent.id):
                floor.ask_leave(seat)

    async def show_next(self, agent: Agent) -> Contact | None:
        """The next contact of the flow's lists for an agent to look at; None where nobody waits. Raises
        `Conflict`: `not_preview`, `agent_not_available`."""
        floor, seat = self._at_work(agent)
        if floor.flow.settings.dialing != "preview" or floor.flow.kind != "dialer":
            raise Conflict(
                "not_preview", "The flow's `dialing` is not `preview`: calls come by themselves."
            )
        if seat.customer in self._previews:
            return self._previews[seat.customer][0].contact
        if seat.state != "free":
            raise Conflict("agent_not_available", "The agent is not available.")
        asking = floor.ask_next(seat)
        try:
            with trio.move_on_after(NEXT_WAIT_S):
                await asking.answered.wait()
        except BaseException:
            # Whoever asked is gone, and may have been answered in this very step.
            if asking.ticket is not None:
                self._errands.put_back(asking.ticket.work, 0.0)
            raise
        finally:
            floor.forget_asking(asking)
        ticket = asking.ticket
        if ticket is None:
            return None
        contact = ticket.work.contact
        self._previews[contact.id] = (ticket.work, ticket)
        assert self._nursery is not None
        self._nursery.start_soon(self._end_preview, contact.id, ticket)
        return contact

    def accept(self, agent: Agent, contact: str) -> None:
        """Call the contact that the agent has looked at. Raises `Conflict`: `no_preview`,
        `agent_not_available`."""
        work, ticket = self._looked_at(agent, contact)
        del self._previews[contact]
        assert self._nursery is not None
        self._nursery.start_soon(self._errands.run, Errand(work, ticket))

    def skip(self, agent: Agent, contact: str) -> None:
        """Leave that contact for later. Raises as `accept`."""
        work, _ = self._looked_at(agent, contact)
        del self._previews[contact]
        self._errands.put_back(work, SKIP_S)

    def note_called(self, contact: str) -> None:
        """A contact was called: whoever was rung for it was not rung in vain."""
        self._errands.note_called(contact)

    def part(self, agent: Agent, contact: str | None = None) -> None:
        """End an agent's talk, whoever it is with unless a contact is named; the customer's flow goes on.
        Raises `Conflict`: `agent_not_available`, `agent_not_talking`, `another_contact`."""
        floor, seat = self._at_work(agent)
        if contact is not None and seat.state == "talking" and seat.customer != contact:
            raise Conflict("another_contact", "The agent talks with another contact by now.")
        if not floor.part(seat):
            raise Conflict("agent_not_talking", "The agent talks with nobody.")

    def look_at_floor(self, flow: str) -> FloorGlance:
        """What goes on between a flow's customers and its agents. Raises `Conflict("not_ready")`."""
        floor = self._operation.floor_of(flow)
        if floor is None:
            raise Conflict("not_ready", "The flow is not in operation.")
        return FloorGlance(floor.free, floor.in_air, floor.room, floor.tally)

    # What follows from it.

    def _find_seat(self, agent: Agent) -> Seat | None:
        floor = self._operation.floor_of(agent.flow)
        return None if floor is None else floor.seats.get(agent.id)

    def _at_work(self, agent: Agent) -> tuple[Floor, Seat]:
        floor = self._operation.floor_of(agent.flow)
        seat = None if floor is None else floor.seats.get(agent.id)
        if floor is None or seat is None or seat.state == "away":
            raise Conflict("agent_not_available", "The agent is away.")
        return floor, seat

    def _looked_at(self, agent: Agent, contact: str) -> tuple[Work, Ticket]:
        _, seat = self._at_work(agent)
        if seat.customer != contact or contact not in self._previews:
            raise Conflict(
                "no_preview", "The agent does not look at this contact, or did for too long."
            )
        return self._previews[contact]

    def _operating_floor(self, agent: Agent) -> Floor:
        floor = self._operation.floor_of(agent.flow)
        if floor is None or self._nursery is None or self._is_closing:
            raise Conflict("not_ready", "The engine is starting or stopping.")
        return floor

    async def _attend(self, floor: Floor, first: Seat) -> None:
        """One agent, for as long as they ask to come again before their going is told."""
        seat: Seat | None = first
        while seat is not None:
            await self._work_shift(floor, seat)
            seat = floor.dismiss(seat)

    async def _work_shift(self, floor: Floor, seat: Seat) -> None:
        """One agent, from coming to going."""
        reason = "asked"
        with self._services.live.follow(LiveCall(seat.agent.account)):
            try:
                # From here to the call or the coming nothing else happens: what is true now holds then.
                seat.refusal = _find_refusal(floor, seat.agent)
                if seat.refusal is None and seat.state == "expected":
                    reason = await self._be_there(floor, seat)
            except Exception:
                log.exception("an agent's shift broke off", **log_names.of_agent(seat.agent))
        with trio.move_on_after(STORE_RETRY_S, shield=True):
            floor.step(seat, "lose")
            await self._note(seat, "away", seat.lost_by or reason)

    async def _be_there(self, floor: Floor, seat: Seat) -> str:
        """The shift of an agent who is expected, in the way of the flow; why it is over. One who goes before
        their telephone is answered is rung no more."""
        reason = "asked"
        if not floor.is_standing:
            floor.step(seat, "come")
            await self._serve(floor, seat)
            return reason
        with floor.ring(seat):
            reason = await self._hold_line(floor, seat)
        return reason

    async def _hold_line(self, floor: Floor, seat: Seat) -> str:
        """Call the agent, and keep the telephone up for customers; why it is over."""
        flow, agent = floor.flow, seat.agent
        request = LegRequest(
            account=agent.account,
            flow=agent.flow,
            list=flow.calls_list,
            number=agent.number,
            ring_timeout_s=flow.settings.agent_ring_timeout_s,
            agent=agent.id,
        )
        lost: list[str] = []
        try:
            async with open_leg(self._services, self._operation.ways_of, request) as line:
                floor.lines[seat] = line
                seat.has_line = True
                floor.step(seat, "reach")
                async with trio.open_nursery() as nursery:

                    async def watch() -> None:
                        await line.wait_ended()
                        lost.append("hung_up")
                        if seat.state != "talking":  # else the talk's end says so
                            floor.lose(seat, "hung_up")
                        nursery.cancel_scope.cancel()

                    nursery.start_soon(watch)
                    nursery.start_soon(self._end_line, floor, seat)
                    await self._serve(floor, seat)
                    nursery.cancel_scope.cancel()
                while seat.state == "talking":
                    await floor.wait_change(seat)
        except LegFailed as failed:
            if isinstance(failed, LegHeld):
                seat.refusal = _explain_held(failed.block)
            log.info("an agent was not reached", reason=failed.reason, **log_names.of_agent(agent))
            return failed.why
        return lost[0] if lost else "asked"

    async def _end_line(self, floor: Floor, seat: Seat) -> None:
        await trio.sleep(LINE_MAX_S)
        floor.ask_leave(seat)

    async def _serve(self, floor: Floor, seat: Seat) -> None:
        """Tell what an agent does, and end each wrap-up, until the agent is away."""
        told: Presence = "away"
        while True:
            if seat.presence != told:
                told = seat.presence
                is_calls = told in ("busy", "wrap_up")
                await self._note(seat, told, "call" if is_calls else seat.lost_by or "asked")
                continue
            if seat.state == "away":
                return
            until = math.inf
            if seat.state == "wrap_up":
                own_s = seat.agent.wrap_up_s
                until = seat.since + (floor.flow.settings.wrap_up_s if own_s is None else own_s)
            with trio.move_on_at(until) as scope:
                await floor.wait_change(seat)
            if scope.cancelled_caught:
                floor.step(seat, "ready")

    async def _note(self, seat: Seat, presence: Presence, reason: str) -> None:
        try:
            now = self._services.clock.now()
            await self._services.store.note_presence(seat.agent.id, presence, now, reason)
        except StoreUnavailable as error:
            log.error("cannot note presence", error=str(error), **log_names.of_agent(seat.agent))

    async def _end_preview(self, contact: str, ticket: Ticket) -> None:
        with trio.move_on_after(PREVIEW_MAX_S):
            await ticket.closed.wait()
        held = self._previews.get(contact)
        if held is not None and held[1] is ticket:
            del self._previews[contact]
            self._errands.put_back(held[0], 0.0)


def _explain_held(block: Block) -> Conflict:
    """What an agent is told whose telephone could not be called."""
    reason = block.detail or DETAILS[block.code]
    return Conflict("agent_unreached", f"The agent's telephone could not be called: {reason}")


def _find_refusal(floor: Floor, agent: Agent) -> Conflict | None:
    """Why an agent cannot come to a floor at this moment."""
    if not floor.flow.listener_active:
        return Conflict("listener_inactive", "The listener of the flow is off; switch it on first.")
    if agent.number in floor.guests:
        return Conflict("agent_busy", "The agent's number has a customer at this moment.")
    return None
