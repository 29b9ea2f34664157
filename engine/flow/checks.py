"""What can be wrong with a definition whose parts can be read: its graph, and what its nodes say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

from engine.flow.edges import Edge, edges_of, edges_of_fields
from engine.flow.nodes import (
    Branch,
    Gather,
    Node,
    Prompt,
    Record,
    Request,
    Set,
    Transfer,
    Wait,
    prompts_in,
)
from engine.flow.parts import Parts
from engine.flow.speaking import FORMS, is_currency
from engine.flow.variables import BUILT_IN, find_places, find_texts, has_loose_braces
from engine.form import Mistake, escape

AMD: Final = "amd"
"""What `branch` may ask beside variables."""
AMD_VALUES: Final = ("human", "machine", "fax", "unknown", "off")
LINGERING_S_MIN: Final = 0.1
"""The shortest wait that keeps a loop from going round at once."""
KEYS: Final = "0123456789*#ABCD"
BODY_DEPTH_MAX: Final = 16
"""Levels of the JSON that a request sends."""
BODY_LENGTH_MAX: Final = 20_000
"""Characters of all its texts."""


def find_graph_mistakes(parts: Parts) -> Iterator[Mistake]:
    """Followers that are not there, nodes that no path leads to, and loops in which no time passes."""
    ways = {name: list(edges_of_fields(fields)) for name, fields in parts.fields.items()}
    if parts.start is not None and parts.start not in ways:
        yield Mistake("/start", "unknown_node", f"There is no node {parts.start!r}.")
    for name, edges in ways.items():
        for edge in edges:
            if edge.target not in ways:
                yield _at(name, edge.pointer, "unknown_node", f"There is no node {edge.target!r}.")
    if parts.start in ways:
        reached = _reach(parts.start, ways)
        for name in ways:
            if name not in reached:
                yield _at(name, "", "unreachable_node", "No path leads here.")
    for name, edge in _find_loops(parts):
        detail = (
            f"The flow comes back to {edge.target!r} for ever, without a wait, a question or a "
            "recording on the way."
        )
        yield _at(name, edge.pointer, "endless_loop", detail)


def _reach(start: str, ways: Mapping[str, list[Edge]]) -> set[str]:
    reached, ahead = {start}, [start]
    while ahead:
        for edge in ways[ahead.pop()]:
            if edge.target in ways and edge.target not in reached:
                reached.add(edge.target)
                ahead.append(edge.target)
    return reached


def _hasty_ways(node: Node) -> list[Edge]:
    """The ways from a node on which nobody was waited for."""
    match node:
        case Gather() | Record():
            return []
        case Wait(duration_s=duration_s) if duration_s >= LINGERING_S_MIN:
            return []
        case Transfer():
            # A number that must not be called is given up at once.
            return [edge for edge in edges_of(node) if edge.pointer != "/on_answered"]
        case _:
            return edges_of(node)


def _find_loops(parts: Parts) -> Iterator[tuple[str, Edge]]:
    """Each edge that closes a loop in which nobody is waited for: depth first, each node once."""
    hasty = {name: _hasty_ways(node) for name, node in parts.nodes.items()}
    done: set[str] = set()
    for start in hasty:
        path: dict[str, Iterator[Edge]] = {}
        if start not in done:
            path[start] = iter(hasty[start])
        while path:
            name = next(reversed(path))
            edge = next(path[name], None)
            if edge is None:
                del path[name]
                done.add(name)
            elif edge.target in path:
                yield name, edge
            elif edge.target in hasty and edge.target not in done:
                path[edge.target] = iter(hasty[edge.target])


def find_node_mistakes(parts: Parts) -> Iterator[Mistake]:
    """What the nodes that can be read say and should not."""
    known = {*parts.variables, *BUILT_IN, *_assigned(parts)}
    for name, node in parts.nodes.items():
        for place, prompt in prompts_in(node):
            yield from _find_prompt_mistakes(name, place, prompt)
        for place, text in _texts_of(node):
            yield from _find_text_mistakes(name, place, text, known)
        check = _CHECKS.get(type(node))
        if check is not None:
            yield from check(name, node, known)


def _assigned(parts: Parts) -> Iterator[str]:
    """Variables that get a value on the call."""
    for node in parts.nodes.values():
        match node:
            case Gather(variable=str() as variable) | Record(variable=str() as variable):
                yield variable
            case Set():
                yield from node.variables
            case Request(save=str() as variable):
                yield variable
            case Request(save=dict() as saved):
                yield from saved


def _texts_of(node: Node) -> Iterator[tuple[str, str]]:
    """(JSON pointer from the node, text) of all that may hold variables."""
    for place, prompt in prompts_in(node):
        if prompt.say is not None:
            yield f"{place}/{'text' if node.__struct_config__.tag == 'say' else 'say'}", prompt.say
    match node:
        case Set():
            for variable, text in node.variables.items():
                yield f"/variables/{variable}", text
        case Request():
            yield "/url", node.url
            if _depth(node.body) <= BODY_DEPTH_MAX:
                yield from find_texts(node.body, "/body")
        case Transfer():
            yield "/to", node.to


def _find_prompt_mistakes(name: str, place: str, prompt: Prompt) -> Iterator[Mistake]:
    if (prompt.play is None) == (prompt.say is None):
        yield _at(name, place, "invalid_prompt", "Either `play` or `say` is given, and not both.")
    elif prompt.voice is not None and prompt.say is None:
        yield _at(name, f"{place}/voice", "invalid_prompt", "A recording has its voice already.")


def _find_text_mistakes(name: str, place: str, text: str, known: set[str]) -> Iterator[Mistake]:
    if has_loose_braces(text):
        detail = "A variable is written {{name}} or {{name|format}}; here are braces without one."
        yield _at(name, place, "invalid_text", detail)
    for wanted in find_places(text):
        if wanted.name is None:
            detail = (
                f"{wanted.written[:60]!r} is not written as {{{{name}}}} or {{{{name|format}}}}."
            )
            yield _at(name, place, "invalid_text", detail)
        elif wanted.name not in known:
            detail = f"There is no variable {wanted.name!r}; declare it under `variables`."
            yield _at(name, place, "undeclared_variable", detail)
        if wanted.form is not None and wanted.form not in FORMS:
            formats = ", ".join(FORMS)
            detail = f"There is no format {wanted.form!r}; it is one of: {formats}."
            yield _at(name, place, "unknown_format", detail)
        elif wanted.argument and (wanted.form != "money" or not is_currency(wanted.argument)):
            detail = (
                f"{wanted.argument!r} means nothing here: only money has a currency (ISO 4217)."
            )
            yield _at(name, place, "unknown_format", detail)


def _check_gather(name: str, node: Gather, _: set[str]) -> Iterator[Mistake]:
    for answer in node.branches:
        place = f"/branches/{escape(answer)}"
        if not answer or answer.strip(KEYS):
            detail = f"{answer!r} cannot be pressed; the keys are {KEYS}."
            yield _at(name, place, "impossible_answer", detail)
        elif len(answer) > node.digits:
            detail = f"{answer!r} has more keys than the {node.digits} that are taken."
            yield _at(name, place, "impossible_answer", detail)
        elif node.finish_on and node.finish_on in answer and node.digits > 1:
            detail = f"{node.finish_on!r} ends an answer and is no part of it."
            yield _at(name, place, "impossible_answer", detail)


def _check_branch(name: str, node: Branch, known: set[str]) -> Iterator[Mistake]:
    if node.on != AMD and node.on not in known:
        detail = f"There is no variable {node.on!r}; declare it under `variables`."
        yield _at(name, "/on", "undeclared_variable", detail)
    for value in node.cases if node.on == AMD else ():
        if value not in AMD_VALUES:
            detail = f"Who answered is one of: {', '.join(AMD_VALUES)}."
            yield _at(name, f"/cases/{escape(value)}", "impossible_answer", detail)


def _check_request(name: str, node: Request, _: set[str]) -> Iterator[Mistake]:
    fault = _find_url_fault(node.url)
    if fault is not None:
        yield _at(name, "/url", "invalid_url", fault)
    if _depth(node.body) > BODY_DEPTH_MAX:
        detail = f"What is sent has at most {BODY_DEPTH_MAX} levels."
        yield _at(name, "/body", "body_too_large", detail)
    elif sum(len(text) for _, text in find_texts(node.body)) > BODY_LENGTH_MAX:
        detail = f"What is sent has at most {BODY_LENGTH_MAX} characters."
        yield _at(name, "/body", "body_too_large", detail)
    if node.method == "GET" and node.body is not None:
        yield _at(name, "/body", "invalid_request", "A GET has no body; use POST.")
    for variable, pointer in node.save.items() if isinstance(node.save, dict) else ():
        if pointer and not pointer.startswith("/"):
            detail = "What is saved is named by a JSON pointer, such as /balance (RFC 6901)."
            yield _at(name, f"/save/{variable}", "invalid_pointer", detail)


def _find_url_fault(url: str) -> str | None:
    # A place may stand behind the host only: it could name another host otherwise.
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "It is no address."
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        return "It is an address such as https://example.com/balance."
    if find_places(parts.scheme + parts.netloc):
        return "The host is fixed; variables may stand behind it."
    if "@" in parts.netloc:
        return "An address holds no user and password; send a header or a body of your own."
    if not parts.netloc.isascii() or any(character <= " " for character in parts.netloc):
        return "A host's name has letters, digits, dashes and dots; write others as xn--…."
    if parts.fragment:
        return "What stands behind # is never sent."
    return None


def _depth(body: Any) -> int:
    """Levels of a JSON value; the search ends just beyond the bound."""
    level, depth = [body], 0
    while level and depth <= BODY_DEPTH_MAX:
        depth += 1
        deeper: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                deeper.extend(value.values())
            elif isinstance(value, list):
                deeper.extend(value)
        level = deeper
    return depth


_CHECKS: Final[Mapping[type, Callable[[str, Any, set[str]], Iterator[Mistake]]]] = MappingProxyType(
    {
        Gather: _check_gather,
        Branch: _check_branch,
        Request: _check_request,
    }
)
"""What else can be wrong with a node of each type."""


def _at(name: str, pointer: str, code: str, detail: str) -> Mistake:
    return Mistake(f"/nodes/{escape(name)}{pointer}", code, detail)
