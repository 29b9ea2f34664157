"""The graph of a flow: its nodes as tagged structs, and a check that reports every mistake at once.

The wire form is CONTRACT.md's "Flow definition". A node type is added by adding its struct to `Node`
and its step to `engine.flow.run`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec
from msgspec import Struct, field

from engine.flow.nodes import NAME_LENGTH_MAX, Name, Node, Play, Wait

NODES_MAX: Final = 500
"""Nodes of one flow."""
NODE_TYPES: Final = ("play", "wait", "hangup")


class Variable(Struct, frozen=True, forbid_unknown_fields=True):
    """A value that each contact may bring along."""

    default: str | None = None
    """Taken where a contact brings none; without one, a contact must bring its own."""


class Definition(Struct, frozen=True, forbid_unknown_fields=True):
    """A flow's graph, checked."""

    start: str
    nodes: dict[str, Node]
    variables: dict[Name, Variable] = field(default_factory=dict)


class Mistake(Struct, frozen=True):
    """One thing that is wrong with a definition."""

    pointer: str
    """JSON pointer (RFC 6901) into the definition."""
    code: str
    detail: str


class InvalidDefinition(Exception):
    """The definition cannot be run; `mistakes` are all of them."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        super().__init__("; ".join(f"{m.pointer}: {m.detail}" for m in mistakes))
        self.mistakes = mistakes


def read_definition(raw: Any) -> Definition:
    """The definition as structs. Raises `InvalidDefinition` with every mistake and its place.

    Args:
        raw: what JSON brought: dicts, lists, strings, numbers.
    """
    mistakes = list(_find_form_mistakes(raw))
    if mistakes:
        raise InvalidDefinition(mistakes)
    definition = _convert(raw)
    mistakes = list(_find_graph_mistakes(definition))
    if mistakes:
        raise InvalidDefinition(mistakes)
    return definition


def prompts_of(definition: Definition) -> dict[str, str]:
    """JSON pointer of each place that names a prompt → the prompt's id."""
    return {
        f"/nodes/{escape(name)}/play": node.play
        for name, node in definition.nodes.items()
        if isinstance(node, Play) and node.play is not None
    }


def escape(name: str) -> str:
    """A name as one step of a JSON pointer (RFC 6901 §3)."""
    return name.replace("~", "~0").replace("/", "~1")


def _convert(raw: Any) -> Definition:
    try:
        return msgspec.convert(raw, Definition)
    except msgspec.ValidationError as error:
        raise InvalidDefinition([Mistake("", "invalid_definition", str(error))]) from None


def _find_form_mistakes(raw: Any) -> Iterator[Mistake]:
    """Each part is converted by itself, so that one mistake does not hide the others."""
    if not isinstance(raw, dict):
        yield Mistake("", "invalid_definition", "A definition is a JSON object.")
        return
    for key in raw.keys() - {"start", "nodes", "variables"}:
        yield Mistake(f"/{escape(str(key))}", "unknown_field", f"There is no field {key!r}.")
    if not isinstance(raw.get("start"), str):
        yield Mistake("/start", "missing_start", "`start` names the node that a call begins with.")
    nodes = raw.get("nodes")
    if not isinstance(nodes, dict) or not nodes:
        yield Mistake("/nodes", "missing_nodes", "`nodes` is an object with at least one node.")
    elif len(nodes) > NODES_MAX:
        yield Mistake("/nodes", "too_many_nodes", f"A flow has at most {NODES_MAX} nodes.")
    else:
        for name, node in nodes.items():
            yield from _find_node_mistakes(str(name), node)
    yield from _find_variable_mistakes(raw.get("variables", {}))


def _find_node_mistakes(name: str, node: Any) -> Iterator[Mistake]:
    place = f"/nodes/{escape(name)}"
    if len(name) > NAME_LENGTH_MAX or not name:
        yield Mistake(place, "invalid_name", f"A name has 1 to {NAME_LENGTH_MAX} characters.")
    kind = node.get("type") if isinstance(node, dict) else None
    if kind not in NODE_TYPES:
        known = ", ".join(NODE_TYPES)
        yield Mistake(f"{place}/type", "unknown_node_type", f"A node's type is one of: {known}.")
        return
    try:
        read = msgspec.convert(node, Node)
        if isinstance(read, Play) and (read.play is None) == (read.say is None):
            yield Mistake(place, "invalid_node", "Either `play` or `say` is given.")
    except msgspec.ValidationError as error:
        text, _, path = str(error).partition(" - at `$")
        pointer = path.rstrip("`").replace(".", "/") if path else ""
        yield Mistake(f"{place}{pointer}", "invalid_node", f"{text}.")


def _find_variable_mistakes(variables: Any) -> Iterator[Mistake]:
    if not isinstance(variables, dict):
        yield Mistake("/variables", "invalid_variables", "`variables` is an object.")
        return
    for name, rule in variables.items():
        try:
            msgspec.convert({name: rule}, dict[Name, Variable])
        except msgspec.ValidationError as error:
            detail = str(error).partition(" - at `")[0]
            yield Mistake(f"/variables/{escape(str(name))}", "invalid_variable", f"{detail}.")


def _find_graph_mistakes(definition: Definition) -> Iterator[Mistake]:
    nodes = definition.nodes
    if definition.start not in nodes:
        yield Mistake("/start", "unknown_node", f"There is no node {definition.start!r}.")
    for name, node in nodes.items():
        follower = _next_of(node)
        if follower is not None and follower not in nodes:
            place = f"/nodes/{escape(name)}/next"
            yield Mistake(place, "unknown_node", f"There is no node {follower!r}.")
    reached = _walk(definition)
    for name in nodes:
        if definition.start in nodes and name not in reached:
            yield Mistake(f"/nodes/{escape(name)}", "unreachable_node", "No path leads here.")
    if reached and reached[-1] in nodes and _next_of(nodes[reached[-1]]) in reached:
        place = f"/nodes/{escape(reached[-1])}/next"
        yield Mistake(place, "endless_loop", "The flow comes back here for ever.")


def _walk(definition: Definition) -> list[str]:
    """The nodes that a call passes, each once, in order."""
    passed: list[str] = []
    at: str | None = definition.start
    while at is not None and at in definition.nodes and at not in passed:
        passed.append(at)
        at = _next_of(definition.nodes[at])
    return passed


def _next_of(node: Node) -> str | None:
    return node.next if isinstance(node, Play | Wait) else None
