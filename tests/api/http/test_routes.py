"""What holds for every route, made from the table of routes."""

from __future__ import annotations

import pytest

from api.http.auth import ROLES
from api.http.routes import ROUTES, Route
from engine.model import Recording
from tests.api.http.world import ADMIN_KEY, EPOCH, Client, Reply, World

KEYED = [route for route in ROUTES if route.least is not None]
NAMES = ("account", "flow", "list", "contact", "attempt", "recording", "agent")
OF_ACCOUNTS = [route for route in KEYED if "{" in route.path and route.least != "administrator"]
SOME_ID = "flw_00000000000000000000000000000001"


def label(route: Route) -> str:
    return f"{route.method} {route.path}"


async def send(client: Client, route: Route, names: dict[str, str]) -> Reply:
    """A request whose body is empty but of the right type."""
    path = route.path.format_map({"number": "+14155550199", **names})
    if route.body is not None and route.body.is_form:
        return await client.upload(path, "x.csv", b"")
    return await client.send(route.method, path, {} if route.body else None)


@pytest.mark.parametrize("route", KEYED, ids=label)
async def test_a_route_asks_for_a_key(world: World, route: Route) -> None:
    reply = await send(world.stranger, route, dict.fromkeys(NAMES, SOME_ID))
    assert reply.problem == (401, "unauthenticated")
    assert reply.headers["WWW-Authenticate"] == 'Bearer realm="callwheel"'


@pytest.mark.parametrize("route", KEYED, ids=label)
async def test_a_role_below_the_least_is_forbidden_and_the_least_is_not(
    world: World, route: Route
) -> None:
    allowed = {}
    for role in ROLES:
        key = ADMIN_KEY if role == "administrator" else f"{role}-ours"
        reply = await send(Client(world.app, key), route, dict.fromkeys(NAMES, SOME_ID))
        allowed[role] = reply.status != 403
        assert reply.status < 500
    assert route.least is not None
    least = ROLES.index(route.least)
    assert allowed == {role: place >= least for place, role in enumerate(ROLES)}


@pytest.mark.parametrize("route", OF_ACCOUNTS, ids=label)
async def test_what_belongs_to_another_account_is_not_found(world: World, route: Route) -> None:
    flow = await world.make_flow(kind="dialer")
    call_list = await world.make_list(flow)
    [contact] = await world.contacts(call_list)
    attempt = await world.begin_attempt(contact)
    await world.client("owner").post("/v1/dnc", {"numbers": ["+14155550199"]})
    names = {
        "flow": flow,
        "list": call_list,
        "contact": contact.id,
        "attempt": attempt.id,
        "recording": "rec_1",
        "agent": await world.make_agent(flow),
    }
    await world.store.add_recording(Recording("rec_1", attempt.account, attempt.id, EPOCH))

    theirs = world.client("owner", "theirs")
    bodies = {
        "/v1/flows/{flow}": {"name": "x", "definition": {}},
        "/v1/flows/{flow}/dids": {"numbers": []},
        "/v1/flows/{flow}/listener": {"active": False},
        "/v1/flows/{flow}/calls": {"to": "+919876543210"},
    }
    path = route.path.format_map({**names, "number": "+14155550199"})
    if route.body is not None and route.body.is_form:
        reply = await theirs.upload(path, "x.csv", b"tel1\n+919876543210\n")
    else:
        body = bodies.get(route.path, {"contacts": []}) if route.body else None
        reply = await theirs.send(route.method, path, body)
    assert reply.problem == (404, "not_found")


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
    assert reply.problem == (413, "body_too_large")


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
    flow = await world.make_flow(kind="dialer")
    agent = await world.make_agent(flow)
    path = route.path.format_map({"flow": flow, "account": "ours", "agent": agent})
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
