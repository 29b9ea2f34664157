"""Where a flow's lists are picked up, over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from engine.model.pickup import DropState, FileMark, Pickup, file_refused, state_changed
from engine.model.webhook import HIDDEN
from tests.api.http.world import EPOCH, World
from tests.engine.model.test_drop_settings import HOST_KEY

SFTP = {
    "host": "files.example.com",
    "user": "lists",
    "host_key": HOST_KEY,
    "password": "correct horse",
}
PLACE = "sftp://lists@files.example.com:22/~/."


async def test_a_password_is_never_shown_and_goes_to_no_other_server(world: World) -> None:
    flow = await world.make_flow(settings={"sftp": SFTP, "folder": {"path": "leads"}})
    owner, path = world.client("owner"), f"/v1/flows/{flow}"
    shown = (await owner.get(path)).json
    assert shown["settings"]["sftp"] == {
        **SFTP,
        "port": 22,
        "password": HIDDEN,
        "private_key": None,
        "folder": ".",
        "every_s": 60,
    }
    assert (shown["triggers"]["sftp"], shown["triggers"]["folder"]) == (
        f"{PLACE}/incoming",
        "leads/incoming",
    )
    body = {name: shown[name] for name in ("name", "definition", "settings")}
    body["settings"]["sftp"]["every_s"] = 30
    assert (await owner.put(path, body)).status == 200
    stored = await world.store.get_flow("acc_1", flow)
    assert stored is not None
    assert stored.settings.sftp is not None
    assert (stored.settings.sftp.password, stored.settings.sftp.every_s) == ("correct horse", 30)
    body["settings"]["sftp"]["host"] = "evil.example.com"
    refused = await owner.put(path, body)
    assert refused.problem == (422, "invalid_body")
    assert refused.json["errors"][0]["pointer"] == "/settings/sftp/password"
    log = (await owner.get("/v1/audit")).body
    assert b"correct horse" not in log


@pytest.mark.parametrize(
    ("settings", "pointer"),
    [
        ({"sftp": {**SFTP, "host_key": "ssh-ed25519 nonsense"}}, "/settings/sftp/host_key"),
        ({"sftp": {**SFTP, "private_key": "key"}}, "/settings/sftp"),
        ({"sftp": {**SFTP, "every_s": 0.5}}, "/settings/sftp/every_s"),
        ({"sftp": {**SFTP, "port": 0}}, "/settings/sftp/port"),
        ({"sftp": {"host": "files.example.com"}}, "/settings/sftp/user"),
        ({"folder": {"path": "../other"}}, "/settings/folder/path"),
        ({"folder": {"path": "/etc"}}, "/settings/folder/path"),
    ],
)
async def test_what_cannot_be_picked_up_from_is_refused_with_its_place(
    settings: dict[str, Any], pointer: str, world: World
) -> None:
    body = {"name": "x", "definition": {"start": "a", "nodes": {"a": {"type": "hangup"}}}}
    refused = await world.client("owner").post("/v1/flows", {**body, "settings": settings})
    assert refused.problem == (422, "invalid_body")
    assert pointer in [one["pointer"] for one in refused.json["errors"]]


async def test_a_flow_without_a_door_says_so(world: World) -> None:
    flow = await world.make_flow()
    operator = world.client("operator")
    for door in ("sftp", "folder"):
        shown = (await operator.get(f"/v1/flows/{flow}/{door}")).json
        assert (shown["place"], shown["code"]) == (None, None)
        refused = await operator.post(f"/v1/flows/{flow}/{door}/visit", None)
        assert refused.problem == (409, "no_door")
    assert (await operator.get(f"/v1/flows/{flow}/pickups")).json == {"items": [], "next": None}


async def test_how_a_door_stands_and_what_came_through_it_is_shown(world: World) -> None:
    flow_id = await world.make_flow(settings={"sftp": SFTP})
    flow = await world.store.get_flow("acc_1", flow_id)
    assert flow is not None
    state = DropState("wrong_host_key", "It has another host key.", EPOCH)
    await world.store.keep_drop_state(
        "acc_1", flow_id, "sftp", state, state_changed(flow, "sftp", state)
    )
    mark = FileMark("leads.csv", 7, 1, b"\1" * 32)
    pickup = Pickup(
        "pck_1", "acc_1", flow_id, "sftp", PLACE, mark, EPOCH, "Nothing was taken.", code="not_csv"
    )
    await world.store.keep_refusal(pickup, file_refused(flow, pickup, "It is none."))
    viewer = world.client("viewer")
    assert (await viewer.get(f"/v1/flows/{flow_id}/sftp")).json == {
        "place": PLACE,
        "code": "wrong_host_key",
        "detail": "It has another host key.",
        "since": "2026-01-01T00:00:00.000Z",
        "looked_at": None,
        "next_at": None,
        "failures": 0,
        "growing": 0,
        "waiting": 0,
        "passed_over": 0,
    }
    assert (await viewer.get(f"/v1/flows/{flow_id}/pickups")).json["items"] == [
        {
            "id": "pck_1",
            "door": "sftp",
            "place": PLACE,
            "file": "leads.csv",
            "size": 7,
            "at": "2026-01-01T00:00:00.000Z",
            "list": None,
            "code": "not_csv",
            "report": "Nothing was taken.",
            "removed_at": None,
            "reported_at": None,
        }
    ]
    assert (await viewer.post(f"/v1/flows/{flow_id}/sftp/visit", None)).status == 403
    asked = await world.client("operator").post(f"/v1/flows/{flow_id}/sftp/visit", None)
    assert (asked.status, asked.json["place"]) == (202, PLACE)
