"""Holding flows and accounts, and other start times, over HTTP."""

from __future__ import annotations

import pytest

from engine.model.events import rfc3339
from tests.api.http.world import World


async def test_a_flow_is_paused_resumed_and_canceled(world: World) -> None:
    flow = await world.make_flow()
    call_list = await world.make_list(flow)
    operator = world.client("operator")
    paused = (await operator.post(f"/v1/flows/{flow}/pause")).json
    assert paused["paused_at"] == rfc3339(world.engine.clock.now())
    assert (await world.client("viewer").get(f"/v1/flows/{flow}")).json == paused
    resumed = (await operator.post(f"/v1/flows/{flow}/resume")).json
    assert resumed == {**paused, "paused_at": None}
    assert (await operator.post(f"/v1/flows/{flow}/cancel")).json == resumed
    assert (await operator.get(f"/v1/lists/{call_list}")).json["status"] == "canceled"


async def test_an_account_is_paused_resumed_and_canceled(world: World) -> None:
    flow = await world.make_flow()
    call_list = await world.make_list(flow)
    administrator = world.administrator
    paused = (await administrator.post("/v1/accounts/ours/pause")).json
    assert paused["paused_at"] == rfc3339(world.engine.clock.now())
    resumed = (await administrator.post("/v1/accounts/ours/resume")).json
    assert resumed == {**paused, "paused_at": None}
    assert (await administrator.post("/v1/accounts/ours/cancel")).json == resumed
    shown = await world.client("viewer").get(f"/v1/lists/{call_list}")
    assert shown.json["status"] == "canceled"


@pytest.mark.parametrize("what", ["pause", "resume", "cancel"])
async def test_what_is_not_there_is_not_found(world: World, what: str) -> None:
    assert (await world.client("operator").post(f"/v1/flows/flw_x/{what}")).status == 404
    assert (await world.administrator.post(f"/v1/accounts/acc_x/{what}")).status == 404


async def test_a_list_and_a_contact_are_given_another_start_time(world: World) -> None:
    call_list = await world.make_list(await world.make_flow())
    operator = world.client("operator")
    [contact] = (await operator.get(f"/v1/lists/{call_list}/contacts")).json["items"]
    start = rfc3339(world.engine.clock.now() + 5_000)
    path = f"/v1/contacts/{contact['id']}"
    moved = (await operator.send("PATCH", path, {"starttime": start})).json
    assert (moved["starttime"], moved["status"]) == (start, "scheduled")
    answer = await operator.send("PATCH", f"/v1/lists/{call_list}", {"starttime": "2001-01-01"})
    assert answer.problem == (422, "starttime_past")
    assert (
        await operator.send("PATCH", f"/v1/lists/{call_list}", {"starttime": start})
    ).status == 200
    for path in ("/v1/lists/lst_x", "/v1/contacts/cnt_x"):
        assert (await operator.send("PATCH", path, {"starttime": start})).status == 404
