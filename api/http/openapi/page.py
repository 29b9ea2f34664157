"""The API's description as a page: plain HTML that needs no script and no other site."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Mapping
from typing import Any

STYLESHEET = "/console/console.css"


def make_page(document: Mapping[str, Any]) -> str:
    """An HTML page of an OpenAPI document."""
    return "".join(_lines(document))


def _lines(document: Mapping[str, Any]) -> Iterator[str]:
    yield (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<title>API · Callwheel</title><link rel="icon" href="/console/icon.svg">'
        f'<link rel="stylesheet" href="{STYLESHEET}"><main class="page docs"><h1>The API</h1>'
        '<p>For programs: <a href="/openapi.json">openapi.json</a> (OpenAPI 3.1).</p>'
    )
    for paragraph in document["info"]["description"].split("\n\n"):
        yield f"<p>{_text(paragraph)}</p>"
    by_tag: dict[str, list[tuple[str, str, Mapping[str, Any]]]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            by_tag.setdefault(operation["tags"][0], []).append((method.upper(), path, operation))
    yield "<nav><ul>"
    for tag in by_tag:
        yield f'<li><a href="#{tag}">{_text(tag)}</a></li>'
    yield '<li><a href="#schemas">schemas</a></li></ul></nav>'
    for tag, operations in by_tag.items():
        yield f'<section id="{tag}"><h2>{_text(tag)}</h2>'
        for method, path, operation in operations:
            yield from _operation(method, path, operation)
        yield "</section>"
    yield '<section id="schemas"><h2>Schemas</h2>'
    for name, schema in sorted(document["components"]["schemas"].items()):
        yield from _schema(name, schema)
    yield "</section></main></html>"


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield (
        f'<details id="{operation["operationId"]}"><summary><code>{method} {_text(path)}</code> '
        f"{_text(operation['summary'])}</summary><p>{_text(operation['description'])}</p>"
    )
    if operation["parameters"]:
        yield "<table><thead><tr><th>parameter</th><th>in</th><th></th></tr></thead><tbody>"
        for one in operation["parameters"]:
            text = _text(one.get("description", ""))
            yield f"<tr><td><code>{_text(one['name'])}</code></td><td>{one['in']}</td><td>{text}</td></tr>"
        yield "</tbody></table>"
    body = operation.get("requestBody", {})
    for media_type, content in body.get("content", {}).items():
        mark = "" if body["required"] else " (optional)"
        yield f"<p>Body: <code>{media_type}</code> {_type(content['schema'])}{mark}</p>"
        if "example" in content:
            yield f"<pre>{_text(json.dumps(content['example'], indent=2, ensure_ascii=False))}</pre>"
    yield "<table><thead><tr><th>status</th><th></th><th></th></tr></thead><tbody>"
    for status, response in operation["responses"].items():
        types = ", ".join(_type(one["schema"]) for one in response.get("content", {}).values())
        yield f"<tr><td>{status}</td><td>{_text(response['description'])}</td><td>{types}</td></tr>"
    yield "</tbody></table></details>"


def _schema(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield f'<details id="schema-{name}"><summary><code>{name}</code></summary>'
    yield f"<p>{_text(schema.get('description', ''))}</p>"
    required = schema.get("required", ())
    yield "<table><thead><tr><th>field</th><th>type</th><th></th></tr></thead><tbody>"
    for field, of_field in schema.get("properties", {}).items():
        mark = "" if field in required else " (optional)"
        text = _text(of_field.get("description", "")) + mark
        yield f"<tr><td><code>{_text(field)}</code></td><td>{_type(of_field)}</td><td>{text}</td></tr>"
    yield "</tbody></table></details>"


def _type(schema: Mapping[str, Any]) -> str:
    """A type in a few words, with links to what it is made of."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#schema-{name}">{_text(name)}</a>'
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " or ".join(_type(one) for one in schema[several])
    if "enum" in schema:
        return " ".join(f"<code>{_text(str(one))}</code>" for one in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}" if "items" in schema else "list"
    return _text(str(schema.get("type", "anything")))


def _text(text: str) -> str:
    """Escaped, with what stands between backticks as code."""
    parts = html.escape(text).split("`")
    return "".join(
        f"<code>{part}</code>" if place % 2 and place < len(parts) - 1 else part
        for place, part in enumerate(parts)
    )
