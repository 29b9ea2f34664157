"""What GET showed of a thing can be changed in one place and sent back whole."""

from __future__ import annotations

from typing import Any, Final

import jsonschema
import msgspec
import pytest

from api.http.openapi.publication import publish
from api.http.routes import ROUTES, Route
from tests.api.http.neighbours import Belongings, settle
from tests.api.http.world import PUBLIC_URL, Client, Reply, World

SHOWN: Final = {route.path for route in ROUTES if route.method == "GET"}
CHANGES: Final = [
    route for route in ROUTES if route.method in ("PUT", "PATCH") and route.path in SHOWN
]
OTHER: Final[dict[str, dict[str, Any]]] = {
    "/v1/accounts/{account}": {"cps": 7.0},
    "/v1/dids/{did}": {"cps": 7.0},
    "/v1/flows/{flow}": {"name": "another"},
    "/v1/flows/{flow}/agents/{agent}": {"name": "Grace"},
    "/v1/lists/{list}": {"priority": "high"},
    "/v1/contacts/{contact}": {"starttime": "2026-01-02T09:00:00.000Z"},
}
"""What is changed, by address."""
FIXED: Final[dict[str, dict[str, Any]]] = {
    "/v1/accounts/{account}": {"name": "other"},
    "/v1/dids/{did}": {"number": "+14155550999"},
    "/v1/flows/{flow}": {"listener": {"active": False}, "dids": []},
    "/v1/flows/{flow}/agents/{agent}": {"flow": "flw_other"},
    "/v1/lists/{list}": {"name": "other"},
    "/v1/contacts/{contact}": {"tel": ["+14155550111"]},
}
"""What is shown there, and cannot be changed there."""
MOVING: Final[dict[str, dict[str, Any]]] = {
    "/v1/dids/{did}": {"load": {"channels_in_use": 9, "calls_last_s": 9}},
    "/v1/flows/{flow}": {"version": 77},
    "/v1/flows/{flow}/agents/{agent}": {"presence_at": "2025-12-31T00:00:00.000Z"},
    "/v1/lists/{list}": {"status": "paused", "finished_at": "2025-12-31T00:00:00.000Z"},
    "/v1/contacts/{contact}": {"status": "completed", "disposition": "answered"},
}
"""What goes on changing between a GET and what follows it."""
DOCUMENT: Final[dict[str, Any]] = msgspec.json.decode(publish(PUBLIC_URL).document)


class Thing:
    """What a route changes, as whoever may change it sees it."""

    def __init__(self, world: World, ours: Belongings, route: Route) -> None:
        self._method = route.method
        self._path = route.path.format_map(ours.names)
        self._client: Client = world.client("owner")
        if route.least == "administrator":
            self._client = world.administrator

    async def read(self) -> dict[str, Any]:
        reply = await self._client.get(self._path)
        assert reply.status == 200
        read: dict[str, Any] = reply.json
        return read

    async def write(self, body: dict[str, Any]) -> Reply:
        return await self._client.send(self._method, self._path, body)


async def found(world: World, route: Route) -> Thing:
    """One of ours of what the route changes, of which no call is up."""
    ours = await settle(world, "ours")
    if "{contact}" in route.path:
        call_list = await world.make_list(ours.names["flow"], {"tel": ["+919876543219"]})
        [contact] = await world.contacts(call_list)
        ours.names["contact"] = contact.id
    return Thing(world, ours, route)


def each_change() -> pytest.MarkDecorator:
    return pytest.mark.parametrize("route", CHANGES, ids=lambda route: route.path)


@each_change()
async def test_what_was_shown_is_taken_back_and_changes_nothing(world: World, route: Route) -> None:
    thing = await found(world, route)
    before = await thing.read()
    world.engine.clock.at += 60
    reply = await thing.write(before)
    assert (reply.status, reply.json) == (200, before)
    assert await thing.read() == before


@each_change()
async def test_what_was_shown_is_taken_back_with_one_thing_changed(
    world: World, route: Route
) -> None:
    thing = await found(world, route)
    before = await thing.read()
    wanted = {**before, **OTHER[route.path]}
    reply = await thing.write(wanted)
    assert reply.status == 200, reply.body
    after = await thing.read()
    assert {name: after[name] for name in OTHER[route.path]} == OTHER[route.path]


@each_change()
async def test_what_nobody_knows_is_refused_beside_what_was_shown(
    world: World, route: Route
) -> None:
    thing = await found(world, route)
    before = await thing.read()
    reply = await thing.write({**before, **OTHER[route.path], "colour": "red"})
    assert reply.problem == (422, "invalid_body")
    assert [(one["pointer"], one["code"]) for one in reply.json["errors"]] == [
        ("/colour", "unknown_field")
    ]
    assert await thing.read() == before


@each_change()
async def test_another_value_of_what_is_only_shown_is_refused_with_its_place(
    world: World, route: Route
) -> None:
    """Nobody is to believe that it was changed."""
    thing = await found(world, route)
    before = await thing.read()
    reply = await thing.write({**before, **OTHER[route.path], **FIXED[route.path]})
    assert reply.problem == (422, "invalid_body")
    assert [(one["pointer"], one["code"]) for one in reply.json["errors"]] == [
        (f"/{name}", "read_only_field") for name in FIXED[route.path]
    ]
    assert await thing.read() == before


@each_change()
async def test_an_old_value_of_what_changes_by_itself_is_passed_over(
    world: World, route: Route
) -> None:
    thing = await found(world, route)
    before = await thing.read()
    reply = await thing.write({**before, **OTHER[route.path], **MOVING.get(route.path, {})})
    assert reply.status == 200, reply.body


@each_change()
async def test_a_change_of_nothing_but_what_changes_by_itself_is_refused(
    world: World, route: Route
) -> None:
    """Whoever sends `{"status": "paused"}` is told that it pauses nothing."""
    thing = await found(world, route)
    for name, value in MOVING.get(route.path, {}).items():
        reply = await thing.write({name: value})
        assert reply.problem == (422, "invalid_body")
        assert f"/{name}" in [one["pointer"] for one in reply.json["errors"]]


async def test_what_is_nested_without_end_is_refused_and_not_a_fault_of_ours(world: World) -> None:
    flow = await world.make_flow()
    path, owner = f"/v1/flows/{flow}", world.client("owner")
    for depth in (300, 450, 600, 5_000):
        body = b'{"name": ' + b"[" * depth + b"]" * depth + b"}"
        reply = await owner.send("PUT", path, data=body)
        assert reply.status in (400, 422), (depth, reply.body)


async def test_a_field_that_has_a_route_of_its_own_names_it_when_it_is_refused(
    world: World,
) -> None:
    [route] = [one for one in CHANGES if one.path == "/v1/flows/{flow}"]
    thing = await found(world, route)
    reply = await thing.write({**await thing.read(), "dids": []})
    [error] = reply.json["errors"]
    assert error["detail"] == (
        "`dids` is shown here and not changed: PUT /v1/flows/{flow}/dids changes it."
    )


async def test_a_flow_that_is_written_back_keeps_its_secrets_and_its_version(world: World) -> None:
    ours = await settle(world, "ours")
    path = f"/v1/flows/{ours.names['flow']}"
    owner = world.client("owner")
    shown = (await owner.get(path)).json
    assert (await owner.put(path, shown)).json == shown
    stored = await world.store.get_flow("acc_1", ours.names["flow"])
    assert stored is not None
    assert stored.settings.webhook is not None
    assert stored.settings.webhook.secret == "secret-of-ours"


async def test_an_agent_with_a_customer_can_be_renamed_by_what_was_shown(world: World) -> None:
    """`busy` is a presence that is shown, and that nobody can ask for."""
    flow = await world.make_flow(kind="dialer")
    agent = await world.make_agent(flow)
    path, owner = f"/v1/flows/{flow}/agents/{agent}", world.client("owner")
    world.engine.agents.presence[agent] = "busy"
    shown = (await owner.get(path)).json
    reply = await owner.patch(path, {**shown, "name": "Grace"})
    assert (reply.status, reply.json) == (200, {**shown, "name": "Grace"})
    # The call may be over by the time that it comes back.
    world.engine.agents.presence[agent] = "available"
    reply = await owner.patch(path, {**shown, "name": "Hedy"})
    assert (reply.status, reply.json["name"], reply.json["presence"]) == (200, "Hedy", "available")
    reply = await owner.patch(path, {"presence": "busy"})
    assert [one["pointer"] for one in reply.json["errors"]] == ["/presence"]


@each_change()
async def test_the_description_says_what_is_only_shown(world: World, route: Route) -> None:
    operation = DOCUMENT["paths"][route.path][route.method.lower()]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    taken = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]["properties"]
    read_only = {name for name, one in taken.items() if one.get("readOnly")}
    thing = await found(world, route)
    shown = await thing.read()
    assert read_only >= {*FIXED[route.path], *MOVING.get(route.path, {})}
    assert not read_only & {*OTHER[route.path]}
    assert set(shown) <= set(taken)
    jsonschema.validate(shown, {**schema, "components": DOCUMENT["components"]})
