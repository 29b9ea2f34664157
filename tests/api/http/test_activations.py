"""Requests by mail to activate a listener, over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from engine.model.activation import Activation, Decision, activation_told
from tests.api.http.world import EPOCH, World

NUMBER = "+14155550101"


async def ask(world: World, number: int = 1, **changes: Any) -> dict[str, Any]:
    """A request that waits, for a flow of its own; what the API should show of it."""
    flow = changes.pop("flow", None) or await world.make_flow(listening=False)
    values = {"numbers": (NUMBER,), **changes}
    one = Activation(
        id=f"act_{number}",
        account="acc_1",
        mail=f"mail-{number}",
        sender="ada@example.com",
        subject="Please",
        message_id=None,
        flow=flow,
        created_at=EPOCH,
        expires_at=EPOCH + 60,
        **values,
    )
    await world.store.add_activation(Decision(one, None, activation_told(one, None), None))
    return {
        "id": one.id,
        "flow": flow,
        "numbers": list(one.numbers),
        "sender": "ada@example.com",
        "subject": "Please",
        "status": "pending",
        "code": None,
        "reason": "",
        "created_at": "2026-01-01T00:00:00.000Z",
        "expires_at": "2026-01-01T00:01:00.000Z",
        "decided_at": None,
        "decided_by": None,
    }


async def test_requests_are_shown_and_filtered_by_status(world: World) -> None:
    viewer = world.client("viewer")
    shown = [await ask(world, number) for number in (1, 2)]
    await world.client("operator").post("/v1/activations/act_1/refuse", {"reason": "No."})
    assert (await viewer.get("/v1/activations/act_2")).json == shown[1]
    pending = await viewer.get("/v1/activations?status=pending")
    assert pending.json == {"items": [shown[1]], "next": None}
    first = (await viewer.get("/v1/activations?limit=1")).json
    assert [one["id"] for one in first["items"]] == ["act_2"]
    rest = (await viewer.get(f"/v1/activations?limit=1&cursor={first['next']}")).json
    assert [one["id"] for one in rest["items"]] == ["act_1"]
    wrong = await viewer.get("/v1/activations?status=maybe")
    assert wrong.problem == (400, "invalid_parameter")


async def test_an_operator_confirms_a_request(world: World) -> None:
    shown = await ask(world)
    operator = world.client("operator")
    reply = await operator.post("/v1/activations/act_1/confirm")
    assert (reply.status, reply.json) == (
        200,
        shown
        | {
            "status": "confirmed",
            "decided_at": "2026-01-01T00:00:00.000Z",
            "decided_by": "key_operator_1",
        },
    )
    flow = (await operator.get(f"/v1/flows/{shown['flow']}")).json
    assert (flow["listener"]["active"], flow["dids"]) == (True, [NUMBER])
    assert world.changed_by_mail == [("acc_1", shown["flow"])]
    assert (await operator.post("/v1/activations/act_1/confirm")).json == reply.json
    refused = await operator.post("/v1/activations/act_1/refuse", {"reason": "No."})
    assert refused.problem == (409, "activation_decided")
    [entry] = [
        one
        for one in (await world.client("owner").get("/v1/audit?limit=100")).json["items"]
        if one["action"] == "POST /v1/activations/{activation}/confirm"
    ]
    assert (entry["role"], entry["targets"]) == ("operator", ["act_1", shown["flow"]])


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"numbers": ("+14155550102",)}, "dids_changed"), ({"numbers": ()}, "no_dids")],
)
async def test_what_is_no_longer_possible_is_a_conflict(
    world: World, changes: dict[str, Any], code: str
) -> None:
    await ask(world, **changes)
    reply = await world.client("operator").post("/v1/activations/act_1/confirm")
    assert reply.problem == (409, code)


async def test_a_request_that_is_too_old_is_a_conflict(world: World) -> None:
    await ask(world)
    world.engine.clock.at += 60
    reply = await world.client("operator").post("/v1/activations/act_1/confirm")
    assert reply.problem == (409, "activation_expired")


async def test_an_operator_refuses_a_request_with_a_reason_or_without(world: World) -> None:
    operator = world.client("operator")
    for number, body in ((1, {"reason": "In use."}), (2, None)):
        await ask(world, number)
        reply = await operator.post(f"/v1/activations/act_{number}/refuse", body)
        reason = body["reason"] if body else ""
        assert (reply.status, reply.json["status"], reply.json["reason"]) == (
            200,
            "refused",
            reason,
        )
    assert (await operator.post("/v1/activations/act_1/confirm")).problem == (
        409,
        "activation_decided",
    )
    await ask(world, 3)
    for wrong in ({"reason": "x" * 501}, {"why": "x"}, {"reason": 1}):
        reply = await operator.post("/v1/activations/act_3/refuse", wrong)
        assert reply.problem == (422, "invalid_body")
    assert (await operator.get("/v1/activations/act_3")).json["status"] == "pending"


async def test_there_is_nothing_to_decide_that_does_not_exist(world: World) -> None:
    operator = world.client("operator")
    assert (await operator.post("/v1/activations/act_9/confirm")).problem == (404, "not_found")
    assert (await operator.post("/v1/activations/act_9/refuse")).problem == (404, "not_found")
