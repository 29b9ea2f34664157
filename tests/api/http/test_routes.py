"""What holds for every route, made from the table of routes."""

from __future__ import annotations

import pytest

from api.http.routes import ROUTES, Route
from tests.api.http.neighbours import NAMES
from tests.api.http.world import World

KEYED = [route for route in ROUTES if route.least is not None]
SOME_ID = "flw_00000000000000000000000000000001"


def label(route: Route) -> str:
    return f"{route.method} {route.path}"


async def test_an_address_that_does_not_exist_is_not_found(world: World) -> None:
    assert (await world.stranger.get("/v1/nothing")).problem == (404, "not_found")


async def test_a_method_that_an_address_does_not_take_is_said_with_those_it_does(
    world: World,
) -> None:
    reply = await world.client("owner").send("PATCH", "/v1/flows")
    assert reply.problem == (405, "method_not_allowed")
    allowed = {each.strip() for each in reply.headers["Allow"].split(",")}
    assert allowed == {"GET", "HEAD", "OPTIONS", "POST"}


@pytest.mark.parametrize("route", [route for route in KEYED if route.body], ids=label)
async def test_a_body_of_another_type_is_refused(world: World, route: Route) -> None:
    client = world.administrator
    path = route.path.format_map(dict.fromkeys(NAMES, SOME_ID))
    reply = await client.send(route.method, path, data=b"a=1", content_type="text/plain")
    assert reply.problem == (415, "unsupported_media_type")


@pytest.mark.parametrize("route", [route for route in KEYED if route.body], ids=label)
async def test_a_body_beyond_its_limit_is_refused(world: World, route: Route) -> None:
    assert route.body is not None
    path = route.path.format_map(dict.fromkeys(NAMES, SOME_ID))
    reply = await world.administrator.send(
        route.method,
        path,
        data=bytes(route.body.bytes_max + 1),
        content_type=route.body.media_types[0],
    )
    assert reply.problem == (413, route.body.too_large)


async def test_a_call_list_beyond_what_is_read_at_all_is_called_too_large_a_file(
    world: World,
) -> None:
    flow = await world.make_flow()
    reply = await world.client("operator").upload(
        f"/v1/flows/{flow}/lists", "people.csv", bytes(7_000_000)
    )
    assert reply.problem == (413, "file_too_large")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"name": "\\ud800"}',
        b'{"name": 1e999}',
    ],
)
async def test_a_body_that_is_not_json_is_said_to_be_none(world: World, body: bytes) -> None:
    reply = await world.administrator.send(
        "POST", "/v1/accounts", data=body, content_type="application/json"
    )
    assert reply.problem == (400, "invalid_json")


@pytest.mark.parametrize("body", [None, [], 1, "x", {"unknown": 1}])
@pytest.mark.parametrize(
    "route",
    [route for route in KEYED if route.body and route.body.media_types == ("application/json",)],
    ids=label,
)
async def test_a_body_of_another_shape_is_said_to_be_wrong(
    world: World, route: Route, body: object
) -> None:
    flow, other = await world.make_flow(kind="dialer"), await world.make_flow()
    call_list = await world.make_list(other)
    contacts = await world.client("viewer").get(f"/v1/lists/{call_list}/contacts")
    path = route.path.format_map(
        {
            "flow": flow,
            "account": "ours",
            "agent": await world.make_agent(flow),
            "list": call_list,
            "contact": contacts.json["items"][0]["id"],
            "did": "+14155550101",
            "key": "key_viewer_1",
            "activation": "act_1",
        }
    )
    data = b"null" if body is None else None
    reply = await world.administrator.send(
        route.method, path, body, data=data, Callwheel_Account="ours"
    )
    assert reply.problem == (422, "invalid_body")


async def test_every_answer_forbids_guessing_its_type_and_keeping_it(world: World) -> None:
    for path in ("/healthz", "/v1/flows", "/nothing"):
        reply = await world.client("viewer").get(path)
        kept = {name: reply.headers[name] for name in ("X-Content-Type-Options", "Cache-Control")}
        assert kept == {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}


@pytest.mark.parametrize(
    "path",
    [
        "/v1/flows?limit=0",
        "/v1/flows?limit=x",
        "/v1/flows?limit=-1",
        "/v1/flows?limit=99999999999999999999",
        "/v1/attempts?from=yesterday",
        "/v1/attempts?number=nobody",
        "/v1/dnc?number=1900*",
        "/v1/attempts?to=2026-01-01T00:00:00",
        f"/v1/flows?cursor={'x' * 501}",
    ],
)
async def test_a_parameter_that_is_not_understood_is_an_error(world: World, path: str) -> None:
    assert (await world.client("viewer").get(path)).problem == (400, "invalid_parameter")


async def test_a_cursor_that_no_answer_gave_is_an_error(world: World) -> None:
    reply = await world.client("viewer").get("/v1/flows?cursor=x")
    assert reply.problem == (400, "invalid_cursor")


async def test_a_parameter_that_a_route_does_not_know_is_refused_before_anything_happens(
    world: World,
) -> None:
    """`?dry-run=true` once stood for `?dry_run=true`, and the list was dialled."""
    flow = await world.make_flow()
    operator = world.client("operator")
    reply = await operator.upload(
        f"/v1/flows/{flow}/lists?dry-run=true", "june.csv", b"tel1\n+919876543210\n"
    )
    assert (reply.status, reply.json["code"]) == (400, "invalid_parameter")
    assert (await operator.get("/v1/lists")).json["items"] == []
