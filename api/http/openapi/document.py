"""The OpenAPI 3.1 document: routes × descriptions × codes → one dictionary. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from api.http.openapi.bodies import EventView
from api.http.openapi.described import JSON_TYPE, Described
from api.http.openapi.field_docs import docs_of
from api.http.problem import KINDS, PROBLEM_TYPE, ProblemBody
from api.http.routes import Route
from api.http.shown import Shown
from engine.model import Account, Flow

VERSION: Final = "3.1.0"
NDJSON_TYPE: Final = "application/x-ndjson"
REF: Final = "#/components/schemas/{name}"
INTRODUCTION: Final = """\
Everything that the console and the commands do. Send a key as `Authorization: Bearer KEY`. JSON goes in
and comes out, UTF-8; times are RFC 3339 with an offset, numbers E.164 with `+`.

An administrator acts for the account `default`, or for the one that the header `Callwheel-Account` names by
its name or id. Long answers are paged: `next` of one is the `cursor` of the one that follows. Every error is
an `application/problem+json` (RFC 9457) with a stable `code`; `/docs/errors/CODE` explains it.

`GET /v1/feed` is a websocket whose frames are JSON arrays of events (`Event`); its parameters are those of
`GET /v1/events`, which has the same events for those who cannot do websockets.
"""

PARAMETERS: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "limit": (
        {"type": "integer", "minimum": 1, "default": 100},
        "Items of a page, 1,000 at the most.",
    ),
    "cursor": ({"type": "string", "maxLength": 500}, "`next` of the page before."),
    "from": ({"type": "string", "format": "date-time"}, "Initiated at or after."),
    "to": ({"type": "string", "format": "date-time"}, "Initiated before."),
    "number": ({"type": "string"}, "Only of this number, with its country code."),
    "open": ({"type": "boolean", "default": False}, "Only calls that go on."),
    "strict": ({"type": "boolean", "default": False}, "Take all or nothing."),
    "dry_run": ({"type": "boolean", "default": False}, "Say what would be taken, and dial nobody."),
    "again": ({"type": "boolean", "default": False}, "Take a file that was taken within a day."),
    "full": ({"type": "boolean", "default": False}, "With the bodies of messages."),
    "since": ({"type": "integer", "minimum": 0}, "Events with a higher number."),
    "type": (
        {"type": "string"},
        "Only events of these types, with commas between them. Gaps are told whatever is asked for.",
    ),
    "ticket": ({"type": "string"}, "Of `POST /v1/feed/tickets`, in the place of a key."),
    "state": (
        {"type": "string", "enum": ["pending", "delivered", "given_up"]},
        "Only deliveries in this state.",
    ),
    "format": ({"type": "string"}, "What the answer is written as."),
}
"""Parameters that are not just a text: their schema, and what they are for."""
TEXTS: Final[dict[str, str]] = {
    "flow": "A flow's id: only what belongs to it.",
    "list": "A list's id: only what belongs to it.",
    "contact": "A contact's id: only what belongs to it.",
    "attempt": "An attempt's id: only what belongs to it.",
    "name": "The list's name.",
    "sheet": "Which sheet of a workbook.",
}

WHO_ASKS: Final = ("unauthenticated",)
ALWAYS: Final = ("internal", "store_unavailable", "busy")
OF_BODY: Final = ("unsupported_media_type", "body_timeout")
OF_FORM: Final = ("missing_file", "body_too_large")  # which a form of too many parts is, too
OF_JSON: Final = ("invalid_json", "invalid_body")


def make_document(
    routes: Sequence[Route],
    descriptions: Mapping[tuple[str, str], Described],
    url: str,
    release: str,
) -> dict[str, Any]:
    """The whole document.

    Args:
        descriptions: by method and path; one for each route.
        url: where the API is, as the caller reaches it.
        release: Callwheel's version.
    """
    schemas = _Schemas(
        [
            one
            for each in descriptions.values()
            for one in (each.takes, each.gives)
            if one is not None
        ]
    )
    for route in routes:
        if route.shown is not None:
            schemas.take_back(route.shown, descriptions[route.method, route.path].takes)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        described = descriptions[route.method, route.path]
        operation = _operation(route, described, schemas)
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    return {
        "openapi": VERSION,
        "info": {"title": "Callwheel", "version": release, "description": INTRODUCTION},
        "servers": [{"url": url}],
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "A key of the account."}
            },
        },
    }


class _Schemas:
    """JSON schemas of all types that are named."""

    def __init__(self, types: Iterable[Any]) -> None:
        self._types = list(dict.fromkeys([*types, ProblemBody, EventView]))
        schemas, components = msgspec.json.schema_components(self._types, ref_template=REF)
        self._schemas = dict(zip(self._types, schemas, strict=True))
        self._documented: dict[str, type[Struct]] = {}
        for type_ in self._types:
            self._find_structs(type_)
        self.components = {
            _public(name): self._clean(name, one) for name, one in components.items()
        }

    def of(self, type_: Any) -> Any:
        """The schema of a type, mostly a reference."""
        return _rename(self._schemas[type_])

    def take_back(self, shown: Shown, taken: type[Struct]) -> None:
        """Let a body have the fields that are only shown, and call these so on both sides."""
        properties = self.components[_public(shown.view.__name__)]["properties"]
        for name in sorted(shown.read_only):
            properties[name]["readOnly"] = True
            self.components[taken.__name__]["properties"][name] = dict(properties[name])

    def _find_structs(self, type_: Any) -> None:
        info = msgspec.inspect.type_info(type_)
        stack: list[Any] = [info]
        while stack:
            one = stack.pop()
            if isinstance(one, msgspec.inspect.StructType):
                if one.cls.__name__ in self._documented:
                    continue
                self._documented[one.cls.__name__] = one.cls
                stack += [field.type for field in one.fields]
            for name in ("item_type", "key_type", "value_type", "type"):
                if hasattr(one, name):
                    stack.append(getattr(one, name))
            stack += list(getattr(one, "types", ()))
            stack += list(getattr(one, "item_types", ()))

    def _clean(self, name: str, schema: Any) -> Any:
        """A component as it is published: with what is written below its fields."""
        cleaned = _rename(schema)
        cleaned.pop("title", None)
        struct = self._documented.get(name)
        docs = docs_of(struct) if struct is not None else {}
        for field, text in docs.items():
            of_field = cleaned.get("properties", {}).get(field)
            if of_field is not None:
                of_field["description"] = " ".join(text.split())
        return cleaned


def _public(name: str) -> str:
    """`Flow` for `FlowView`: what a client calls it."""
    return name.removesuffix("View") if name != "View" else name


def _rename(schema: Any) -> Any:
    """A schema with the public names in its references, and patterns that every dialect understands."""
    if isinstance(schema, list):
        return [_rename(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    renamed = {key: _rename(value) for key, value in schema.items()}
    if isinstance(renamed.get("$ref"), str):
        head, _, name = renamed["$ref"].rpartition("/")
        renamed["$ref"] = f"{head}/{_public(name)}"
    if renamed.get("default") == "" and ("pattern" in renamed or "minLength" in renamed):
        del renamed["default"]  # it stands for what was not sent, and cannot be sent itself
    if isinstance(renamed.get("pattern"), str):
        renamed["pattern"] = renamed["pattern"].replace(r"\Z", "$")
    return renamed


def _operation(route: Route, described: Described, schemas: _Schemas) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.handler.__module__.rpartition(".")[2] + "_" + route.handler.__name__,
        "tags": [_tag_of(route)],
        "summary": described.summary,
        "description": _describe(route, described),
        "parameters": _parameters(route),
        "responses": _responses(route, described, schemas),
    }
    if route.least is None:
        operation["security"] = []
    if route.body is not None:
        operation["requestBody"] = _body(route, described, schemas)
    return operation


def _tag_of(route: Route) -> str:
    return route.handler.__module__.rpartition(".")[2]


def _describe(route: Route, described: Described) -> str:
    who = "Nobody needs a key for it." if route.least is None else f"For {_whom(route.least)}."
    return " ".join(part for part in (described.detail, who) if part)


def _whom(least: str) -> str:
    roles = {
        "viewer": "viewers and everybody above them",
        "operator": "operators and owners",
        "owner": "owners",
        "administrator": "administrators of the installation",
    }
    return roles[least]


def _parameters(route: Route) -> list[dict[str, Any]]:
    found = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", route.path)
    ]
    for name in route.query:
        schema, text = PARAMETERS.get(name, ({"type": "string"}, TEXTS.get(name, "")))
        found.append({"name": name, "in": "query", "schema": schema, "description": text})
    if route.creates:
        text = (
            "The same key and body within 24 hours give the first answer again, and make nothing."
        )
        schema = {"type": "string", "minLength": 1, "maxLength": 255}
        found.append(
            {"name": "Idempotency-Key", "in": "header", "schema": schema, "description": text}
        )
    if route.edits is not None:
        found.append(_condition(route))
    return found


def _condition(route: Route) -> dict[str, Any]:
    name, text = (
        "If-Match",
        "Change it only while it has this `ETag`; `precondition_failed` otherwise.",
    )
    if route.method == "GET":
        name, text = "If-None-Match", "An `ETag` of an earlier answer."
    schema = {"type": "string", "pattern": r'^(\*|"[!#-~]*")$'}
    return {"name": name, "in": "header", "schema": schema, "description": text}


def _body(route: Route, described: Described, schemas: _Schemas) -> dict[str, Any]:
    assert route.body is not None
    content: dict[str, Any] = {}
    for media_type in route.body.media_types:
        if media_type == JSON_TYPE:
            content[media_type] = {"schema": schemas.of(described.takes)}
            if described.example is not None:
                content[media_type]["example"] = described.example
        elif media_type == "multipart/form-data":
            file = {"type": "string", "contentMediaType": "application/octet-stream"}
            form = {"type": "object", "properties": {"file": file}, "required": ["file"]}
            content[media_type] = {"schema": form}
        else:
            content[media_type] = {"schema": {"type": "string"}}
    return {"required": not route.body.is_optional, "content": content}


def _responses(route: Route, described: Described, schemas: _Schemas) -> dict[str, Any]:
    answered: dict[str, Any] = {"description": described.summary}
    if described.gives is not None:
        answered["content"] = {described.media_type: {"schema": schemas.of(described.gives)}}
    elif described.media_type != JSON_TYPE:
        answered["content"] = {described.media_type: {"schema": {"type": "string"}}}
    if route.edits is not None and described.gives is not None:
        text = "Stands for its present state; for `If-Match`, and on GET for `If-None-Match`."
        answered["headers"] = {"ETag": {"schema": {"type": "string"}, "description": text}}
    responses = {str(described.status): answered}
    if route.method == "GET" and route.edits in (Account, Flow):
        responses["304"] = {"description": "It is as it was under the ETag of `If-None-Match`."}
    by_status: dict[int, list[str]] = {}
    for code in _codes_of(route, described):
        by_status.setdefault(KINDS[code].status, []).append(code)
    problem = {PROBLEM_TYPE: {"schema": schemas.of(ProblemBody)}}
    for status, codes in sorted(by_status.items()):
        titles = "; ".join(f"`{code}`: {KINDS[code].title}" for code in sorted(codes))
        responses[str(status)] = {"description": titles, "content": problem}
    return responses


def _codes_of(route: Route, described: Described) -> list[str]:
    codes = [*described.codes, *ALWAYS]
    if route.least is not None:
        codes += ["unauthenticated", "forbidden", "rate_limited"]
    if "{" in route.path:
        codes.append("not_found")
    if route.query or route.creates or route.least is not None:
        codes.append("invalid_parameter")
    if "cursor" in route.query:
        codes.append("invalid_cursor")
    if route.body is not None:
        codes += [route.body.too_large, *OF_BODY]
        codes += OF_FORM if route.body.is_form else OF_JSON
    if route.creates:
        codes.append("idempotency_mismatch")
    if route.edits is not None and route.method != "GET":
        codes.append("precondition_failed")
    return list(dict.fromkeys(codes))
