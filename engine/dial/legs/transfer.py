"""Second calls of one attempt: brings somebody to an answered call, a number or an agent of its flow."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Final

import structlog
import trio

from engine.dial.agents.floor import Floor, Ticket
from engine.dial.agents.seats import Seat
from engine.dial.attempts import log_names
from engine.dial.attempts.assignment import AttemptServices
from engine.dial.attempts.conversation import LegsOrder
from engine.dial.legs.leg import LegFailed, LegHeld, LegRequest, Ways, open_leg
from engine.flow.legs import Connected, Sound, TransferPlan
from engine.ports.telephony import Call, CallEnded, Ended, TelephonyUnavailable

log = structlog.get_logger(__name__)

SOUND_PAUSE_S: Final = 0.2
"""Between two times that a waiting callee hears the same: a sound that cannot be played takes no time."""


class AttemptLegs:
    """The port `engine.flow.legs.Legs` for one attempt."""

    def __init__(
        self, services: AttemptServices, ways: Ways, floor: Floor, order: LegsOrder
    ) -> None:
        self._services = services
        self._ways = ways
        self._floor = floor
        self._order = order
        self._attempt = order.attempt
        self._flow = order.flow
        self._notes = order.notes
        self._ticket: Ticket | None = floor.tickets.get(order.contact.id)
        self._answered_at = trio.current_time()
        self._is_wanted = False
        """Whether any agent was wanted for this callee, which is counted once."""
        self._is_counted = False
        self._is_held = False
        """Whether limits of ours kept an agent's call from leaving."""
        self._is_refused = False
        """Whether the telephone network did not let the two hear each other."""

    async def connect(self, call: Call, to: str, plan: TransferPlan) -> Connected:
        """See `Legs`."""
        await trio.lowlevel.checkpoint()
        meeting = _Meeting(call, plan)
        outcome: Connected = "no_answer"
        fault: Exception | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(meeting.watch, nursery.cancel_scope)
            await nursery.start(meeting.keep_waiting)
            # Caught inside, so that it leaves as it is and not as a group of one.
            try:
                if to == "agent":
                    outcome = await self._bring_agent(meeting)
                else:
                    outcome = await self._bring_number(meeting, to)
            except Exception as error:
                fault = error
            nursery.cancel_scope.cancel()
        if self._is_wanted:
            self._count(False)  # who hung up before the wait was over is not abandoned
        if meeting.ended is not None:
            raise CallEnded(meeting.ended)
        if fault is not None:
            raise fault
        return outcome

    async def _bring_number(self, meeting: _Meeting, number: str) -> Connected:
        request = self._make_request(number, meeting.plan.ring_timeout_s)
        names = log_names.of_attempt(self._attempt)
        try:
            async with open_leg(self._services, self._ways, request) as other:
                if not await meeting.introduce(other):
                    return "no_answer"
                self._land()
                self._notes.tell("attempt.connected", number=number)
                return "answered" if await meeting.join(other, names) else "no_answer"
        except LegFailed as failed:
            log.info("nobody was reached", to=number, reason=failed.reason, **names)
            return failed.why

    async def _bring_agent(self, meeting: _Meeting) -> Connected:
        if self._ticket is not None and self._ticket.is_held:
            assert self._ticket.seat is not None
            return await self._meet(meeting, self._ticket.seat)
        is_counted = self._flow.kind == "dialer"
        deadline = trio.current_time() + meeting.plan.ring_timeout_s
        if is_counted:
            self._is_wanted = True
            self._notes.note_wanted()
            deadline = self._answered_at + self._flow.settings.answer_wait_s
        while True:
            seat_or_none = await self._floor.wait_seat(self._attempt.contact, deadline)
            if seat_or_none is None:
                break
            connected = await self._meet(meeting, seat_or_none)
            if connected == "answered" or self._is_refused:
                return connected
            if self._is_held:
                break  # it would be the same with every agent
        if is_counted:
            await self._abandon(meeting)
        return "no_answer"

    async def _meet(self, meeting: _Meeting, seat: Seat) -> Connected:
        """Let the customer speak with the agent who was taken for them."""
        names = log_names.of_attempt(self._attempt)
        self._is_refused = False
        try:
            async with AsyncExitStack() as stack:
                other = self._floor.lines.get(seat)
                if other is None:
                    timeout_s = self._flow.settings.agent_ring_timeout_s
                    request = self._make_request(
                        seat.agent.number, timeout_s, seat.agent.id or None
                    )
                    other = await stack.enter_async_context(
                        open_leg(self._services, self._ways, request)
                    )
                if not await meeting.introduce(other):
                    self._floor.lose(seat, "hung_up")
                    return "no_answer"
                if not self._begin_talk(seat):
                    return "no_answer"
                agent = seat.agent.id or seat.agent.number
                self._notes.note_connected(agent)
                with self._floor.talk(seat) as talk:
                    self._is_refused = not await meeting.join(other, names)
                if self._is_refused:
                    return "no_answer"
                # An agent who hangs up the telephone that customers come by has gone.
                is_lost = not talk.cancelled_caught and seat.has_line
                if is_lost:
                    self._floor.lose(seat, "hung_up")
                else:
                    self._floor.step(seat, "part")
                return "answered"
        except LegFailed as failed:
            if isinstance(failed, LegHeld):
                self._is_held = True  # which is not the agent's fault
                log.info(
                    "an agent was not called", agent=seat.agent.id, reason=failed.reason, **names
                )
                return failed.why
            log.info("an agent was not reached", agent=seat.agent.id, reason=failed.reason, **names)
            self._floor.lose(seat, failed.why)
            return failed.why
        finally:
            if seat.customer == self._attempt.contact:
                self._floor.step(seat, "part" if seat.state == "talking" else "give_back")

    def _begin_talk(self, seat: Seat) -> bool:
        if seat.state != "taken" or seat.customer != self._attempt.contact:
            return False
        self._floor.step(seat, "connect")
        if self._is_wanted:
            self._count(False)
        self._land()
        return True

    def _count(self, is_abandoned: bool) -> None:
        """Count this customer, once, among those who answered; the store does so at the attempt's end."""
        if not self._is_counted and not self._notes.is_machine:
            self._is_counted = True
            self._floor.count(is_abandoned, self._services.clock.now())

    async def _abandon(self, meeting: _Meeting) -> None:
        """Nobody took the customer in time: that counts at once, whatever they still hear."""
        self._count(True)
        self._land()
        self._notes.note_abandoned(round(trio.current_time() - self._answered_at, 3))
        await meeting.stop_waiting()
        await self._notes.write()
        message = self._flow.settings.safe_harbour
        if message is not None:
            await self._order.hear(message, meeting.call)

    def _land(self) -> None:
        if self._ticket is not None:
            self._ticket.land()

    def _make_request(self, number: str, timeout_s: float, agent: str | None = None) -> LegRequest:
        attempt = self._attempt
        return LegRequest(
            account=attempt.account,
            flow=attempt.flow,
            list=attempt.list,
            number=number,
            ring_timeout_s=timeout_s,
            did=attempt.did,
            attempt=attempt.id,
            contact=attempt.contact,
            agent=agent,
            variables=self._order.contact.variables,
        )


class _Meeting:
    """An answered call to which somebody is brought."""

    def __init__(self, call: Call, plan: TransferPlan) -> None:
        self.call = call
        self.plan = plan
        self.ended: Ended | None = None
        """How `call` ended, if it did."""
        self._waiting: trio.CancelScope | None = None
        self._is_quiet = trio.Event()

    async def watch(self, scope: trio.CancelScope) -> None:
        """Stop everything when the callee hangs up."""
        self.ended = await self.call.wait_ended()
        scope.cancel()

    async def keep_waiting(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Let the callee hear the hold sound again and again, until `stop_waiting`."""
        try:
            with trio.CancelScope() as self._waiting:
                task_status.started()
                while True:
                    if self.plan.hold is None:
                        await trio.sleep_forever()
                    await self._play(self.plan.hold)
                    await trio.sleep(SOUND_PAUSE_S)
        finally:
            self._is_quiet.set()

    async def stop_waiting(self) -> None:
        """Return when nothing plays on the call any more."""
        if self._waiting is not None:
            self._waiting.cancel()
        await self._is_quiet.wait()

    async def introduce(self, other: Call) -> bool:
        """Let the other hear the whisper; whether they are still there after it."""
        if self.plan.whisper is None:
            return True
        try:
            await self.plan.whisper(other)
        except CallEnded:
            return False
        return True

    async def join(self, other: Call, names: Mapping[str, str]) -> bool:
        """Let the two speak until the other hangs up; whether they could. `names` are for the log."""
        await self.stop_waiting()
        try:
            ended = await self.call.bridge(other)
        except TelephonyUnavailable as error:
            log.error("two calls that were answered cannot be joined", error=str(error), **names)
            return False
        if ended is self.call:
            await trio.sleep_forever()  # `watch` is about to find out, and stops this
        return True

    async def _play(self, sound: Sound) -> None:
        try:
            await sound(self.call)
        except CallEnded:
            await trio.sleep_forever()  # as above
