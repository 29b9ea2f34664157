"""The node `gather`, with callees who press keys at every moment there is."""

from __future__ import annotations

from typing import Any, Final

import pytest
from trio.testing import MockClock

from engine.ports.speech import SpeechFailed
from sim.telephony import CallScript, Moment, press
from tests.engine.flow.scripted import PROMPT_S, Outcome, ScriptedSpeech, follow

TIMEOUT_S = 4.0
BEGINS: Final = "prompt_begins"
ENDS: Final = "prompt_ends"


def ask(**changes: Any) -> dict[str, Any]:
    """One question with an ending for each way out of it."""
    ways = ("one", "two", "else", "next")
    node: dict[str, Any] = {
        "type": "gather",
        "prompt": {"play": "question"},
        "timeout_s": TIMEOUT_S,
        "branches": {"1": "one", "2": "two"},
        "otherwise": "else",
        "variable": "choice",
    }
    nodes: dict[str, Any] = {
        "a": {key: value for key, value in (node | changes).items() if value is not None}
    }
    led_to = {
        *nodes["a"].get("branches", {}).values(),
        nodes["a"].get("otherwise"),
        nodes["a"].get("next"),
    }
    return nodes | {way: {"type": "hangup"} for way in ways if way in led_to}


def pressing(keys: str, *moments: Moment, apart_s: float = 0.3) -> CallScript:
    return CallScript(None, 0.0, keys=press(keys, *moments, apart_s=apart_s))


CHOICE = {"choice": {"default": ""}}


async def asked(nodes: dict[str, Any], script: CallScript) -> Outcome:
    return await follow(nodes, script, declared=CHOICE)


async def test_a_key_stops_the_prompt_and_its_branch_is_taken_at_once(
    autojump_clock: MockClock,
) -> None:
    outcome = await asked(ask(), pressing("2", Moment(1.5)))
    assert outcome == Outcome(
        played=["question"],
        steps=[("a", "gather", 0.0, "answered", {}), ("two", "hangup", 1.5, "done", {})],
        took_s=1.5,
        result={"choice": "2"},
        digits=[("a", "2")],
    )


@pytest.mark.parametrize("keys", ["4711", "47"])
async def test_what_is_private_is_there_for_the_call_and_nobody_is_told_of_it(
    keys: str, autojump_clock: MockClock
) -> None:
    """However the callee presses it, and though the variable had a value before that may be told."""
    pin = {"type": "gather", "digits": 4, "timeout_s": 1, "variable": "choice", "private": True}
    nodes = {
        "a": {"type": "set", "variables": {"choice": "none"}, "next": "pin"},
        "pin": {**pin, "next": "is_it"},
        "is_it": {"type": "branch", "on": "choice", "cases": {keys: "right"}, "otherwise": "else"},
        "right": {"type": "hangup"},
        "else": {"type": "hangup"},
    }
    outcome = await asked(nodes, pressing(keys, Moment(0.5)))
    assert [name for name, _ in outcome.path] == ["a", "pin", "is_it", "right"]
    assert (outcome.result, outcome.digits) == ({}, [])
    assert keys not in repr(outcome)


async def test_private_keys_of_a_callee_who_hangs_up_among_them_are_not_told(
    autojump_clock: MockClock,
) -> None:
    script = CallScript(None, 0.0, keys=press("47", Moment(1.0)), talk_s=2.0)
    outcome = await asked(ask(digits=4, private=True), script)
    assert outcome.path == [("a", "call_ended")]
    assert (outcome.result, outcome.digits) == ({}, [])


async def test_a_key_after_the_prompt_is_waited_for(autojump_clock: MockClock) -> None:
    outcome = await asked(ask(), pressing("1", Moment(2.0, ENDS)))
    assert (outcome.path, outcome.took_s) == (
        [("a", "answered"), ("one", "done")],
        PROMPT_S + 2.0,
    )


async def test_without_barge_in_keys_during_the_prompt_count_for_nothing(
    autojump_clock: MockClock,
) -> None:
    script = CallScript(None, 0.0, keys=(*press("2", Moment(1.0)), *press("1", Moment(1.0, ENDS))))
    outcome = await asked(ask(barge_in=False), script)
    assert (outcome.path[0], outcome.path[1], outcome.took_s, outcome.digits) == (
        ("a", "answered"),
        ("one", "done"),
        PROMPT_S + 1.0,
        [("a", "1")],
    )


async def test_silence_is_asked_again_as_often_as_the_node_says_and_then_goes_otherwise(
    autojump_clock: MockClock,
) -> None:
    outcome = await asked(ask(tries=3), pressing(""))
    assert outcome == Outcome(
        played=["question"] * 3,
        steps=[
            ("a", "gather", 0.0, "no_input", {}),
            ("else", "hangup", 3 * (PROMPT_S + TIMEOUT_S), "done", {}),
        ],
        took_s=3 * (PROMPT_S + TIMEOUT_S),
    )


async def test_an_answer_that_fits_no_branch_is_asked_again_and_the_next_one_counts(
    autojump_clock: MockClock,
) -> None:
    script = CallScript(
        None, 0.0, keys=(*press("7", Moment(1.0, ENDS, 1)), *press("1", Moment(1.0, BEGINS, 2)))
    )
    outcome = await asked(ask(tries=2), script)
    assert outcome == Outcome(
        played=["question", "question"],
        steps=[
            ("a", "gather", 0.0, "answered", {}),
            ("one", "hangup", PROMPT_S + 2.0, "done", {}),
        ],
        took_s=PROMPT_S + 2.0,
        result={"choice": "1"},
        digits=[("a", "7"), ("a", "1")],
    )


async def test_an_answer_that_never_fits_goes_otherwise_and_is_kept(
    autojump_clock: MockClock,
) -> None:
    outcome = await asked(ask(), pressing("7", Moment(1.0)))
    assert (outcome.path, outcome.result) == (
        [("a", "no_match"), ("else", "done")],
        {"choice": "7"},
    )


async def test_without_otherwise_an_unfit_answer_goes_to_the_next_node(
    autojump_clock: MockClock,
) -> None:
    outcome = await asked(ask(otherwise=None, next="next"), pressing(""))
    assert outcome.path == [("a", "no_input"), ("next", "done")]


@pytest.mark.parametrize(
    ("keys", "digits", "finish_on", "answer", "took_s"),
    [
        ("1234", 4, "#", "1234", 1.0 + 3 * 0.3),
        ("12345", 4, "#", "1234", 1.0 + 3 * 0.3),
        ("12#", 4, "#", "12", 1.0 + 2 * 0.3),
        ("12", 4, "#", "12", 1.0 + 0.3 + TIMEOUT_S),
        ("12#4", 4, "", "12#4", 1.0 + 3 * 0.3),
        ("1*2", 4, "*", "1", 1.0 + 0.3),
    ],
)
async def test_an_answer_without_branches_is_complete_by_its_keys_its_end_or_a_pause(
    keys: str, digits: int, finish_on: str, answer: str, took_s: float, autojump_clock: MockClock
) -> None:
    nodes = ask(branches={}, otherwise=None, digits=digits, finish_on=finish_on, next="next")
    outcome = await asked(nodes, pressing(keys, Moment(1.0)))
    assert outcome == Outcome(
        played=["question"],
        steps=[
            ("a", "gather", 0.0, "answered", {}),
            ("next", "hangup", round(took_s, 3), "done", {}),
        ],
        took_s=round(took_s, 3),
        result={"choice": answer},
        digits=[("a", answer)],
    )


async def test_the_finishing_key_is_an_answer_where_one_key_is_asked_for_and_a_branch_names_it(
    autojump_clock: MockClock,
) -> None:
    nodes = ask(branches={"#": "one"})
    outcome = await asked(nodes, pressing("#", Moment(1.0)))
    assert (outcome.path, outcome.digits) == ([("a", "answered"), ("one", "done")], [("a", "#")])


async def test_the_finishing_key_alone_is_no_answer_and_asks_again_at_once(
    autojump_clock: MockClock,
) -> None:
    nodes = ask(digits=2, tries=2)
    outcome = await asked(nodes, pressing("#", Moment(1.0)))
    assert (outcome.path[0], outcome.took_s, outcome.digits) == (
        ("a", "no_input"),
        1.0 + PROMPT_S + TIMEOUT_S,
        [],
    )


async def test_keys_before_the_question_do_not_answer_it(autojump_clock: MockClock) -> None:
    nodes = {"first": {"type": "play", "play": "hello", "next": "a"}} | ask()
    outcome = await follow(nodes, pressing("1", Moment(2.0)), start="first", declared=CHOICE)
    assert (outcome.path, outcome.digits) == (
        [("first", "played"), ("a", "no_input"), ("else", "done")],
        [],
    )


async def test_a_key_that_is_pressed_twice_does_not_answer_the_next_question(
    autojump_clock: MockClock,
) -> None:
    nodes = ask() | {"one": {"type": "gather", "prompt": {"play": "again"}, "timeout_s": 1}}
    outcome = await asked(nodes, pressing("11", Moment(1.0), apart_s=0.0))
    assert outcome.path == [("a", "answered"), ("one", "no_input")]


async def test_a_question_without_a_prompt_waits_in_silence(autojump_clock: MockClock) -> None:
    outcome = await asked(ask(prompt=None), pressing("1", Moment(3.0)))
    assert (outcome.played, outcome.path, outcome.took_s) == (
        [],
        [("a", "answered"), ("one", "done")],
        3.0,
    )


@pytest.mark.parametrize("barge_in", [True, False])
async def test_a_question_that_cannot_be_spoken_is_still_waited_for(
    barge_in: bool, autojump_clock: MockClock
) -> None:
    nodes = ask(prompt={"say": "Yes?"}, barge_in=barge_in)
    speech = ScriptedSpeech(errors={"Yes?": SpeechFailed("espeak died")})
    outcome = await follow(nodes, pressing("1", Moment(3.0)), declared=CHOICE, speech=speech)
    assert outcome.steps[0] == ("a", "gather", 0.0, "answered", {"unheard": 1})
    assert outcome.took_s == 3.0


async def test_a_callee_who_hangs_up_in_an_answer_leaves_the_keys_that_were_pressed(
    autojump_clock: MockClock,
) -> None:
    script = CallScript(None, 0.0, keys=press("12", Moment(1.0)), talk_s=2.0)
    outcome = await asked(ask(digits=4), script)
    assert outcome == Outcome(
        played=["question"],
        steps=[("a", "gather", 0.0, "call_ended", {})],
        took_s=2.0,
        ended="callee_hung_up",
        digits=[("a", "12")],
    )
