"""Any valid flow with any callee, through the whole engine: it ends within its bounds, in one disposition."""

from __future__ import annotations

from typing import Any

import trio
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from engine.dial.attempts.conversation import FlowParts
from engine.flow.definition import InvalidDefinition, read_definition
from engine.model import FlowSettings
from engine.model.amd import AmdVerdict
from engine.ports.read_store import AttemptFilter
from engine.ports.requests import RequestFailed
from engine.ports.speech import SpeechFailed
from sim.telephony import CallScript, Moment, Press
from tests.engine.flow.scripted import ScriptedRequests, ScriptedSpeech
from tests.engine.made import flow
from tests.engine.world import people, running

CALL_MAX_S = 300
KINDS = st.sampled_from(
    ["play", "say", "gather", "branch", "set", "record", "transfer", "request", "wait", "opt_out"]
)
DIGIT = st.sampled_from("0123456789*#")


@st.composite
def definitions(draw: st.DrawFn) -> dict[str, Any]:
    """A chain of nodes that all lead on, with ways ahead, and back from questions."""
    kinds = draw(st.lists(KINDS, min_size=1, max_size=7))
    names = [f"n{place}" for place in range(len(kinds))] + ["end"]
    nodes: dict[str, Any] = {"end": {"type": "hangup"}}
    for place, kind in enumerate(kinds):
        ahead = st.sampled_from(names[place + 1 :])
        anywhere = st.sampled_from(names)
        node: dict[str, Any] = {"type": kind, "next": names[place + 1]}
        match kind:
            case "play":
                node["play"] = draw(st.sampled_from(["prm_1", "gone"]))
            case "say":
                node["text"] = draw(st.sampled_from(["Hello {{v}}.", "unspeakable"]))
            case "gather":
                node["prompt"] = draw(st.sampled_from([{"play": "prm_1"}, {"say": "unspeakable"}]))
                node["digits"] = draw(st.integers(1, 3))
                node["tries"] = draw(st.integers(1, 3))
                node["barge_in"] = draw(st.booleans())
                node["private"] = draw(st.booleans())
                node["variable"] = "v"
                answers = st.text(
                    st.sampled_from("0123456789*"), min_size=1, max_size=node["digits"]
                )
                node["branches"] = draw(st.dictionaries(answers, anywhere, max_size=3))
            case "branch":
                node["on"] = draw(st.sampled_from(["v", "amd"]))
                value = "machine" if node["on"] == "amd" else "1"
                node["cases"] = draw(st.dictionaries(st.just(value), ahead, min_size=1))
                node["otherwise"] = node.pop("next")
            case "set":
                node["variables"] = {"v": "{{v}}{{v}}x"}
            case "record":
                node["silence_s"] = draw(st.sampled_from([1, None]))
            case "transfer":
                node["to"] = "+14155550199"
            case "request":
                node |= {"url": "https://a.example/x", "save": "v", "on_error": draw(ahead)}
            case "wait":
                node["duration_s"] = draw(st.integers(1, 60))
        nodes[names[place]] = node
    return {"start": "n0", "nodes": nodes, "variables": {"v": {"default": "a"}}}


moments = st.builds(
    Moment,
    st.floats(0, 100).map(lambda at: round(at, 2)),
    st.sampled_from(["answer", "prompt_begins", "prompt_ends"]),
    st.integers(1, 6),
)
verdicts = st.builds(
    AmdVerdict,
    st.sampled_from(["human", "machine", "fax", "unknown"]),
    st.sampled_from(["beep", "greeting"]),
    st.integers(0, 10_000),
)
callees = st.builds(
    CallScript,
    st.none(),
    st.just(0.0),
    keys=st.lists(st.builds(Press, DIGIT, moments), max_size=12).map(tuple),
    hangs_up=st.none() | moments,
    verdict=verdicts,
    beeps_s=st.sampled_from([(), (5.0,), (1.0, 20.0, 50.0)]),
)


@settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
@given(definitions(), callees, st.sampled_from(["off", "detect", "wait_for_beep"]))
def test_any_flow_with_any_callee_ends_in_time_in_one_disposition(
    graph: dict[str, Any], callee: CallScript, amd: Any
) -> None:
    try:
        read_definition(graph)
    except InvalidDefinition:
        reject()

    async def run() -> None:
        parts = FlowParts(
            speech=ScriptedSpeech(errors={"unspeakable": SpeechFailed("espeak died")}),
            requests=ScriptedRequests(*[{"a": 1}, RequestFailed("x", "x")] * 200, takes_s=0.5),
        )
        one = flow(definition=graph, settings=FlowSettings(amd=amd, call_max_s=CALL_MAX_S))
        async with running(lambda *_: callee, flows=[one], parts=parts) as world:
            world.telephony.missing.add("gone")
            await world.add_list(people(1))
            await world.wait_done()
            [contact] = await world.contacts()
            page = await world.store.list_attempts("acc_1", AttemptFilter(), 10, None)
            [attempt] = page.items
            is_machine = attempt.amd in ("machine", "fax")
            assert contact.disposition == ("machine" if is_machine else "answered")
            assert attempt.disposition == contact.disposition
            assert attempt.duration_s is not None
            assert attempt.duration_s <= CALL_MAX_S + 1
            times = [step.at_s for step in attempt.steps]
            assert times == sorted(times)
            told = await world.store.events_after("acc_1", 0, 1000)
            kinds = [one.type for one in told if one.type.startswith(("attempt", "contact"))]
            assert kinds.count("attempt.ended") == kinds.count("contact.completed") == 1
            assert kinds[-2:] == ["attempt.ended", "contact.completed"]

    trio.run(run, clock=MockClock(autojump_threshold=0))
