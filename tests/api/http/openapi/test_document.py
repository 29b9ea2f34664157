"""The API's description holds together, and is true."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import openapi_spec_validator
import pytest

from api.http.openapi.descriptions import DESCRIPTIONS
from api.http.openapi.field_docs import docs_of
from api.http.openapi.publication import publish
from api.http.problem import KINDS
from api.http.routes import ROUTES, Route
from engine.model.webhook import Webhook
from tests.api.http.neighbours import NAMES, PUBLIC_NAMES, send, settle
from tests.api.http.world import PUBLIC_URL, World, opened_world

DOCUMENT: dict[str, Any] = msgspec.json.decode(publish(PUBLIC_URL).document)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with opened_world(tmp_path) as opened:
        yield opened


def test_every_route_is_described_and_nothing_else_is() -> None:
    assert set(DESCRIPTIONS) == {(route.method, route.path) for route in ROUTES}
    described = {
        (method.upper(), path) for path, one in DOCUMENT["paths"].items() for method in one
    }
    assert described == set(DESCRIPTIONS)


def test_the_document_is_openapi_3_1() -> None:
    openapi_spec_validator.validate(DOCUMENT)
    names = [one["operationId"] for path in DOCUMENT["paths"].values() for one in path.values()]
    assert len(names) == len(set(names))


def test_every_example_is_what_its_route_takes() -> None:
    for (method, path), described in DESCRIPTIONS.items():
        if described.takes is not None:
            assert described.example is not None, (method, path)
            msgspec.convert(described.example, described.takes)
            schema = _whole(DOCUMENT["paths"][path][method.lower()]["requestBody"]["content"])
            jsonschema.validate(described.example, schema)


def _whole(content: dict[str, Any]) -> dict[str, Any]:
    """A schema of the document that can be used by itself."""
    return {**content["application/json"]["schema"], "components": DOCUMENT["components"]}


def test_no_pattern_is_of_pythons_own_kind() -> None:
    patterns = re.findall(r'"pattern":"((?:[^"\\]|\\.)*)"', publish(PUBLIC_URL).document.decode())
    assert patterns
    assert [one for one in patterns if r"\\Z" in one] == []


def test_what_stands_below_a_field_is_its_description() -> None:
    below = docs_of(Webhook)["url"]
    assert below == "`https://…`, or `http://…`."
    assert DOCUMENT["components"]["schemas"]["Webhook"]["properties"]["url"]["description"] == below


def _statuses_of(route: Route) -> dict[str, Any]:
    responses: dict[str, Any] = DOCUMENT["paths"][route.path][route.method.lower()]["responses"]
    return responses


async def test_every_answer_is_as_it_is_described(world: World) -> None:
    """Of each route that shows something, with one of everything there."""
    ours = await settle(world, "ours")
    checked = 0
    for route in ROUTES:
        if route.method != "GET":
            continue
        client = world.administrator if route.least == "administrator" else world.client("owner")
        reply = await send(client, route, ours.names)
        described = _statuses_of(route).get(str(reply.status))
        assert described is not None, (route, reply.status)
        media_type = reply.headers["Content-Type"].partition(";")[0]
        if route.path != "/console/{file}":
            assert media_type in described["content"], route
        if media_type == "application/json" and "schema" in described["content"][media_type]:
            jsonschema.validate(reply.json, _whole(described["content"]))
            checked += 1
    assert checked > 20


async def test_every_refusal_is_as_it_is_described(world: World) -> None:
    """Of each route, asked by nobody, by whoever may not, for nothing and with a body of no sense."""
    await settle(world, "ours")
    names = {**dict.fromkeys((*NAMES, *PUBLIC_NAMES), "none"), "number": "+14155550000"}
    for route in ROUTES:
        for client in (world.stranger, world.client("viewer"), world.administrator):
            reply = await send(client, route, names)
            described = _statuses_of(route).get(str(reply.status))
            assert described is not None, (route, reply.status, reply.body)
            if reply.status >= 400:
                jsonschema.validate(reply.json, _whole_problem())
                assert f"`{reply.json['code']}`" in described["description"], (route, reply.body)


async def test_a_form_of_too_many_parts_is_refused_as_it_is_described(world: World) -> None:
    names = (await settle(world, "ours")).names
    form = b"".join(
        b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n' for _ in range(100)
    )
    for route in ROUTES:
        if route.body is not None and route.body.is_form:
            reply = await world.client("owner").send(
                "POST",
                route.path.format(**names),
                data=form + b"--b--\r\n",
                content_type="multipart/form-data; boundary=b",
            )
            assert f"`{reply.json['code']}`" in _statuses_of(route)["413"]["description"], route


def _whole_problem() -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/ProblemBody"}
    return {**schema, "components": DOCUMENT["components"]}


async def test_the_description_is_served_and_its_page_needs_nothing_else(world: World) -> None:
    served = await world.stranger.get("/openapi.json")
    assert (served.status, served.json) == (200, DOCUMENT)
    page = await world.stranger.get("/docs")
    text = page.body.decode()
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "<script" not in text
    links = re.findall(r'(?:href|src)="([^"]*)"', text)
    ids = set(re.findall(r'id="([^"]*)"', text))
    assert {one for one in links if not one.startswith(("#", "/"))} == set()
    assert {one[1:] for one in links if one.startswith("#")} <= ids
    for route in ROUTES:
        assert f"<code>{route.method} {route.path}</code>" in text


async def test_every_code_that_is_described_has_a_page(world: World) -> None:
    for code in {code for one in DESCRIPTIONS.values() for code in one.codes}:
        assert code in KINDS
        assert (await world.stranger.get(f"/docs/errors/{code}")).status == 200
