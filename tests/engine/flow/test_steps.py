"""Each node but `gather` on a scripted call."""

from __future__ import annotations

from typing import Any

import pytest
from trio.testing import MockClock

from engine.flow.asking import find_in
from engine.flow.talk import SPEECH_WAIT_S
from engine.flow.variables import FILLED_LENGTH_MAX
from engine.ports.requests import Question, RequestFailed
from engine.ports.speech import SpeechFailed, SpeechRefused
from sim.telephony import CallScript, Moment, press
from tests.engine.flow.scripted import (
    LISTENS,
    PROMPT_S,
    Outcome,
    ScriptedLegs,
    ScriptedRequests,
    ScriptedSpeech,
    follow,
)

NAME = {"name": {"default": "there"}}
LEAVES = CallScript(None, 0.0, talk_s=2.0)


async def test_a_flow_that_says_its_language_is_spoken_in_it(autojump_clock: MockClock) -> None:
    declared = {"due": {"type": "date"}}
    nodes = {"a": {"type": "say", "text": "{{due}}"}}
    variables = {"due": "2030-03-03"}
    outcome = await follow(nodes, declared=declared, variables=variables, language="de")
    assert outcome.played == ["say:de:3. März 2030"]


async def test_a_text_is_spoken_with_its_variables_in_its_voice(autojump_clock: MockClock) -> None:
    nodes = {"a": {"type": "say", "text": "Hello {{name}}.", "voice": "en-gb"}}
    outcome = await follow(nodes, declared=NAME, variables={"name": "Ada"})
    assert outcome == Outcome(
        played=["say:en-gb:Hello Ada."],
        steps=[("a", "say", 0.0, "played", {})],
        took_s=PROMPT_S,
    )


async def test_play_may_speak_a_text_in_a_prompts_place(autojump_clock: MockClock) -> None:
    outcome = await follow({"a": {"type": "play", "say": "Hello {{name}}."}}, declared=NAME)
    assert outcome.played == ["say:Hello there."]


@pytest.mark.parametrize(
    "error", [SpeechFailed("espeak died"), SpeechRefused("no_text", "There is nothing to say.")]
)
async def test_a_text_that_cannot_be_spoken_is_passed_over_and_the_flow_goes_on(
    error: SpeechFailed | SpeechRefused, autojump_clock: MockClock
) -> None:
    nodes = {
        "a": {"type": "say", "text": "Hello.", "next": "b"},
        "b": {"type": "play", "play": "prm_1"},
    }
    outcome = await follow(nodes, speech=ScriptedSpeech(errors={"Hello.": error}))
    assert (outcome.path, outcome.played) == ([("a", "failed"), ("b", "played")], ["prm_1"])


async def test_a_text_that_is_long_in_making_is_given_up(autojump_clock: MockClock) -> None:
    nodes = {"a": {"type": "say", "text": "Hello."}}
    outcome = await follow(nodes, speech=ScriptedSpeech(takes_s=60.0))
    assert (outcome.path, outcome.took_s) == ([("a", "failed")], SPEECH_WAIT_S)


async def test_a_callee_who_hangs_up_while_a_text_is_made_ends_the_flow(
    autojump_clock: MockClock,
) -> None:
    nodes = {"a": {"type": "say", "text": "Hello."}}
    outcome = await follow(nodes, LEAVES, speech=ScriptedSpeech(takes_s=5.0))
    assert (outcome.path, outcome.took_s) == ([("a", "call_ended")], 2.0)


async def test_a_prompt_that_is_gone_is_passed_over(autojump_clock: MockClock) -> None:
    nodes = {
        "a": {"type": "play", "play": "gone", "next": "b"},
        "b": {"type": "play", "play": "prm_1"},
    }
    outcome = await follow(nodes, missing=("gone",))
    assert (outcome.path, outcome.played) == ([("a", "failed"), ("b", "played")], ["prm_1"])


BRANCH: dict[str, Any] = {
    "a": {"type": "branch", "on": "name", "cases": {"Ada": "b"}, "otherwise": "c"},
    "b": {"type": "hangup"},
    "c": {"type": "hangup"},
}


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("Ada", [("a", "matched"), ("b", "done")]),
        ("ada", [("a", "otherwise"), ("c", "done")]),
    ],
)
async def test_a_branch_goes_by_the_very_value(
    name: str, path: list[tuple[str, str]], autojump_clock: MockClock
) -> None:
    outcome = await follow(BRANCH, declared=NAME, variables={"name": name})
    assert (outcome.path, outcome.took_s) == (path, 0.0)


@pytest.mark.parametrize("amd", ["human", "machine", "fax", "unknown", "off"])
async def test_a_branch_goes_by_who_answered(amd: str, autojump_clock: MockClock) -> None:
    ways = ("human", "machine", "fax", "unknown", "off")
    nodes: dict[str, Any] = {
        "a": {"type": "branch", "on": "amd", "cases": {way: way for way in ways}}
    }
    nodes |= {way: {"type": "hangup"} for way in ways}
    outcome = await follow(nodes, amd=amd)
    assert outcome.path == [("a", "matched"), (amd, "done")]


async def test_set_fills_in_the_values_from_before_and_they_come_back_in_the_result(
    autojump_clock: MockClock,
) -> None:
    nodes = {"a": {"type": "set", "variables": {"name": "{{name}}, {{city}}", "city": "{{name}}"}}}
    declared = NAME | {"city": {"default": "Pune"}}
    outcome = await follow(nodes, declared=declared)
    assert outcome.result == {"name": "there, Pune", "city": "there"}


async def test_a_value_that_grows_in_a_loop_is_cut(autojump_clock: MockClock) -> None:
    nodes = {
        "a": {"type": "set", "variables": {"name": "{{name}}{{name}}"}, "next": "b"},
        "b": {"type": "wait", "duration_s": 1, "next": "a"},
    }
    outcome = await follow(nodes, declared=NAME, cut_off_s=100.0)
    assert len(outcome.result["name"]) == FILLED_LENGTH_MAX


RECORD = {"type": "record", "max_s": 20, "variable": "name", "next": "b"}
AFTER_BEEP = Moment(4.0, "prompt_ends")


@pytest.mark.parametrize(
    ("script", "changes", "ending", "duration_s"),
    [
        (LISTENS, {}, "silence", 3.0),
        (CallScript(None, 0.0, speaks_s=((1.0, 6.0), (7.0, 9.0))), {}, "silence", 11.5),
        (LISTENS, {"silence_s": None}, "max", 20.0),
        (
            CallScript(None, 0.0, keys=press("#", AFTER_BEEP), speaks_s=((0.0, 9.0),)),
            {},
            "key",
            4.0,
        ),
        (
            CallScript(None, 0.0, keys=press("5", AFTER_BEEP), speaks_s=((0.0, 5.0),)),
            {},
            "silence",
            7.5,
        ),
    ],
)
async def test_a_recording_ends_by_silence_length_or_key_and_its_id_is_kept(
    script: CallScript,
    changes: dict[str, Any],
    ending: str,
    duration_s: float,
    autojump_clock: MockClock,
) -> None:
    nodes = {"a": RECORD | changes, "b": {"type": "hangup"}}
    outcome = await follow(nodes, script, declared=NAME)
    data = {"recording": "rec_1", "duration_s": duration_s}
    assert outcome == Outcome(
        played=["beep"],
        steps=[
            ("a", "record", 0.0, ending, data),
            ("b", "hangup", 0.5 + duration_s, "done", {}),
        ],
        took_s=0.5 + duration_s,
        result={"name": "rec_1"},
        recorded=["rec_1"],
    )


async def test_a_recording_without_a_beep_begins_at_once(autojump_clock: MockClock) -> None:
    outcome = await follow(
        {"a": {"type": "record", "beep": False, "silence_s": None, "max_s": 7}}, missing=("beep",)
    )
    assert (outcome.played, outcome.path, outcome.took_s) == ([], [("a", "max")], 7.0)


async def test_a_recording_whose_beep_is_gone_is_made_all_the_same(
    autojump_clock: MockClock,
) -> None:
    outcome = await follow({"a": {"type": "record"}}, missing=("beep",))
    assert (outcome.path, outcome.took_s) == ([("a", "silence")], 3.0)


async def test_a_callee_who_hangs_up_leaves_what_was_recorded(autojump_clock: MockClock) -> None:
    nodes = {"a": RECORD, "b": {"type": "hangup"}}
    outcome = await follow(nodes, LEAVES, declared=NAME)
    assert (outcome.path, outcome.result, outcome.recorded, outcome.took_s) == (
        [("a", "call_ended")],
        {"name": "rec_1"},
        ["rec_1"],
        2.0,
    )


TRANSFER: dict[str, Any] = {
    "type": "transfer",
    "to": "+1415555{{name}}",
    "ring_timeout_s": 20,
    "whisper": {"say": "{{name}} calls."},
    "hold": {"play": "music"},
}
WAYS = {"on_answered": "yes", "on_busy": "busy", "on_no_answer": "nobody", "next": "next"}


@pytest.mark.parametrize(
    ("ways", "connected", "leads_to"),
    [
        (WAYS, "answered", "yes"),
        (WAYS, "busy", "busy"),
        (WAYS, "no_answer", "nobody"),
        ({"next": "next"}, "answered", "next"),
        ({"next": "next"}, "busy", "next"),
        ({"next": "next"}, "no_answer", "next"),
        ({"on_no_answer": "nobody"}, "busy", "nobody"),
        ({"on_no_answer": "nobody"}, "answered", None),
    ],
)
async def test_a_transfer_goes_on_by_what_became_of_it(
    ways: dict[str, str], connected: Any, leads_to: str | None, autojump_clock: MockClock
) -> None:
    legs = ScriptedLegs(connected)
    nodes: dict[str, Any] = {"a": TRANSFER | ways}
    nodes |= {name: {"type": "hangup"} for name in ways.values()}
    outcome = await follow(nodes, declared=NAME, variables={"name": "0177"}, legs=legs)
    followed = [] if leads_to is None else [(leads_to, "done")]
    assert (outcome.path, legs.asked, outcome.played) == (
        [("a", connected), *followed],
        [("+14155550177", 20)],
        ["music", "say:0177 calls."],
    )


async def test_where_nobody_can_be_called_beside_a_transfer_finds_nobody(
    autojump_clock: MockClock,
) -> None:
    outcome = await follow({"a": {"type": "transfer", "to": "agent"}})
    assert outcome.steps == [("a", "transfer", 0.0, "no_answer", {"to": "agent"})]


REQUEST: dict[str, Any] = {
    "type": "request",
    "url": "https://crm.example.com/people",
    "body": {"name": "{{name}}", "tries": [1, True, None]},
    "timeout_s": 3,
    "next": "b",
    "on_error": "c",
}
ENDS: dict[str, Any] = {"b": {"type": "hangup"}, "c": {"type": "hangup"}}
DECLARED = {name: {"default": ""} for name in ("name", "whole", "due", "open", "first", "note")}


async def asked(save: Any, answer: Any, script: CallScript = LISTENS, takes_s: float = 1.0) -> Any:
    requests = ScriptedRequests(answer, takes_s=takes_s)
    nodes = {"a": REQUEST | {"save": save}} | ENDS
    return await follow(nodes, script, declared=DECLARED, requests=requests)


async def test_a_request_saves_what_its_pointers_lead_to_as_texts(
    autojump_clock: MockClock,
) -> None:
    save = {"due": "/bill/due", "open": "/bill/open", "first": "/rows/0/a~1b", "note": "/rows"}
    answer = {"bill": {"due": 12.5, "open": True}, "rows": [{"a/b": "x"}]}
    outcome = await asked(save, answer)
    assert outcome == Outcome(
        played=[],
        steps=[("a", "request", 0.0, "done", {}), ("b", "hangup", 1.0, "done", {})],
        took_s=1.0,
        result={"due": "12.5", "open": "true", "first": "x", "note": '[{"a/b":"x"}]'},
        asked=[
            Question(
                "POST",
                "https://crm.example.com/people",
                {"name": "", "tries": [1, True, None]},
                3,
                wants_answer=True,
            )
        ],
    )


async def test_a_request_may_save_the_whole_answer(autojump_clock: MockClock) -> None:
    assert (await asked("whole", {"a": 1})).result == {"whole": '{"a":1}'}
    assert (await asked("whole", "text")).result == {"whole": "text"}


async def test_a_request_that_saves_nothing_wants_no_answer(autojump_clock: MockClock) -> None:
    outcome = await asked({}, None)
    assert (outcome.path, outcome.asked[0].wants_answer) == (
        [("a", "done"), ("b", "done")],
        False,
    )


@pytest.mark.parametrize(
    ("save", "answer", "code"),
    [
        ({}, RequestFailed("status", "It answered 500."), "status"),
        ({"due": "/due"}, {"other": 1}, "value_missing"),
        ({"due": "/due"}, {"due": None}, "value_missing"),
        ({"due": "/due/0"}, {"due": "text"}, "value_missing"),
        ({"note": "/due", "due": "/due"}, {"due": "x" * 5000}, "value_too_long"),
        ({}, ZeroDivisionError("a fault of ours"), "fault"),
    ],
)
async def test_every_failure_of_a_request_goes_to_on_error_and_saves_nothing(
    save: Any, answer: Any, code: str, autojump_clock: MockClock
) -> None:
    outcome = await asked(save, answer)
    assert (outcome.steps[0], outcome.path[1], outcome.result) == (
        ("a", "request", 0.0, "failed", {"code": code}),
        ("c", "done"),
        {},
    )


async def test_a_request_that_is_not_answered_in_time_goes_to_on_error(
    autojump_clock: MockClock,
) -> None:
    outcome = await asked({}, None, takes_s=60.0)
    assert (outcome.path, outcome.took_s) == ([("a", "failed"), ("c", "done")], 3.0)


async def test_without_on_error_a_failed_request_goes_on(autojump_clock: MockClock) -> None:
    nodes = {"a": {"type": "request", "url": "https://a.example", "next": "b"}, "b": ENDS["b"]}
    requests = ScriptedRequests(RequestFailed("status", "It answered 500."))
    outcome = await follow(nodes, requests=requests)
    assert outcome.path == [("a", "failed"), ("b", "done")]


async def test_a_request_is_finished_though_the_callee_hangs_up_meanwhile(
    autojump_clock: MockClock,
) -> None:
    nodes = {
        "a": REQUEST | {"save": {"due": "/due"}, "next": "b"},
        "b": {"type": "opt_out", "next": "c"},
        "c": {"type": "play", "play": "thanks"},
    }
    outcome = await follow(
        nodes,
        LEAVES,
        declared=DECLARED,
        requests=ScriptedRequests({"due": 1}, takes_s=2.5),
    )
    assert (outcome.path, outcome.result, outcome.opt_outs, outcome.ended) == (
        [("a", "done"), ("b", "done"), ("c", "call_ended")],
        {"due": "1"},
        ["account"],
        "callee_hung_up",
    )


@pytest.mark.parametrize("scope", ["account", "flow"])
async def test_an_opt_out_says_by_whom_the_callee_is_not_to_be_called(
    scope: str, autojump_clock: MockClock
) -> None:
    outcome = await follow({"a": {"type": "opt_out", "scope": scope}})
    assert (outcome.steps, outcome.opt_outs) == (
        [("a", "opt_out", 0.0, "done", {"scope": scope})],
        [scope],
    )


@pytest.mark.parametrize(
    ("pointer", "found"),
    [
        ("", {"a": {"": 1, "~1": 2}, "l": [3, [4]]}),
        ("/a/", 1),
        ("/a/~01", 2),
        ("/l/0", 3),
        ("/l/1/0", 4),
        ("/l/00", None),
        ("/l/-1", None),
        ("/l/²", None),
        ("/l/2", None),
        ("/l/9999999", None),
        ("/l/0/0", None),
        ("a", None),
        ("/b", None),
    ],
)
def test_a_json_pointer_leads_where_rfc_6901_says_or_nowhere(pointer: str, found: Any) -> None:
    assert find_in({"a": {"": 1, "~1": 2}, "l": [3, [4]]}, pointer) == found
