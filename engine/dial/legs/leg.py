"""A second leg: a further call, made for an attempt or for an agent.

It is asked everything that a first call is asked, by the same functions, and its intent is committed before
its INVITE leaves. One leg is one INVITE: it is not tried again, and a redirection of it is not followed.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final, Literal

import msgspec
import structlog
import trio
from msgspec import Struct, field
from structlog.contextvars import bind_contextvars, reset_contextvars

from engine.dial.attempts import log_names
from engine.dial.attempts.assignment import AttemptServices
from engine.dial.attempts.lifecycle import outcome_of
from engine.dial.blockers import LIST_CANCELED, find_ban, find_leg_bar
from engine.dial.blockers import Ways as DidWays
from engine.dial.clearance import Clearance, clear
from engine.dial.dids.did import DidActor
from engine.dial.flow_desk import FlowDesk
from engine.dial.limits.line import Patience
from engine.dial.limits.party import Block
from engine.dial.limits.windows import INTENT_MAX_S
from engine.dial.trunks.stall import tell_trunk_of_leg
from engine.flow.presentation import present
from engine.intake.numbers import NumberProblem, read_number
from engine.model.agent import Leg, LegOutcome
from engine.model.disposition import Disposition, Outcome
from engine.model.events import Event
from engine.ports.stored import StoreUnavailable
from engine.ports.telephony import (
    Answered,
    Call,
    CallRequest,
    Ended,
    Ringing,
    TelephonyUnavailable,
)

log = structlog.get_logger(__name__)

PATIENCE_S: Final = 10.0
"""How long a leg waits for the limits of its DID, trunk, flow and installation."""
CHECK_S: Final = 0.5
"""How often it looks again where no line tells it to."""
FAREWELL_S: Final = 3.0
"""How long the end of a leg may take to be heard of and written down once nobody needs it."""
END_RETRY_S: Final = 0.5
"""How soon the end of a leg is offered again to a store that did not take it."""

NO_DID: Final = Block("no_trunk", math.inf, detail="No caller number of the flow is in operation.")
LATE_DETAIL: Final = "The installation was too slow to let it leave in time."

Why = Literal["busy", "no_answer"]
REFUSALS: Final[dict[Disposition | None, LegOutcome]] = {
    "busy": "busy",
    "declined": "busy",
    "no-answer": "no_answer",
    "canceled": "canceled",
    "answered": "answered",
    "machine": "answered",
}
"""What an outcome is to a leg; every other is `failed`."""


class LegFailed(Exception):
    """Nobody was reached. `why` is what a transfer makes of it, `reason` what the log says."""

    def __init__(self, why: Why, reason: str) -> None:
        super().__init__(why, reason)
        self.why = why
        self.reason = reason


class LegHeld(LegFailed):
    """Nobody was called, as limits or rules of ours kept the call from leaving; `block` says which."""

    def __init__(self, block: Block) -> None:
        super().__init__("no_answer", f"it may not leave: {block.code}")
        self.block = block


class LegRequest(Struct, frozen=True):
    """Whom a leg calls, and for whom."""

    account: str
    flow: str
    list: str
    number: str
    """As somebody wrote it: it is judged before it is called."""
    ring_timeout_s: float
    did: str | None = None
    """The DID that it goes by; None is that of the flow's which is free soonest."""
    attempt: str | None = None
    contact: str | None = None
    agent: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    """Of the contact, for how the call shows who is calling."""


Ways = Callable[[str, str | None], Sequence[tuple[DidActor, FlowDesk]]]
"""The DIDs in operation that calls of a flow may go by: all of them, or the one that is named."""


class Cause(Struct, frozen=True):
    """What a leg is made for, as far as it has to do with it before it leaves."""

    note_held: Callable[[Block | None], None] = lambda block: None
    """Told what keeps the leg from leaving while it waits; None when it waits no more."""
    recheck: Callable[[], Block | None] = lambda: None
    """Asked while it waits, and directly before the INVITE leaves: why it is not wanted any more."""


@asynccontextmanager
async def open_leg(
    services: AttemptServices,
    ways: Ways,
    request: LegRequest,
    cause: Cause = Cause(),  # noqa: B008, it is frozen
) -> AsyncIterator[Call]:
    """Call somebody; the block runs once they have answered, and leaving it hangs up. However it ends, what
    became of it is written down. Raises `LegFailed`; `LegHeld` where nobody was called."""
    number = read_number(request.number, services.destinations)
    if isinstance(number, NumberProblem):
        raise LegFailed("no_answer", number.detail)
    leg_id = services.ids.new("leg")
    try:
        clearance, desk = await _wait_clearance(services, ways, request, number, cause)
    finally:
        cause.note_held(None)
    try:
        leg = Leg(
            id=leg_id,
            account=request.account,
            flow=request.flow,
            list=request.list,
            number=number,
            did=clearance.did.number,
            trunk=clearance.call.trunk.name,
            initiated_at=services.clock.now(),
            attempt=request.attempt,
            contact=request.contact,
            agent=request.agent,
        )
        shown = present(desk.presentation, request.variables)
        place = CallRequest(leg.id, number, leg.did, leg.trunk, shown)
        dial_by = trio.current_time() + INTENT_MAX_S
        before = bind_contextvars(**log_names.of_leg(leg))
        try:
            async with AsyncExitStack() as stack:
                call = await _prepare(services, place, stack)
                clearance.call.mark_prepared()
                runner = _LegRunner(services, ways, clearance, leg, call, cause)
                await runner.commit_intent()
                try:
                    await runner.reach(dial_by, request.ring_timeout_s)
                    yield call
                finally:
                    await runner.end()
        finally:
            reset_contextvars(**before)
    finally:
        clearance.permit.release()
        clearance.call.close()


async def _prepare(services: AttemptServices, place: CallRequest, stack: AsyncExitStack) -> Call:
    """The call, until the stack is left. What is refused of it later is no reason why it did not leave."""
    try:
        return await stack.enter_async_context(services.telephony.prepare_call(place))
    except TelephonyUnavailable as error:
        raise LegHeld(Block("engine_limit", math.inf, detail=str(error))) from error


async def end_interrupted_legs(services: AttemptServices) -> list[Leg]:
    """Close the legs that a crash left open: nobody knows what became of them. Gives them as they were."""
    legs = await services.store.open_legs()
    for leg in legs:
        over = msgspec.structs.replace(leg, ended_at=services.clock.now(), outcome="unknown")
        await services.store.end_leg(over)
    return legs


async def _wait_clearance(
    services: AttemptServices, ways: Ways, request: LegRequest, number: str, cause: Cause
) -> tuple[Clearance, FlowDesk]:
    deadline = trio.current_time() + PATIENCE_S
    while True:
        now = trio.current_time()
        wall_now = services.clock.now()
        unwanted = cause.recheck()
        if unwanted is not None:
            raise LegHeld(unwanted)
        dids = ways(request.flow, request.did)
        found = LegWays(dids, now, wall_now, deadline).find(number)
        if not isinstance(found, Block):
            actor, desk = found
            return clear(actor.case_of(False, desk), actor.did, number, now), desk
        soonest = found
        left_s = deadline - now
        is_too_long = math.isfinite(soonest.until) and soonest.until - now > left_s
        # For what has to be configured nobody waits on the telephone.
        if left_s <= 0 or is_too_long or soonest.code == "no_trunk":
            raise LegHeld(soonest)
        cause.note_held(soonest)
        with trio.move_on_after(min(CHECK_S, left_s)):
            if soonest.line is None:
                await trio.sleep_forever()
            await soonest.line.wait_turn(Patience(left_s))


class LegWays:
    """The DIDs by which second legs of a flow may go at one moment. They may be a thousand, and many legs ask
    again and again: what they share is asked once."""

    def __init__(
        self,
        ways: Sequence[tuple[DidActor, FlowDesk]],
        now: float,
        wall_now: float,
        deadline: float,
    ) -> None:
        """`deadline` is that of whoever waits for one."""
        self._ways = ways
        self._now = now
        self._wall_now = wall_now
        self._deadline = deadline
        self._lines: dict[bool, tuple[DidActor, FlowDesk] | Block] = {}
        """What the DIDs say is the same for all numbers that a number series binds, and for all others."""

    def find(self, number: str) -> tuple[DidActor, FlowDesk] | Block:
        """A DID that nothing blocks; else what blocks the one that is free soonest, where one that other
        calls keep may be so by the deadline."""
        if not self._ways:
            return NO_DID
        first, desk = self._ways[0]
        case = first.case_of(False, desk)
        bar = find_leg_bar(number, case, self._now, self._wall_now)
        if bar is not None:
            return bar
        is_bound = desk.callers.rule.binds(number)
        if is_bound not in self._lines:
            self._lines[is_bound] = self._find_line(number, DidWays(case.shared, self._now))
        return self._lines[is_bound]

    def _find_line(self, number: str, lines: DidWays) -> tuple[DidActor, FlowDesk] | Block:
        soonest: Block | None = None
        deadline = self._deadline
        for actor, desk in self._ways:
            block = lines.find_blocker(number, actor.as_way(desk))
            if block is None:
                return actor, desk
            if soonest is None or _end_of(block, deadline) < _end_of(soonest, deadline):
                soonest = block
        assert soonest is not None
        return soonest


def _end_of(block: Block, deadline: float) -> float:
    """When what it says may be over; what ends with other calls may well be by the deadline."""
    ends_with_calls = math.isinf(block.until) and block.line is not None
    return deadline if ends_with_calls else block.until


class _LegRunner:
    def __init__(
        self,
        services: AttemptServices,
        ways: Ways,
        clearance: Clearance,
        leg: Leg,
        call: Call,
        cause: Cause,
    ) -> None:
        self._services = services
        self._ways = ways
        self._clearance = clearance
        self._leg = leg
        self._call = call
        self._cause = cause
        self._dialed = False
        self._ended: Ended | None = None
        self._outcome: LegOutcome = "canceled"

    async def commit_intent(self) -> None:
        try:
            # A caller that goes away now must not leave a leg that nobody ends.
            with trio.CancelScope(shield=True):
                refusal = await self._services.store.begin_leg(self._leg)
        except StoreUnavailable as error:
            raise LegHeld(Block("engine_limit", math.inf, detail=str(error))) from error
        if refusal == "list_paused":
            # Who has the list in memory did not know.
            self._services.pause_list(self._leg.list)
            raise LegHeld(Block("list_paused", math.inf))
        if refusal == "gone":
            raise LegHeld(LIST_CANCELED)
        if refusal is not None:
            raise LegFailed("no_answer", refusal)

    async def reach(self, dial_by: float, ring_timeout_s: float) -> None:
        """Dial at the permitted moment, and return when it is answered. Raises `LegFailed`."""
        permit, trunk_call, call = self._clearance.permit, self._clearance.call, self._call
        await trio.sleep_until(permit.at)
        now = trio.current_time()
        block = self._find_ban(now)
        if block is None and now > dial_by:
            block = Block("engine_limit", math.inf, detail=LATE_DETAIL)
        if block is None and not trunk_call.may_leave(now):
            block = Block("trunk_down", math.inf)
        if block is not None:
            raise LegHeld(block)
        self._dialed = True
        trunk_call.mark_sent(now)
        try:
            call.dial()
        finally:  # a fault in dialling does not undo that it may have left
            permit.mark_sent(trio.current_time())
        with trio.move_on_after(ring_timeout_s):
            while True:
                match await call.next_progress():
                    case Ringing():
                        trunk_call.note_answer(trio.current_time())
                    case Answered():
                        trunk_call.note_answer(trio.current_time())
                        await self._note_answered()
                        return
                    case Ended() as ended:
                        raise self._fail(ended)
        self._outcome = "no_answer"
        raise LegFailed("no_answer", "it was not answered in time")

    def _find_ban(self, now: float) -> Block | None:
        """The limits were taken with the permit; what else may have changed meanwhile is asked again."""
        leg = self._leg
        found = self._ways(leg.flow, leg.did)
        if not found:
            return NO_DID
        [(actor, desk)] = found
        case, wall_now = actor.case_of(False, desk), self._services.clock.now()
        return self._cause.recheck() or find_ban(leg.number, case, now, wall_now)

    def _fail(self, ended: Ended) -> LegFailed:
        """What an end before the answer means."""
        self._ended = ended
        table = self._clearance.call.trunk.outcomes
        outcome = outcome_of(ended, "the call ended", "initiated", table)
        if outcome.redirected_to is not None:
            outcome = Outcome("failed")
        tell_trunk_of_leg(self._clearance.call, ended, outcome, trio.current_time())
        self._outcome = REFUSALS.get(outcome.disposition, "failed")
        why: Why = "busy" if self._outcome == "busy" else "no_answer"
        return LegFailed(why, f"{ended.how} {ended.sip_code or ''}".rstrip())

    async def _note_answered(self) -> None:
        now = self._services.clock.now()
        self._leg = msgspec.structs.replace(self._leg, answered_at=now)
        self._outcome = "answered"
        leg = self._leg
        data = {"leg": leg.id, "agent": leg.agent, "number": leg.number}
        event = Event(
            "leg.answered", now, leg.account, leg.flow, leg.list, leg.contact, leg.attempt, data
        )
        try:
            await self._services.store.note_leg(leg, event)
        except StoreUnavailable as error:
            log.error("cannot note a leg's answer", error=str(error), **log_names.of_leg(leg))

    async def end(self) -> None:
        """Hang up if that is needed, and write down what became of it."""
        with trio.move_on_after(FAREWELL_S, shield=True):
            if self._ended is None and self._dialed:
                self._call.hang_up()
                with trio.move_on_after(FAREWELL_S / 2):
                    self._ended = await self._call.wait_ended()
            self._leg = msgspec.structs.replace(
                self._leg,
                ended_at=self._services.clock.now(),
                outcome=self._outcome,
                sip_code=None if self._ended is None else self._ended.sip_code,
            )
            while True:
                try:
                    await self._services.store.end_leg(self._leg)
                    return
                except StoreUnavailable as error:
                    log.error(
                        "cannot write a leg's end down",
                        error=str(error),
                        **log_names.of_leg(self._leg),
                    )
                    await trio.sleep(END_RETRY_S)
        log.error("a leg is left without an end", **log_names.of_leg(self._leg))
