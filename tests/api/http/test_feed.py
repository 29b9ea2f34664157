"""The feed as a websocket, on real sockets."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import trio
import trio.testing
import trio_websocket
from wsproto.connection import Connection, ConnectionType
from wsproto.events import TextMessage

from api.http.app import make_app
from api.http.auth import hash_key
from api.http.exchange import HttpSettings
from api.http.feed import (
    BATCH_INTERVAL_S,
    FRAME_EVENTS_MAX,
    FeedHub,
)
from api.http.frames import PIECE_BYTES
from api.http.guard import GuardedConnection
from bench.processes import usage_alone
from tests.api.http.feed_events import make_events, seqs_of
from tests.api.http.serving import Server, serving
from tests.api.http.world import ADMIN_KEY, PUBLIC_URL, World


async def test_a_feed_tells_what_happens_as_it_happens(world: World) -> None:
    flow = await world.make_flow()
    async with serving(world.app, closing=world.hub.close, drain_s=5) as server:
        async with open_feed(server) as feed:
            call_list = await world.make_list(flow)
            [event] = msgspec.json.decode(await feed.get_message())
            assert (event["type"], event["list"], event["seq"]) == ("list.accepted", call_list, 1)
        async with open_feed(server, "?since=0") as feed:
            [again] = msgspec.json.decode(await feed.get_message())
            assert again == event
            await world.make_list(flow)
            [following] = msgspec.json.decode(await feed.get_message())
            assert following["seq"] == 2


async def test_a_feed_of_another_account_hears_nothing(world: World) -> None:
    flow = await world.make_flow()
    theirs = await world.make_flow(account="theirs")
    async with (
        serving(world.app, closing=world.hub.close, drain_s=5) as server,
        open_feed(server, account="theirs") as feed,
    ):
        await world.make_list(flow)
        path = f"/v1/flows/{theirs}/multicast"
        body = {"contacts": [{"tel": "+919876543210"}]}
        await world.client("operator", "theirs").post(path, body)
        [event] = msgspec.json.decode(await feed.get_message())
        assert (event["account"], event["seq"]) == ("acc_2", 1)


async def test_the_end_of_the_server_is_said_to_readers(world: World) -> None:
    async with serving(world.app, closing=world.hub.close, drain_s=5) as server:
        async with open_feed(server) as feed:
            server.shutdown.set()
            with pytest.raises(trio_websocket.ConnectionClosed):
                await feed.get_message()
        assert feed.closed.code == 1001
        await feed._stream.aclose()  # trio-websocket leaves it open when the server closes first


async def test_a_feed_ends_with_its_key(world: World) -> None:
    flow = await world.make_flow()
    async with serving(world.app) as server, open_feed(server) as feed:
        await world.make_list(flow)
        await feed.get_message()
        assert (await world.client("owner").delete("/v1/keys/key_viewer_1")).status == 204
        await world.make_list(flow)
        with pytest.raises(trio_websocket.ConnectionClosed) as closed:
            await feed.get_message()
        assert closed.value.reason.code == 1008
        await wait_nobody_reads(world.hub)
        await feed._stream.aclose()  # as above


async def test_a_reader_that_leaves_is_gone(world: World) -> None:
    async with serving(world.app, closing=world.hub.close) as server:
        async with open_feed(server):
            assert world.hub.readers == 1
        await wait_nobody_reads(world.hub)
        # What it said meanwhile is not kept waiting for anybody.
        async with open_feed(server) as feed:
            for _ in range(100):
                await feed.send_message("hello?")
        await wait_nobody_reads(world.hub)


async def test_a_feed_can_ask_for_one_contact_and_for_types(world: World) -> None:
    flow = await world.make_flow()
    call_list = await world.make_list(flow)
    [contact] = await world.contacts(call_list)
    await world.begin_attempt(contact)
    async with serving(world.app, closing=world.hub.close, drain_s=5) as server:
        for query, expected in {
            "?since=0&type=list.accepted,attempt.initiated": ["list.accepted", "attempt.initiated"],
            f"?since=0&contact={contact.id}&type=attempt.initiated": ["attempt.initiated"],
            "?since=0&type=list.accepted,list.completed": ["list.accepted"],
        }.items():
            async with open_feed(server, query) as feed:
                events = msgspec.json.decode(await feed.get_message())
                assert [event["type"] for event in events] == expected


async def test_a_client_that_stops_reading_is_told_its_gap_and_costs_no_memory(
    world: World,
) -> None:
    """What happens in a minute is published in seconds; another client misses none of it."""
    total, piece = 32_000, 500
    padding = {"padding": "x" * 600}
    events = make_events(1, total, account="acc_1", data=padding)
    quick: list[int] = []
    resident_mb: list[float] = []

    async def read_all(feed: Any) -> None:
        while len(quick) < total:
            quick.extend(seqs_of(await feed.get_message()))

    async with serving(world.app) as server:
        stalled = await server.connect()
        request = f"GET /v1/feed HTTP/1.1\r\nHost: {server.host}:{server.port}\r\n"
        request += (
            "Authorization: Bearer viewer-ours\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        )
        request += (
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        await stalled.send_all(request.encode())
        assert b" 101 " in await stalled.receive_some(4_096)
        async with open_feed(server) as feed, trio.open_nursery() as nursery:
            nursery.start_soon(read_all, feed)
            for first in range(0, total, piece):
                world.hub.publish(events[first : first + piece])
                await trio.sleep(piece / FRAME_EVENTS_MAX * BATCH_INTERVAL_S * 1.2)
                if first % (total // 2) == 0 or first + piece == total:
                    resident_mb.append(usage_alone(os.getpid()).resident_mb)
        assert quick == list(range(1, total + 1))
        frames = Frames()
        covered, gaps = 0, 0
        while covered < total:
            for entry in frames.split(await stalled.receive_some(1_000_000)):
                if entry["type"] == "gap":
                    assert entry["data"]["since"] == covered
                    gaps += 1
                else:
                    assert entry["seq"] == covered + 1
                covered = entry["seq"]
        await stalled.aclose()
        await wait_nobody_reads(world.hub)
    assert gaps >= 1
    assert resident_mb[2] - resident_mb[1] < 8, resident_mb


async def test_others_have_their_turn_between_pings(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns, answered = 0, Counter[int]()
    send_now = GuardedConnection._send_now

    def send_noted(connection: GuardedConnection, data: bytes) -> int:
        answered[turns] += 1
        return send_now(connection, data)

    async def take_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    ping, pong, count = b"\x89\x80mask", b"\x8a\x00", 1_000
    request = (
        "GET /v1/feed HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Authorization: Bearer viewer-ours\r\n\r\n"
    )
    async with serving(world.app) as server, await server.connect() as stream:
        await stream.send_all(request.encode())
        received = await stream.receive_some()
        assert received.startswith(b"HTTP/1.1 101 ")
        monkeypatch.setattr(GuardedConnection, "_send_now", send_noted)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(take_turns)
            await stream.send_all(ping * count)
            while received.count(pong) < count:
                received += await stream.receive_some()
            nursery.cancel_scope.cancel()
    # Between two pieces there is one round, in which others may come first or last.
    assert max(answered.values()) <= 2 * (PIECE_BYTES // len(ping) + 1)


class Frames:
    """Takes websocket frames apart, and leaves out pings."""

    def __init__(self) -> None:
        self._client = Connection(ConnectionType.CLIENT)
        self._text = ""

    def split(self, data: bytes) -> Iterator[Any]:
        """The entries of the messages that end here."""
        self._client.receive_data(data)
        for event in self._client.events():
            if isinstance(event, TextMessage):
                self._text += event.data
                if event.message_finished:
                    yield from msgspec.json.decode(self._text)
                    self._text = ""


async def test_each_opening_of_the_feed_counts_in_the_limit_of_its_key(world: World) -> None:
    settings = HttpSettings(PUBLIC_URL, hash_key(ADMIN_KEY), requests_per_s=0.2)
    app = make_app(world.engine, settings, world.hub, world.keeper)
    async with serving(app, closing=world.hub.close) as server:
        for _ in range(2):
            async with open_feed(server):
                pass
        assert await refusal(server, "", key="viewer-ours") == (429, "rate_limited")
        assert await refusal(server, "", key="wrong") == (401, "unauthenticated")
        async with open_feed(server, account="theirs"):
            pass


async def test_a_browser_brings_a_ticket_that_works_once(world: World) -> None:
    async with serving(world.app, closing=world.hub.close) as server:
        reply = await world.client("viewer").post("/v1/feed/tickets")
        assert reply.status == 201
        query = f"?ticket={reply.json['ticket']}"
        async with open_feed(server, query, key=None, origin=f"http://{server.host}:{server.port}"):
            pass
        assert await refusal(server, query, key=None) == (401, "unauthenticated")


@pytest.mark.parametrize(
    ("query", "key", "origin", "expected"),
    [
        ("", None, None, (401, "unauthenticated")),
        ("?ticket=x", None, None, (401, "unauthenticated")),
        ("", "wrong", None, (401, "unauthenticated")),
        ("?since=-1", "viewer-ours", None, (400, "invalid_parameter")),
        ("?since=1", "viewer-ours", None, (400, "invalid_parameter")),
        ("?type=attempt.ended,nonsense", "viewer-ours", None, (400, "invalid_parameter")),
        ("", "viewer-ours", "https://evil.example", (403, "origin_not_allowed")),
        ("", "viewer-ours", "null", (403, "origin_not_allowed")),
    ],
)
async def test_a_feed_that_is_refused_says_why(
    world: World, query: str, key: str | None, origin: str | None, expected: tuple[int, str]
) -> None:
    async with serving(world.app, closing=world.hub.close) as server:
        assert await refusal(server, query, key=key, origin=origin) == expected


async def test_a_page_of_the_public_address_may_read_the_feed(world: World) -> None:
    async with (
        serving(world.app, closing=world.hub.close) as server,
        open_feed(server, origin="https://calls.example.com"),
    ):
        assert world.hub.readers == 1


async def test_the_feed_is_asked_for_as_a_websocket(world: World) -> None:
    reply = await world.client("viewer").get("/v1/feed")
    assert reply.problem == (400, "bad_request")
    assert "GET /v1/events" in reply.json["detail"]


async def wait_nobody_reads(hub: FeedHub) -> None:
    while hub.readers:
        await trio.testing.wait_all_tasks_blocked()


def open_feed(
    server: Server,
    query: str = "",
    *,
    account: str = "ours",
    key: str | None = "",
    origin: str | None = None,
) -> Any:
    """A websocket to the feed, with the key of the account's viewer."""
    headers = []
    if key is not None:
        headers.append(("Authorization", f"Bearer {key or f'viewer-{account}'}"))
    if origin is not None:
        headers.append(("Origin", origin))
    return trio_websocket.open_websocket(
        server.host, server.port, f"/v1/feed{query}", use_ssl=False, extra_headers=headers
    )


async def refusal(
    server: Server, query: str, *, key: str | None, origin: str | None = None
) -> tuple[int, str]:
    """The status and the code with which a websocket is refused."""
    request = f"GET /v1/feed{query} HTTP/1.1\r\nHost: {server.host}:{server.port}\r\n"
    request += "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    request += "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    if key is not None:
        request += f"Authorization: Bearer {key}\r\n"
    if origin is not None:
        request += f"Origin: {origin}\r\n"
    head, _, body = (await server.exchange(f"{request}\r\n".encode())).partition(b"\r\n\r\n")
    problem = msgspec.json.decode(body)
    assert head.startswith(b"HTTP/1.1 %d " % problem["status"])
    return problem["status"], problem["code"]
