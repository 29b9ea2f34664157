"""Multicast, single calls and uploads, over HTTP."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.api.http.world import World

CSV = b"tel1,name,reference\n+919876543210,Asha,a-1\n12,Ravi,a-2\n"


async def test_a_multicast_answers_with_its_list_and_what_was_rejected(world: World) -> None:
    flow = await world.make_flow()
    body = {
        "name": "june",
        "contacts": [{"tel": ["+919876543210"]}, {"tel": ["+449876543210"]}, {"name": "x"}],
    }
    reply = await world.client("operator").post(f"/v1/flows/{flow}/multicast", body)
    assert reply.status == 202
    assert {
        "list": world.engine.accepted[0],
        "accepted": 1,
        "rejected": [(2, "number_not_allowed"), (3, "unknown_column")],
    } == {
        **reply.json,
        "rejected": [(error["row"], error["code"]) for error in reply.json["rejected"]],
    }


async def test_a_multicast_comes_as_ndjson_too(world: World) -> None:
    flow = await world.make_flow()
    lines = (
        b'{"tel": ["+919876543210"], "variables": {"name": "Asha"}}\n\n{"tel": "+919876543211"}\n{'
    )
    reply = await world.client("operator").send(
        "POST",
        f"/v1/flows/{flow}/multicast?name=july",
        data=lines,
        content_type="application/x-ndjson",
    )
    assert (reply.status, reply.json["accepted"]) == (202, 2)
    assert [error["code"] for error in reply.json["rejected"]] == ["invalid_json"]
    call_list = (await world.client("viewer").get(f"/v1/lists/{reply.json['list']}")).json
    assert call_list["name"] == "july"
    contacts = await world.contacts(reply.json["list"])
    assert [contact.variables["name"] for contact in contacts] == ["Asha", "there"]


async def test_a_strict_multicast_is_all_or_nothing(world: World) -> None:
    flow = await world.make_flow()
    body = {"contacts": [{"tel": ["+919876543210"]}, {"tel": ["1"]}]}
    reply = await world.client("operator").post(f"/v1/flows/{flow}/multicast?strict=true", body)
    assert (reply.status, reply.json["accepted"]) == (202, 0)
    assert await world.contacts(reply.json["list"]) == []


async def test_a_single_call_answers_with_its_contact(world: World) -> None:
    flow = await world.make_flow()
    operator = world.client("operator")
    now = await operator.post(f"/v1/flows/{flow}/calls", {"to": "+919876543210"})
    assert now.status == 202
    assert now.json == {"contact": now.json["contact"], "status": "waiting", "warnings": []}
    later = {"to": ["+919876543211"], "starttime": "2026-01-01T06:00:00+05:30"}
    reply = await operator.post(f"/v1/flows/{flow}/calls", later)
    assert (reply.status, reply.json["status"]) == (202, "scheduled")
    contact = (await operator.get(f"/v1/contacts/{reply.json['contact']}")).json
    assert contact["starttime"] == "2026-01-01T00:30:00.000Z"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"to": "+449876543210"}, 422, "number_not_allowed"),
        ({"to": "x"}, 422, "invalid_number"),
        ({"to": []}, 422, "missing_tel"),
        ({"to": "9.19876E+11"}, 422, "spreadsheet_damage"),
        ({"to": "+919876543210", "starttime": "soon"}, 422, "invalid_starttime"),
        ({"to": "+919876543210", "starttime": "2025-01-01T00:00:00Z"}, 422, "starttime_past"),
        ({"to": "+919876543210", "agent": "+14155550100"}, 422, "agent_not_allowed"),
        ({}, 422, "invalid_body"),
    ],
)
async def test_a_call_that_cannot_be_made_is_refused(
    world: World, body: dict[str, Any], status: int, code: str
) -> None:
    flow = await world.make_flow()
    reply = await world.client("operator").post(f"/v1/flows/{flow}/calls", body)
    assert reply.problem == (status, code)


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({"to": "12"}, ["/to"]),
        ({"to": ["+919876543210", "12"], "starttime": "soon"}, ["/to/1", "/starttime"]),
        ({"to": "+919876543210", "variables": {"nope": "1"}}, ["/variables/nope"]),
        ({"to": "+919876543210", "variables": {"a/b[0].~": "1"}}, ["/variables/a~1b[0].~0"]),
        ({"to": "+919876543210", "variables": {"nope": {}}}, ["/variables"]),
        ({"to": "+919876543210", "nope": 1}, ["/nope"]),
        ({"to": "+919876543210", "a.b/c": 1}, ["/a.b~1c"]),
        ({"to": "+919876543210", "a[1]": 1}, ["/a[1]"]),
        ({"to": "+919876543210", "a[...]": 1}, ["/a[...]"]),
        ({"to": "+919876543210", "variables.x": 1}, ["/variables.x"]),
        ({"to": "+919876543210", "to[1]": 1}, ["/to[1]"]),
        ({"to": "+919876543210", "": 1}, ["/"]),
        ({"to": ["+919876543210", []]}, ["/to/1"]),
        ({"variables": {}}, [""]),
    ],
)
async def test_a_refused_call_is_told_where_its_mistakes_are(
    world: World, body: dict[str, Any], pointers: list[str]
) -> None:
    flow = await world.make_flow()
    reply = await world.client("operator").post(f"/v1/flows/{flow}/calls", body)
    assert [error.get("pointer") for error in reply.json["errors"]] == pointers
    assert not any("row" in error or "column" in error for error in reply.json["errors"])


async def test_every_trigger_of_an_inactive_flow_is_refused(world: World) -> None:
    flow = await world.make_flow(listening=False)
    operator = world.client("operator")
    replies = [
        await operator.post(f"/v1/flows/{flow}/multicast", {"contacts": []}),
        await operator.post(f"/v1/flows/{flow}/calls", {"to": "+919876543210"}),
        await operator.upload(f"/v1/flows/{flow}/lists", "x.csv", CSV),
        await operator.upload(f"/v1/flows/{flow}/lists?dry_run=true", "x.csv", CSV),
    ]
    assert [reply.problem for reply in replies] == [(409, "listener_inactive")] * 4


async def test_an_upload_answers_with_the_list_and_its_report(world: World) -> None:
    flow = await world.make_flow()
    reply = await world.client("operator").upload(f"/v1/flows/{flow}/lists", "june.csv", CSV)
    assert reply.status == 202
    call_list = reply.json["id"]
    [error] = reply.json["report"]["errors"]
    assert (error["row"], error["column"], error["code"]) == (2, "tel1", "invalid_number")
    assert reply.json == {
        "id": call_list,
        "flow": flow,
        "name": "june.csv",
        "source": "upload",
        "status": "running",
        "counts": {"contacts": 1, "scheduled": 0, "waiting": 1, "dialing": 0, "completed": 0},
        "dispositions": {},
        "report": {"rows": 2, "accepted": 1, "rejected": 1, "errors": [error], "warnings": []},
        "created_at": "2026-01-01T00:00:00.000Z",
        "started_at": None,
        "finished_at": None,
        "priority": None,
    }
    shown = (await world.client("viewer").get(f"/v1/lists/{call_list}")).json
    assert shown == {**reply.json, "blocked": {}, "blocked_until": {}, "blocked_detail": {}}


async def test_a_dry_run_reports_and_keeps_nothing(world: World) -> None:
    flow = await world.make_flow()
    operator = world.client("operator")
    reply = await operator.upload(f"/v1/flows/{flow}/lists?dry_run=true", "june.csv", CSV)
    assert (reply.status, reply.json["dry_run"], reply.json["id"]) == (202, True, "")
    report = reply.json["report"]
    assert (report["rows"], report["accepted"], report["rejected"]) == (2, 1, 1)
    assert (await operator.get("/v1/lists")).json == {"items": [], "next": None}
    assert world.engine.accepted == []


async def test_a_dry_run_says_what_the_list_would_come_to(world: World) -> None:
    flow = await world.make_flow()
    operator, path = world.client("operator"), f"/v1/flows/{flow}/lists"
    await operator.post("/v1/dnc", {"numbers": ["+14155550123", "+919876543211"]})
    rows = (
        b"tel1,tel2,starttime\n"
        b"+919876543210,+14155550123,\n"
        b"+919876543211,,2026-01-01T12:00:00Z\n"
        b"+14165550123,,2026-01-01T09:00:00Z\n"
        b"+14165550124,,2025-12-31T12:00:00Z\n"
    )
    first = await operator.upload(path, "june.csv", rows)
    reply = await operator.upload(f"{path}?dry_run=true", "june.csv", rows)
    assert reply.json["preflight"] == {
        "numbers": 5,
        "countries": {"CA": 2, "IN": 2, "US": 1},
        "do_not_call": {"numbers": 2, "contacts": 1},
        "starts": {
            "now": 2,
            "earliest": "2026-01-01T00:00:00.000Z",
            "latest": "2026-01-01T12:00:00.000Z",
        },
        "duplicate_of": first.json["id"],
        "forecast": None,
    }
    assert reply.json["counts"]["scheduled"] == 2
    listed = "{} is on the do-not-call list; it is not called as long as it is there."
    warnings = [
        {
            "row": row,
            "column": column,
            "code": "do_not_call",
            "detail": listed.format(number),
        }
        for row, column, number in (
            (1, None, "+14155550123"),
            (2, "tel1", "+919876543211"),
        )
    ]
    assert first.json["report"]["warnings"][:2] == warnings
    [duplicate, *others] = reply.json["report"]["warnings"]
    assert (duplicate["code"], others) == ("duplicate_list", first.json["report"]["warnings"])
    assert [one["code"] for one in others] == ["do_not_call", "do_not_call", "starttime_past"]


async def test_a_single_call_to_a_listed_number_is_taken_with_a_warning(world: World) -> None:
    flow, operator = await world.make_flow(), world.client("operator")
    await operator.post("/v1/dnc", {"numbers": ["+919876543210"]})
    reply = await operator.post(f"/v1/flows/{flow}/calls", {"to": "+919876543210"})
    assert reply.status == 202
    assert [warning["code"] for warning in reply.json["warnings"]] == ["do_not_call"]


async def test_the_same_file_is_refused_unless_it_is_insisted_on(world: World) -> None:
    flow, other = await world.make_flow(), await world.make_flow()
    operator, path = world.client("operator"), f"/v1/flows/{flow}/lists"
    first = await operator.upload(path, "june.csv", CSV)
    refused = await operator.upload(path, "renamed.csv", CSV)
    assert (refused.problem, refused.json["list"]) == ((409, "duplicate_list"), first.json["id"])
    assert first.json["id"] in refused.json["detail"]
    taken = [
        await operator.upload(f"{path}?again=true", "june.csv", CSV),
        await operator.upload(path, "june.csv", CSV + b"+14155552671\n"),
        await operator.upload(f"/v1/flows/{other}/lists", "june.csv", CSV),
    ]
    assert [reply.status for reply in taken] == [202] * 3
    newest = taken[0].json["id"]
    assert (await operator.upload(path, "june.csv", CSV)).json["list"] == newest
    world.engine.clock.at += 24 * 3600
    assert (await operator.upload(path, "june.csv", CSV)).status == 202


async def test_a_strict_upload_is_all_or_nothing(world: World) -> None:
    flow = await world.make_flow()
    operator = world.client("operator")
    reply = await operator.upload(f"/v1/flows/{flow}/lists?strict=true", "june.csv", CSV)
    assert (reply.status, reply.json["status"]) == (202, "rejected")
    assert (reply.json["report"]["accepted"], reply.json["counts"]["contacts"]) == (0, 0)


@pytest.mark.parametrize(
    ("name", "content", "status", "code"),
    [
        ("x.csv", b"name\nAsha\n", 422, "missing_tel"),
        ("x.csv", b"tel1\n", 422, "no_rows"),
        ("x.csv", b"\x00\x01\x02", 422, "not_csv"),
        ("x.zip", b"PK\x03\x04rubbish", 422, "bad_zip"),
        ("x.csv", b"tel1\n" + b"+919876543210\n" * 400_000, 413, "file_too_large"),
        ("upload_99999999999999.csv", b"tel1\n+919876543210\n", 422, "invalid_starttime"),
    ],
)
async def test_a_file_that_is_no_call_list_is_refused(
    world: World, name: str, content: bytes, status: int, code: str
) -> None:
    flow = await world.make_flow()
    reply = await world.client("operator").upload(f"/v1/flows/{flow}/lists", name, content)
    assert reply.problem == (status, code)


async def test_a_form_must_bring_one_file(world: World) -> None:
    flow = await world.make_flow()
    operator, path = world.client("operator"), f"/v1/flows/{flow}/lists"
    assert (await operator.upload(path, "x.csv", CSV, field="data")).problem == (
        422,
        "missing_file",
    )
    part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\nx\r\n'
    two = await operator.send(
        "POST", path, data=part * 2 + b"--b--\r\n", content_type="multipart/form-data; boundary=b"
    )
    assert two.problem == (422, "invalid_body")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"--b--\r\n"),
        ("multipart/form-data; boundary=b", b"rubbish"),
        ("multipart/form-data; boundary=b", b"--b\r\nContent-Disposition: form-data\r\n\r\nx"),
        ("multipart/form-data; boundary=\xe9", b"--b--\r\n"),
    ],
)
async def test_a_form_that_cannot_be_read_is_refused(
    world: World, content_type: str, body: bytes
) -> None:
    flow = await world.make_flow()
    reply = await world.client("operator").send(
        "POST", f"/v1/flows/{flow}/lists", data=body, content_type=content_type
    )
    assert reply.problem in ((400, "bad_request"), (422, "missing_file"))


async def test_a_large_multicast_is_taken_whole(world: World) -> None:
    flow = await world.make_flow()
    contacts = [{"tel": [f"+91987{place:07}"]} for place in range(5_000)]
    data = msgspec.json.encode({"contacts": contacts})
    reply = await world.client("operator").send(
        "POST", f"/v1/flows/{flow}/multicast", data=data, content_type="application/json"
    )
    assert (reply.status, reply.json["accepted"]) == (202, 5_000)


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({"contacts": [], "zap": 1}, ["/zap"]),
        ({"contacts": "+919876543210"}, ["/contacts"]),
        ({"contacts": [{"tel": "+919876543210"}], "starttime": "soon"}, ["/starttime"]),
        ({}, [""]),
    ],
)
async def test_a_mistake_in_a_body_of_contacts_has_a_pointer_and_no_row(
    world: World, body: dict[str, Any], pointers: list[str]
) -> None:
    flow = await world.make_flow()
    reply = await world.client("operator").post(f"/v1/flows/{flow}/multicast", body)
    assert reply.status == 422
    assert [error.get("pointer") for error in reply.json["errors"]] == pointers
    assert [error.get("row") for error in reply.json["errors"]] == [None] * len(pointers)
