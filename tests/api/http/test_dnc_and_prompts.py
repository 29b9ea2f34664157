from __future__ import annotations

import pytest

from tests.api.http.world import World


async def test_numbers_are_kept_from_being_called_and_released_again(world: World) -> None:
    flow = await world.make_flow()
    operator, owner = world.client("operator"), world.client("owner")
    added = await operator.post("/v1/dnc", {"numbers": ["+91 98765 43210", "+919876543211"]})
    assert (added.status, added.json) == (201, {"added": 2})
    again = await operator.post("/v1/dnc", {"numbers": ["+919876543210"]})
    assert again.json == {"added": 0}
    await operator.post("/v1/dnc", {"numbers": ["+919876543212"], "flow": flow})
    made = {
        "added_at": "2026-01-01T00:00:00.000Z",
        "expires_at": None,
        "note": "",
        "source": "api",
        "added_by": "key_operator_1",
    }
    assert (await operator.get("/v1/dnc")).json == {
        "items": [
            {"number": "+919876543210", "flow": None, **made},
            {"number": "+919876543211", "flow": None, **made},
            {"number": "+919876543212", "flow": flow, **made},
        ],
        "next": None,
    }
    assert (await owner.delete("/v1/dnc/+919876543210")).status == 204
    assert (await owner.delete("/v1/dnc/+919876543210")).problem == (404, "not_found")
    assert (await world.client("viewer", "theirs").get("/v1/dnc")).json["items"] == []


async def test_a_range_is_listed_for_a_time_and_who_did_what_is_kept(world: World) -> None:
    operator, owner = world.client("operator"), world.client("owner")
    body = {"numbers": ["+1900*"], "expires_at": "2026-02-01T00:00:00Z", "note": "premium"}
    assert (await operator.post("/v1/dnc", body)).json == {"added": 1}
    assert (await owner.delete("/v1/dnc/+1900*")).status == 204
    change = {
        "time": "2026-01-01T00:00:00.000Z",
        "number": "+1900*",
        "flow": None,
        "source": "api",
        "expires_at": "2026-02-01T00:00:00.000Z",
        "note": "premium",
    }
    assert (await owner.get("/v1/dnc/audit")).json["items"] == [
        {**change, "action": "added", "by": "key_operator_1"},
        {**change, "action": "removed", "by": "key_owner_1"},
    ]
    assert (await world.client("viewer", "theirs").get("/v1/dnc/audit")).json["items"] == []


async def test_what_bars_one_number_is_looked_up(world: World) -> None:
    operator = world.client("operator")
    numbers = ["+9198*", "+1900*", "+919876543210", "+919876543211"]
    await operator.post("/v1/dnc", {"numbers": numbers})
    found = await world.client("viewer").get("/v1/dnc?number=+91 98765 43210")
    assert [one["number"] for one in found.json["items"]] == ["+9198*", "+919876543210"]


@pytest.mark.parametrize(
    "number", ["*", "+*", "+0*", "1900*", "+1900**", "+1*9", "+12345678901234567*"]
)
async def test_what_is_no_range_is_not_taken_for_one(world: World, number: str) -> None:
    reply = await world.client("operator").post("/v1/dnc", {"numbers": [number]})
    assert [error["code"] for error in reply.json["errors"]] == ["invalid_number"]


@pytest.mark.parametrize("expires_at", ["2025-12-31T00:00:00Z", "soon"])
async def test_an_expiry_is_a_time_to_come(world: World, expires_at: str) -> None:
    body = {"numbers": ["+919876543210"], "expires_at": expires_at}
    reply = await world.client("operator").post("/v1/dnc", body)
    assert [error["code"] for error in reply.json["errors"]] == ["invalid_expiry"]


async def test_a_file_is_taken_row_by_row_and_comes_back_as_one(world: World) -> None:
    operator = world.client("operator")
    text = (
        "number;note;expires_at\n"
        "+91 98765 43210;asked by mail;\n"
        "12;;\n"
        "+1900*;=SUM(1);2027-01-01T00:00:00Z\n"
        "+919876543211;;yesterday\n"
        "+919876543210;again;\n"
    )
    reply = await operator.upload("/v1/dnc/import", "stop.csv", text.encode())
    assert (reply.status, {**reply.json, "errors": None}) == (
        201,
        {"rows": 5, "added": 2, "rejected": 2, "errors": None},
    )
    errors = [(one["row"], one["column"], one["code"]) for one in reply.json["errors"]]
    assert errors == [(2, "number", "invalid_number"), (4, "expires_at", "invalid_expiry")]
    got = await world.client("viewer").get("/v1/dnc.csv")
    assert got.body.decode().splitlines() == [
        "number,flow,added_at,expires_at,note,source,added_by",
        "+1900*,,2026-01-01T00:00:00.000Z,2027-01-01T00:00:00.000Z,'=SUM(1),import,key_operator_1",
        "+919876543210,,2026-01-01T00:00:00.000Z,,asked by mail,import,key_operator_1",
    ]


async def test_a_file_of_many_numbers_is_taken_whole_and_those_that_are_there_count_once(
    world: World,
) -> None:
    operator = world.client("operator")
    data = "number\n" + "".join(f"+9198765{place:05}\n" for place in range(2_345))
    for added in (2_345, 0):
        reply = await operator.upload("/v1/dnc/import", "stop.csv", data.encode())
        assert reply.json == {"rows": 2_345, "added": added, "rejected": 0, "errors": []}


@pytest.mark.parametrize(
    ("data", "problem"),
    [(b"name\nBob\n", (422, "missing_tel")), (b"", (422, "no_rows"))],
)
async def test_a_file_without_numbers_is_refused(
    world: World, data: bytes, problem: tuple[int, str]
) -> None:
    reply = await world.client("operator").upload("/v1/dnc/import", "stop.csv", data)
    assert reply.problem == problem


async def test_numbers_that_are_none_are_all_named(world: World) -> None:
    body = {"numbers": ["x", "+919876543210", "9.19876E+11"]}
    reply = await world.client("operator").post("/v1/dnc", body)
    assert reply.problem == (422, "invalid_body")
    found = [(error["pointer"], error["code"]) for error in reply.json["errors"]]
    assert found == [("/numbers/0", "invalid_number"), ("/numbers/2", "spreadsheet_damage")]
    assert (await world.client("viewer").get("/v1/dnc")).json["items"] == []


async def test_a_flow_that_is_not_there_cannot_refuse_numbers(world: World) -> None:
    body = {"numbers": ["+919876543210"], "flow": "flw_0"}
    reply = await world.client("operator").post("/v1/dnc", body)
    assert reply.problem == (422, "unknown_flow")


async def test_a_recording_is_kept_and_can_be_played_by_a_flow(world: World) -> None:
    owner = world.client("owner")
    reply = await owner.upload("/v1/prompts", "hello.wav", bytes(16_000))
    prompt = reply.json["id"]
    expected = {
        "id": prompt,
        "name": "hello.wav",
        "duration_s": 2.0,
        "created_at": "2026-01-01T00:00:00.000Z",
    }
    assert (reply.status, reply.json) == (201, expected)
    assert world.keeper.kept == {prompt: bytes(16_000)}
    assert (await owner.get("/v1/prompts")).json == {"items": [expected], "next": None}
    definition = {"start": "a", "nodes": {"a": {"type": "play", "play": prompt}}}
    made = await owner.post("/v1/flows", {"name": "x", "definition": definition})
    assert made.status == 201
    theirs = world.client("owner", "theirs")
    refused = await theirs.post("/v1/flows", {"name": "x", "definition": definition})
    assert [error["code"] for error in refused.json["errors"]] == ["unknown_prompt"]


async def test_what_is_no_recording_is_refused(world: World) -> None:
    owner = world.client("owner")
    assert (await owner.upload("/v1/prompts", "x.wav", b"bad")).problem == (422, "not_audio")
    assert (await owner.get("/v1/prompts")).json["items"] == []
