"""What can be read of a flow's definition, part by part, so that one mistake does not hide the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, get_args

import msgspec
from msgspec import Struct, field

from engine.flow.nodes import NAME_LENGTH_MAX, Name, Node
from engine.flow.speaking import find_locale, is_currency
from engine.form import Mistake, escape, find_mistakes
from engine.model.variable import Variable, find_fault

NODES_MAX: Final = 500
"""Nodes of one flow."""
VARIABLES_MAX: Final = 100
"""Of one flow. Every contact carries a value for each, so that a short list of a flow with thousands
would fill the memory."""
FIELDS: Final = frozenset({"start", "nodes", "variables", "language"})
RESERVED_NAMES: Final = frozenset({"amd"})
"""What `branch` looks up beside variables."""

NODE_TYPES: Final[Mapping[str, type[Node]]] = {
    str(kind.__struct_config__.tag): kind for kind in get_args(Node)
}
"""Each node type's name and struct."""


class Parts(Struct):
    """A definition as far as it could be read."""

    start: str | None = None
    nodes: dict[str, Node] = field(default_factory=dict)
    """Those that are well-formed."""
    fields: dict[str, dict[str, Any]] = field(default_factory=dict)
    """All nodes that are objects, as they came."""
    variables: dict[str, Variable] = field(default_factory=dict)
    language: str | None = None


def read_parts(raw: Any) -> tuple[Parts, list[Mistake]]:
    """What can be read, and every mistake of form."""
    parts = Parts()
    if not isinstance(raw, dict):
        return parts, [Mistake("", "invalid_definition", "A definition is a JSON object.")]
    return parts, list(_read(raw, parts))


def _read(raw: Mapping[str, Any], parts: Parts) -> Iterator[Mistake]:
    for key in raw.keys() - FIELDS:
        yield Mistake(f"/{escape(str(key))}", "unknown_field", f"There is no field {key!r}.")
    start = raw.get("start")
    if isinstance(start, str):
        parts.start = start
    else:
        yield Mistake("/start", "missing_start", "`start` names the node that a call begins with.")
    yield from _read_language(raw.get("language"), parts)
    yield from _read_nodes(raw.get("nodes"), parts)
    yield from _read_variables(raw.get("variables", {}), parts)


def _read_language(language: Any, parts: Parts) -> Iterator[Mistake]:
    if language is None or (isinstance(language, str) and find_locale(language) is not None):
        parts.language = language
    else:
        detail = "`language` is one as BCP 47 names it, such as en, en-GB or hi."
        yield Mistake("/language", "unknown_language", detail)


def _read_nodes(nodes: Any, parts: Parts) -> Iterator[Mistake]:
    if not isinstance(nodes, dict) or not nodes:
        yield Mistake("/nodes", "missing_nodes", "`nodes` is an object with at least one node.")
        return
    if len(nodes) > NODES_MAX:
        yield Mistake("/nodes", "too_many_nodes", f"A flow has at most {NODES_MAX} nodes.")
        return
    for name, node in nodes.items():
        mistakes = list(_find_node_mistakes(str(name), node))
        yield from mistakes
        if isinstance(node, dict):
            parts.fields[name] = node
            if not mistakes:
                parts.nodes[name] = msgspec.convert(node, NODE_TYPES[node["type"]])


def _find_node_mistakes(name: str, node: Any) -> Iterator[Mistake]:
    place = f"/nodes/{escape(name)}"
    if not 0 < len(name) <= NAME_LENGTH_MAX or not name.isprintable():
        detail = f"A node's name has 1 to {NAME_LENGTH_MAX} characters that can be printed."
        yield Mistake(place, "invalid_name", detail)
    kind = node.get("type") if isinstance(node, dict) else None
    if not isinstance(kind, str) or kind not in NODE_TYPES:
        known = ", ".join(NODE_TYPES)
        yield Mistake(f"{place}/type", "unknown_node_type", f"A node's type is one of: {known}.")
        return
    fields = {key: value for key, value in node.items() if key != "type"}
    yield from find_mistakes(fields, NODE_TYPES[kind], place)


def _read_variables(variables: Any, parts: Parts) -> Iterator[Mistake]:
    if not isinstance(variables, dict):
        yield Mistake("/variables", "invalid_variables", "`variables` is an object.")
        return
    if len(variables) > VARIABLES_MAX:
        detail = f"A flow has at most {VARIABLES_MAX} variables."
        yield Mistake("/variables", "too_many_variables", detail)
        return
    for name, rule in variables.items():
        place = f"/variables/{escape(str(name))}"
        mistakes = list(_find_name_mistakes(name, place))
        mistakes = mistakes or list(find_mistakes(rule, Variable, place))
        if not mistakes:
            variable = msgspec.convert(rule, Variable)
            mistakes = list(_find_variable_mistakes(variable, place))
            # One whose default is wrong is declared all the same.
            parts.variables[name] = variable
        yield from mistakes


def _find_name_mistakes(name: str, place: str) -> Iterator[Mistake]:
    try:
        msgspec.convert(name, Name)
    except msgspec.ValidationError:
        detail = (
            f"A variable's name has 1 to {NAME_LENGTH_MAX} letters, digits and underscores, "
            "and does not begin with a digit."
        )
        yield Mistake(place, "invalid_name", detail)
        return
    if name in RESERVED_NAMES:
        yield Mistake(place, "reserved_name", f"`{name}` means something else in a branch.")


def _find_variable_mistakes(variable: Variable, place: str) -> Iterator[Mistake]:
    fault = find_fault(variable, variable.default or "")
    if fault is not None:
        yield Mistake(f"{place}/default", "invalid_value", fault)
    if variable.currency is None:
        return
    if variable.type != "money":
        detail = "Only a variable of the type `money` has a currency."
        yield Mistake(f"{place}/currency", "invalid_value", detail)
    elif not is_currency(variable.currency):
        detail = f"There is no currency {variable.currency!r} (ISO 4217)."
        yield Mistake(f"{place}/currency", "unknown_currency", detail)
