"""The audit log over HTTP: which changes it knows, and who may read it."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.api.http.world import FLOW, World, opened_world


@pytest.fixture(params=["memory", "sqlite"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    async with opened_world(tmp_path if request.param == "sqlite" else None) as opened:
        yield opened


async def read(world: World, account: str = "ours") -> list[dict[str, Any]]:
    reply = await world.client("owner", account).get("/v1/audit")
    assert reply.status == 200
    items: list[dict[str, Any]] = reply.json["items"]
    return items


async def actions(world: World) -> list[tuple[str, list[str]]]:
    return [(entry["action"], entry["targets"]) for entry in await read(world)]


async def test_a_change_is_written_down_with_who_made_it_from_where_and_what_it_was(
    world: World,
) -> None:
    flow = await world.make_flow(listening=False)
    owner = world.client("owner")
    await owner.put(f"/v1/flows/{flow}", {**FLOW, "name": "recall"})
    made, changed = (await read(world))[-2:]
    assert made["detail"]["sent"]["name"] == "reminder"
    assert {**made, "detail": {}} == {
        "at": "2026-01-01T00:00:00.000Z",
        "account": "acc_1",
        "key": "key_owner_1",
        "role": "owner",
        "source": made["source"],
        "action": "POST /v1/flows",
        "targets": [flow],
        "detail": {},
    }
    assert (changed["action"], changed["targets"]) == ("PUT /v1/flows/{flow}", [flow])
    assert changed["detail"]["changed"] == {"name": ["reminder", "recall"]}


async def test_what_a_change_passed_over_hides_nothing_of_it_and_is_not_kept(world: World) -> None:
    """People's numbers, and whatever else is only shown of a thing, are no part of its change; and who sends
    much of it cannot keep the change itself out of the log."""
    call_list = await world.make_list(await world.make_flow(), {"tel": ["+919876543210"]})
    [contact] = await world.contacts(call_list)
    operator = world.client("operator")
    path = f"/v1/contacts/{contact.id}"
    moved = {**(await operator.get(path)).json, "starttime": "2026-01-02T09:00:00.000Z"}
    replies = [
        await operator.patch(
            f"/v1/lists/{call_list}", {"priority": "high", "report": "x" * 20_000}
        ),
        await operator.patch(path, moved),
    ]
    assert [reply.status for reply in replies] == [200, 200]
    assert [entry["detail"] for entry in (await read(world))[-2:]] == [
        {"sent": {"priority": "high"}},
        {"sent": {"starttime": "2026-01-02T09:00:00.000Z"}},
    ]


async def test_what_changed_nothing_leaves_no_entry(world: World) -> None:
    flow = await world.make_flow()
    before = await actions(world)
    operator, owner = world.client("operator"), world.client("owner")
    file = b"tel1\n+919876543210\n"
    path = f"/v1/flows/{flow}/lists"
    assert (await operator.upload(path, "x.csv", file)).status == 202
    replies = [
        await owner.get("/v1/flows"),
        await owner.post("/v1/flows", {}),
        await operator.post("/v1/flows", FLOW),
        await owner.delete("/v1/flows/nothing"),
        await operator.upload(path, "x.csv", file),
        await operator.upload(f"{path}?dry_run=true", "y.csv", file),
    ]
    assert [reply.status for reply in replies] == [200, 422, 403, 404, 409, 202]
    [(action, targets)] = (await actions(world))[len(before) :]
    assert (action, targets[0], targets[1][:4]) == ("POST /v1/flows/{flow}/lists", flow, "lst_")


@pytest.mark.parametrize("keys", [({}, {}), ({"Idempotency_Key": "1"}, {"Idempotency_Key": "2"})])
async def test_a_file_that_lists_nobody_anew_leaves_no_entry(
    world: World, keys: tuple[dict[str, str], ...]
) -> None:
    operator, file = world.client("operator"), b"number\n+14155550188\nx\n"
    for key, added in zip(keys, (1, 0), strict=True):
        before = len(await read(world))
        reply = await operator.upload("/v1/dnc/import", "stop.csv", file, **key)
        assert (reply.status, reply.json["added"]) == (201, added)
        assert len(await read(world)) == before + added


async def test_a_repeated_request_is_one_entry(world: World) -> None:
    before = len(await read(world))
    for _ in range(3):
        await world.client("owner").post("/v1/flows", FLOW, Idempotency_Key="k1")
    assert len(await read(world)) == before + 1


async def test_an_accounts_owner_sees_what_the_administrator_did_to_it_and_nothing_of_others(
    world: World,
) -> None:
    theirs = await read(world, "theirs")
    await world.administrator.patch("/v1/accounts/ours", {"timezone": "Asia/Tokyo"})
    await world.administrator.post("/v1/keys", {"account": "ours", "role": "viewer"})
    did, account, key = await read(world)
    assert (did["targets"], did["role"]) == (["+14155550101"], "administrator")
    assert account["detail"]["changed"] == {"timezone": ["UTC", "Asia/Tokyo"]}
    assert (account["key"], account["targets"]) == ("administrator", ["ours", "acc_1"])
    assert (key["action"], key["account"]) == ("POST /v1/keys", "acc_1")
    assert await read(world, "theirs") == theirs
    everyone = (await world.administrator.get("/v1/audit")).json["items"]
    assert [entry["account"] for entry in everyone] == ["acc_1", "acc_2", "acc_1", "acc_1"]


async def test_secrets_are_not_written_down(world: World) -> None:
    settings = {
        "webhook": {"url": "https://x.example/", "secret": "whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"}
    }
    await world.client("owner").post("/v1/flows", {**FLOW, "settings": settings})
    reply = await world.client("owner").get("/v1/audit")
    assert b"whsec" not in reply.body
    assert reply.json["items"][-1]["detail"]["sent"]["settings"]["webhook"]["secret"] == "***"


async def test_the_log_is_paged_and_exported(world: World) -> None:
    for place in range(5):
        await world.client("owner").post("/v1/flows", {**FLOW, "name": f"flow {place}"})
    entries = await read(world)
    owner = world.client("owner")
    paged: list[Any] = []
    query: str | None = ""
    while query is not None:
        page = (await owner.get(f"/v1/audit?limit=2{query}")).json
        paged += page["items"]
        query = f"&cursor={page['next']}" if page["next"] else None
    assert paged == entries
    lines = (await owner.get("/v1/audit.ndjson")).body.splitlines()
    assert [msgspec.json.decode(line) for line in lines] == entries
    rows = list(
        csv.DictReader(io.StringIO((await owner.get("/v1/audit.csv")).body.decode("utf-8-sig")))
    )
    assert [(row["at"], row["action"], row["targets"]) for row in rows] == [
        (entry["at"], entry["action"], " ".join(entry["targets"])) for entry in entries
    ]


async def test_do_not_call_has_its_own_trail_beside_the_entry(world: World) -> None:
    owner = world.client("owner")
    await owner.post("/v1/dnc", {"numbers": ["+14155550188", "+14155550189"], "note": "asked"})
    await owner.delete("/v1/dnc/+14155550188")
    assert (await actions(world))[-2:] == [
        ("POST /v1/dnc", []),
        ("DELETE /v1/dnc/{number}", ["+14155550188"]),
    ]
    trail = (await owner.get("/v1/dnc/audit")).json["items"]
    assert [(one["action"], one["number"]) for one in trail] == [
        ("added", "+14155550188"),
        ("added", "+14155550189"),
        ("removed", "+14155550188"),
    ]
