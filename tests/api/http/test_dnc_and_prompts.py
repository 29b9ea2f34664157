from __future__ import annotations

from tests.api.http.world import World


async def test_numbers_are_kept_from_being_called_and_released_again(world: World) -> None:
    flow = await world.make_flow()
    operator, owner = world.client("operator"), world.client("owner")
    added = await operator.post("/v1/dnc", {"numbers": ["+91 98765 43210", "+919876543211"]})
    assert (added.status, added.json) == (201, {"added": 2})
    again = await operator.post("/v1/dnc", {"numbers": ["+919876543210"]})
    assert again.json == {"added": 0}
    await operator.post("/v1/dnc", {"numbers": ["+919876543212"], "flow": flow})
    assert (await operator.get("/v1/dnc")).json == {
        "items": [
            {"number": "+919876543210", "flow": None},
            {"number": "+919876543211", "flow": None},
            {"number": "+919876543212", "flow": flow},
        ],
        "next": None,
    }
    assert (await owner.delete("/v1/dnc/+919876543210")).status == 204
    assert (await owner.delete("/v1/dnc/+919876543210")).problem == (404, "not_found")
    assert (await world.client("viewer", "theirs").get("/v1/dnc")).json["items"] == []


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
