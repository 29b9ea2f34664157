"""One attempt, one task: intent committed → INVITE → ringing → answered → flow → outcome committed.

It never raises into its nursery: what goes wrong on one call becomes that call's `failed`.
"""

from __future__ import annotations

from typing import Final

import msgspec
import structlog
import trio
from structlog.contextvars import bound_contextvars

from engine.dial.attempts import log_names
from engine.dial.attempts.assignment import (
    NUMBER_BUSY_WAIT_S,
    UNAVAILABLE_WAIT_S,
    Assignment,
    AttemptServices,
)
from engine.dial.attempts.conversation import Conversation
from engine.dial.attempts.lifecycle import (
    FINAL_STATUS,
    Ending,
    Signal,
    next_status,
    of_answerer,
    outcome_of,
)
from engine.dial.attempts.live import LiveCall
from engine.dial.attempts.record import (
    attempt_event,
    ended_event,
    following_event,
    media_of,
    sip_of,
)
from engine.dial.limits.windows import INTENT_MAX_S
from engine.dial.trunks.detour import NotFollowed, find_detour
from engine.dial.trunks.stall import Stall, tell_trunk, wait_after
from engine.flow.definition import InvalidDefinition
from engine.flow.presentation import present
from engine.intake.destinations import find_refusal
from engine.model import Attempt, Contact
from engine.model.disposition import Outcome
from engine.model.events import EventType
from engine.ports.dial_store import Refusal
from engine.ports.stored import StoreUnavailable
from engine.ports.telephony import (
    Answered,
    Call,
    CallRequest,
    Ended,
    Ringing,
    TelephonyUnavailable,
)
from engine.schedule.retry import after_attempt, after_stall

log = structlog.get_logger(__name__)

OUTCOME_RETRY_S: Final = 0.5
"""How soon the outcome of a call is offered again to a store that did not take it."""
UNREADABLE_WAIT_S: Final = 60.0
"""How long a contact is put back whose graph this release cannot read."""


async def run_attempt(services: AttemptServices, assignment: Assignment) -> None:
    """Make the attempt and see it through. Gives the permit back when it is over."""
    try:
        runner = _AttemptRunner(services, assignment)
        try:
            # Lines of adapters about its call carry its names as well, which they do not know.
            with bound_contextvars(**runner.names):
                await runner.run()
        except Exception:
            log.exception("attempt failed by a fault of ours", **runner.names)
            await runner.end_in_fault()
    except Exception:
        # Nothing more can be written of it now: the next start finds it as it finds one after a crash.
        log.exception(
            "attempt left without an end", **log_names.of_contact(assignment.work.contact)
        )
        services.finish(assignment.work)
    finally:
        assignment.permit.release()
        assignment.call.close()


class _NotDialed(Exception):
    """The intent is taken back: something forbade the call at the last moment."""


class _AttemptRunner:
    def __init__(self, services: AttemptServices, assignment: Assignment) -> None:
        self._services = services
        self._assignment = assignment
        contact = assignment.work.contact
        self._contact = contact
        self._begun = False
        self._definition = assignment.definition
        self._conversation: Conversation | None = None
        self._dial_by = trio.current_time() + INTENT_MAX_S
        self._attempt = Attempt(
            id=assignment.attempt,
            account=contact.account,
            flow=contact.flow,
            list=contact.list,
            contact=contact.id,
            number=contact.number,
            did=assignment.did.number,
            trunk=assignment.call.trunk.name,
            status="initiated",
            initiated_at=services.clock.now(),
            redirected_from=contact.tel[contact.tel_index] if contact.detour else None,
        )
        self._page = services.progress.open_page(self._as_it_stands)
        self._live = LiveCall(contact.account, contact.flow, contact.list, "initiated")
        self.names = log_names.of_attempt(self._attempt)
        """What every line of the log about this attempt carries."""

    async def run(self) -> None:
        attempt = self._attempt
        if find_refusal(attempt.number, self._services.destinations) is not None:
            await self._leave_out("number_not_allowed")
        elif self._contact.list == self._assignment.flow.calls_list:
            await self._make_call()  # each single call is an errand of its own
        elif self._services.live.hold_number(self._contact.list, attempt.number):
            try:
                await self._make_call()
            finally:
                self._services.live.free_number(self._contact.list, attempt.number)
        else:
            # Whoever is on that call may be whom this contact is to reach: the end of it will tell.
            until = self._services.clock.now() + NUMBER_BUSY_WAIT_S
            self._services.set_aside(self._assignment.work, until, "callee_cap")

    async def _make_call(self) -> None:
        self._services.live.enlist(self._live)
        try:
            await self._make_listed_call()
        finally:
            self._services.live.dismiss(self._live)

    async def _make_listed_call(self) -> None:
        attempt = self._attempt
        if not await self._find_definition():
            return
        presentation = present(self._assignment.presentation, self._contact.variables)
        request = CallRequest(attempt.id, attempt.number, attempt.did, attempt.trunk, presentation)
        try:
            async with self._services.telephony.prepare_call(request) as call:
                self._assignment.call.mark_prepared()
                if not await self._commit_intent():
                    return
                ended, ending = await self._follow(call)
        except TelephonyUnavailable as error:
            if self._begun:
                raise
            log.warning("no call can be prepared", reason=str(error), **self.names)
            self._put_back_soon()
            return
        except _NotDialed:
            await self._withdraw()
            return
        await self._record_end(ended, ending, call)

    async def end_in_fault(self) -> None:
        """Give the attempt, if it was begun, the end that a fault of ours leaves it."""
        if self._begun:
            await self._settle(Outcome("failed"))
        else:
            self._put_back_soon()

    async def _find_definition(self) -> bool:
        """Whether the graph that the contact came with is there; the contact is put back where it is not."""
        flow, version = self._assignment.flow, self._contact.flow_version
        try:
            self._definition = await self._services.versions.find(
                flow, version, self._assignment.definition
            )
        except (StoreUnavailable, InvalidDefinition) as error:
            log.error("a graph cannot be read", version=version, error=str(error), **self.names)
            is_brief = isinstance(error, StoreUnavailable)
            self._put_back_soon(UNAVAILABLE_WAIT_S if is_brief else UNREADABLE_WAIT_S)
            return False
        return True

    async def _commit_intent(self) -> bool:
        """Whether the call may be made: its intent is then committed."""
        attempt = self._attempt
        now = self._services.clock.now()
        event = attempt_event(
            "attempt.initiated", attempt, now, number=attempt.number, did=attempt.did
        )
        try:
            refusal = await self._services.store.begin_attempt(attempt, event)
        except StoreUnavailable as error:
            log.error("cannot write an intent down", error=str(error), **self.names)
            self._put_back_soon()
            return False
        self._begun = refusal is None
        if refusal is not None:
            await self._heed(refusal)
        return self._begun

    async def _heed(self, refusal: Refusal) -> None:
        work = self._assignment.work
        if refusal in ("do_not_call", "duplicate_number"):
            await self._leave_out(refusal)
        elif refusal == "list_paused":
            self._services.pause_list(self._contact.list)
            self._services.put_back(work, self._contact)
        else:
            self._services.finish(work)

    async def _leave_out(self, reason: str) -> None:
        """The number must not be called, or not again. That ends its contact as `skipped`; where it is one
        that a trunk redirected us to, the contact's own number is refused instead, as it would be without
        that."""
        services, work = self._services, self._assignment.work
        now = services.clock.now()
        log.info("a number is not called", reason=reason, **self.names)
        if self._contact.detour is None:
            await services.store.complete_contacts([self._contact.id], "skipped", now, reason)
            services.finish(work)
            return
        after = after_attempt(self._contact, self._assignment.flow, Outcome("failed"), now)
        event = following_event(after, now, reason)
        if await services.store.settle_contact(after, [event], now) and after.state == "open":
            services.put_back(work, after)
        else:
            services.finish(work)

    async def _follow(self, call: Call) -> tuple[Ended, Ending]:
        """Dial at the permitted moment, and stay with the call until it is over."""
        live = self._live
        try:
            ended = await self._reach(call)
            if ended is None and self._attempt.status == "in-progress":
                ended = await self._converse(call)
            if ended is not None:
                return ended, "the call ended"
            ending: Ending = "time-out"
            if live.is_broken_off:
                ending = "canceled" if live.is_canceled else "shutdown"
        finally:
            # Nobody takes it back any more, and an engine that stops does not wait for what only ends.
            self._services.live.dismiss(live)
        call.hang_up()
        return await call.wait_ended(), ending

    async def _reach(self, call: Call) -> Ended | None:
        """Dial, and wait until the callee answers; the end of the call where that comes first. Raises
        `_NotDialed`."""
        is_dialed = False
        with self._live.scope as scope:
            await _sleep_until(self._assignment.permit.at)
            if self._may_leave():
                self._dial(call)
                is_dialed = True
                settings = self._assignment.flow.settings
                scope.deadline = trio.current_time() + settings.ring_timeout_s
                return await self._hear_out(call)
        if not is_dialed:
            raise _NotDialed
        return None

    def _may_leave(self) -> bool:
        """Everything is ready: whether nothing has come between."""
        if trio.current_time() > self._dial_by:
            log.warning("the commit of an intent took too long for its call", **self.names)
            return False
        return self._assignment.recheck() is None

    def _dial(self, call: Call) -> None:
        self._assignment.call.mark_sent(trio.current_time())
        try:
            call.dial()
        finally:
            # A fault in dialling does not undo that it may have left.
            self._assignment.permit.mark_sent(trio.current_time())

    async def _hear_out(self, call: Call) -> Ended | None:
        """Until it is answered; its end where that comes first."""
        while True:
            match await call.next_progress():
                case Ringing():
                    self._assignment.call.note_answer(trio.current_time())
                    self._advance("ringing", "attempt.ringing")
                case Answered():
                    self._assignment.call.note_answer(trio.current_time())
                    self._advance("answered", "attempt.answered")
                    return None
                case Ended() as ended:
                    return ended

    async def _converse(self, call: Call) -> Ended | None:
        """Until the call is over; None where it lasts too long, or is broken off."""
        settings = self._assignment.flow.settings
        with self._live.go_on(trio.current_time() + settings.call_max_s):
            self._conversation = Conversation(
                self._services.conversations,
                self._assignment.flow,
                self._definition,
                self._contact,
                self._attempt,
                call,
                self._page,
                self.names,
            )
            return await self._conversation.hold()
        return None

    def _as_it_stands(self) -> Attempt:
        """The attempt with everything that was noted on it."""
        talk = self._conversation
        return self._attempt if talk is None else talk.notes.add_to(self._attempt)

    def _advance(self, signal: Signal, event_type: EventType) -> None:
        status = next_status(self._attempt.status, signal)
        if status is None:
            return
        self._live.status = status
        now = self._services.clock.now()
        if signal == "ringing":
            self._attempt = msgspec.structs.replace(self._attempt, status=status, ringing_at=now)
        else:
            self._attempt = msgspec.structs.replace(self._attempt, status=status, answered_at=now)
        self._page.tell(attempt_event(event_type, self._attempt, now))

    async def _record_end(self, ended: Ended, ending: Ending, call: Call) -> None:
        media = call.media_statistics()
        heard = self._attempt.answered_at is not None
        table = self._assignment.call.trunk.outcomes
        outcome = outcome_of(ended, ending, self._attempt.status, table)
        if outcome.redirected_to is not None:
            number = self._find_detour(outcome.redirected_to)
            unfollowed = msgspec.structs.replace(ended, redirected_to=None)
            outcome = (
                msgspec.structs.replace(outcome, redirected_to=number)
                if number is not None
                else outcome_of(unfollowed, ending, self._attempt.status, table)
            )
        if self._conversation is not None:
            outcome = of_answerer(outcome, self._conversation.notes.answerer)
        stall = tell_trunk(
            self._assignment.call, ended, outcome, self._assignment.work, trio.current_time()
        )
        self._attempt = msgspec.structs.replace(
            self._attempt,
            sip=sip_of(ended, call.call_id),
            q850=ended.q850,
            media=media_of(media) if heard else None,
        )
        if outcome.disposition == "canceled":
            await self._withdraw()
        else:
            await self._settle(outcome, stall)

    def _find_detour(self, redirected_to: str) -> str | None:
        """The number to follow a redirection to; None where it is not followed."""
        found = find_detour(
            redirected_to, self._contact, self._attempt.number, self._services.destinations
        )
        if isinstance(found, NotFollowed):
            log.info("a redirection is not followed", reason=found.reason, **self.names)
            return None
        return found

    async def _withdraw(self) -> None:
        """The attempt was broken off by us before an answer: its contact waits as it did, unless it was
        canceled as well."""
        if self._live.is_canceled:
            after = self._cancel(self._contact)
        else:
            after = msgspec.structs.replace(self._contact, state="open")
        await self._write_end(Outcome("canceled"), after)

    def _cancel(self, contact: Contact) -> Contact:
        now = self._services.clock.now()
        return msgspec.structs.replace(
            contact, state="completed", disposition="canceled", completed_at=now
        )

    async def _settle(self, outcome: Outcome, stall: Stall | None = None) -> None:
        now, work = self._services.clock.now(), self._assignment.work
        flow, made_at = self._assignment.flow, self._attempt.initiated_at
        if stall is None:
            work.refused_by = ()
            after = after_attempt(self._contact, flow, outcome, now, made_at=made_at)
            await self._write_end(outcome, after)
            return
        chance = self._services.randomness.random()
        route, trunk = self._assignment.route, self._attempt.trunk
        wait_s = wait_after(stall, work, route, trunk, chance, trio.current_time())
        outcome, contact = after_stall(
            self._contact, flow, outcome, now, wait_s, stall.stalls, made_at
        )
        if contact.spent > self._contact.spent:
            work.refused_by = ()
        await self._write_end(outcome, contact)

    async def _write_end(self, outcome: Outcome, contact: Contact) -> None:
        """Commit the attempt's end with what follows for its contact, however long the store needs."""
        now = self._services.clock.now()
        ended_at = now
        if self._conversation is not None:
            await self._conversation.settle_opt_outs()
            ended_at = self._conversation.over_at or now
        told = await self._page.close()
        attempt = msgspec.structs.replace(
            self._as_it_stands(),
            status=FINAL_STATUS[outcome.disposition],
            disposition=outcome.disposition,
            ended_at=ended_at,
        )
        self._attempt = attempt
        if contact.state == "open" and self._live.is_canceled:
            contact = self._cancel(contact)
        events = [*told, ended_event(attempt, now)]
        if contact.state == "open":
            events.append(following_event(contact, now))
        while True:
            try:
                await self._services.store.end_attempt(attempt, contact, events)
                break
            except StoreUnavailable as error:
                log.error("cannot write an outcome down", error=str(error), **self.names)
                await trio.sleep(OUTCOME_RETRY_S)
        self._services.note_ended(attempt)
        if contact.state == "open":
            self._services.put_back(self._assignment.work, contact)
        else:
            self._services.finish(self._assignment.work)

    def _put_back_soon(self, wait_s: float = UNAVAILABLE_WAIT_S) -> None:
        due_at = self._services.clock.now() + wait_s
        contact = msgspec.structs.replace(self._contact, due_at=due_at, wait_code="engine_limit")
        self._services.put_back(self._assignment.work, contact)


async def _sleep_until(at: float) -> None:
    """Sleep, where that moment is not there already: a sleep of no length costs as much as any."""
    if at > trio.current_time():
        await trio.sleep_until(at)
    else:
        await trio.lowlevel.checkpoint_if_cancelled()
