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
    assert prompts_of(definition) == {"/nodes/hello/play": "prm_1"}


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
        ("/nodes/a/play", "invalid_node"),
        ("/nodes/b/type", "unknown_node_type"),
        ("/nodes/c/duration_s", "invalid_node"),
        ("/nodes/d", "invalid_node"),
        ("/nodes/e/type", "unknown_node_type"),
        ("/nodes/f~1g", "invalid_node"),
        ("/variables/not a name", "invalid_variable"),
        ("/variables/x", "invalid_variable"),
        ("/variables/y\n", "invalid_variable"),
    ]


def test_every_mistake_of_the_graph_is_told_with_its_place() -> None:
    raw = {
        "start": "a",
        "nodes": {
            "a": {"type": "wait", "duration_s": 1, "next": "b"},
            "b": {"type": "wait", "duration_s": 1, "next": "a"},
            "c": {"type": "play", "play": "prm_1", "next": "nowhere"},
        },
    }
    assert mistakes_in(raw) == [
        ("/nodes/c/next", "unknown_node"),
        ("/nodes/c", "unreachable_node"),
        ("/nodes/b/next", "endless_loop"),
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
