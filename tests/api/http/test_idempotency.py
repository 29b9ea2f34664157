from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio

from tests.api.http.world import FLOW, Client, Reply, World

CSV = b"tel1\n+919876543210\n"
CALL = {"to": "+919876543210"}
Send = Callable[[World, str, str], Awaitable[Reply]]


async def make_account(world: World, _flow: str, key: str) -> Reply:
    body = {"name": "Sales", "timezone": "UTC", "email": "s@example.com"}
    return await world.administrator.post("/v1/accounts", body, Idempotency_Key=key)


async def make_did(world: World, _flow: str, key: str) -> Reply:
    body = {"number": "+14155550199", "account": "ours", "trunk": "main"}
    return await world.administrator.post("/v1/dids", body, Idempotency_Key=key)


async def make_flow(world: World, _flow: str, key: str) -> Reply:
    return await world.client("owner").post("/v1/flows", FLOW, Idempotency_Key=key)


async def make_prompt(world: World, _flow: str, key: str) -> Reply:
    owner = world.client("owner")
    return await owner.upload("/v1/prompts", "hello.wav", bytes(8000), Idempotency_Key=key)


async def list_numbers(world: World, _flow: str, key: str) -> Reply:
    body = {"numbers": ["+919876543210", "+919876543211"]}
    return await world.client("operator").post("/v1/dnc", body, Idempotency_Key=key)


async def multicast(world: World, flow: str, key: str) -> Reply:
    body = {"contacts": [{"tel": ["+919876543210"]}]}
    path = f"/v1/flows/{flow}/multicast"
    return await world.client("operator").post(path, body, Idempotency_Key=key)


async def call(world: World, flow: str, key: str) -> Reply:
    return await world.client("operator").post(f"/v1/flows/{flow}/calls", CALL, Idempotency_Key=key)


async def upload(world: World, flow: str, key: str) -> Reply:
    path = f"/v1/flows/{flow}/lists"
    return await world.client("operator").upload(path, "x.csv", CSV, Idempotency_Key=key)


@pytest.mark.parametrize(
    "send", [make_account, make_did, make_flow, make_prompt, list_numbers, multicast, call, upload]
)
async def test_a_repeated_request_gets_the_first_answer_again(world: World, send: Send) -> None:
    flow = await world.make_flow()
    first, second = await send(world, flow, "k1"), await send(world, flow, "k1")
    assert first.status < 300
    assert "Idempotent-Replayed" not in first.headers
    assert (second.status, second.body, second.headers["Idempotent-Replayed"]) == (
        first.status,
        first.body,
        "true",
    )


async def test_the_same_key_for_another_request_is_a_conflict(world: World) -> None:
    flow = await world.make_flow()
    operator, path = world.client("operator"), f"/v1/flows/{flow}/calls"
    assert (await operator.post(path, CALL, Idempotency_Key="k1")).status == 202
    others: list[tuple[str, Any]] = [
        (path, {"to": "+919876543211"}),
        (f"/v1/flows/{flow}/multicast?strict=true", CALL),
        (f"/v1/flows/{flow}/multicast", CALL),
    ]
    for other_path, body in others:
        reply = await operator.post(other_path, body, Idempotency_Key="k1")
        assert reply.problem == (409, "idempotency_mismatch")
    assert len(world.engine.accepted) == 1


async def test_a_key_of_listed_numbers_does_not_list_others(world: World) -> None:
    operator = world.client("operator")
    await list_numbers(world, "", "k1")
    reply = await operator.post("/v1/dnc", {"numbers": ["+919876543212"]}, Idempotency_Key="k1")
    assert reply.problem == (409, "idempotency_mismatch")
    listed = (await operator.get("/v1/dnc")).json["items"]
    assert [one["number"] for one in listed] == ["+919876543210", "+919876543211"]


async def test_equal_requests_at_once_make_one_thing(world: World) -> None:
    flow = await world.make_flow()
    replies: list[Reply] = []

    async def send() -> None:
        replies.append(await upload(world, flow, "k1"))

    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(send)
    assert {(reply.status, reply.body) for reply in replies} == {(202, replies[0].body)}
    assert len(world.engine.accepted) == 1
    assert sum("Idempotent-Replayed" in reply.headers for reply in replies) == 9


async def test_a_repeated_form_is_the_same_whatever_its_boundary(world: World) -> None:
    flow = await world.make_flow()
    operator, path = world.client("operator"), f"/v1/flows/{flow}/lists"
    replies = [
        await operator.upload(path, "x.csv", CSV, boundary=boundary, Idempotency_Key="k1")
        for boundary in ("one", "two")
    ]
    assert replies[0].body == replies[1].body
    other = await operator.upload(path, "x.csv", CSV + b"+919876543211\n", Idempotency_Key="k1")
    assert other.problem == (409, "idempotency_mismatch")


async def test_a_key_of_one_account_is_free_in_another(world: World) -> None:
    replies = [
        await world.client("owner", account).post("/v1/flows", FLOW, Idempotency_Key="k1")
        for account in ("ours", "theirs")
    ]
    assert [reply.status for reply in replies] == [201, 201]
    assert replies[0].json["id"] != replies[1].json["id"]


async def test_a_request_that_was_refused_may_be_corrected_under_its_key(world: World) -> None:
    owner = world.client("owner")
    refused = await owner.post("/v1/flows", {**FLOW, "name": ""}, Idempotency_Key="k1")
    assert refused.problem == (422, "invalid_body")
    assert (await owner.post("/v1/flows", FLOW, Idempotency_Key="k1")).status == 201


async def test_a_key_is_forgotten_after_a_day(world: World) -> None:
    flow = await world.make_flow()
    first = await call(world, flow, "k1")
    world.engine.clock.at += 24 * 3600 + 1
    second = await call(world, flow, "k1")
    assert (second.status, "Idempotent-Replayed" in second.headers) == (202, False)
    assert first.json["contact"] != second.json["contact"]


@pytest.mark.parametrize("key", ["", "k" * 256, "a\tb"])
async def test_a_key_must_be_of_a_sensible_form(world: World, key: str) -> None:
    client: Client = world.client("owner")
    reply = await client.post("/v1/flows", FLOW, Idempotency_Key=key)
    assert reply.problem == (400, "invalid_parameter")
