"""ETags: what was changed meanwhile is not written over, and what did not change is not sent again."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import Any

import msgspec
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from api.http.etags import Tags, is_among
from api.http.problem import Problem
from engine.model import Flow
from tests.api.http.world import DEFINITION, FLOW, Reply, World
from tests.contract.store_samples import a_did, a_flow

DID = "/v1/dids/+14155550101"


async def send(world: World, method: str, path: str, body: Any = None, **headers: Any) -> Reply:
    """A request by somebody who may do everything with what is ours."""
    client = world.administrator if path.startswith("/v1/accounts") else world.client("owner")
    if path.startswith("/v1/dids"):
        client = world.administrator
    return await client.send(method, path, body, **headers)


async def edited(world: World) -> dict[str, tuple[str, Any]]:
    """Address → method and body of an edit, one of each kind that can be edited."""
    flow = await world.make_flow()
    call_list = await world.make_list(flow, {"tel": ["+919876543210"]})
    return {
        f"/v1/flows/{flow}": ("PUT", {"name": "other", "definition": DEFINITION}),
        "/v1/accounts/ours": ("PATCH", {"cps": 3}),
        DID: ("PATCH", {"cps": 3}),
        f"/v1/lists/{call_list}": ("PATCH", {"starttime": "2026-01-02T00:00:00Z"}),
    }


async def test_an_edit_of_what_was_changed_meanwhile_is_refused_and_changes_nothing(
    world: World,
) -> None:
    for path, (method, body) in (await edited(world)).items():
        read = (await send(world, "GET", path)).headers["ETag"]
        first = await send(world, method, path, body, If_Match=read)
        assert (first.status, first.headers["ETag"] != read) == (200, True), path
        second = await send(world, method, path, body, If_Match=read)
        assert second.problem == (412, "precondition_failed"), path
        shown = await send(world, "GET", path)
        assert (shown.json, shown.headers["ETag"]) == (first.json, first.headers["ETag"]), path


async def test_a_list_that_is_sent_back_as_it_was_shown_is_held_to_its_tag(world: World) -> None:
    call_list = await world.make_list(await world.make_flow(), {"tel": ["+919876543210"]})
    path = f"/v1/lists/{call_list}"
    read = await send(world, "GET", path)
    tag = read.headers["ETag"]
    assert (await send(world, "PATCH", path, read.json, If_Match=tag)).status == 200
    assert (await send(world, "PATCH", path, {"priority": "high"}, If_Match=tag)).status == 200
    reply = await send(world, "PATCH", path, read.json, If_Match=tag)
    assert reply.problem == (412, "precondition_failed")


async def test_a_star_or_one_of_several_tags_lets_an_edit_pass(world: World) -> None:
    for path, (method, body) in (await edited(world)).items():
        read = (await send(world, "GET", path)).headers["ETag"]
        assert (await send(world, method, path, body, If_Match=f'"a", {read}')).status == 200
        assert (await send(world, method, path, body, If_Match="*")).status == 200


async def test_a_weak_tag_lets_no_edit_pass(world: World) -> None:
    for path, (method, body) in (await edited(world)).items():
        read = (await send(world, "GET", path)).headers["ETag"]
        reply = await send(world, method, path, body, If_Match=f"W/{read}")
        assert reply.problem == (412, "precondition_failed"), path


@pytest.mark.parametrize("header", ["", "abc", '"a', '"a" "b"', '"a"x', ", ".join(['"a"'] * 51)])
async def test_a_condition_that_cannot_be_read_is_refused(world: World, header: str) -> None:
    flow = await world.make_flow()
    for method, name in (("PUT", "If_Match"), ("GET", "If_None_Match")):
        reply = await send(world, method, f"/v1/flows/{flow}", FLOW, **{name: header})
        assert reply.problem == (400, "invalid_parameter")


async def test_of_many_edits_at_once_of_the_same_state_one_is_made(world: World) -> None:
    flow = await world.make_flow()
    path, outcomes = f"/v1/flows/{flow}", Counter[int]()
    read = (await send(world, "GET", path)).headers["ETag"]

    async def edit(name: str) -> None:
        body = {**FLOW, "name": name}
        outcomes[(await send(world, "PUT", path, body, If_Match=read)).status] += 1

    async with trio.open_nursery() as nursery:
        for place in range(20):
            nursery.start_soon(edit, f"name {place}")
    assert outcomes == {200: 1, 412: 19}


async def test_what_was_changed_meanwhile_is_not_deleted_nor_switched(world: World) -> None:
    flow = await world.make_flow()
    path = f"/v1/flows/{flow}"
    read = (await send(world, "GET", path)).headers["ETag"]
    assert (await send(world, "PUT", path, {**FLOW, "name": "other"})).status == 200
    for method, address, body in (
        ("PUT", f"{path}/listener", {"active": False}),
        ("PUT", f"{path}/dids", {"numbers": []}),
        ("DELETE", path, None),
        ("DELETE", DID, None),
    ):
        old = '"old"' if address == DID else read
        reply = await send(world, method, address, body, If_Match=old)
        assert reply.problem == (412, "precondition_failed"), address
    assert (await send(world, "GET", path)).json["listener"] == {"active": True}


async def test_a_flow_or_an_account_that_the_caller_has_is_not_sent_again(world: World) -> None:
    flow = await world.make_flow()
    for path in (f"/v1/flows/{flow}", "/v1/accounts/ours"):
        first = await send(world, "GET", path)
        tag = first.headers["ETag"]
        for known in (tag, f"W/{tag}", f'"a", {tag}', "*"):
            again = await send(world, "GET", path, If_None_Match=known)
            assert (again.status, again.body, again.headers["ETag"]) == (304, b"", tag)
        other = await send(world, "GET", path, If_None_Match='"other"')
        assert (other.status, other.json) == (200, first.json)


async def test_what_shows_how_calls_go_is_always_sent(world: World) -> None:
    """A tag of a list or a DID stands for what people edit, and neither for counts nor for load."""
    call_list = await world.make_list(await world.make_flow())
    for path in (f"/v1/lists/{call_list}", DID):
        first = await send(world, "GET", path)
        again = await send(world, "GET", path, If_None_Match=first.headers["ETag"])
        assert (again.status, again.json) == (200, first.json)


async def test_a_did_is_shown_to_its_account_and_to_no_other(world: World) -> None:
    await world.make_flow()
    shown = await world.client("viewer").get(DID)
    assert (shown.status, shown.json["number"]) == (200, "+14155550101")
    assert (await world.client("viewer", "theirs").get(DID)).problem == (404, "not_found")


async def test_a_password_that_nobody_is_shown_changes_the_tag(world: World) -> None:
    def tag(secret: str) -> str:
        settings = msgspec.convert(
            {"webhook": {"url": "https://a.example/", "secret": secret}}, type(a_flow().settings)
        )
        return tags.tag_of(msgspec.structs.replace(a_flow(), settings=settings))

    tags, others = Tags(b"secret"), Tags(b"other")
    assert tag("one") == tag("one") != tag("two")
    assert tags.tag_of(a_did("+911")) != others.tag_of(a_did("+911"))


@given(st.text(alphabet='"W/ ,ab*\t\\\x7f', max_size=40))
def test_whatever_a_header_says_it_is_read_or_refused(header: str) -> None:
    for read in (lambda: is_among('"ab"', header), lambda: Tags(b"x").read_if_match(header, Flow)):
        with suppress(Problem):
            read()
