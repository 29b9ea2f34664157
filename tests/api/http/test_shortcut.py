"""Small requests are answered without the framework, and nobody can tell."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from api.http import shortcut as shortcut_module
from api.http.shortcut import BYTES_MAX, Shortcut
from tests.api.http.serving import Server, read_to_end, serving
from tests.api.http.world import ADMIN_KEY, World, opened_world

CALL = b'{"to":"+919876543210"}'
CONTACTS = b'{"name":"june","contacts":[{"tel":["+919876543210"]},{"tel":["12"]}]}'


def ask(
    path: str,
    body: bytes = CALL,
    key: str | None = "operator-ours",
    more: str = "",
    *,
    end: bool = True,
) -> bytes:
    """A request to a flow, as its bytes."""
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\n{more}"
    if key is not None:
        head += f"Authorization: Bearer {key}\r\n"
    if "Content-Type" not in more:
        head += "Content-Type: application/json\r\n"
    if "Transfer-Encoding" not in more:
        head += f"Content-Length: {len(body)}\r\n"
    if end:
        head += "Connection: close\r\n"
    return head.encode() + b"\r\n" + body


async def answer_of(request: bytes, *, is_short: bool) -> bytes:
    """What a world that has one flow answers, but for the time of day."""
    async with opened_world() as world:
        flow = await world.make_flow()
        way = world.app.shortcut if is_short else None
        async with serving(world.app, shortcut=way) as server:
            answer = await server.exchange(request.replace(b"FLOW", flow.encode()))
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    kept = sorted(line.lower() for line in lines if not line.lower().startswith(b"date:"))
    return b"\r\n".join([first, *kept, b"", body])


SHORTCUT: Final = World.bare().app.shortcut
CALLS, MULTICAST = "/v1/flows/FLOW/calls", "/v1/flows/FLOW/multicast"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (ask(CALLS), 202),
        (ask(MULTICAST, CONTACTS), 202),
        (ask(CALLS, key=None), 401),
        (ask(CALLS, key="nobody"), 401),
        (ask(CALLS, key="viewer-ours"), 403),
        (ask(CALLS, key="operator-theirs"), 404),
        (ask(CALLS, key=ADMIN_KEY), 404),
        (ask(CALLS, key=ADMIN_KEY, more="Callwheel-Account: ours\r\n"), 202),
        (ask("/v1/flows/flw_none/calls"), 404),
        (ask(CALLS, b"{"), 400),
        (ask(CALLS, b""), 400),
        (ask(CALLS, b'{"to":"12"}'), 422),
        (ask(CALLS, b'{"to":"+449876543210"}'), 422),
        (ask(CALLS, more="Idempotency-Key: k1\r\n"), 202),
        (ask(CALLS, more=f"Idempotency-Key: {'k' * 300}\r\n"), 400),
        (ask(CALLS, more="Content-Type: text/plain\r\n"), 415),
        (ask(CALLS, more="Content-Type: Application/JSON; charset=UTF-8\r\n"), 202),
        (ask(f"{MULTICAST}?strict=true", CONTACTS), 202),
        (ask(f"{CALLS}?dry-run=true"), 400),
        (ask(CALLS, b'{"to":"' + b"1" * BYTES_MAX + b'"}'), 422),
        (ask("/v1/flows/%2e%2e/calls"), 404),
        (
            ask(CALLS, b"16\r\n" + CALL + b"\r\n0\r\n\r\n", more="Transfer-Encoding: chunked\r\n"),
            202,
        ),
    ],
)
async def test_either_way_the_answer_is_the_same(request_: bytes, status: int) -> None:
    short = await answer_of(request_, is_short=True)
    assert short.startswith(b"HTTP/1.1 %d " % status)
    assert short == await answer_of(request_, is_short=False)


async def test_the_framework_is_not_asked(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    flow = await world.make_flow()
    monkeypatch.setattr(world.app, "handle_request", None)
    async with serving(world.app, shortcut=world.app.shortcut) as server:
        for request in (
            ask(f"/v1/flows/{flow}/calls"),
            ask(f"/v1/flows/{flow}/multicast", CONTACTS),
        ):
            assert (await server.exchange(request)).startswith(b"HTTP/1.1 202 ")
        assert b" 500 " in await server.exchange(ask(f"/v1/flows/{flow}/calls?x=1"))


async def test_requests_follow_one_another_on_a_connection(world: World) -> None:
    flow = await world.make_flow()
    calls = f"/v1/flows/{flow}/calls"
    long = ask(f"/v1/flows/{flow}/multicast?strict=true", CONTACTS, end=False)
    requests = [ask(calls, end=False), long] * 2 + [ask(calls)]
    async with serving(world.app, shortcut=world.app.shortcut) as server:
        together = await server.exchange(b"".join(requests))
        async with await server.connect() as stream:
            for octet in b"".join(requests):
                await stream.send_all(bytes([octet]))
            one_by_one = await read_to_end(stream)
    for answers in (together, one_by_one):
        statuses = re.findall(rb"HTTP/1.1 (\d+)", answers)
        assert statuses == [b"202"] * 5
    assert len(world.engine.accepted) == 6  # a strict list with a bad row is taken as none


async def leave(server: Server, request: bytes) -> None:
    async with await server.connect() as stream:
        await stream.send_all(request)


async def test_a_client_that_leaves_in_the_middle_makes_nothing(world: World) -> None:
    flow = await world.make_flow()
    request = ask(f"/v1/flows/{flow}/calls")
    async with serving(world.app, shortcut=world.app.shortcut, drain_s=5) as server:
        await leave(server, request[:-1])
        assert (await server.exchange(request)).startswith(b"HTTP/1.1 202 ")
        assert server.tally.broken == 0
    assert len(world.engine.accepted) == 1


async def test_a_body_that_does_not_come_is_told_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shortcut_module, "BODY_TIMEOUT_S", 0.05)
    flow = await world.make_flow()
    async with serving(world.app, shortcut=world.app.shortcut) as server:
        answer = await server.exchange(ask(f"/v1/flows/{flow}/calls", end=False)[:-1])
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert msgspec.json.decode(answer.partition(b"\r\n\r\n")[2])["code"] == "body_timeout"


async def test_a_stop_waits_for_the_answer(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    flow = await world.make_flow()
    accept, begun, go_on = world.store.accept_call, trio.Event(), trio.Event()

    async def accept_late(*args: object) -> object:
        begun.set()
        await go_on.wait()
        return await accept(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(world.store, "accept_call", accept_late)
    async with (
        serving(world.app, shortcut=world.app.shortcut, drain_s=60) as server,
        await server.connect() as asking,
        await server.connect() as idle,
    ):
        await asking.send_all(ask(f"/v1/flows/{flow}/calls", end=False))
        await begun.wait()
        server.shutdown.set()
        assert await read_to_end(idle) == b""
        go_on.set()
        assert (await read_to_end(asking)).startswith(b"HTTP/1.1 202 ")


@given(
    st.lists(
        st.tuples(
            st.sampled_from([b"content-length", b"content-type", b"expect", b"upgrade", b"x"]),
            st.one_of(st.binary(max_size=8), st.sampled_from([b"5", b"application/json", b"\xb2"])),
        )
    ),
    st.one_of(st.binary(max_size=40), st.just(b"/v1/flows/f/calls"), st.just(b"/v1/flows//calls")),
)
def test_whatever_a_request_begins_with_it_goes_one_way_or_the_other(
    lines: list[tuple[bytes, bytes]], target: bytes
) -> None:
    opening = SHORTCUT.find(b"POST", target, lines)
    assert opening is None or (target == b"/v1/flows/f/calls" and (b"expect" not in dict(lines)))


async def test_others_have_their_turn_between_requests_that_are_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns, seen = 0, list[int]()
    answer = Shortcut.answer

    async def answer_noted(*args: Any) -> Any:
        seen.append(turns)
        return await answer(*args)

    async def take_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    monkeypatch.setattr(Shortcut, "answer", answer_noted)
    flow = await world.make_flow()
    refused = ask(f"/v1/flows/{flow}/calls", key=None, end=False)
    async with (
        serving(world.app, shortcut=world.app.shortcut) as server,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(take_turns)
        await server.exchange(refused * 20 + ask(f"/v1/flows/{flow}/calls", key=None))
        nursery.cancel_scope.cancel()
    assert len(seen) == 21
    # Between two answers there is one round, in which others may come first or last.
    assert all(before < after for before, after in zip(seen, seen[2:], strict=False))
