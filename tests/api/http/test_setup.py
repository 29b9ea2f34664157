"""Accounts, keys, DIDs, flows and their listeners, over HTTP."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from api.http.auth import hash_key
from engine.flow.definition import InvalidDefinition, read_definition
from engine.model import FlowSettings
from tests.api.http.world import DEFINITION, FLOW, PUBLIC_URL, Client, World
from tests.engine.flow.test_definition import TEN_MISTAKES

SETTINGS = msgspec.json.decode(msgspec.json.encode(FlowSettings()))
"""What a flow that says nothing of them is shown with: every setting."""


async def test_an_account_is_made_and_listed(world: World) -> None:
    body = {"name": "Sales", "timezone": "Asia/Kolkata", "email": "s@example.com"}
    reply = await world.administrator.post("/v1/accounts", body)
    assert reply.status == 201
    assert reply.json == {
        **body,
        "id": reply.json["id"],
        "created_at": "2026-01-01T00:00:00.000Z",
        "calling_window": None,
        "channels": None,
        "cps": None,
        "caps": [],
        "number_series": None,
        "calls_per_day": None,
        "country_calls_per_day": None,
        "country_caps": {},
        "approved_countries": [],
        "callee_caps": [],
        "stopped_at": None,
        "paused_at": None,
    }
    assert reply.json["id"].startswith("acc_")
    listed = (await world.administrator.get("/v1/accounts")).json
    names = {item["name"] for item in listed["items"]}
    assert (names, listed["next"]) == ({"default", "ours", "theirs", "Sales"}, None)


async def test_what_is_named_of_an_account_is_changed_and_the_rest_stays(world: World) -> None:
    before = (await world.administrator.get("/v1/accounts/ours")).json
    window = {"start": "09:00", "end": "21:00", "holidays": ["2026-01-26"]}
    shown = {
        **window,
        "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
        "timezone": None,
        "callee_zone": True,
    }
    reply = await world.administrator.patch("/v1/accounts/ours", {"calling_window": window})
    assert (reply.status, reply.json) == (200, {**before, "calling_window": shown})
    reply = await world.administrator.patch("/v1/accounts/acc_1", {"timezone": "Asia/Tokyo"})
    assert reply.json == {**before, "timezone": "Asia/Tokyo", "calling_window": shown}
    assert world.engine.changed[-2:] == [("account", "acc_1", "acc_1")] * 2
    reply = await world.administrator.patch("/v1/accounts/ours", {"calling_window": None})
    assert reply.json == {**before, "timezone": "Asia/Tokyo"}


async def test_an_account_is_stopped_and_started(world: World) -> None:
    stopped = await world.administrator.post("/v1/accounts/ours/stop")
    assert (stopped.status, stopped.json["stopped_at"]) == (200, "2026-01-01T00:00:00.000Z")
    assert (await world.administrator.get("/v1/accounts/acc_1")).json == stopped.json
    started = await world.administrator.post("/v1/accounts/acc_1/start")
    assert (started.status, started.json) == (200, {**stopped.json, "stopped_at": None})
    assert (await world.client("owner").post("/v1/accounts/ours/stop")).problem[0] == 403


async def test_an_account_that_is_not_there_cannot_be_changed(world: World) -> None:
    for reply in (
        await world.administrator.post("/v1/accounts/nobody/stop"),
        await world.administrator.post("/v1/accounts/nobody/start"),
        await world.administrator.get("/v1/accounts/nobody"),
        await world.administrator.patch("/v1/accounts/nobody", {}),
    ):
        assert reply.problem == (404, "not_found")


@pytest.mark.parametrize(
    ("window", "pointer", "code"),
    [
        ({"start": "09:00", "end": "21:00", "timezone": "IST"}, "/timezone", "unknown_timezone"),
        ({"start": "9:00", "end": "21:00"}, "/start", "invalid_value"),
        ({"start": "09:00", "end": "21:00", "days": []}, "/days", "invalid_value"),
        (
            {"start": "09:00", "end": "21:00", "holidays": ["2027-02-30"]},
            "/holidays/0",
            "invalid_date",
        ),
        ({"start": "09:00"}, "/end", "missing_field"),
        ([{"start": "09:00", "end": "21:00", "day": "mon"}], "/0", "invalid_value"),
    ],
)
async def test_a_mistake_in_a_window_is_said_with_its_place(
    world: World, window: Any, pointer: str, code: str
) -> None:
    """Alike for an account's and for a flow's."""
    reply = await world.administrator.patch("/v1/accounts/ours", {"calling_window": window})
    [error] = reply.json["errors"]
    assert (error["pointer"], error["code"]) == (f"/calling_window{pointer}", code)
    body = {**FLOW, "settings": {"calling_window": window}}
    reply = await world.client("owner").post("/v1/flows", body)
    [error] = reply.json["errors"]
    assert (error["pointer"], error["code"]) == (f"/settings/calling_window{pointer}", code)


async def test_windows_that_are_never_open_together_are_a_mistake(world: World) -> None:
    account_wide = {"start": "09:00", "end": "12:00"}
    await world.administrator.patch("/v1/accounts/ours", {"calling_window": account_wide})
    window = {"start": "12:00", "end": "18:00", "callee_zone": False, "timezone": "UTC"}
    reply = await world.client("owner").post(
        "/v1/flows", {**FLOW, "settings": {"calling_window": window}}
    )
    assert [error["code"] for error in reply.json["errors"]] == ["never_open"]


async def test_an_account_of_a_name_that_is_taken_is_a_conflict(world: World) -> None:
    body = {"name": "ours", "timezone": "UTC", "email": "s@example.com"}
    reply = await world.administrator.post("/v1/accounts", body)
    assert reply.problem == (409, "account_exists")


async def test_every_mistake_of_an_account_is_said_at_once(world: World) -> None:
    body = {"name": "acc_1", "timezone": "Asia/Kalkutta", "email": "nobody", "colour": "red"}
    reply = await world.administrator.post("/v1/accounts", body)
    assert reply.problem == (422, "invalid_body")
    found = {(error["pointer"], error["code"]) for error in reply.json["errors"]}
    assert found == {
        ("/name", "invalid_value"),
        ("/timezone", "unknown_timezone"),
        ("/email", "invalid_value"),
        ("/colour", "unknown_field"),
    }


async def test_a_key_is_shown_once_and_works_for_its_account(world: World) -> None:
    reply = await world.administrator.post("/v1/keys", {"account": "ours", "role": "viewer"})
    assert reply.status == 201
    key = reply.json["key"]
    assert (key[:3], len(key), reply.json["account"]) == ("cw_", 46, "acc_1")
    stored = await world.store.find_key(hash_key(key))
    assert stored is not None
    assert (stored.id, stored.role) == (reply.json["id"], "viewer")
    assert (await Client(world.app, key).get("/v1/flows")).status == 200


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"account": "nobody", "role": "viewer"}, "unknown_account"),
        ({"account": "ours", "role": "administrator"}, "invalid_body"),
    ],
)
async def test_a_key_for_nobody_is_refused(world: World, body: dict[str, str], code: str) -> None:
    assert (await world.administrator.post("/v1/keys", body)).problem == (422, code)


@pytest.mark.parametrize("authorization", ["", "Bearer", "Basic abc", "Bearer wrong", "x" * 5000])
async def test_a_wrong_key_is_no_key(world: World, authorization: str) -> None:
    reply = await world.stranger.get("/v1/flows", Authorization=authorization)
    assert reply.problem == (401, "unauthenticated")
    assert reply.headers["WWW-Authenticate"].startswith('Bearer realm="callwheel"')


async def test_an_administrator_acts_for_the_account_it_names(world: World) -> None:
    await world.make_flow()
    found = {}
    for name in ("ours", "acc_1", "theirs", "default", "nobody"):
        reply = await world.administrator.get("/v1/flows", Callwheel_Account=name)
        found[name] = len(reply.json["items"]) if reply.status == 200 else reply.status
    assert found == {"ours": 1, "acc_1": 1, "theirs": 0, "default": 0, "nobody": 404}


async def test_a_key_of_one_account_cannot_act_for_another(world: World) -> None:
    owner = world.client("owner")
    assert (await owner.get("/v1/flows", Callwheel_Account="acc_1")).status == 200
    reply = await owner.get("/v1/flows", Callwheel_Account="theirs")
    assert reply.problem == (403, "forbidden")


async def test_a_did_is_made_and_shown_with_its_load(world: World) -> None:
    body = {
        "number": "+1 (415) 555-0199",
        "account": "ours",
        "trunk": "main",
        "cps": 0.5,
        "channels": 2,
        "caps": [{"calls": 10, "per_s": 60}],
    }
    reply = await world.administrator.post("/v1/dids", body)
    assert reply.status == 201
    expected = {
        **body,
        "number": "+14155550199",
        "account": "acc_1",
        "caps": [{"calls": 10, "per_s": 60}],
        "rest_when": {},
        "load": {"channels_in_use": 3, "calls_last_s": 2},
        "health": {"window_s": 3600, "calls": 0, "answer_rate": None, "blocked_share": None},
        "rest": None,
    }
    assert reply.json == expected
    assert ("did", "acc_1", "+14155550199") in world.engine.changed
    listed = (await world.client("viewer").get("/v1/dids")).json["items"]
    assert [item["number"] for item in listed] == ["+14155550101", "+14155550199"]
    everybodys = (await world.administrator.get("/v1/dids")).json["items"]
    assert len(everybodys) == 3


@pytest.mark.parametrize(
    ("change", "status", "code", "pointer"),
    [
        ({"number": "+14155550101"}, 409, "did_exists", None),
        ({"account": "nobody"}, 422, "unknown_account", "/account"),
        ({"number": "911"}, 422, "invalid_body", "/number"),
        ({"trunk": ""}, 422, "invalid_body", "/trunk"),
        ({"trunk": "t" * 65}, 422, "invalid_body", "/trunk"),
        ({"cps": 2.5}, 422, "invalid_body", "/cps"),
        ({"cps": 0}, 422, "invalid_body", "/cps"),
        ({"channels": 0}, 422, "invalid_body", "/channels"),
        ({"caps": [{"calls": 1, "per_s": -1}]}, 422, "invalid_body", "/caps/0/per_s"),
    ],
)
async def test_a_did_that_cannot_be_is_refused(
    world: World, change: dict[str, Any], status: int, code: str, pointer: str | None
) -> None:
    body = {"number": "+14155550199", "account": "ours", "trunk": "main", **change}
    reply = await world.administrator.post("/v1/dids", body)
    assert reply.problem == (status, code)
    assert [error["pointer"] for error in reply.json.get("errors", [])] == [pointer] * bool(pointer)


async def test_a_did_rests_is_resumed_changed_and_taken_away(world: World) -> None:
    operator, admin, path = world.client("operator"), world.administrator, "/v1/dids/+14155550101"
    rested = await operator.post(f"{path}/rest", {"for_s": 3600, "note": "Complaints."})
    assert rested.status == 200
    assert rested.json["rest"] == {
        "since": "2026-01-01T00:00:00.000Z",
        "until": "2026-01-01T01:00:00.000Z",
        "reason": "operator",
        "detail": "Complaints.",
    }
    assert (await operator.get("/v1/dids")).json["items"] == [rested.json]
    resumed = await operator.post(f"{path}/resume")
    assert (resumed.status, resumed.json) == (200, {**rested.json, "rest": None})
    limits = {"cps": 3, "caps": [{"calls": 5, "per_s": 60}], "rest_when": {"blocked_max": 0.5}}
    changed = await admin.patch(path, limits)
    assert (changed.status, changed.json) == (200, {**resumed.json, **limits})
    assert (await operator.patch(path, limits)).problem == (403, "forbidden")
    assert (await operator.delete(path)).problem == (403, "forbidden")
    wrong = await admin.patch(path, {"cps": 2.5, "number": "+1", "rest_when": {"rest_s": 1}})
    places = {one["pointer"] for one in wrong.json["errors"]}
    assert (wrong.problem, places) == (
        (422, "invalid_body"),
        {"/cps", "/number", "/rest_when/rest_s"},
    )
    assert (await admin.delete(path)).status == 204
    for gone in (
        await admin.delete(path),
        await admin.patch(path, {}),
        await operator.post(f"{path}/rest", {}),
        await operator.post(f"{path}/resume"),
    ):
        assert gone.problem == (404, "not_found")


async def test_a_did_of_others_cannot_be_let_rest(world: World) -> None:
    theirs = [one["number"] for one in (await world.administrator.get("/v1/dids")).json["items"]]
    ours = [one["number"] for one in (await world.client("viewer").get("/v1/dids")).json["items"]]
    for number in set(theirs) - set(ours):
        reply = await world.client("owner").post(f"/v1/dids/{number}/rest", {})
        assert reply.problem == (404, "not_found")


async def test_a_flow_is_made_with_its_triggers(world: World) -> None:
    reply = await world.client("owner").post("/v1/flows", FLOW)
    assert reply.status == 201
    flow = reply.json["id"]
    base = f"{PUBLIC_URL}/v1/flows/{flow}"
    assert reply.json == {
        "id": flow,
        "name": "reminder",
        "kind": "multicast",
        "timezone": "Asia/Kolkata",
        "definition": DEFINITION,
        "settings": SETTINGS,
        "version": 1,
        "listener": {"active": False},
        "paused_at": None,
        "dids": [],
        "calls_list": reply.json["calls_list"],
        "triggers": {
            "multicast_url": f"{base}/multicast",
            "calls_url": f"{base}/calls",
            "upload_url": f"{base}/lists",
            "email": None,
            "sftp": None,
            "folder": None,
        },
        "created_at": "2026-01-01T00:00:00.000Z",
    }
    assert (await world.client("viewer").get(f"/v1/flows/{flow}")).json == reply.json
    assert (await world.client("viewer").get("/v1/flows")).json["items"] == [reply.json]


async def test_every_mistake_of_a_flow_is_said_at_once(world: World) -> None:
    body = {
        "name": "",
        "kind": "broadcast",
        "timezone": "Mars/Olympus",
        "definition": {
            "start": "a",
            "nodes": {"a": {"type": "play", "play": "prm_0", "next": "b"}, "b": {"type": "hangup"}},
        },
        "settings": {"cps": 1.5, "retry": {"busy": {"tries": -1, "wait_s": 1}}, "loud": True},
    }
    reply = await world.client("owner").post("/v1/flows", body)
    assert reply.problem == (422, "invalid_body")
    found = {(error["pointer"], error["code"]) for error in reply.json["errors"]}
    assert found == {
        ("/name", "invalid_value"),
        ("/kind", "invalid_value"),
        ("/timezone", "unknown_timezone"),
        ("/definition/nodes/a/play", "unknown_prompt"),
        ("/settings/cps", "invalid_cps"),
        ("/settings/retry/busy/tries", "invalid_value"),
        ("/settings/loud", "unknown_field"),
    }


async def test_a_flow_is_changed_whole_and_its_version_rises_with_what_it_does(
    world: World,
) -> None:
    flow = await world.make_flow()
    owner = world.client("owner")
    renamed = await owner.put(f"/v1/flows/{flow}", {**FLOW, "name": "other"})
    assert (renamed.status, renamed.json["name"], renamed.json["version"]) == (200, "other", 1)
    changed = await owner.put(f"/v1/flows/{flow}", {**FLOW, "settings": {"attempts_max": 9}})
    assert (changed.json["settings"]["attempts_max"], changed.json["version"]) == (9, 2)
    assert (changed.json["listener"], len(changed.json["dids"])) == ({"active": True}, 1)
    kind = await owner.put(f"/v1/flows/{flow}", {**FLOW, "kind": "dialer"})
    assert kind.problem == (409, "kind_fixed")


async def test_a_flow_is_deleted_unless_somebody_still_waits(world: World) -> None:
    flow = await world.make_flow()
    owner = world.client("owner")
    call_list = await world.make_list(flow)
    assert (await owner.delete(f"/v1/flows/{flow}")).problem == (409, "flow_in_use")
    [contact] = await world.contacts(call_list)
    assert (await owner.post(f"/v1/contacts/{contact.id}/cancel")).status == 200
    assert (await owner.delete(f"/v1/flows/{flow}")).status == 204
    assert (await owner.get(f"/v1/flows/{flow}")).problem == (404, "not_found")
    assert (await owner.delete(f"/v1/flows/{flow}")).problem == (404, "not_found")


async def test_dids_of_the_account_are_attached_in_order(world: World) -> None:
    flow = await world.make_flow(listening=False)
    owner = world.client("owner")
    did = {"number": "+14155550199", "account": "ours", "trunk": "main"}
    await world.administrator.post("/v1/dids", did)
    numbers = ["+14155550199", "+1 415 555 0101", "+14155550199"]
    reply = await owner.put(f"/v1/flows/{flow}/dids", {"numbers": numbers})
    assert (reply.status, reply.json["dids"]) == (200, ["+14155550199", "+14155550101"])


async def test_a_did_of_another_account_is_unknown(world: World) -> None:
    flow = await world.make_flow(listening=False)
    numbers = ["+14155550101", "+14155550102"]
    reply = await world.client("owner").put(f"/v1/flows/{flow}/dids", {"numbers": numbers})
    assert reply.problem == (422, "unknown_did")
    assert [error["pointer"] for error in reply.json["errors"]] == ["/numbers/1"]


async def test_a_listener_needs_a_did(world: World) -> None:
    flow = await world.make_flow(listening=False)
    owner = world.client("owner")
    on = {"active": True}
    assert (await owner.put(f"/v1/flows/{flow}/listener", on)).problem == (409, "no_dids")
    await owner.put(f"/v1/flows/{flow}/dids", {"numbers": ["+14155550101"]})
    reply = await owner.put(f"/v1/flows/{flow}/listener", on)
    assert (reply.status, reply.json["listener"]) == (200, {"active": True})
    taken = await owner.put(f"/v1/flows/{flow}/dids", {"numbers": []})
    assert taken.problem == (409, "no_dids")
    reply = await owner.put(f"/v1/flows/{flow}/listener", {"active": False})
    assert (reply.status, reply.json["listener"]) == (200, {"active": False})
    assert world.engine.changed.count(("flow", "acc_1", flow)) == 4


async def test_the_template_has_the_columns_of_the_flow(world: World) -> None:
    flow = await world.make_flow()
    reply = await world.client("viewer").get(f"/v1/flows/{flow}/template.csv")
    assert reply.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert reply.body == (
        b"tel1,tel2,tel3,tel4,tel5,tel6,tel7,tel8,tel9,tel10,$flow.name,starttime,reference\r\n"
        b"EXAMPLE,,,,,,,,,,there,,customer-1\r\n"
    )


async def test_a_template_that_comes_back_untouched_calls_nobody(world: World) -> None:
    flow = await world.make_flow()
    template = (await world.client("viewer").get(f"/v1/flows/{flow}/template.csv")).body
    operator, path = world.client("operator"), f"/v1/flows/{flow}/lists"
    assert (await operator.upload(path, "a.csv", template)).problem == (422, "no_rows")
    reply = await operator.upload(path, "a.csv", template + b"+919876543210,,,,,,,,,,Asha,,\r\n")
    report = reply.json["report"]
    assert (report["rows"], report["accepted"], report["errors"]) == (1, 1, [])
    assert report["warnings"] == [
        {
            "row": 1,
            "column": "tel1",
            "code": "example_row",
            "detail": "This is the template's example; nobody is called for it.",
        }
    ]


async def test_whoever_writes_a_number_over_the_template_s_example_is_called_now(
    world: World,
) -> None:
    flow = await world.make_flow()
    template = (await world.client("viewer").get(f"/v1/flows/{flow}/template.csv")).body
    mine = template.replace(b"EXAMPLE", b"+919876543210")
    reply = await world.client("operator").upload(f"/v1/flows/{flow}/lists", "a.csv", mine)
    assert reply.json["report"]["accepted"] == 1
    contacts = await world.client("viewer").get(f"/v1/lists/{reply.json['id']}/contacts")
    [contact] = contacts.json["items"]
    assert contact["starttime"] == reply.json["created_at"]


async def test_pages_follow_one_another_to_the_end(world: World) -> None:
    made = [await world.make_flow(listening=False) for _ in range(5)]
    viewer, seen, path = world.client("viewer"), [], "/v1/flows?limit=2"
    sizes = []
    while True:
        page = (await viewer.get(path)).json
        seen += [item["id"] for item in page["items"]]
        sizes.append(len(page["items"]))
        if page["next"] is None:
            break
        path = f"/v1/flows?limit=2&cursor={page['next']}"
    assert (sorted(made), sizes) == (seen, [2, 2, 1])


async def test_ten_mistakes_of_a_definition_are_said_at_once_with_their_places(
    world: World,
) -> None:
    reply = await world.client("owner").post(
        "/v1/flows", {"name": "Bad", "definition": TEN_MISTAKES}
    )
    assert reply.problem == (422, "invalid_body")
    places = [(error["pointer"], error["code"]) for error in reply.json["errors"]]
    with pytest.raises(InvalidDefinition) as caught:
        read_definition(TEN_MISTAKES)
    expected = [(f"/definition{one.pointer}", one.code) for one in caught.value.mistakes]
    assert expected[0] in places
    # A prompt that is not there is one more, which only the store can tell.
    assert [one for one in places if one[1] != "unknown_prompt"] == expected
    assert len(expected) == 10


async def test_a_flow_shows_its_graph_as_a_picture(world: World) -> None:
    flow = await world.make_flow()
    reply = await world.client("viewer").get(f"/v1/flows/{flow}/diagram.svg")
    assert (reply.status, reply.headers["Content-Type"]) == (200, "image/svg+xml; charset=utf-8")
    assert reply.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert reply.body.startswith(b"<svg ")
    missing = await world.client("viewer").get("/v1/flows/flw_0/diagram.svg")
    assert missing.problem == (404, "not_found")
