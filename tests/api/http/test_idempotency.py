from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import pytest
import trio

from api.http.routes import ROUTES
from tests.api.http.world import FLOW, Client, Reply, World

CSV = b"tel1\n+919876543210\n"
CALL = {"to": "+919876543210"}
Send = Callable[[World, str, str], Awaitable[Reply]]

SWITCHES: Final = {
    *(
        f"/v1/accounts/{{account}}/{word}"
        for word in ("stop", "start", "pause", "resume", "cancel")
    ),
    *(f"/v1/flows/{{flow}}/{word}" for word in ("pause", "resume", "cancel")),
    *(f"/v1/lists/{{list}}/{word}" for word in ("pause", "resume", "cancel")),
    "/v1/contacts/{contact}/cancel",
    "/v1/dids/{did}/rest",
    "/v1/dids/{did}/resume",
    "/v1/flows/{flow}/webhook/enable",
    "/v1/activations/{activation}/confirm",
    "/v1/activations/{activation}/refuse",
}
"""What says how something is to be: the second time it is so already, or the answer says so."""
OF_AGENTS: Final = {
    f"/v1/flows/{{flow}}/agents/{{agent}}/{word}" for word in ("next", "dial", "skip")
}
"""These name the contact that the agent looks at, and there is none of that name the second time."""
REPEATABLE: Final = {
    *SWITCHES,
    *OF_AGENTS,
    # Ends the talk that there is, as who hangs up a telephone does: who is not sure looks first.
    "/v1/flows/{flow}/agents/{agent}/hangup",
    "/v1/lists/{list}/forecast",  # changes nothing
    "/v1/flows/{flow}/sftp/visit",  # looks once more
    "/v1/flows/{flow}/folder/visit",
    # Receivers know a delivery by its `webhook-id`, since any may come twice.
    "/v1/flows/{flow}/webhook/deliveries/{delivery}/replay",
    "/v1/feed/tickets",  # ends by itself after 30 s
}
"""The POST routes that take no Idempotency-Key."""


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


async def import_numbers(world: World, _flow: str, key: str) -> Reply:
    numbers = b"number\n" + b"".join(b"+9198765%05d\n" % n for n in range(1_000))
    operator = world.client("operator")
    return await operator.upload("/v1/dnc/import", "x.csv", numbers, Idempotency_Key=key)


async def make_key(world: World, _flow: str, key: str) -> Reply:
    return await world.client("owner").post("/v1/keys", {"role": "viewer"}, Idempotency_Key=key)


async def rotate_key(world: World, _flow: str, key: str) -> Reply:
    path = "/v1/keys/key_viewer_1/rotate"
    return await world.client("owner").post(path, {}, Idempotency_Key=key)


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
    "send",
    [
        make_account,
        make_did,
        make_flow,
        make_prompt,
        list_numbers,
        import_numbers,
        make_key,
        rotate_key,
        multicast,
        call,
        upload,
    ],
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


async def test_a_file_of_numbers_that_is_sent_again_tells_what_it_listed_at_first(
    world: World,
) -> None:
    operator = world.client("operator")
    first = await import_numbers(world, "", "k1")
    assert (first.json["rows"], first.json["added"]) == (1_000, 1_000)
    await world.client("owner").delete("/v1/dnc/+919876500000")
    assert (await import_numbers(world, "", "k1")).body == first.body
    listed = (await operator.get("/v1/dnc?limit=1")).json["items"]
    assert [one["number"] for one in listed] == ["+919876500001"]


async def test_a_key_that_is_made_again_is_the_first_one(world: World) -> None:
    before = len((await world.client("owner").get("/v1/keys")).json["items"])
    for send in (make_key, rotate_key):
        first, second = await send(world, "", send.__name__), await send(world, "", send.__name__)
        assert first.json["key"] == second.json["key"]
        secret = Client(world.app, second.json["key"])
        assert (await secret.get("/v1/me")).json["key"] == first.json["id"]
    assert len((await world.client("owner").get("/v1/keys")).json["items"]) == before + 2


async def test_a_key_stands_nowhere_in_what_is_kept_of_its_answer(world: World) -> None:
    made = (await make_key(world, "", "k1")).json
    kept = await world.store.get_answer("acc_1", "k1")
    assert kept is not None
    assert made["key"].encode() not in kept.body
    assert made["id"].encode() not in kept.body


async def test_nobody_else_gets_the_key_that_somebody_made(world: World) -> None:
    """Not even who may make keys of the same account: who sends their Idempotency-Key and body again is told
    that it was used."""
    body = {"role": "viewer", "account": "ours"}
    other = (await world.client("owner").post("/v1/keys", {"role": "owner"})).json["key"]
    made = await world.client("owner").post("/v1/keys", body, Idempotency_Key="k1")
    reply = await Client(world.app, other).post("/v1/keys", body, Idempotency_Key="k1")
    assert (made.status, reply.problem) == (201, (409, "idempotency_mismatch"))


def test_every_post_takes_a_key_unless_a_repeat_does_no_harm() -> None:
    """A new route is either: it makes something, or it is written down here why it may come twice."""
    without = {route.path for route in ROUTES if route.method == "POST" and not route.creates}
    assert without == REPEATABLE


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
