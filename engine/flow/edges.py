"""Which nodes may follow a node, and when: one table for the checks, the drawing and the tests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from msgspec import Struct

from engine.flow.nodes import Node
from engine.form import escape

FOLLOWERS: Final[Mapping[str, str]] = {
    "next": "",
    "otherwise": "otherwise",
    "on_answered": "answered",
    "on_busy": "busy",
    "on_no_answer": "no answer",
    "on_error": "error",
}
"""Fields that name a node, and what is written on the way to it."""
BRANCHES: Final = ("branches", "cases")
"""Fields that name a node for each answer or value."""


class Edge(Struct, frozen=True):
    """A way from one node to another."""

    pointer: str
    """JSON pointer, from the node, of where the follower is named."""
    label: str
    """When it is gone; empty where it is the only way or the usual one."""
    target: str


def edges_of(node: Node) -> list[Edge]:
    """The ways that lead on from a node, in the order in which they are written down."""
    fields = {name: getattr(node, name) for name in node.__struct_fields__}
    return list(edges_of_fields(fields))


def edges_of_fields(fields: Mapping[str, Any]) -> Iterator[Edge]:
    """The same of a node as it came, of which anything may be wrong."""
    for name in BRANCHES:
        branches = fields.get(name)
        if isinstance(branches, dict):
            for value, target in branches.items():
                if isinstance(value, str) and isinstance(target, str):
                    yield Edge(f"/{name}/{escape(value)}", value, target)
    for name, label in FOLLOWERS.items():
        target = fields.get(name)
        if isinstance(target, str):
            yield Edge(f"/{name}", label, target)
