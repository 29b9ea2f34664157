"""The agents of a flow, as people and programs reach them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.http.world import World

AT = "2026-01-01T00:00:00.000Z"
ADA = {"number": "+1 (415) 555-0177", "name": "Ada"}


def shown(agent: str, flow: str, **changes: Any) -> dict[str, Any]:
    """Ada, as she is shown."""
    return {
        "id": agent,
        "flow": flow,
        "number": "+14155550177",
        "name": "Ada",
        "presence": "away",
        "presence_at": AT,
        "presence_reason": None,
        "contact": None,
        "wrap_up_s": None,
        "created_at": AT,
        **changes,
    }


async def test_an_agent_is_made_shown_changed_and_taken_away(world: World) -> None:
    flow = await world.make_flow(kind="dialer")
    operator, path = world.client("operator"), f"/v1/flows/{flow}/agents"
    made = await operator.post(path, ADA)
    agent = made.json["id"]
    assert (made.status, made.json) == (201, shown(agent, flow))
    assert (await operator.get(path)).json == {"items": [made.json], "next": None}
    changed = await operator.send("PATCH", f"{path}/{agent}", {"wrap_up_s": 5, "name": "Ada L."})
    assert changed.json == shown(agent, flow, wrap_up_s=5.0, name="Ada L.")
    assert (await operator.get(f"{path}/{agent}")).json == changed.json
    assert (await operator.delete(f"{path}/{agent}")).status == 204
    assert (await operator.delete(f"{path}/{agent}")).problem == (404, "not_found")
    assert (await operator.get(path)).json == {"items": [], "next": None}
    assert world.engine.agents.asked == [("refresh", "Ada L."), ("remove", "Ada L.")]


async def test_an_agent_comes_and_goes(world: World) -> None:
    flow = await world.make_flow(kind="dialer")
    agent = await world.make_agent(flow)
    operator, path = world.client("operator"), f"/v1/flows/{flow}/agents/{agent}"
    for presence in ("available", "away"):
        reply = await operator.send("PATCH", path, {"presence": presence})
        assert (reply.status, reply.json["presence"]) == (200, presence)
        assert (await operator.get(path)).json["presence"] == presence
    reply = await operator.send("PATCH", path, {"presence": "busy"})
    assert reply.problem == (422, "invalid_body")
    nobody = await world.make_agent(flow, number="+14155550178", name="Nobody")
    reply = await operator.send(
        "PATCH", f"/v1/flows/{flow}/agents/{nobody}", {"presence": "available"}
    )
    assert reply.problem == (409, "agent_unreached")


async def test_the_same_request_makes_an_agent_once(world: World) -> None:
    flow = await world.make_flow(kind="dialer")
    operator, path = world.client("operator"), f"/v1/flows/{flow}/agents"
    first = await operator.post(path, ADA, Idempotency_Key="k")
    again = await operator.post(path, ADA, Idempotency_Key="k")
    assert (again.status, again.json) == (first.status, first.json)
    assert again.headers["Idempotent-Replayed"] == "true"
    twin = await operator.post(path, ADA)
    assert twin.problem == (409, "agent_exists")


@pytest.mark.parametrize(
    ("body", "mistakes"),
    [
        ({"name": "Ada"}, [("/number", "missing_field")]),
        ({"number": "12", "name": ""}, [("/name", "invalid_value"), ("/number", "invalid_number")]),
        ({**ADA, "wrap_up_s": -1}, [("/wrap_up_s", "invalid_value")]),
        ({**ADA, "presence": "available"}, [("/presence", "unknown_field")]),
    ],
)
async def test_every_mistake_in_an_agent_is_named(
    world: World, body: dict[str, Any], mistakes: list[tuple[str, str]]
) -> None:
    flow = await world.make_flow(kind="dialer")
    reply = await world.client("operator").post(f"/v1/flows/{flow}/agents", body)
    assert reply.problem == (422, "invalid_body")
    found = [(error["pointer"], error["code"]) for error in reply.json["errors"]]
    assert sorted(found) == mistakes


async def test_a_multicast_flow_has_no_agents(world: World) -> None:
    flow = await world.make_flow()
    reply = await world.client("operator").post(f"/v1/flows/{flow}/agents", ADA)
    assert reply.problem == (422, "agent_not_allowed")
    body = {"to": "+919876543210", "agent": "+14155550177"}
    reply = await world.client("operator").post(f"/v1/flows/{flow}/calls", body)
    assert reply.problem == (422, "agent_not_allowed")


async def test_a_single_call_of_a_dialer_flow_names_its_agent(world: World) -> None:
    flow = await world.make_flow(kind="dialer")
    operator = world.client("operator")
    body = {"to": "+919876543210", "agent": "+1 415 555 0177"}
    reply = await operator.post(f"/v1/flows/{flow}/calls", body)
    assert reply.status == 202
    contact = (await operator.get(f"/v1/contacts/{reply.json['contact']}")).json
    assert contact["agent"] == "+14155550177"
    reply = await operator.post(f"/v1/flows/{flow}/calls", {**body, "agent": "12"})
    assert reply.problem == (422, "invalid_number")
    assert [error["pointer"] for error in reply.json["errors"]] == ["/agent"]


async def test_an_agent_looks_at_contacts_and_has_them_called(world: World) -> None:
    flow = await world.make_flow(kind="dialer")
    agent = await world.make_agent(flow)
    operator, path = world.client("operator"), f"/v1/flows/{flow}/agents/{agent}"
    assert (await operator.post(f"{path}/next", None)).json == {"contact": None}
    call_list = await world.make_list(flow)
    [contact] = await world.contacts(call_list)
    world.engine.agents.next = contact
    shown_next = (await operator.post(f"{path}/next", None)).json["contact"]
    assert (shown_next["id"], shown_next["tel"]) == (contact.id, list(contact.tel))
    body = {"contact": contact.id}
    assert (await operator.post(f"{path}/dial", body)).status == 202
    assert (await operator.post(f"{path}/skip", body)).status == 204
    assert world.engine.agents.asked == [("accept", "Ada", contact.id), ("skip", "Ada", contact.id)]
    assert (await operator.post(f"{path}/hangup", None)).problem == (409, "agent_not_talking")


async def test_a_talk_that_is_named_is_ended_and_no_other(world: World) -> None:
    flow = await world.make_flow(kind="dialer")
    agent = await world.make_agent(flow)
    operator, path = world.client("operator"), f"/v1/flows/{flow}/agents/{agent}"
    world.engine.agents.talk = "cnt_1"
    shown_now = (await operator.get(path)).json["contact"]
    assert shown_now == "cnt_1"
    assert (await operator.post(f"{path}/hangup", {"contact": shown_now})).status == 204
    world.engine.agents.talk = "cnt_2"
    again = await operator.post(f"{path}/hangup", {"contact": shown_now})
    assert again.problem == (409, "another_contact")
    assert world.engine.agents.talk == "cnt_2"
    typo = await operator.post(f"{path}/hangup", {"contcat": "cnt_2"})
    assert typo.problem == (422, "invalid_body")
    assert (await operator.post(f"{path}/hangup", None)).status == 204


@pytest.mark.parametrize("said", [{}, {"content_type": "application/x-www-form-urlencoded"}])
async def test_a_talk_is_ended_without_a_body_too(world: World, said: dict[str, str]) -> None:
    """Whatever media type is said of nothing."""
    flow = await world.make_flow(kind="dialer")
    agent = await world.make_agent(flow)
    path = f"/v1/flows/{flow}/agents/{agent}/hangup"
    world.engine.agents.talk = "cnt_1"
    reply = await world.client("operator").send("POST", path, data=b"", **said)
    assert reply.status == 204
    assert world.engine.agents.talk is None


async def test_a_floor_shows_how_near_the_limit_of_abandoned_calls_is(world: World) -> None:
    flow = await world.make_flow(kind="dialer")
    assert (await world.client("viewer").get(f"/v1/flows/{flow}/floor")).json == {
        "dialing": "progressive",
        "free": 2,
        "in_air": 3,
        "room": 0,
        "abandoned": {"answered": 200, "abandoned": 3, "share": 0.015, "max": 0.03},
    }


DIALER_ONLY: dict[str, Any] = {
    "power_ratio": 2,
    "abandoned_max": 0.01,
    "answer_wait_s": 1,
    "safe_harbour": {"say": "Sorry."},
    "hold": {"say": "One moment."},
    "wrap_up_s": 3,
    "first": "customer",
    "agent_ring_timeout_s": 30,
}
SETTINGS: list[tuple[str, dict[str, Any], list[tuple[str, str]]]] = [
    ("multicast", {"dialing": "progressive", "wrap_up_s": 10}, []),
    ("multicast", {"dialing": "power"}, [("/settings/dialing", "dialer_only")]),
    *(
        ("multicast", {name: value}, [(f"/settings/{name}", "dialer_only")])
        for name, value in DIALER_ONLY.items()
    ),
    ("dialer", {"dialing": "power"}, [("/settings/safe_harbour", "missing_safe_harbour")]),
    ("dialer", {"dialing": "power", "safe_harbour": {"say": "Sorry."}}, []),
    ("dialer", {"hold": {}}, [("/settings/hold", "invalid_value")]),
    ("dialer", {"hold": {"play": "prm_0"}}, [("/settings/hold/play", "unknown_prompt")]),
    ("dialer", {"power_ratio": 0.5}, [("/settings/power_ratio", "invalid_value")]),
    ("dialer", {"abandoned_max": 3}, [("/settings/abandoned_max", "invalid_value")]),
]


@pytest.mark.parametrize(("kind", "settings", "mistakes"), SETTINGS)
async def test_settings_for_agents_are_checked(
    world: World, kind: str, settings: dict[str, Any], mistakes: list[tuple[str, str]]
) -> None:
    definition = {"start": "bye", "nodes": {"bye": {"type": "hangup"}}}
    body = {"name": "x", "kind": kind, "definition": definition, "settings": settings}
    reply = await world.client("owner").post("/v1/flows", body)
    found = reply.json.get("errors", [])
    assert [(error["pointer"], error["code"]) for error in found] == mistakes
    assert reply.status == (422 if mistakes else 201)
