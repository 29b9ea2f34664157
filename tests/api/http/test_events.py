"""The feed as Server-Sent Events, on real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import h11
import msgspec
import pytest
import trio

from api.http.resources import events
from tests.api.http.serving import Server, serving
from tests.api.http.test_feed import wait_nobody_reads
from tests.api.http.world import World


class Stream:
    """Reads events as HTML's section 9.2 says."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._http = h11.Connection(h11.CLIENT)
        self._text = b""
        self.headers: dict[bytes, bytes] = {}

    async def open(self, query: str, headers: dict[str, str]) -> int:
        """The status."""
        request = h11.Request(
            method="GET",
            target=f"/v1/events{query}",
            headers=[("Host", "calls.example.com"), *headers.items()],
        )
        await self._stream.send_all(self._http.send(request) or b"")
        await self._stream.send_all(self._http.send(h11.EndOfMessage()) or b"")
        response = await self._next()
        assert isinstance(response, h11.Response)
        self.headers = {bytes(name): bytes(value) for name, value in response.headers}
        return response.status_code

    async def block(self) -> list[bytes]:
        """The lines before the next empty one; no lines at the end."""
        while b"\n\n" not in self._text:
            event = await self._next()
            if not isinstance(event, h11.Data):
                return []
            self._text += event.data
        block, _, self._text = self._text.partition(b"\n\n")
        return block.split(b"\n")

    async def event(self) -> tuple[int, Any]:
        """The next event: its id and its data."""
        first, second = await self.block()
        return int(first.removeprefix(b"id: ")), msgspec.json.decode(second.removeprefix(b"data: "))

    async def _next(self) -> Any:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(await self._stream.receive_some())
        return event


@asynccontextmanager
async def open_stream(
    server: Server, query: str = "", *, key: str | None = "viewer-ours", **headers: str
) -> AsyncIterator[Stream]:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if key is not None:
        sent["Authorization"] = f"Bearer {key}"
    async with await server.connect() as connection:
        stream = Stream(connection)
        assert await stream.open(query, sent) == 200
        assert await stream.block() == [b"retry: 2000"]
        yield stream


async def test_server_sent_events_are_those_of_the_feed(world: World) -> None:
    flow = await world.make_flow()
    async with serving(world.app, closing=world.hub.close, drain_s=5) as server:
        async with open_stream(server) as stream:
            assert stream.headers[b"content-type"] == b"text/event-stream"
            assert stream.headers[b"cache-control"] == b"no-store"
            call_list = await world.make_list(flow)
            [stored] = await world.store.events_after("acc_1", 0, 10)
            assert await stream.event() == (1, msgspec.json.decode(stored.body))
            assert stored.list == call_list
        await wait_nobody_reads(world.hub)


async def test_a_browser_that_comes_back_goes_on_after_the_last_that_it_saw(world: World) -> None:
    """Its address says the same `since` as at first."""
    flow = await world.make_flow()
    for _ in range(3):
        await world.make_list(flow)
    async with serving(world.app, closing=world.hub.close, drain_s=5) as server:
        async with open_stream(server, "?since=0") as stream:
            assert [(await stream.event())[0] for _ in range(3)] == [1, 2, 3]
        async with open_stream(server, "?since=0", Last_Event_ID="2") as stream:
            assert (await stream.event())[0] == 3


async def test_server_sent_events_are_filtered_as_the_feed_is(world: World) -> None:
    flow = await world.make_flow()
    lists = [await world.make_list(flow) for _ in range(3)]
    async with (
        serving(world.app, closing=world.hub.close, drain_s=5) as server,
        open_stream(server, f"?since=0&list={lists[1]}&type=list.accepted") as stream,
    ):
        assert (await stream.event())[0] == 2


async def test_silence_is_broken_by_heartbeats(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_S", 0.05)
    flow = await world.make_flow()
    async with serving(world.app, closing=world.hub.close) as server, open_stream(server) as stream:
        assert [await stream.block() for _ in range(2)] == [[b":"], [b":"]]
        await world.make_list(flow)
        while (block := await stream.block()) == [b":"]:
            pass
        assert block[0] == b"id: 1"


async def test_server_sent_events_end_with_the_server_and_with_their_key(world: World) -> None:
    flow = await world.make_flow()
    async with serving(world.app, closing=world.hub.close, drain_s=5) as server:
        async with open_stream(server) as stream:
            await world.client("owner").delete("/v1/keys/key_viewer_1")
            await world.make_list(flow)
            assert await stream.block() == []
        async with open_stream(server, key="operator-ours") as stream:
            server.shutdown.set()
            assert await stream.block() == []


async def test_a_ticket_opens_server_sent_events_once(world: World) -> None:
    ticket = (await world.client("viewer").post("/v1/feed/tickets")).json["ticket"]
    query = f"?ticket={ticket}"
    async with serving(world.app, closing=world.hub.close) as server:
        async with open_stream(server, query, key=None):
            pass
        async with await server.connect() as connection:
            assert await Stream(connection).open(query, {}) == 401
    # Of no other route.
    ticket = (await world.client("viewer").post("/v1/feed/tickets")).json["ticket"]
    assert (await world.stranger.get(f"/v1/flows?ticket={ticket}")).status == 401


@pytest.mark.parametrize(
    ("query", "last_event_id"),
    [("?since=1", ""), ("", "1"), ("", "x"), ("?type=nonsense", ""), ("?what=1", "")],
)
async def test_server_sent_events_that_are_refused_say_why(
    world: World, query: str, last_event_id: str
) -> None:
    reply = await world.client("viewer").get(f"/v1/events{query}", Last_Event_ID=last_event_id)
    assert reply.problem == (400, "invalid_parameter")
