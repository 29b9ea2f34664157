"""A flow's definition: read whole, or refused with every mistake and its place."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.flow.definition import (
    Definition,
    InvalidDefinition,
    Variable,
    prompts_of,
    read_definition,
)
from engine.flow.nodes import Hangup, Play, Wait

WHOLE: dict[str, Any] = {
    "start": "hello",
    "variables": {"name": {"default": "there"}, "city": {}},
    "nodes": {
        "hello": {"type": "play", "play": "prm_1", "next": "pause"},
        "pause": {"type": "wait", "duration_s": 1.5, "next": "bye"},
        "bye": {"type": "hangup"},
    },
}


def mistakes_in(raw: Any) -> list[tuple[str, str]]:
    """Place and code of every mistake."""
    with pytest.raises(InvalidDefinition) as caught:
        read_definition(raw)
    return [(mistake.pointer, mistake.code) for mistake in caught.value.mistakes]


def test_a_whole_definition_becomes_structs() -> None:
    definition = read_definition(WHOLE)
    assert definition == Definition(
        start="hello",
        variables={"name": Variable("there"), "city": Variable()},
        nodes={"hello": Play("prm_1", next="pause"), "pause": Wait(1.5, "bye"), "bye": Hangup()},
    )
    assert prompts_of(definition.nodes) == {"/nodes/hello/play": "prm_1"}


def test_every_mistake_of_form_is_told_at_once_with_its_place() -> None:
    raw = {
        "begin": "a",
        "start": 7,
        "nodes": {
            "a": {"type": "play", "play": 3},
            "b": {"type": "sing"},
            "c": {"type": "wait", "duration_s": -1},
            "d": {"type": "hangup", "next": "a"},
            "e": "hangup",
            "f/g": {"type": "play"},
        },
        "variables": {"not a name": {}, "x": {"default": 1}, "y\n": {}},
    }
    assert mistakes_in(raw) == [
        ("/begin", "unknown_field"),
        ("/start", "missing_start"),
        ("/nodes/a/play", "invalid_value"),
        ("/nodes/b/type", "unknown_node_type"),
        ("/nodes/c/duration_s", "invalid_value"),
        ("/nodes/d/next", "unknown_field"),
        ("/nodes/e/type", "unknown_node_type"),
        ("/variables/not a name", "invalid_name"),
        ("/variables/x/default", "invalid_value"),
        ("/variables/y\n", "invalid_name"),
        ("/nodes/f~1g", "invalid_prompt"),
    ]


def test_every_mistake_of_the_graph_is_told_with_its_place() -> None:
    raw = {
        "start": "a",
        "nodes": {
            "a": {"type": "play", "play": "prm_1", "next": "b"},
            "b": {"type": "say", "text": "And again.", "next": "a"},
            "c": {"type": "play", "play": "prm_1", "next": "nowhere"},
        },
    }
    assert mistakes_in(raw) == [
        ("/nodes/c/next", "unknown_node"),
        ("/nodes/c", "unreachable_node"),
        ("/nodes/b/next", "endless_loop"),
    ]


@pytest.mark.parametrize(
    "lingering",
    [
        {"type": "wait", "duration_s": 0.5},
        {"type": "gather", "digits": 1},
        {"type": "record"},
    ],
)
def test_a_loop_in_which_somebody_is_waited_for_may_go_on(lingering: dict[str, Any]) -> None:
    raw = {
        "start": "a",
        "nodes": {
            "a": {"type": "play", "play": "prm_1", "next": "b"},
            "b": {**lingering, "next": "a"},
        },
    }
    assert list(read_definition(raw).nodes) == ["a", "b"]


def test_a_transfer_excuses_a_loop_only_where_it_was_answered() -> None:
    def loop(**ways: str) -> Any:
        transfer = {"type": "transfer", "to": "+14155550100", **ways}
        return {"start": "a", "nodes": {"a": transfer, "b": {"type": "hangup"}}}

    answered = loop(on_answered="a", on_no_answer="b")
    assert read_definition(answered).start == "a"
    assert mistakes_in(loop(next="a", on_answered="b")) == [("/nodes/a/next", "endless_loop")]


def test_a_wait_of_no_time_does_not_excuse_a_loop() -> None:
    for duration_s in (0, 1e-9):
        wait = {"type": "wait", "duration_s": duration_s, "next": "a"}
        raw = {"start": "a", "nodes": {"a": wait}}
        assert mistakes_in(raw) == [("/nodes/a/next", "endless_loop")]


def test_more_variables_or_branches_than_anybody_writes_are_refused_at_once() -> None:
    raw = {
        "start": "a",
        "variables": {f"v{number}": {} for number in range(101)},
        "nodes": {
            "a": {"type": "branch", "on": "amd", "cases": {f"{n}": "b" for n in range(101)}},
            "b": {"type": "hangup"},
        },
    }
    assert mistakes_in(raw)[:2] == [
        ("/nodes/a/cases", "invalid_value"),
        ("/variables", "too_many_variables"),
    ]


TEN_MISTAKES: dict[str, Any] = {
    "start": "hello",
    "variables": {"due": {"type": "date", "default": "tomorrow"}},
    "nodes": {
        "hello": {"type": "say", "text": "Hello {{nmae}}, {{due|dtae}}.", "next": "ask"},
        "ask": {
            "type": "gather",
            "prompt": {"play": "prm_1", "say": "Press 1."},
            "digits": 1,
            "branches": {"12": "bye", "1": "nowhere"},
            "otherwise": "loop",
        },
        "loop": {"type": "set", "variables": {"n": "1"}, "next": "loop2"},
        "loop2": {"type": "branch", "on": "n", "cases": {}, "otherwise": "loop"},
        "lookup": {"type": "request", "url": "ftp://example.com", "next": "bye"},
        "bye": {"type": "hangup", "after_s": 3},
    },
}


def test_a_flow_with_ten_mistakes_shows_ten_with_their_places() -> None:
    assert mistakes_in(TEN_MISTAKES) == [
        ("/nodes/bye/after_s", "unknown_field"),
        ("/variables/due/default", "invalid_value"),
        ("/nodes/ask/branches/1", "unknown_node"),
        ("/nodes/lookup", "unreachable_node"),
        ("/nodes/loop2/otherwise", "endless_loop"),
        ("/nodes/hello/text", "undeclared_variable"),
        ("/nodes/hello/text", "unknown_format"),
        ("/nodes/ask/prompt", "invalid_prompt"),
        ("/nodes/ask/branches/12", "impossible_answer"),
        ("/nodes/lookup/url", "invalid_url"),
    ]


def test_a_start_that_is_no_node_is_told_alone() -> None:
    assert mistakes_in({"start": "x", "nodes": {"a": {"type": "hangup"}}}) == [
        ("/start", "unknown_node")
    ]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)


@given(st.one_of(json_values, st.fixed_dictionaries({"start": json_values, "nodes": json_values})))
def test_any_json_is_read_or_refused(raw: Any) -> None:
    mistakes, starts = [], False
    try:
        definition = read_definition(raw)
    except InvalidDefinition as error:
        mistakes = error.mistakes
    else:
        starts = definition.start in definition.nodes
    assert bool(mistakes) != starts
