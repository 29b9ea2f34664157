"""What happens on an answered call: who answered, then the flow's graph, and the notes on both."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import msgspec
import structlog
import trio
from msgspec import Struct

from engine.dial.attempts.notes import CallNotes
from engine.dial.attempts.progress import ProgressPage
from engine.dial.attempts.record import attempt_event
from engine.flow.absent import NoRequests, NoSpeech
from engine.flow.definition import Definition, names_agent
from engine.flow.legs import Connected, Legs, NoLegs, Sound, TransferPlan
from engine.flow.nodes import Prompt
from engine.flow.run import run_flow
from engine.flow.services import FlowServices, Scope
from engine.flow.talk import Talk
from engine.ids import IdSource
from engine.model import Attempt, Contact, Flow, Message, Recording
from engine.model.events import Event
from engine.ports.clock import WallClock
from engine.ports.dial_store import DialStore
from engine.ports.requests import Requests
from engine.ports.speech import Speech
from engine.ports.stored import StoreUnavailable
from engine.ports.telephony import Call, CallEnded, Ended

log = structlog.get_logger(__name__)

BEEP_WAIT_S: Final = 30.0
"""How long a machine's beep is waited for from when it is known to be one. Greetings are shorter."""

OPT_OUT_RETRY_S: Final = 0.5
"""How soon an opt-out is offered again to a store that did not take it."""


class FlowParts(Struct, frozen=True):
    """What an installation has for its flows."""

    speech: Speech = NoSpeech()
    requests: Requests = NoRequests()
    beep: str = "beep"
    """Id of the prompt that tells a callee to speak."""


class LegsOrder(Struct, frozen=True):
    """For what call second calls may be wanted."""

    attempt: Attempt
    flow: Flow
    contact: Contact
    notes: CallNotes
    """Takes what becomes of them."""
    hear: Callable[[Message, Call], Awaitable[None]]
    """Plays one of the flow's messages on a call, with the variables of this one. Raises `CallEnded`."""


LegsOf = Callable[[LegsOrder], Legs]


def no_legs(_order: LegsOrder) -> Legs:
    """`NoLegs` for any call."""
    return NoLegs()


class ConversationServices(Struct, frozen=True):
    """What every conversation works with."""

    store: DialStore
    clock: WallClock
    ids: IdSource
    parts: FlowParts = FlowParts()
    legs_of: LegsOf = no_legs


class Conversation:
    """One answered call, from the answer to its end. What it says of itself holds however it ends."""

    def __init__(
        self,
        services: ConversationServices,
        flow: Flow,
        definition: Definition,
        contact: Contact,
        attempt: Attempt,
        call: Call,
        page: ProgressPage,
        names: Mapping[str, str],
    ) -> None:
        """
        Args:
            flow: as it is now; its settings count.
            definition: the graph of the version that the contact came with.
            attempt: in progress.
            page: takes what is told of it.
            names: what every line of the log about this attempt carries.
        """
        self._services = services
        self._flow = flow
        self._attempt = attempt
        self._call = call
        self._names = names
        self._opt_outs: dict[Scope, Event] = {}
        self._talk = Talk(
            definition,
            call,
            self._flow_services(),
            variables=_values_of(contact, attempt),
            names=names,
        )
        self.notes = CallNotes(attempt, self._talk.result, page, services.clock, names)
        self._legs = services.legs_of(LegsOrder(attempt, flow, contact, self.notes, self._hear))
        self.over_at: float | None = None
        """When the callee hung up, where the flow went on after that; seconds since the epoch."""

    async def hold(self) -> Ended:
        """See the call through. It is over when this returns; whoever cancels it hangs up."""
        ended = await self._go_through()
        if ended is None:
            self._call.hang_up()
            ended = await self._call.wait_ended()
        return ended

    async def settle_opt_outs(self) -> None:
        """See that the callee is on the do-not-call list where they asked for it, however long the store
        needs: before that the contact must not be dialled again."""
        while True:
            if await self._write_opt_outs():
                return
            await trio.sleep(OPT_OUT_RETRY_S)

    async def _write_opt_outs(self) -> bool:
        """Whether nothing is left to be written."""
        numbers = [self._attempt.number]
        if self._attempt.redirected_from is not None:
            numbers.append(self._attempt.redirected_from)
        if self._opt_outs and not await self.notes.write():
            return False  # what came before is told before
        for scope, event in list(self._opt_outs.items()):
            flow = self._flow.id if scope == "flow" else None
            try:
                await self._services.store.opt_out(numbers, flow, event)
            except StoreUnavailable as error:
                log.error("cannot write an opt-out down", error=str(error), **self._names)
                return False
            del self._opt_outs[scope]
        return True

    async def _go_through(self) -> Ended | None:
        """The end of the call where the callee brought it about."""
        try:
            if await self._listen():
                await self._bring_agent()
                await run_flow(self._talk)
        except CallEnded as error:
            return error.ended
        except Exception:
            log.exception("flow broke off", **self._names)
        return None

    async def _listen(self) -> bool:
        """Find out who answered where the flow wants to know, and whether its graph is to begin. In doubt it
        is a person. Raises `CallEnded`."""
        settings = self._flow.settings
        if settings.amd == "off":
            return True
        verdict = await self._call.detect_machine(settings.amd_parameters)
        self._talk.amd = verdict.answerer
        self.notes.note_answerer(verdict.answerer, verdict.cause, verdict.elapsed_ms)
        if settings.amd == "detect" or verdict.answerer in ("human", "unknown"):
            return True
        if verdict.answerer == "fax":
            return False
        if verdict.cause == "beep":
            return True
        with trio.move_on_after(BEEP_WAIT_S):
            await self._call.wait_for_beep()
            return True
        log.info("a machine did not beep", waited_s=BEEP_WAIT_S, **self._names)
        return False

    async def connect(self, call: Call, to: str, plan: TransferPlan) -> Connected:
        """Second calls of this one; see `Legs`."""
        hold = self._flow.settings.hold
        if plan.hold is None and hold is not None:
            plan = msgspec.structs.replace(plan, hold=self._sound_of(hold))
        return await self._legs.connect(call, to, plan)

    async def _bring_agent(self) -> None:
        """Connect the callee with an agent before the graph begins, where that is what the flow is for and
        its graph has no place for it. Raises `CallEnded`."""
        if self._flow.kind == "dialer" and not names_agent(self._talk.definition):
            timeout_s = self._flow.settings.agent_ring_timeout_s
            await self.connect(self._call, "agent", TransferPlan(timeout_s))

    def _sound_of(self, message: Message) -> Sound:
        async def play(call: Call) -> None:
            await self._hear(message, call)

        return play

    async def _hear(self, message: Message, call: Call) -> None:
        prompt = Prompt(play=message.play, say=message.say, voice=message.voice)
        await self._talk.hear(prompt, call)

    async def _opt_out(self, scope: Scope) -> None:
        at = self._services.clock.now()
        event = attempt_event(
            "attempt.opt_out", self._attempt, at, number=self._attempt.number, scope=scope
        )
        self._opt_outs.setdefault(scope, event)
        await self._write_opt_outs()

    async def _begin_recording(self) -> str:
        attempt, services = self._attempt, self._services
        recording = Recording(
            services.ids.new("rec"), attempt.account, attempt.id, services.clock.now()
        )
        try:
            await services.store.add_recording(recording)
        except StoreUnavailable as error:
            # Its file is still there for whoever looks for the id in this line.
            log.error(
                "cannot write a recording down",
                recording=recording.id,
                error=str(error),
                **self._names,
            )
        return recording.id

    def _note_over(self) -> None:
        if self.over_at is None:
            self.over_at = self._services.clock.now()

    def _flow_services(self) -> FlowServices:
        parts = self._services.parts
        return FlowServices(
            speech=parts.speech,
            requests=parts.requests,
            legs=self,
            beep=parts.beep,
            begin_recording=self._begin_recording,
            opt_out=self._opt_out,
            note_step=lambda note: self.notes.note_step(note),
            note_digits=lambda node, digits: self.notes.note_digits(node, digits),
            note_over=self._note_over,
            account=self._attempt.account,
        )


def _values_of(contact: Contact, attempt: Attempt) -> dict[str, str]:
    """What the contact brings, and `engine.flow.variables.BUILT_IN`."""
    return {
        **contact.variables,
        "call.number": attempt.number,
        "call.did": attempt.did,
        "contact.reference": contact.reference or "",
    }
