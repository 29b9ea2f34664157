"""An engine that a plain test function drives: it sets flows up, calls people, and looks at what became of
them. Days pass in milliseconds, as time is virtual."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from random import Random
from typing import Any, Final, TypeVar

import msgspec
import trio
from msgspec import Struct
from trio.testing import MockClock

from adapters.workers import InlineWorkers
from engine.dial.attempts.conversation import FlowParts
from engine.dial.trunks.trunk import TrunkSettings
from engine.form import Invalid
from engine.intake.receipt import Receipt
from engine.model import Account, Attempt, Contact, Did, Flow, Prompt, Report
from engine.model.disposition import Disposition
from engine.model.events import StoredEvent
from engine.ports.read_store import AttemptFilter
from engine.ports.requests import Question, RequestFailed
from engine.ports.speech import SpokenText, Voice
from engine.ports.stored import PAGE_MAX, Page
from engine.running.settings import EngineSettings
from engine.runtime import Engine
from sim.laboratory.carrier import Carrier
from sim.memory_store import MemoryStore

T = TypeVar("T")

BEGINS_AT: Final = datetime(2026, 1, 5, 9, tzinfo=UTC)
"""A Monday morning."""
PATIENCE_DAYS: Final = 30
"""Of virtual time: what is not over by then is a mistake of the test, or of its flow."""
WORD_S: Final = 0.4
"""How long a word takes to be spoken."""
DID_NUMBER: Final = "+14155550100"


class NotDone(AssertionError):
    """There are contacts that still wait. Its text says for what."""


class BadFlow(ValueError):
    """The API would not take the flow. Its text says every mistake, with its place."""


class Called(Struct, frozen=True):
    """What became of those who were called."""

    report: Report
    """What of them was taken, and what was refused, and why."""
    contacts: list[Contact]
    """In their order."""
    attempts: list[Attempt]
    """In the order in which they were made."""
    took_s: float
    """Virtual seconds until all of it was over."""

    @property
    def dispositions(self) -> dict[Disposition, int]:
        """How often each came."""
        found: dict[Disposition, int] = {}
        for contact in self.contacts:
            if contact.disposition is not None:
                found[contact.disposition] = found.get(contact.disposition, 0) + 1
        return found

    def attempts_of(self, number: str) -> list[Attempt]:
        """Those on one number."""
        return [attempt for attempt in self.attempts if attempt.number == number]


class VirtualEngine:
    """An engine over a carrier. Each method runs it for as long as it takes, and stops it; what it knows
    stays. Call them from plain functions: they run trio themselves."""

    def __init__(self, carrier: Carrier, *, begins_at: datetime = BEGINS_AT) -> None:
        """`begins_at` has an offset from UTC."""
        self.carrier = carrier
        self.answers: dict[str, Any] = {}
        """What your own system answers to `request` nodes: URL → JSON. Any other URL fails."""
        self.asked: list[Question] = []
        """What it was asked."""
        self._clock = _Clock(begins_at.timestamp())
        self._events: list[StoredEvent] = []
        self._told = trio.Event()
        self._store = MemoryStore(self._hear, self._clock)
        self._chance = Random(1)  # noqa: S311 - a test is to be the same each time
        self._speech = _Speech(carrier)

    @property
    def now(self) -> datetime:
        """The virtual time, UTC."""
        return datetime.fromtimestamp(self._clock.now(), UTC)

    @property
    def events(self) -> list[dict[str, Any]]:
        """Everything that the feed would have told, in its order."""
        return [msgspec.json.decode(event.body) for event in self._events]

    def flow(
        self,
        definition: Mapping[str, Any],
        *,
        settings: Mapping[str, Any] | None = None,
        kind: str = "multicast",
        timezone: str = "UTC",
        dids: Sequence[str] = (DID_NUMBER,),
        cps: float = 10,
        channels: int = 1000,
    ) -> str:
        """An active flow, checked as the API checks it; its id. Raises `BadFlow`.

        Args:
            definition: as docs/flows.md has it.
            settings: of the flow.
            kind: `multicast` or `dialer`.
            timezone: of the flow.
            dids: the numbers that it calls from. Those that are there already stay as they are.
            cps: calls a second of each.
            channels: calls at once of each.
        """
        raw = {
            "name": "flow",
            "kind": kind,
            "timezone": timezone,
            "definition": dict(definition),
            "settings": dict(settings or {}),
        }
        did = {"account": "default", "trunk": "main", "cps": cps, "channels": channels}

        async def make(engine: Engine, account: Account) -> str:
            office = engine.administration
            known = {one.number for one in await self._store.find_dids(account.id, dids)}
            for number in dids:
                if number not in known:
                    assert isinstance(await office.create_did({"number": number, **did}), Did)
            try:
                flow = await office.create_flow(account, raw)
            except Invalid as error:
                mistakes = [f"{one.pointer}: {one.detail}" for one in error.errors]
                raise BadFlow("\n".join(mistakes or [error.detail])) from None
            assert isinstance(flow, Flow)  # there is no Idempotency-Key
            await office.attach_dids(account, flow.id, dids)
            await office.set_listener(account, flow.id, True)
            return flow.id

        return self._run(make)

    def prompt(self, name: str = "prompt.wav", duration_s: float = 5.0) -> str:
        """A recording that takes so long to play; its id, for `play` nodes."""
        prompt_id = f"prm_{name.replace('.', '_')}"
        self.carrier.telephony.set_duration(prompt_id, duration_s)

        async def add(_engine: Engine, account: Account) -> str:
            prompt = Prompt(prompt_id, account.id, name, duration_s, self._clock.now())
            await self._store.add_prompt(prompt)
            return prompt.id

        return self._run(add)

    def call(
        self,
        flow: str,
        contacts: Sequence[str | Mapping[str, Any]],
        *,
        within_days: float = PATIENCE_DAYS,
    ) -> Called:
        """Call people, and wait until it is over with all of them. Raises `NotDone` where it is not.

        Args:
            flow: its id.
            contacts: numbers, or `{"tel", "variables", "starttime", "reference"}` as the API takes them.
            within_days: of virtual time.
        """
        items = [{"tel": [one]} if isinstance(one, str) else dict(one) for one in contacts]

        async def call(engine: Engine, account: Account) -> Called:
            found = await self._store.get_flow(account.id, flow)
            if found is None:
                raise LookupError(f"there is no flow {flow}")
            data = msgspec.json.encode({"contacts": items})
            begun = trio.current_time()
            receipt = await engine.intake.submit_contacts(found, data=data)
            assert isinstance(receipt, Receipt)  # there is no Idempotency-Key
            one = receipt.call_list
            with trio.move_on_after(within_days * 86_400):
                await self._wait_done(account.id, one.id)
            await self._require_done(engine, account.id, one.id)
            called = await self._contacts(account.id, one.id)
            attempts = await self._attempts(account.id, AttemptFilter(list=one.id))
            return Called(one.report, called, attempts, trio.current_time() - begun)

        return self._run(call)

    def wait(self, seconds: float) -> None:
        """Let virtual time pass."""

        async def wait(_engine: Engine, _account: Account) -> None:
            await trio.sleep(seconds)

        self._run(wait)

    def do_not_call(self) -> list[str]:
        """The numbers on the account's do-not-call list, those of single flows too."""

        async def read(_engine: Engine, account: Account) -> list[str]:
            entries = await _read_all(partial(self._store.list_do_not_call, account.id))
            return [one.number for one in entries]

        return self._run(read)

    async def ask(self, question: Question) -> Any:
        """Answer a `request` node as `answers` says."""
        await trio.lowlevel.checkpoint()
        self.asked.append(question)
        if question.url not in self.answers:
            raise RequestFailed("refused", f"the test has no answer for {question.url}")
        return self.answers[question.url]

    def _run(self, work: Callable[[Engine, Account], Awaitable[T]]) -> T:
        done: list[T] = []
        failed: list[Exception] = []

        async def run() -> None:
            with self._clock.running():
                async with self._open_engine() as engine:
                    account = await engine.administration.ensure_default_account()
                    # Raised outside, as a nursery would make a group of it.
                    try:
                        done.append(await work(engine, account))
                    except Exception as error:
                        failed.append(error)

        trio.run(run, clock=MockClock(autojump_threshold=0))
        for error in failed:
            raise error
        return done[0]

    @asynccontextmanager
    async def _open_engine(self) -> AsyncIterator[Engine]:
        engine = Engine(
            EngineSettings(10_000, 10_000, ("+",), (TrunkSettings("main", 10_000, 10_000),)),
            store=self._store,
            telephony=self.carrier.telephony,
            clock=self._clock,
            randomness=self._chance,
            workers=InlineWorkers(),
            parts=FlowParts(speech=self._speech, requests=self),
        )
        async with trio.open_nursery() as nursery:
            await nursery.start(lambda *, task_status: engine.run(task_status=task_status))
            try:
                yield engine
            finally:
                nursery.cancel_scope.cancel()

    def _hear(self, events: Sequence[StoredEvent]) -> None:
        self._events += events
        self._told.set()

    async def _wait_done(self, account: str, call_list: str) -> None:
        while True:
            self._told = trio.Event()
            counts = await self._store.count_list(account, call_list, self._clock.now())
            if counts is None or counts.completed == counts.contacts:
                return
            await self._told.wait()

    async def _require_done(self, engine: Engine, account: str, call_list: str) -> None:
        left = [one for one in await self._contacts(account, call_list) if one.state != "completed"]
        if left:
            blockers = await engine.explain(left[:1])
            why = f"; the first is held back by {blockers[0]}" if blockers[0] else ""
            raise NotDone(f"{len(left)} contacts are not done{why}")

    async def _contacts(self, account: str, call_list: str) -> list[Contact]:
        return await _read_all(partial(self._store.list_contacts, account, call_list))

    async def _attempts(self, account: str, which: AttemptFilter) -> list[Attempt]:
        return await _read_all(partial(self._store.list_attempts, account, which))


async def _read_all(ask: Callable[[int, str | None], Awaitable[Page[T]]]) -> list[T]:
    """All pages of an answer; `ask` takes the limit and the cursor of one."""
    found: list[T] = []
    cursor = None
    while True:
        page = await ask(PAGE_MAX, cursor)
        found += page.items
        cursor = page.next
        if cursor is None:
            return found


class _Clock:
    """A wall clock that goes with trio's while it runs, and stands still in between."""

    def __init__(self, at: float) -> None:
        self._at = at
        self._begun: float | None = None

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._at if self._begun is None else self._at + trio.current_time() - self._begun

    def running(self) -> _Going:
        """Go on for as long as the block lasts."""
        return _Going(self)

    def start(self) -> None:
        """Go on."""
        self._begun = trio.current_time()

    def stop(self) -> None:
        """Stand still."""
        self._at, self._begun = self.now(), None


class _Going:
    def __init__(self, clock: _Clock) -> None:
        self._clock = clock

    def __enter__(self) -> None:
        self._clock.start()

    def __exit__(self, *_: object) -> None:
        self._clock.stop()


class _Speech:
    """Speaks every text, as the prompt `say:TEXT`, in whatever voice."""

    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier

    async def list_voices(self) -> tuple[Voice, ...]:
        await trio.lowlevel.checkpoint()
        return ()

    async def find_voice(self, name: str | None, language: str | None = None) -> Voice:
        await trio.lowlevel.checkpoint()
        return Voice(name or "voice", language or "en", "")

    async def check(self, text: str, voice: str | None = None) -> None:
        await trio.lowlevel.checkpoint()

    @asynccontextmanager
    async def make(self, text: str, voice: str | None = None) -> AsyncIterator[SpokenText]:
        await trio.lowlevel.checkpoint()
        duration_s = WORD_S * max(1, len(text.split()))
        prompt = f"say:{text}"
        self._carrier.telephony.set_duration(prompt, duration_s)
        yield SpokenText(prompt, duration_s)
