"""The engine of the plugin: what a test of a flow can say and see."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sim.laboratory.carrier import Carrier
from sim.laboratory.engine import BadFlow, NotDone, VirtualEngine

ONE, TWO, THREE, FOUR = (f"+1415555012{n}" for n in range(4))
BYE: dict[str, Any] = {"start": "bye", "nodes": {"bye": {"type": "hangup"}}}


@pytest.fixture
def carrier() -> Carrier:
    return Carrier()


@pytest.fixture
def engine(carrier: Carrier) -> VirtualEngine:
    return VirtualEngine(carrier)


def test_each_callee_does_what_was_said(carrier: Carrier, engine: VirtualEngine) -> None:
    carrier.is_busy(ONE)
    carrier.does_not_answer(TWO)
    carrier.refuses(THREE, 404)
    carrier.is_machine(FOUR)
    flow = engine.flow(BYE, settings={"amd": "detect", "attempts_max": 1})
    called = engine.call(flow, [ONE, TWO, THREE, FOUR, "+14155550199"])
    assert [contact.disposition for contact in called.contacts] == [
        "busy",
        "no-answer",
        "invalid-number",
        "machine",
        "answered",
    ]


def test_what_holds_for_some_calls_is_followed_by_what_was_said_next(
    carrier: Carrier, engine: VirtualEngine
) -> None:
    carrier.is_busy(ONE, times=1)
    carrier.does_not_answer(ONE, times=1)
    carrier.answers(ONE)
    retry = {"busy": {"tries": 3, "wait_s": 60}, "no-answer": {"tries": 3, "wait_s": 60}}
    flow = engine.flow(BYE, settings={"retry": retry})
    called = engine.call(flow, [ONE])
    assert [one.disposition for one in called.attempts_of(ONE)] == ["busy", "no-answer", "answered"]


def test_keys_are_pressed_after_the_prompts_that_were_named(
    carrier: Carrier, engine: VirtualEngine
) -> None:
    chime = engine.prompt("chime.wav", 3)
    ask = {"type": "gather", "prompt": {"play": chime}, "digits": 2, "timeout_s": 5}
    nodes = {
        "first": {**ask, "variable": "one", "next": "second", "otherwise": "bye"},
        "second": {**ask, "variable": "two", "next": "bye", "otherwise": "bye"},
        "bye": {"type": "hangup"},
    }
    carrier.answers(ONE, presses={1: "12", 2: "34"})
    called = engine.call(engine.flow({"start": "first", "nodes": nodes}), [ONE])
    assert called.attempts[0].digits == "1234"
    assert [call.played for call in carrier.calls] == [[chime, chime]]


def test_requests_are_answered_by_the_test(carrier: Carrier, engine: VirtualEngine) -> None:
    url = "https://shop.example.com/order"
    engine.answers[url] = "sent"
    nodes = {
        "ask": {"type": "request", "url": url, "save": "order", "next": "tell", "on_error": "bye"},
        "tell": {"type": "say", "text": "It is {{order}}.", "next": "bye"},
        "bye": {"type": "hangup"},
    }
    called = engine.call(engine.flow({"start": "ask", "nodes": nodes}), [ONE])
    assert [question.url for question in engine.asked] == [url]
    assert called.dispositions == {"answered": 1}


def test_what_is_refused_is_told_and_the_rest_is_called(engine: VirtualEngine) -> None:
    called = engine.call(engine.flow(BYE), [ONE, "12"])
    assert (called.report.accepted, called.report.rejected) == (1, 1)
    assert called.dispositions == {"answered": 1}


def test_a_contact_that_never_comes_to_its_turn_fails_the_test_with_the_reason(
    engine: VirtualEngine,
) -> None:
    flow = engine.flow(BYE)
    late = {"tel": [ONE], "starttime": "2026-03-05T09:00:00Z"}
    with pytest.raises(NotDone, match=r"1 contacts are not done.*starttime"):
        engine.call(flow, [late], within_days=2)


def test_time_goes_on_from_one_call_to_the_next(engine: VirtualEngine) -> None:
    begun = engine.now
    engine.wait(90)
    assert (engine.now - begun).total_seconds() == pytest.approx(90)
    called = engine.call(engine.flow(BYE), [ONE])
    assert called.attempts[0].initiated_at >= begun.timestamp() + 90
    assert [event["type"] for event in engine.events][-1] == "list.completed"


def test_every_mistake_of_a_flow_is_told(engine: VirtualEngine) -> None:
    nodes = {"a": {"type": "say", "next": "b"}, "b": {"type": "jump"}}
    with pytest.raises(BadFlow) as caught:
        engine.flow({"start": "a", "nodes": nodes})
    assert [line.split(":")[0] for line in str(caught.value).splitlines()] == [
        "/definition/nodes/a/text",
        "/definition/nodes/b/type",
    ]


@pytest.mark.parametrize(
    ("say", "why"),
    [
        (lambda carrier: carrier.is_busy("14155550123"), "in E.164, as"),
        (lambda carrier: carrier.answers("+1 415 555 0123"), "in E.164, as"),
        (lambda carrier: carrier.answers(ONE, presses="1x"), "not '1x'"),
        (lambda carrier: carrier.answers(ONE, presses={2: " "}), "not ' '"),
        (lambda carrier: carrier.refuses(ONE, 200), "300 to 699, not 200"),
        (lambda carrier: carrier.does_not_answer(ONE, times=0), "not 0"),
    ],
)
def test_what_no_callee_can_be_is_told_at_once(
    carrier: Carrier, say: Callable[[Carrier], None], why: str
) -> None:
    """A number without its + would be nobody's, and the test would see another callee than it meant."""
    with pytest.raises(ValueError, match=why):
        say(carrier)
