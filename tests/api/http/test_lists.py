"""Lists, contacts and attempts, and what is downloaded of them."""

from __future__ import annotations

import csv
import io
from typing import Any

import msgspec
import pytest

from engine.model import Attempt, Blocker, Contact, Media, SipOutcome, Step
from engine.model.events import Event
from tests.api.http.world import EPOCH, Reply, World

DID = "+14155550101"


def rows_of(reply: Reply) -> list[dict[str, str]]:
    assert (reply.status, reply.headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
    return list(csv.DictReader(io.StringIO(reply.body.decode(), newline="")))


async def finish(world: World, contact: Contact) -> Attempt:
    """An attempt on the contact that was answered, from its begin to its end."""
    attempt = await world.begin_attempt(contact)
    ended = msgspec.structs.replace(
        attempt,
        status="completed",
        disposition="answered",
        ringing_at=EPOCH + 1,
        answered_at=EPOCH + 3,
        ended_at=EPOCH + 10.5,
        sip=SipOutcome(200, "OK", "=call@x"),
        q850=16,
        result={"choice": "1"},
        digits="1",
        media=Media(0.01, 2.5, 4.4, remote_loss=0.02, remote_jitter_ms=1.5, rtt_ms=30.5),
        steps=(Step("hello", "say", 0.0, "played"), Step("bye", "hangup", 7.5, "done")),
    )
    done = msgspec.structs.replace(
        contact, state="completed", disposition="answered", spent=1, completed_at=EPOCH + 10.5
    )
    event = Event("attempt.ended", EPOCH + 10.5, contact.account, contact.flow, contact.list)
    assert await world.store.end_attempt(ended, done, [event])
    return ended


async def test_lists_are_shown_newest_first_and_by_flow(world: World) -> None:
    flow, other = await world.make_flow(), await world.make_flow()
    made = []
    for which in (flow, other, flow):
        made.append(await world.make_list(which))
        world.engine.clock.at += 1
    viewer = world.client("viewer")
    everything = (await viewer.get("/v1/lists")).json["items"]
    assert [item["id"] for item in everything] == made[::-1]
    of_flow = (await viewer.get(f"/v1/lists?flow={flow}")).json["items"]
    assert [item["id"] for item in of_flow] == [made[2], made[0]]
    world.engine.blocked = {"did_cps": 2}
    world.engine.blocked_detail = {"did_cps": "It rests."}
    one = (await viewer.get(f"/v1/lists/{made[0]}")).json
    assert {
        **of_flow[1],
        "blocked": {"did_cps": 2},
        "blocked_until": {},
        "blocked_detail": {"did_cps": "It rests."},
    } == one


async def test_a_list_tells_when_the_first_of_those_that_wait_goes_on(world: World) -> None:
    later = "2026-03-01T09:30:00.000Z"
    made = await world.make_list(
        await world.make_flow(), {"tel": ["+919876543210"], "starttime": later}
    )
    world.engine.blocked = {"starttime": 1}
    viewer = world.client("viewer")
    assert (await viewer.get(f"/v1/lists/{made}")).json["blocked_until"] == {"starttime": later}
    world.engine.blocked = {"list_paused": 1}
    assert (await viewer.get(f"/v1/lists/{made}")).json["blocked_until"] == {}


async def test_a_list_is_paused_resumed_and_canceled(world: World) -> None:
    flow = await world.make_flow()
    call_list = await world.make_list(flow)
    operator, path = world.client("operator"), f"/v1/lists/{call_list}"
    paused, resumed = await operator.post(f"{path}/pause"), await operator.post(f"{path}/resume")
    assert (paused.status, paused.json["status"]) == (200, "paused")
    assert (resumed.status, resumed.json["status"]) == (200, "scheduled")
    canceled = await operator.post(f"{path}/cancel")
    assert (canceled.status, canceled.json["status"]) == (200, "canceled")
    for change in ("pause", "resume", "cancel"):
        assert (await operator.post(f"{path}/{change}")).problem == (409, "list_finished")


async def test_the_list_of_single_calls_cannot_be_canceled(world: World) -> None:
    flow = await world.make_flow()
    operator = world.client("operator")
    await operator.post(f"/v1/flows/{flow}/calls", {"to": "+919876543210"})
    standing = (await operator.get(f"/v1/flows/{flow}")).json["calls_list"]
    assert (await operator.post(f"/v1/lists/{standing}/cancel")).problem == (409, "list_standing")


async def test_a_contact_says_what_holds_it_back(world: World) -> None:
    flow = await world.make_flow()
    call_list = await world.make_list(
        flow, {"tel": ["+919876543210", "+919876543211"], "reference": "a-1"}
    )
    world.engine.blocker = Blocker("did_cps", "The DID is at its pace.", EPOCH + 0.5)
    viewer = world.client("viewer")
    [item] = (await viewer.get(f"/v1/lists/{call_list}/contacts")).json["items"]
    expected = {
        "id": item["id"],
        "list": call_list,
        "flow": flow,
        "row": 1,
        "tel": ["+919876543210", "+919876543211"],
        "variables": {"name": "there"},
        "reference": "a-1",
        "agent": None,
        "starttime": "2026-01-01T00:00:00.000Z",
        "status": "waiting",
        "disposition": None,
        "completed_at": None,
        "blocker": {
            "code": "did_cps",
            "detail": "The DID is at its pace.",
            "until": "2026-01-01T00:00:00.500Z",
        },
    }
    assert item == expected
    one = (await viewer.get(f"/v1/contacts/{item['id']}")).json
    assert one == {**expected, "attempts": []}


async def test_a_contact_is_canceled_unless_it_is_too_late(world: World) -> None:
    flow = await world.make_flow()
    call_list = await world.make_list(flow, {"tel": "+919876543210"}, {"tel": "+919876543211"})
    first, second = await world.contacts(call_list)
    operator = world.client("operator")
    reply = await operator.post(f"/v1/contacts/{first.id}/cancel")
    assert (reply.status, reply.json["status"], reply.json["disposition"]) == (
        200,
        "completed",
        "canceled",
    )
    again = await operator.post(f"/v1/contacts/{first.id}/cancel")
    assert again.problem == (409, "contact_finished")
    await world.begin_attempt(second)
    dialing = await operator.post(f"/v1/contacts/{second.id}/cancel")
    assert dialing.problem == (409, "contact_dialing")


async def test_a_call_detail_record_has_everything_that_is_known(world: World) -> None:
    flow = await world.make_flow()
    call_list = await world.make_list(flow)
    [contact] = await world.contacts(call_list)
    attempt = await finish(world, contact)
    viewer = world.client("viewer")
    expected: dict[str, Any] = {
        "id": attempt.id,
        "flow": flow,
        "list": call_list,
        "contact": contact.id,
        "number": "+919876543210",
        "did": DID,
        "trunk": "main",
        "status": "completed",
        "disposition": "answered",
        "initiated_at": "2026-01-01T00:00:00.000Z",
        "ringing_at": "2026-01-01T00:00:01.000Z",
        "answered_at": "2026-01-01T00:00:03.000Z",
        "ended_at": "2026-01-01T00:00:10.500Z",
        "duration_s": 7.5,
        "sip": {"code": 200, "reason": "OK", "call_id": "=call@x", "failure": None},
        "q850": 16,
        "amd": None,
        "digits": "1",
        "result": {"choice": "1"},
        "media": {
            "loss": 0.01,
            "jitter_ms": 2.5,
            "mos": 4.4,
            "remote_loss": 0.02,
            "remote_jitter_ms": 1.5,
            "rtt_ms": 30.5,
        },
        "agent": None,
        "abandoned": None,
    }
    steps = [
        {"node": "hello", "type": "say", "at_s": 0.0, "outcome": "played"},
        {"node": "bye", "type": "hangup", "at_s": 7.5, "outcome": "done"},
    ]
    one = (await viewer.get(f"/v1/attempts/{attempt.id}")).json
    assert one == {**expected, "legs": [], "steps": steps}
    assert (await viewer.get(f"/v1/contacts/{contact.id}")).json["attempts"] == [expected]
    assert (await viewer.get("/v1/attempts")).json == {"items": [expected], "next": None}
    [row] = rows_of(await viewer.get("/v1/attempts.csv"))
    flat = {
        name: str(value) for name, value in expected.items() if isinstance(value, str | float | int)
    }
    assert row == {
        **flat,
        "amd": "",
        "sip_code": "200",
        "sip_reason": "OK",
        "sip_call_id": "'=call@x",
        "result": '{"choice":"1"}',
        "loss": "0.01",
        "jitter_ms": "2.5",
        "mos": "4.4",
        "remote_loss": "0.02",
        "remote_jitter_ms": "1.5",
        "rtt_ms": "30.5",
        "agent": "",
        "abandoned": "",
        "sip_failure": "",
    }


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("flow={flow}", 1),
        ("list={list}&open=false", 1),
        ("list={list}&open=true", 0),
        ("flow=flw_0", 0),
        ("list={list}", 1),
        ("number={number}", 1),
        ("number={number}&list={list}", 1),
        ("number=91 98-00 00 00 01", 0),
        ("contact={contact}&from=2026-01-01T00:00:00Z&to=2026-01-01T00:00:01Z", 1),
        ("from=2026-01-01T05:30:00+05:30", 1),
        ("from=2026-01-01T00:00:01%2B00:00", 0),
        ("to=2026-01-01T00:00:00Z", 0),
    ],
)
async def test_attempts_are_filtered(world: World, query: str, count: int) -> None:
    flow = await world.make_flow()
    call_list = await world.make_list(flow)
    [contact] = await world.contacts(call_list)
    await finish(world, contact)
    number = contact.tel[0].replace("+", "%2B")
    query = query.format(flow=flow, list=call_list, contact=contact.id, number=number)
    viewer = world.client("viewer")
    assert len((await viewer.get(f"/v1/attempts?{query}")).json["items"]) == count
    assert len(rows_of(await viewer.get(f"/v1/attempts.csv?{query}"))) == count


async def test_results_have_a_row_for_each_contact(world: World) -> None:
    flow = await world.make_flow()
    call_list = await world.make_list(
        flow,
        {"tel": ["+919876543210", "+919876543211"], "reference": "=cmd()"},
        {"tel": "+919876543212", "reference": "+14155550100"},
    )
    first, _ = await world.contacts(call_list)
    await finish(world, first)
    reply = await world.client("viewer").get(f"/v1/lists/{call_list}/results.csv")
    assert reply.headers["Content-Disposition"] == f'attachment; filename="results-{call_list}.csv"'
    no_tels = {f"tel{place}": "" for place in range(1, 11)}
    of_attempts = (
        "number",
        "did",
        "initiated_at",
        "answered_at",
        "ended_at",
        "duration_s",
        "sip_code",
        "amd",
        "digits",
        "result",
    )
    no_attempt = dict.fromkeys(of_attempts, "")
    assert rows_of(reply) == [
        {
            **no_tels,
            "row": "1",
            "reference": "'=cmd()",
            "tel1": "+919876543210",
            "tel2": "+919876543211",
            "status": "completed",
            "disposition": "answered",
            "attempts": "1",
            "number": "+919876543210",
            "did": DID,
            "initiated_at": "2026-01-01T00:00:00.000Z",
            "answered_at": "2026-01-01T00:00:03.000Z",
            "ended_at": "2026-01-01T00:00:10.500Z",
            "duration_s": "7.5",
            "sip_code": "200",
            "amd": "",
            "digits": "1",
            "result": '{"choice":"1"}',
        },
        {
            **no_tels,
            **no_attempt,
            "row": "2",
            "reference": "+14155550100",
            "tel1": "+919876543212",
            "status": "waiting",
            "disposition": "",
            "attempts": "0",
        },
    ]


async def test_rejected_rows_come_back_as_they_were_with_the_reason(world: World) -> None:
    flow = await world.make_flow()
    content = b"Tel1,name,=note\n+919876543210,a,\n12,=HYPERLINK(1),x\n,@b\n"
    reply = await world.client("operator").upload(f"/v1/flows/{flow}/lists", "x.csv", content)
    path = f"/v1/lists/{reply.json['id']}/rejected.csv"
    lines = (await world.client("viewer").get(path)).body.decode().splitlines()
    assert lines[0] == "Tel1,name,'=note,row,column,code,detail"
    assert [line.split(",")[:6] for line in lines[1:]] == [
        ["12", "'=HYPERLINK(1)", "x", "2", "tel1", "invalid_number"],
        ["", "'@b", "", "3", "tel1", "missing_tel"],
    ]


async def test_long_results_are_streamed_page_by_page(world: World) -> None:
    flow = await world.make_flow()
    contacts = [{"tel": f"+91987{place:07}"} for place in range(2_500)]
    call_list = await world.make_list(flow, *contacts)
    rows = rows_of(await world.client("viewer").get(f"/v1/lists/{call_list}/results.csv"))
    assert [row["tel1"] for row in rows] == [contact["tel"] for contact in contacts]


async def test_contacts_are_paged_in_the_order_of_their_rows(world: World) -> None:
    flow = await world.make_flow()
    call_list = await world.make_list(flow, *({"tel": f"+91987000000{n}"} for n in range(5)))
    viewer, rows = world.client("viewer"), []
    path: str | None = f"/v1/lists/{call_list}/contacts?limit=2"
    while path:
        page = (await viewer.get(path)).json
        rows += [item["row"] for item in page["items"]]
        following = page["next"]
        path = following and f"/v1/lists/{call_list}/contacts?limit=2&cursor={following}"
    assert rows == [1, 2, 3, 4, 5]
