"""Keys over HTTP: what they may do, how they end, and who may end them."""

from __future__ import annotations

import pytest
import trio
from werkzeug.datastructures import Headers

from api.http.auth import Keyring
from api.http.problem import Problem
from tests.api.http.world import EPOCH, Client, Reply, World

DAY_S = 86_400.0


async def make(world: World, by: Client | None = None, **fields: object) -> tuple[str, Client]:
    """A key; its id, and a client with it."""
    client = by or world.client("owner")
    reply = await client.post("/v1/keys", {"role": "viewer", **fields})
    assert reply.status == 201, reply.body
    return reply.json["id"], Client(world.app, reply.json["key"])


async def test_an_owner_makes_and_lists_keys_of_its_own_account_and_never_sees_them_again(
    world: World,
) -> None:
    owner = world.client("owner")
    reply = await owner.post(
        "/v1/keys", {"role": "operator", "name": "CRM", "scopes": ["triggers"], "expires_in_s": 60}
    )
    made = reply.json
    key = made.pop("key")
    assert made == {
        "id": made["id"],
        "name": "CRM",
        "account": "acc_1",
        "role": "operator",
        "scopes": ["triggers"],
        "created_at": "2026-01-01T00:00:00.000Z",
        "expires_at": "2026-01-01T00:01:00.000Z",
        "revoked_at": None,
        "last_used_at": None,
    }
    listed = await owner.get("/v1/keys")
    assert made in listed.json["items"]
    assert {item["account"] for item in listed.json["items"]} == {"acc_1"}
    assert key.encode() not in listed.body
    assert (await owner.get(f"/v1/keys/{made['id']}")).json == made


async def test_an_owner_makes_no_key_of_another_account(world: World) -> None:
    body = {"role": "viewer", "account": "theirs"}
    assert (await world.client("owner").post("/v1/keys", body)).problem == (422, "unknown_account")


async def test_an_administrator_sees_all_keys_or_those_of_the_account_it_names(
    world: World,
) -> None:
    everyone = await world.administrator.get("/v1/keys")
    theirs = await world.administrator.get("/v1/keys", Callwheel_Account="theirs")
    seen = [{item["account"] for item in reply.json["items"]} for reply in (everyone, theirs)]
    assert seen == [{"acc_1", "acc_2"}, {"acc_2"}]


async def test_a_key_that_is_revoked_works_no_more_at_once(world: World) -> None:
    id_, client = await make(world)
    ticket = (await client.post("/v1/feed/tickets")).json["ticket"]
    assert (await client.get("/v1/flows")).status == 200
    assert (await world.client("owner").delete(f"/v1/keys/{id_}")).status == 204
    assert (await client.get("/v1/flows")).problem == (401, "unauthenticated")
    async with world.app.test_client().websocket(f"/v1/feed?ticket={ticket}") as socket:
        with pytest.raises(Exception, match="401"):
            await socket.receive()
    # Again is no error, and it stays revoked since then.
    world.engine.clock.at += 60
    assert (await world.client("owner").delete(f"/v1/keys/{id_}")).status == 204
    shown = (await world.client("owner").get(f"/v1/keys/{id_}")).json
    assert shown["revoked_at"] == "2026-01-01T00:00:00.000Z"


async def test_a_key_ends_when_it_expires_even_for_who_was_looked_up_before(world: World) -> None:
    _, client = await make(world, expires_in_s=60)
    assert (await client.get("/v1/flows")).status == 200
    world.engine.clock.at += 60
    assert (await client.get("/v1/flows")).problem == (401, "unauthenticated")


async def test_a_key_that_is_replaced_stays_good_for_the_overlap(world: World) -> None:
    id_, old = await make(world, name="CRM", expires_in_s=30 * DAY_S)
    assert (await old.get("/v1/flows")).status == 200
    world.engine.clock.at += DAY_S
    path = f"/v1/keys/{id_}/rotate"
    reply = await world.client("owner").post(path, {"overlap_s": 3600})
    assert reply.status == 201
    fresh = Client(world.app, reply.json["key"])
    assert (reply.json["name"], reply.json["expires_at"]) == ("CRM", "2026-02-01T00:00:00.000Z")
    assert [(await client.get("/v1/flows")).status for client in (old, fresh)] == [200, 200]
    world.engine.clock.at += 3600
    assert [(await client.get("/v1/flows")).status for client in (old, fresh)] == [401, 200]
    again = await world.client("owner").post(path, {})
    assert again.problem == (409, "key_ended")


async def test_a_key_with_scopes_is_for_those_parts_alone(world: World) -> None:
    flow = await world.make_flow()
    _, client = await make(world, role="owner", scopes=["triggers", "lists"])
    sent = await client.post(f"/v1/flows/{flow}/calls", {"to": "+919876543210"})
    answers: list[Reply] = [
        sent,
        await client.get("/v1/lists"),
        await client.get("/v1/flows"),
        await client.delete(f"/v1/flows/{flow}"),
        await client.get("/v1/attempts.csv"),
        await client.post("/v1/feed/tickets"),
    ]
    assert [reply.status for reply in answers] == [202, 200, 403, 403, 403, 403]


async def test_every_key_is_told_what_it_is(world: World) -> None:
    """Also one that is for other parts of the API, and an administrator's."""
    key, narrow = await make(world, role="operator", scopes=["lists"])
    assert (await narrow.get("/v1/me")).json == {
        "key": key,
        "role": "operator",
        "scopes": ["lists"],
        "account": "acc_1",
        "name": "ours",
        "timezone": "UTC",
    }
    told = (await world.administrator.get("/v1/me")).json
    assert (told["role"], told["name"]) == ("administrator", "default")


async def test_a_key_with_scopes_gives_nobody_more_than_it_has(world: World) -> None:
    wide, _ = await make(world)
    narrow, client = await make(world, role="owner", scopes=["keys", "lists"])
    replies = [
        await client.post("/v1/keys", {"role": "owner"}),
        await client.post("/v1/keys", {"role": "owner", "scopes": ["flows"]}),
        await client.post(f"/v1/keys/{wide}/rotate", {}),
        await client.delete(f"/v1/keys/{wide}"),
        await client.post("/v1/keys", {"role": "owner", "scopes": ["lists"]}),
        await client.post(f"/v1/keys/{narrow}/rotate", {}),
    ]
    assert [reply.status for reply in replies] == [403, 403, 403, 403, 201, 201]


async def test_a_key_that_ends_makes_none_that_outlives_it(world: World) -> None:
    _, client = await make(world, role="owner", expires_in_s=100)
    replies = [
        await client.post("/v1/keys", {"role": "viewer"}),
        await client.post("/v1/keys", {"role": "viewer", "expires_in_s": 101}),
        await client.post("/v1/keys", {"role": "viewer", "expires_in_s": 50}),
    ]
    assert [reply.status for reply in replies] == [403, 403, 201]


async def test_a_key_does_not_live_longer_by_replacing_itself(world: World) -> None:
    id_, client = await make(world, role="owner", expires_in_s=10 * DAY_S)
    for _ in range(3):
        world.engine.clock.at += DAY_S
        reply = await client.post(f"/v1/keys/{id_}/rotate", {"overlap_s": 60})
        assert (reply.status, reply.json["expires_at"]) == (201, "2026-01-11T00:00:00.000Z")
        id_, client = reply.json["id"], Client(world.app, reply.json["key"])
    renewed = await world.client("owner").post(f"/v1/keys/{id_}/rotate", {})
    assert renewed.json["expires_at"] == "2026-01-14T00:00:00.000Z"


async def test_the_last_use_of_a_key_is_written_down_once_a_minute(
    world: World, autojump_clock: trio.testing.MockClock
) -> None:
    id_, client = await make(world)
    shown = []
    for _ in range(4):
        await client.get("/v1/flows")
        record = await world.store.get_key("acc_1", id_)
        assert record is not None
        shown.append(record.last_used_at)
        world.engine.clock.at += 30
        await trio.sleep(30)
    assert shown == [EPOCH, EPOCH, EPOCH + 60, EPOCH + 60]


async def test_a_revocation_is_not_undone_by_a_replacement_that_is_told_of_later(
    world: World,
) -> None:
    clock = world.engine.clock
    keyring = Keyring(world.store, b"", clock)
    headers = Headers({"Authorization": "Bearer viewer-ours"})
    caller = await keyring.find_caller(headers, "198.51.100.1")
    keyring.end(caller.key, clock.at)
    keyring.end(caller.key, clock.at + DAY_S)
    with pytest.raises(Problem, match="unauthenticated"):
        await keyring.find_caller(headers, "198.51.100.1")
