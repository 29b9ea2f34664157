"""The definition of a flow: read into structs, or refused with every mistake and its place.

The wire form is CONTRACT.md's "Flow definition". A node type is added by adding its struct to
`engine.flow.nodes`, its followers to `engine.flow.edges` where they are new, what can be wrong with it to
`engine.flow.checks`, and its step to the interpreter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from msgspec import Struct, field

from engine.flow.checks import find_graph_mistakes, find_node_mistakes
from engine.flow.nodes import AGENT, Name, Node, Prompt, Transfer, prompts_in
from engine.flow.parts import read_parts
from engine.flow.variables import find_places
from engine.form import MISTAKES_MAX, Mistake, escape
from engine.model.variable import Variable

__all__ = [
    "Definition",
    "InvalidDefinition",
    "Variable",
    "find_kind_mistakes",
    "names_agent",
    "numbers_of",
    "prompts_of",
    "read_definition",
    "voices_of",
]


class Definition(Struct, frozen=True, forbid_unknown_fields=True):
    """A flow's graph, checked."""

    start: str
    nodes: dict[str, Node]
    variables: dict[Name, Variable] = field(default_factory=dict)
    language: str | None = None
    """In which its texts are (BCP 47): who speaks where no voice is named, and how dates and amounts are
    spoken. None is the language of the voice."""


class InvalidDefinition(Exception):
    """The definition cannot be run; `mistakes` are all of them."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        super().__init__("; ".join(f"{m.pointer}: {m.detail}" for m in mistakes))
        self.mistakes = mistakes


def read_definition(raw: Any) -> Definition:
    """The definition as structs. Raises `InvalidDefinition` with every mistake and its place, up to
    `MISTAKES_MAX` of them.

    Args:
        raw: what JSON brought: dicts, lists, strings, numbers.
    """
    parts, mistakes = read_parts(raw)
    mistakes += find_graph_mistakes(parts)
    mistakes += find_node_mistakes(parts)
    if mistakes:
        raise InvalidDefinition(mistakes[:MISTAKES_MAX])
    assert parts.start is not None  # it is among the mistakes otherwise
    return Definition(parts.start, parts.nodes, parts.variables, parts.language)


def find_kind_mistakes(
    definition: Definition, kind: Literal["multicast", "dialer"]
) -> Iterator[Mistake]:
    """What a flow of this kind cannot do."""
    for name, node in definition.nodes.items():
        if isinstance(node, Transfer) and node.to == AGENT and kind != "dialer":
            detail = "Only a dialer flow has agents; a multicast flow transfers to a number."
            yield Mistake(f"/nodes/{escape(name)}/to", "no_agents", detail)


def prompts_of(nodes: Mapping[str, Node]) -> dict[str, str]:
    """JSON pointer of each place of a definition that names a prompt → the prompt's id."""
    return {
        f"{place}/play": prompt.play
        for place, prompt in _all_prompts(nodes)
        if prompt.play is not None
    }


def voices_of(nodes: Mapping[str, Node]) -> dict[str, str]:
    """JSON pointer of each place of a definition that names a voice → the voice's name."""
    return {
        f"{place}/voice": prompt.voice
        for place, prompt in _all_prompts(nodes)
        if prompt.voice is not None
    }


def names_agent(definition: Definition) -> bool:
    """Whether the graph has a place at which a callee is connected with an agent."""
    nodes = definition.nodes.values()
    return any(isinstance(node, Transfer) and node.to == AGENT for node in nodes)


def numbers_of(definition: Definition) -> dict[str, str]:
    """JSON pointer of each place that names a number to call → the number as it is written there. Those
    that a variable brings are not among them."""
    return {
        f"/nodes/{escape(name)}/to": node.to
        for name, node in definition.nodes.items()
        if isinstance(node, Transfer) and node.to != AGENT and not find_places(node.to)
    }


def _all_prompts(nodes: Mapping[str, Node]) -> Iterator[tuple[str, Prompt]]:
    for name, node in nodes.items():
        for place, prompt in prompts_in(node):
            yield f"/nodes/{escape(name)}{place}", prompt
