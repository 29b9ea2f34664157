"""Flows on the whole engine under virtual time: who answered, steps, opt-outs, versions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock

from engine.dial.attempts.conversation import BEEP_WAIT_S, FlowParts
from engine.dial.attempts.notes import NOTES_MAX
from engine.dial.attempts.progress import TOLD_WITHIN_S
from engine.model import Attempt, Contact, Flow, FlowSettings, RetryRule, Step
from engine.model.amd import AmdVerdict
from engine.model.events import Event, StoredEvent
from engine.ports.dial_store import Progress
from engine.ports.read_store import AttemptFilter
from engine.ports.stored import StoreUnavailable
from sim.memory_store import MemoryStore
from sim.telephony import CallScript, Moment, press
from tests.engine.flow.scripted import PROMPT_S, ScriptedRequests, ScriptedSpeech
from tests.engine.made import EPOCH, did, flow
from tests.engine.world import VirtualClock, World, furnish, people, running

QUESTION: dict[str, Any] = {
    "start": "hello",
    "variables": {"name": {"default": "there"}, "choice": {"default": ""}},
    "nodes": {
        "hello": {"type": "say", "text": "Hello {{name}}.", "next": "ask"},
        "ask": {
            "type": "gather",
            "prompt": {"play": "prm_ask"},
            "variable": "choice",
            "branches": {"1": "bye", "9": "stop"},
            "otherwise": "bye",
        },
        "stop": {"type": "opt_out", "next": "bye"},
        "bye": {"type": "hangup"},
    },
}
PARTS = FlowParts(speech=ScriptedSpeech())


def answering(keys: str, **more: Any) -> CallScript:
    """Answers at once, and presses keys a second after the second prompt has begun."""
    return CallScript(None, 0.0, keys=press(keys, Moment(1.0, "prompt_begins", 2)), **more)


def asking(**settings: Any) -> Flow:
    return flow(definition=QUESTION, settings=FlowSettings(**settings))


def sharing_a_number(count: int) -> list[Contact]:
    return [msgspec.structs.replace(one, tel=("+14155550123",)) for one in people(count)]


async def attempts_of(world: World) -> list[Attempt]:
    page = await world.store.list_attempts("acc_1", AttemptFilter(), 1000, None)
    return list(page.items)


async def events_of(world: World) -> list[tuple[str, dict[str, Any]]]:
    """Type and data of everything that was told of attempts, in order."""
    bodies = [
        msgspec.json.decode(one.body) for one in await world.store.events_after("acc_1", 0, 1000)
    ]
    return [(one["type"], one["data"]) for one in bodies if one["attempt"] is not None]


async def test_a_call_leaves_its_steps_its_digits_and_what_it_set(
    autojump_clock: MockClock,
) -> None:
    async with running(lambda *_: answering("1"), flows=[asking()], parts=PARTS) as world:
        await world.add_list(people(1, variables={"name": "Ada"}))
        await world.wait_done()
        [attempt] = await attempts_of(world)
        assert (attempt.disposition, attempt.amd, attempt.digits, attempt.result) == (
            "answered",
            None,
            "1",
            {"choice": "1"},
        )
        assert attempt.steps == (
            Step("hello", "say", 0.0, "played"),
            Step("ask", "gather", PROMPT_S, "answered"),
            Step("bye", "hangup", PROMPT_S + 1.0, "done"),
        )
        told = await events_of(world)
        assert [kind for kind, _ in told] == [
            "attempt.initiated",
            "attempt.answered",
            "attempt.step",
            "attempt.digits",
            "attempt.step",
            "attempt.step",
            "attempt.ended",
        ]
        assert [data for _, data in told[2:6]] == [
            {"node": "hello", "type": "say", "outcome": "played"},
            {"node": "ask", "digits": "1"},
            {"node": "ask", "type": "gather", "outcome": "answered"},
            {"node": "bye", "type": "hangup", "outcome": "done"},
        ]
        assert world.telephony.dialed[0].played == ["say:Hello Ada.", "prm_ask"]


class CountingStore(MemoryStore):
    """Counts what is written of attempts, and may refuse to."""

    writes: list[int]
    refuses = False
    refuses_progress = False
    opt_out_s = 0.0

    async def note_progress(self, noted: Sequence[Progress]) -> None:
        if self.refuses or self.refuses_progress:
            raise StoreUnavailable("disk full")
        self.writes.append(sum(len(one.events) for one in noted))
        await super().note_progress(noted)

    async def opt_out(self, numbers: Sequence[str], flow: str | None, event: Event) -> bool:
        if self.refuses:
            raise StoreUnavailable("disk full")
        await trio.sleep(self.opt_out_s)
        return await super().opt_out(numbers, flow, event)


async def counting_store(flows: Sequence[Flow]) -> CountingStore:
    """A store with these flows and one DID that makes one call at a time."""

    def forget(_events: Sequence[StoredEvent]) -> None:
        """Nobody listens."""

    store = CountingStore(forget, VirtualClock())
    store.writes = []
    await furnish(store, flows, [did(channels=1)])
    return store


async def test_steps_share_their_commits_and_the_last_ones_come_with_the_end(
    autojump_clock: MockClock,
) -> None:
    """The answer and a dozen steps that come at once are one write; the last ones go with the end."""
    nodes: dict[str, Any] = {
        f"n{n}": {"type": "wait", "duration_s": TOLD_WITHIN_S / 20, "next": f"n{n + 1}"}
        for n in range(12)
    }
    nodes["n12"] = {"type": "wait", "duration_s": 5 * TOLD_WITHIN_S, "next": "n13"}
    nodes["n13"] = {"type": "hangup"}
    one = flow(definition={"start": "n0", "nodes": nodes})
    store = await counting_store([one])
    async with running(lambda *_: CallScript(None, 0.0), store=store) as world:
        await world.add_list(people(1))
        await world.wait_done()
        assert store.writes == [13]
        told = await events_of(world)
        assert [data.get("node") for _, data in told[-3:]] == ["n12", "n13", None]


async def test_what_a_store_does_not_take_comes_in_order_when_it_takes_again(
    autojump_clock: MockClock,
) -> None:
    store = await counting_store([asking()])

    def answers(*_: Any) -> CallScript:
        store.refuses = True
        return answering("9")

    async with running(answers, store=store, parts=PARTS) as world:
        await world.add_list(sharing_a_number(2))
        await trio.sleep(20)
        assert not store.writes
        assert (await store.list_do_not_call("acc_1", 10, None)).items == ()
        assert [one.status for one in await attempts_of(world)] == ["initiated"]
        store.refuses = False
        await world.wait_done()
        assert sorted((one.disposition or "") for one in await world.contacts()) == [
            "answered",
            "skipped",
        ]
        assert [(kind, data.get("node")) for kind, data in await events_of(world)] == [
            ("attempt.initiated", None),
            ("attempt.answered", None),
            ("attempt.step", "hello"),
            ("attempt.digits", "ask"),
            ("attempt.step", "ask"),
            ("attempt.step", "stop"),
            ("attempt.step", "bye"),
            ("attempt.opt_out", None),
            ("attempt.ended", None),
        ]


async def test_a_call_that_goes_through_very_many_nodes_tells_of_the_first_of_them(
    autojump_clock: MockClock,
) -> None:
    circle = {
        "start": "a",
        "nodes": {
            "a": {"type": "wait", "duration_s": 0.1, "next": "b"},
            "b": {"type": "branch", "on": "amd", "cases": {}, "otherwise": "a"},
        },
    }
    one = flow(definition=circle, settings=FlowSettings(call_max_s=40))
    async with running(lambda *_: CallScript(None, 0.0), flows=[one]) as world:
        await world.add_list(people(1))
        await world.wait_done()
        [attempt] = await attempts_of(world)
        assert (attempt.disposition, len(attempt.steps)) == ("answered", NOTES_MAX)


async def test_an_opt_out_ends_every_other_contact_with_that_number(
    autojump_clock: MockClock,
) -> None:
    """Those that wait, and one that is scheduled for the next day."""
    three = sharing_a_number(3)
    late = EPOCH + 86_400
    three[2] = msgspec.structs.replace(three[2], starttime=late, due_at=late)
    async with running(
        lambda *_: answering("9"), flows=[asking()], dids=[did(channels=1)], parts=PARTS
    ) as world:
        await world.add_list(three)
        await world.wait_done(poll_s=600)
        assert [one.disposition for one in await world.contacts()] == [
            "answered",
            "skipped",
            "skipped",
        ]
        assert len(world.telephony.dialed) == 1
        [listed] = (await world.store.list_do_not_call("acc_1", 10, None)).items
        assert (listed.number, listed.flow, listed.source) == ("+14155550123", None, "call")
        told = await events_of(world)
        assert [data for kind, data in told if kind == "attempt.opt_out"] == [
            {"number": "+14155550123", "scope": "account"}
        ]


async def test_an_opt_out_holds_though_the_callee_hangs_up_at_once(
    autojump_clock: MockClock,
) -> None:
    script = answering("9", hangs_up=Moment(1.0, "prompt_begins", 2))
    async with running(lambda *_: script, flows=[asking()], parts=PARTS) as world:
        await world.add_list(people(1))
        await world.wait_done()
        [attempt] = await attempts_of(world)
        assert [step.outcome for step in attempt.steps] == ["played", "answered", "done", "done"]
        assert len((await world.store.list_do_not_call("acc_1", 10, None)).items) == 1


async def test_an_opt_out_that_a_call_is_cut_off_in_is_told_once_and_holds(
    autojump_clock: MockClock,
) -> None:
    """The call may last no longer in the very moment in which a slow store is told of it."""
    one = asking(call_max_s=15)
    store = await counting_store([one])
    store.opt_out_s = 3_600.0
    async with running(lambda *_: answering("9"), store=store, parts=PARTS) as world:
        await world.add_list(sharing_a_number(2))
        await trio.sleep(20)
        assert [one.status for one in await attempts_of(world)] == ["in-progress"]
        store.opt_out_s = 0.0
        await world.wait_done(poll_s=600)
        assert len(world.telephony.dialed) == 1
        told = [kind for kind, _ in await events_of(world)]
        [attempt] = await attempts_of(world)
        assert (attempt.steps[-1].node, attempt.steps[-1].outcome) == ("stop", "cut_off")
        assert told.count("attempt.opt_out") == 1
        assert told.index("attempt.opt_out") < told.index("attempt.ended")


async def test_an_opt_out_is_told_after_what_came_before_it_also_where_a_fault_is_over_in_between(
    autojump_clock: MockClock,
) -> None:
    store = await counting_store([asking()])
    store.refuses_progress = True
    async with running(lambda *_: answering("9"), store=store, parts=PARTS) as world:
        await world.add_list(people(1))
        await trio.sleep(600)
        store.refuses_progress = False
        await world.wait_done()
        told = [kind for kind, _ in await events_of(world)]
        assert told.count("attempt.opt_out") == told.count("attempt.answered") == 1
        assert told.index("attempt.answered") < told.index("attempt.opt_out")
        assert len((await world.store.list_do_not_call("acc_1", 10, None)).items) == 1


async def test_the_record_of_a_call_ends_when_the_callee_hangs_up_not_when_the_flow_is_done(
    autojump_clock: MockClock,
) -> None:
    graph = {
        "start": "a",
        "nodes": {"a": {"type": "request", "url": "https://a.example", "timeout_s": 20}},
    }
    parts = FlowParts(requests=ScriptedRequests(None, takes_s=15.0))
    script = CallScript(None, 0.0, talk_s=4.0)
    async with running(lambda *_: script, flows=[flow(definition=graph)], parts=parts) as world:
        await world.add_list(people(1))
        await world.wait_done()
        [attempt] = await attempts_of(world)
        assert attempt.duration_s == pytest.approx(4.0)
        assert attempt.steps == (Step("a", "request", 0.0, "done"),)


async def test_a_flow_that_is_edited_does_not_change_a_list_that_runs(
    autojump_clock: MockClock,
) -> None:
    """Contacts of the list hear what it came with, a call that is triggered later hears the new graph, and
    the settings of now count for both."""
    old = flow(definition={"start": "a", "nodes": {"a": {"type": "play", "play": "prm_old"}}})
    new = {"start": "a", "nodes": {"a": {"type": "play", "play": "prm_new"}}}

    def edit(one: Flow) -> Flow:
        settings = FlowSettings(call_max_s=2)
        return msgspec.structs.replace(one, definition=new, settings=settings, version=2)

    script = CallScript(None, 0.0)
    async with running(lambda *_: script, flows=[old], dids=[did(cps=1)]) as world:
        await world.add_list(people(4))
        await trio.sleep(1.5)
        await world.store.change_flow("acc_1", "flw_1", edit)
        world.engine.administration._on_flow_changed("acc_1", "flw_1")
        late = msgspec.structs.replace(
            people(5)[4], id="cnt_9", list="lst_calls", flow_version=2, due_at=EPOCH + 20
        )
        await world.store.accept_call(late)
        world.engine._scheduler.open_list("acc_1", "flw_1", "lst_calls", late.due_at)
        await world.wait_done()
        await world.wait_done("lst_calls")
        assert [one.played for one in world.telephony.dialed] == [["prm_old"]] * 4 + [["prm_new"]]
        assert [round(one.duration_s or 0, 3) for one in await attempts_of(world)] == [
            5.0,
            5.0,
            2.0,
            2.0,
            2.0,
        ]


# Who answered


def verdict(answerer: Any, cause: str = "maximum_number_of_words") -> AmdVerdict:
    return AmdVerdict(answerer, cause, 2_000)


MESSAGE: dict[str, Any] = {
    "start": "who",
    "nodes": {
        "who": {
            "type": "branch",
            "on": "amd",
            "cases": {"machine": "message"},
            "otherwise": "person",
        },
        "message": {"type": "play", "play": "prm_message"},
        "person": {"type": "play", "play": "prm_person"},
    },
}


async def called(
    script: CallScript, amd: str, retry: dict[str, RetryRule] | None = None
) -> list[tuple[Attempt, list[str]]]:
    """Each attempt on one contact, and what was heard on it."""
    settings = FlowSettings(amd=amd, retry=retry or {})  # type: ignore[arg-type]
    one = flow(definition=MESSAGE, settings=settings)
    async with running(lambda *_: script, flows=[one]) as world:
        await world.add_list(people(1))
        await world.wait_done()
        attempts = await attempts_of(world)
        return [
            (attempt, dialed.played)
            for attempt, dialed in zip(attempts, world.telephony.dialed, strict=True)
        ]


@pytest.mark.parametrize(
    ("answerer", "disposition", "played"),
    [
        ("human", "answered", ["prm_person"]),
        ("unknown", "answered", ["prm_person"]),
        ("machine", "machine", ["prm_message"]),
        ("fax", "machine", ["prm_person"]),
    ],
)
async def test_detecting_tells_who_answered_before_the_graph_begins(
    answerer: str, disposition: str, played: list[str], autojump_clock: MockClock
) -> None:
    [(attempt, heard)] = await called(CallScript(None, 0.0, verdict=verdict(answerer)), "detect")
    assert (attempt.amd, attempt.disposition, heard) == (answerer, disposition, played)
    assert attempt.duration_s == pytest.approx(2.0 + PROMPT_S)


async def test_where_nobody_listens_a_machine_is_an_answer(autojump_clock: MockClock) -> None:
    [(attempt, heard)] = await called(CallScript(None, 0.0, verdict=verdict("machine")), "off")
    assert (attempt.amd, attempt.disposition, heard) == (None, "answered", ["prm_person"])


@pytest.mark.parametrize(
    ("script", "amd", "disposition", "played", "duration_s"),
    [
        (
            CallScript(None, 0.0, verdict=verdict("machine"), beeps_s=(1.0, 9.0)),
            "machine",
            "machine",
            ["prm_message"],
            9.0 + PROMPT_S,
        ),
        (
            CallScript(None, 0.0, verdict=verdict("machine", "beep"), beeps_s=(2.0,)),
            "machine",
            "machine",
            ["prm_message"],
            2.0 + PROMPT_S,
        ),
        (
            CallScript(None, 0.0, verdict=verdict("machine")),
            "machine",
            "machine",
            [],
            2.0 + BEEP_WAIT_S,
        ),
        (CallScript(None, 0.0, verdict=verdict("fax")), "fax", "machine", [], 2.0),
        (
            CallScript(None, 0.0, verdict=verdict("human")),
            "human",
            "answered",
            ["prm_person"],
            2.0 + PROMPT_S,
        ),
        (
            CallScript(None, 0.0, verdict=verdict("unknown")),
            "unknown",
            "answered",
            ["prm_person"],
            2.0 + PROMPT_S,
        ),
        (
            CallScript(None, 0.0, verdict=verdict("machine"), talk_s=5.0),
            "machine",
            "machine",
            [],
            5.0,
        ),
        (CallScript(None, 0.0, verdict=verdict("machine"), talk_s=1.0), None, "answered", [], 1.0),
    ],
)
async def test_a_message_is_left_only_after_the_beep(
    script: CallScript,
    amd: str | None,
    disposition: str,
    played: list[str],
    duration_s: float,
    autojump_clock: MockClock,
) -> None:
    [(attempt, heard)] = await called(script, "wait_for_beep")
    assert (attempt.amd, attempt.disposition, heard) == (amd, disposition, played)
    assert attempt.duration_s == pytest.approx(duration_s)


async def test_a_machine_is_called_again_where_the_flow_says_so(
    autojump_clock: MockClock,
) -> None:
    attempts = await called(
        CallScript(None, 0.0, verdict=verdict("machine")), "detect", {"machine": RetryRule(1, 60)}
    )
    assert [attempt.disposition for attempt, _ in attempts] == ["machine", "machine"]


async def test_the_verdict_is_told(autojump_clock: MockClock) -> None:
    one = flow(definition=MESSAGE, settings=FlowSettings(amd="detect"))
    script = CallScript(None, 0.0, verdict=verdict("machine"))
    async with running(lambda *_: script, flows=[one]) as world:
        await world.add_list(people(1))
        await world.wait_done()
        assert [data for kind, data in await events_of(world) if kind == "attempt.amd"] == [
            {"answerer": "machine", "cause": "maximum_number_of_words", "elapsed_ms": 2000}
        ]
