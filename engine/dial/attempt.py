"""One attempt, one task: intent committed → INVITE → ringing → answered → flow → outcome committed.

It never raises into its nursery: what goes wrong on one call becomes that call's `failed`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import msgspec
import structlog
import trio
from msgspec import Struct

from engine.dial.blockers import Block
from engine.dial.lifecycle import FINAL_STATUS, Ending, Signal, next_status, outcome_of
from engine.dial.limits import Permit
from engine.dial.trunk import Trunk
from engine.disposition import Outcome
from engine.events import Event, EventType
from engine.flow.definition import Definition
from engine.flow.run import run_flow
from engine.ids import IdSource
from engine.model import Attempt, Contact, Did, Flow, Media, SipOutcome
from engine.ports.clock import WallClock
from engine.ports.store import DialStore, Refusal, StoreUnavailable
from engine.ports.telephony import (
    Answered,
    Call,
    CallEnded,
    CallRequest,
    Ended,
    Ringing,
    Telephony,
    TelephonyUnavailable,
)
from engine.schedule.feed import Work
from engine.schedule.retry import after_attempt, complete

log = structlog.get_logger(__name__)

UNAVAILABLE_WAIT_S: Final = 1.0
"""How long a contact is put back when no call can be prepared or no intent can be written down."""
OUTCOME_RETRY_S: Final = 0.5
"""How soon the outcome of a call is offered again to a store that did not take it."""


INTENT_MAX_S: Final = 5.0
"""An INVITE leaves within this time of its intent, or not at all. After a restart the sliding windows go by
the intents, and must know how much later the calls can have left."""


class LiveAttempts:
    """The attempts that go on. A stopping engine ends their calls through this, rather than by
    cancelling their tasks, so that each still writes its outcome down."""

    def __init__(self) -> None:
        self._scopes: set[trio.CancelScope] = set()
        self._broken_off = False
        self._emptied = trio.lowlevel.ParkingLot()

    def __len__(self) -> int:
        """How many calls are being followed."""
        return len(self._scopes)

    @contextmanager
    def follow(self) -> Iterator[trio.CancelScope]:
        """The scope in which a call is followed."""
        with trio.CancelScope() as scope:
            if self._broken_off:
                scope.cancel()
            self._scopes.add(scope)
            try:
                yield scope
            finally:
                self._scopes.discard(scope)
                if not self._scopes:
                    self._emptied.unpark_all()

    async def wait_empty(self) -> None:
        """Return when no call is being followed."""
        while self._scopes:
            await self._emptied.park()

    def break_off(self) -> None:
        """End every call, and each that begins from now on."""
        self._broken_off = True
        for scope in self._scopes:
            scope.cancel()


class AttemptServices(Struct, frozen=True):
    """What every attempt works with."""

    live: LiveAttempts
    store: DialStore
    telephony: Telephony
    clock: WallClock
    ids: IdSource
    put_back: Callable[[Work, Contact], None]
    """Tells the scheduler that the contact waits again."""
    pause_list: Callable[[str], None]
    """Tells the scheduler that the store has a list as paused."""
    finish: Callable[[Work], None]
    """Tells the scheduler that the contact is done with."""


class Assignment(Struct, frozen=True):
    """One attempt's task: whom to call, from which number, by which rules."""

    work: Work
    flow: Flow
    definition: Definition
    did: Did
    trunk: Trunk
    permit: Permit
    recheck: Callable[[], Block | None]
    """Asked once more when everything is ready, directly before the INVITE leaves."""


async def run_attempt(services: AttemptServices, assignment: Assignment) -> None:
    """Make the attempt and see it through. Gives the permit back when it is over."""
    try:
        runner = _AttemptRunner(services, assignment)
        try:
            await runner.run()
        except Exception:
            log.exception("attempt failed by a fault of ours", **runner.names)
            await runner.end_in_fault()
    except Exception:
        # Nothing more can be written of it now: the next start finds it as it finds one after a crash.
        log.exception("attempt left without an end", contact=assignment.work.contact.id)
        services.finish(assignment.work)
    finally:
        assignment.permit.release()


class _NotDialed(Exception):
    """The intent is taken back: something forbade the call at the last moment."""


class _AttemptRunner:
    def __init__(self, services: AttemptServices, assignment: Assignment) -> None:
        self._services = services
        self._assignment = assignment
        contact = assignment.work.contact
        self._contact = contact
        self._begun = False
        self._dial_by = trio.current_time() + INTENT_MAX_S
        self._attempt = Attempt(
            id=services.ids.new("att"),
            account=contact.account,
            flow=contact.flow,
            list=contact.list,
            contact=contact.id,
            number=contact.tel[contact.tel_index],
            did=assignment.did.number,
            trunk=assignment.trunk.name,
            status="initiated",
            initiated_at=services.clock.now(),
        )
        self.names = {
            "account": contact.account,
            "flow": contact.flow,
            "contact": contact.id,
            "attempt": self._attempt.id,
        }
        """What every line of the log about this attempt carries."""

    async def run(self) -> None:
        attempt = self._attempt
        request = CallRequest(attempt.id, attempt.number, attempt.did, attempt.trunk)
        try:
            async with self._services.telephony.prepare_call(request) as call:
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

    async def _commit_intent(self) -> bool:
        """Whether the call may be made: its intent is then committed."""
        event = self._event("attempt.initiated", number=self._attempt.number, did=self._attempt.did)
        try:
            refusal = await self._services.store.begin_attempt(self._attempt, event)
        except StoreUnavailable as error:
            log.error("cannot write an intent down", error=str(error), **self.names)
            self._put_back_soon()
            return False
        self._begun = refusal is None
        if refusal is not None:
            await self._heed(refusal)
        return self._begun

    async def _heed(self, refusal: Refusal) -> None:
        services, work = self._services, self._assignment.work
        if refusal == "do_not_call":
            now = services.clock.now()
            await services.store.complete_contacts([self._contact.id], "skipped", now)
        if refusal == "list_paused":
            services.pause_list(self._contact.list)
            services.put_back(work, self._contact)
        else:
            services.finish(work)

    async def _follow(self, call: Call) -> tuple[Ended, Ending]:
        """Dial at the permitted moment, and stay with the call until it is over."""
        dialed = False
        with self._services.live.follow():
            await trio.sleep_until(self._assignment.permit.at)
            now = trio.current_time()
            if now > self._dial_by:
                log.warning("the commit of an intent took too long for its call", **self.names)
            elif self._assignment.recheck() is None:
                self._assignment.permit.mark_sent(now)  # a fault in dialling does not undo that
                call.dial()
                self._assignment.permit.mark_sent(trio.current_time())
                dialed = True
                return await self._hear_out(call)
        if not dialed:
            raise _NotDialed
        call.hang_up()
        return await call.wait_ended(), "shutdown"

    async def _hear_out(self, call: Call) -> tuple[Ended, Ending]:
        settings = self._assignment.flow.settings
        with trio.move_on_after(settings.ring_timeout_s):
            while True:
                match await call.next_progress():
                    case Ringing():
                        await self._advance("ringing", "attempt.ringing")
                    case Answered():
                        await self._advance("answered", "attempt.answered")
                        break
                    case Ended() as ended:
                        return ended, "the call ended"
        if self._attempt.status != "in-progress":
            call.hang_up()
            return await call.wait_ended(), "ring time-out"
        return await self._converse(call), "the call ended"

    async def _converse(self, call: Call) -> Ended:
        try:
            with trio.move_on_after(self._assignment.flow.settings.call_max_s):
                await run_flow(self._assignment.definition, call)
        except CallEnded as error:
            return error.ended
        except Exception:
            log.exception("flow broke off", **self.names)
        call.hang_up()
        return await call.wait_ended()

    async def _advance(self, signal: Signal, event_type: EventType) -> None:
        status = next_status(self._attempt.status, signal)
        if status is None:
            return
        now = self._services.clock.now()
        if signal == "ringing":
            self._attempt = msgspec.structs.replace(self._attempt, status=status, ringing_at=now)
        else:
            self._attempt = msgspec.structs.replace(self._attempt, status=status, answered_at=now)
        try:
            await self._services.store.note_progress(self._attempt, self._event(event_type))
        except StoreUnavailable as error:
            # The end of the attempt carries the same facts; a call that is up goes on without this.
            log.error("cannot note progress", error=str(error), **self.names)

    async def _record_end(self, ended: Ended, ending: Ending, call: Call) -> None:
        trunk = self._assignment.trunk
        if ended.how == "unreachable":
            trunk.note_silence(trio.current_time())
        else:
            trunk.note_answer()
        media = call.media_statistics()
        heard = self._attempt.answered_at is not None
        outcome = outcome_of(ended, ending, self._attempt.status)
        self._attempt = msgspec.structs.replace(
            self._attempt,
            sip=SipOutcome(ended.sip_code, ended.sip_reason, call.call_id),
            q850=ended.q850,
            media=Media(media.loss, media.jitter_ms) if heard else None,
        )
        if ending == "shutdown" and outcome.disposition == "canceled":
            await self._withdraw()
        else:
            await self._settle(outcome)

    async def _withdraw(self) -> None:
        """The attempt was broken off by us before an answer: its contact waits as it did."""
        reopened = msgspec.structs.replace(self._contact, state="open")
        await self._write_end(Outcome("canceled"), reopened)

    async def _settle(self, outcome: Outcome) -> None:
        now = self._services.clock.now()
        settings = self._assignment.flow.settings
        await self._write_end(outcome, after_attempt(self._contact, settings, outcome, now))

    async def _write_end(self, outcome: Outcome, contact: Contact) -> None:
        """Commit the attempt's end with what follows for its contact, however long the store needs."""
        attempt = msgspec.structs.replace(
            self._attempt,
            status=FINAL_STATUS[outcome.disposition],
            disposition=outcome.disposition,
            ended_at=self._services.clock.now(),
        )
        self._attempt = attempt
        events = [self._event("attempt.ended", **_summary(attempt))]
        if contact.state == "open":
            events.append(_waiting_event(attempt, contact))
        while True:
            try:
                await self._services.store.end_attempt(attempt, contact, events)
                break
            except StoreUnavailable as error:
                log.error("cannot write an outcome down", error=str(error), **self.names)
                await trio.sleep(OUTCOME_RETRY_S)
        if contact.state == "open":
            self._services.put_back(self._assignment.work, contact)
        else:
            self._services.finish(self._assignment.work)

    def _put_back_soon(self) -> None:
        due_at = self._services.clock.now() + UNAVAILABLE_WAIT_S
        contact = msgspec.structs.replace(self._contact, due_at=due_at, wait_code="engine_limit")
        self._services.put_back(self._assignment.work, contact)

    def _event(self, event_type: EventType, **data: Any) -> Event:
        attempt = self._attempt
        return Event(
            type=event_type,
            time=self._services.clock.now(),
            account=attempt.account,
            flow=attempt.flow,
            list=attempt.list,
            contact=attempt.contact,
            attempt=attempt.id,
            data=data,
        )


def _summary(attempt: Attempt) -> dict[str, Any]:
    return {
        "status": attempt.status,
        "disposition": attempt.disposition,
        "duration_s": attempt.duration_s,
        "sip_code": attempt.sip.code if attempt.sip is not None else None,
    }


def _waiting_event(attempt: Attempt, contact: Contact) -> Event:
    assert attempt.ended_at is not None
    return Event(
        type="contact.waiting",
        time=attempt.ended_at,
        account=contact.account,
        flow=contact.flow,
        list=contact.list,
        contact=contact.id,
        data={"blocker": contact.wait_code, "until": contact.due_at},
    )


async def end_interrupted(
    store: DialStore, attempt: Attempt, contact: Contact, flow: Flow | None, now: float
) -> None:
    """Close an attempt that a crash left open. Nobody knows what became of it, so it is `unknown`, and
    its contact is dialled again only where the flow says so."""
    ended = msgspec.structs.replace(
        attempt, status=FINAL_STATUS["unknown"], disposition="unknown", ended_at=now
    )
    if flow is None:
        after = complete(contact, "unknown", now)
    else:
        after = after_attempt(contact, flow.settings, Outcome("unknown"), now)
    event = Event(
        type="attempt.ended",
        time=now,
        account=attempt.account,
        flow=attempt.flow,
        list=attempt.list,
        contact=attempt.contact,
        attempt=attempt.id,
        data=_summary(ended),
    )
    events = [event] if after.state == "completed" else [event, _waiting_event(ended, after)]
    await store.end_attempt(ended, after, events)
