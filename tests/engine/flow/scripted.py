"""A flow on one scripted call, under virtual time, and everything that is seen of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import trio
from msgspec import Struct, field

from engine.flow.definition import Definition
from engine.flow.legs import Connected, Legs, NoLegs, TransferPlan
from engine.flow.run import run_flow
from engine.flow.services import FlowServices, Scope, StepNote
from engine.flow.talk import Talk
from engine.ports.requests import Question, RequestFailed
from engine.ports.speech import SpeechFailed, SpeechRefused, SpokenText, Voice
from engine.ports.telephony import Answered, Call, CallEnded, CallRequest
from sim.telephony import CallScript, SimulatedTelephony

PROMPT_S = 5.0
REQUEST = CallRequest("att_1", "+14155550123", "+14155550100", "main")
LISTENS = CallScript(None, 0.0)
"""Answers at once, presses nothing, and stays."""

Step = tuple[str, str, float, str, dict[str, Any]]
"""Node, type, seconds from the answer to its beginning, outcome, what else is told."""


class Outcome(Struct):
    """What was seen of a call."""

    played: list[str]
    steps: list[Step]
    took_s: float
    """From the answer until the flow or the call was over."""
    ended: str | None = None
    """How the call ended, where the callee ended it."""
    result: dict[str, str] = field(default_factory=dict)
    digits: list[tuple[str, str]] = field(default_factory=list)
    opt_outs: list[str] = field(default_factory=list)
    asked: list[Question] = field(default_factory=list)
    recorded: list[str] = field(default_factory=list)

    @property
    def path(self) -> list[tuple[str, str]]:
        """(node, outcome) of every step."""
        return [(node, outcome) for node, _, _, outcome, _ in self.steps]


OWN_VOICE = "own"
"""Speaks where nobody is named."""


class ScriptedSpeech:
    """Speaks every text as a prompt `say:TEXT`, at once or after a while, but for some."""

    def __init__(
        self,
        takes_s: float = 0.0,
        errors: Mapping[str, SpeechRefused | SpeechFailed] | None = None,
        voices: tuple[str, ...] | None = None,
    ) -> None:
        """`voices` are those that there are; None is every voice."""
        self._takes_s = takes_s
        self._errors = errors or {}
        self._voices = voices

    async def list_voices(self) -> tuple[Voice, ...]:
        await trio.lowlevel.checkpoint()
        return ()

    async def find_voice(self, name: str | None, language: str | None = None) -> Voice:
        await trio.lowlevel.checkpoint()
        if self._voices is not None and name is not None and name not in self._voices:
            raise SpeechRefused("unknown_voice", f"there is no voice {name!r}", self._voices)
        return Voice(name or language or OWN_VOICE, language or "en", "")

    async def check(self, text: str, voice: str | None = None) -> None:
        await trio.lowlevel.checkpoint()

    @asynccontextmanager
    async def make(self, text: str, voice: str | None = None) -> AsyncIterator[SpokenText]:
        await trio.sleep(self._takes_s)
        if text in self._errors:
            raise self._errors[text]
        yield SpokenText(f"say:{text}" if voice == OWN_VOICE else f"say:{voice}:{text}", PROMPT_S)


class ScriptedRequests:
    """Gives these answers one after another, each after so many seconds."""

    def __init__(self, *answers: Any, takes_s: float = 0.0) -> None:
        self._answers = list(answers)
        self._takes_s = takes_s
        self.asked: list[Question] = []

    async def ask(self, question: Question) -> Any:
        self.asked.append(question)
        answer = self._answers.pop(0)
        with trio.move_on_after(question.timeout_s):
            await trio.sleep(self._takes_s)
            if isinstance(answer, Exception):
                raise answer
            return answer
        raise RequestFailed("timeout", "too slow")


class ScriptedLegs:
    """Connects with this outcome, after hold and whisper were played once each where there are any."""

    def __init__(self, connected: Connected) -> None:
        self._connected = connected
        self.asked: list[tuple[str, float]] = []

    async def connect(self, call: Call, to: str, plan: TransferPlan) -> Connected:
        self.asked.append((to, plan.ring_timeout_s))
        for sound in (plan.hold, plan.whisper):
            if sound is not None:
                await sound(call)
        return self._connected


async def follow(
    nodes: dict[str, Any],
    script: CallScript = LISTENS,
    *,
    start: str = "a",
    declared: dict[str, Any] | None = None,
    variables: dict[str, str] | None = None,
    amd: str = "off",
    speech: ScriptedSpeech | None = None,
    requests: ScriptedRequests | None = None,
    legs: Legs | None = None,
    missing: tuple[str, ...] = (),
    cut_off_s: float = 86_400.0,
    language: str | None = None,
) -> Outcome:
    """Run a flow on a call.

    Args:
        declared: the flow's variables.
        variables: what the contact brings.
        missing: prompts that are gone.
        cut_off_s: when the call is cancelled at the latest.
    """
    raw = {"start": start, "nodes": nodes, "variables": declared or {}, "language": language}
    definition = msgspec.convert(raw, Definition)
    network = SimulatedTelephony(lambda _request, _before: script, PROMPT_S, {"beep": 0.5})
    network.missing.update(missing)
    asked = requests or ScriptedRequests()
    steps: list[StepNote] = []
    digits: list[tuple[str, str]] = []
    opt_outs: list[str] = []
    serial = iter(range(1, 1000))

    async def begin_recording() -> str:
        await trio.lowlevel.checkpoint()
        return f"rec_{next(serial)}"

    async def opt_out(scope: Scope) -> None:
        await trio.lowlevel.checkpoint()
        opt_outs.append(scope)

    services = FlowServices(
        speech=speech or ScriptedSpeech(),
        requests=asked,
        legs=legs or NoLegs(),
        beep="beep",
        begin_recording=begin_recording,
        opt_out=opt_out,
        note_step=steps.append,
        note_digits=lambda node, keys: digits.append((node, keys)),
        note_over=lambda: None,
    )
    async with network.prepare_call(REQUEST) as call:
        call.dial()
        assert await call.next_progress() == Answered()
        begun = trio.current_time()
        talk = Talk(definition, call, services, variables=variables or {}, amd=amd)
        ended = None
        try:
            with trio.move_on_after(cut_off_s):
                await run_flow(talk)
        except CallEnded as error:
            ended = error.ended.how
        took_s = trio.current_time() - begun
    return Outcome(
        played=network.dialed[0].played,
        steps=[
            (one.node, one.type, round(one.began_at - begun, 3), one.outcome, one.data)
            for one in steps
        ],
        took_s=round(took_s, 3),
        ended=ended,
        result=talk.result,
        digits=digits,
        opt_outs=opt_outs,
        asked=asked.asked,
        recorded=list(network.recordings),
    )
