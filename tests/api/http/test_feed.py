"""The feed: the reader by itself under a virtual clock, and the websocket on real sockets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
import trio
import trio.testing
import trio_websocket

from api.http.feed import FRAME_EVENTS_MAX, FeedHub, FeedReader
from engine.events import Event, StoredEvent, number_event
from tests.api.http.serving import Server, serving
from tests.api.http.world import EPOCH, Clock, World


class Shelf:
    """The part of a store that a reader asks: events, of which the oldest may be gone."""

    def __init__(self) -> None:
        self.events: list[StoredEvent] = []
        self.asked: list[int] = []

    async def events_after(self, account: str, seq: int, limit: int) -> list[StoredEvent]:
        await trio.lowlevel.checkpoint()
        self.asked.append(seq)
        return [event for event in self.events if event.seq > seq][:limit]


def make_events(first: int, last: int, **changes: Any) -> list[StoredEvent]:
    values = {"type": "contact.waiting", "time": EPOCH, "account": "a", "flow": "f", "list": "l"}
    event = Event(**{**values, **changes})
    return [number_event(event, seq) for seq in range(first, last + 1)]


def make_reader(hub: FeedHub, ring: Any, shelf: Shelf, since: int, **filters: Any) -> FeedReader:
    return FeedReader(hub, ring, shelf, Clock(), account="a", since=since, **filters)  # type: ignore[arg-type]


def seqs_of(frame: bytes | None) -> list[Any]:
    """The numbers of a frame's events; a gap as (since, until)."""
    assert frame is not None
    return [
        (entry["data"]["since"], entry["data"]["until"]) if entry["type"] == "gap" else entry["seq"]
        for entry in msgspec.json.decode(frame)
    ]


async def test_the_bytes_of_an_event_are_sent_as_they_were_stored() -> None:
    hub, shelf = FeedHub(), Shelf()
    with hub.open_ring("a") as ring:
        reader = make_reader(hub, ring, shelf, 0)
        shelf.events = make_events(1, 2)
        frame = await reader.next_frame()
    assert frame == b"[" + shelf.events[0].body + b"," + shelf.events[1].body + b"]"


async def test_the_past_and_the_present_join_without_loss_or_repeat() -> None:
    """Events are published while the reader is still reading older ones, some of which it gets from
    the store as well."""
    hub, shelf = FeedHub(), Shelf()
    seen: list[int] = []
    total = FRAME_EVENTS_MAX * 3

    def commit(events: Sequence[StoredEvent]) -> None:
        shelf.events += events
        hub.publish(events)

    with hub.open_ring("a") as ring:
        commit(make_events(1, FRAME_EVENTS_MAX + 10))
        reader = make_reader(hub, ring, shelf, 5)
        upto = FRAME_EVENTS_MAX + 10
        while not seen or seen[-1] < total:
            seen += seqs_of(await reader.next_frame())
            if upto < total:
                commit(make_events(upto + 1, upto + 7))
                upto += 7
                total = max(total, upto)
    assert seen == list(range(6, total + 1))
    assert reader.is_live


async def test_events_that_are_stored_but_not_published_yet_are_not_repeated() -> None:
    hub, shelf = FeedHub(), Shelf()
    shelf.events = make_events(1, 4)
    with hub.open_ring("a") as ring:
        reader = make_reader(hub, ring, shelf, 0)
        assert seqs_of(await reader.next_frame()) == [1, 2, 3, 4]
        hub.publish(make_events(3, 6))
        assert seqs_of(await reader.next_frame()) == [5, 6]


async def test_a_reader_waits_for_what_comes(autojump_clock: trio.testing.MockClock) -> None:
    hub, shelf, frames = FeedHub(), Shelf(), []
    with hub.open_ring("a") as ring:
        reader = make_reader(hub, ring, shelf, 0)

        async def read() -> None:
            while (frame := await reader.next_frame()) is not None:
                frames.append((trio.current_time(), seqs_of(frame)))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            for second in (1, 2, 3):
                await trio.sleep(1)
                hub.publish(make_events(second, second))
            await trio.sleep(1)
            hub.close()
    assert frames == [(1.0, [1]), (2.0, [2]), (3.0, [3])]


async def test_only_the_wanted_flow_and_list_are_sent(
    autojump_clock: trio.testing.MockClock,
) -> None:
    hub, shelf = FeedHub(), Shelf()
    events = [
        *make_events(1, 1, flow="f1", list="l1"),
        *make_events(2, 2, flow="f1", list="l2"),
        *make_events(3, 3, flow="f2", list="l3"),
        *make_events(4, 4, flow="f1", list="l2"),
        *make_events(1, 1, account="b"),
    ]
    found: dict[str, list[int]] = {}
    for name, filters in {
        "all": {},
        "flow": {"flow": "f1"},
        "list": {"call_list": "l2"},
        "neither": {"flow": "f2", "call_list": "l1"},
    }.items():
        with hub.open_ring("a") as ring, trio.move_on_after(1):
            found[name] = []
            reader = make_reader(hub, ring, shelf, 0, **filters)
            shelf.events = events[:1]
            hub.publish(events)
            while True:
                found[name] += seqs_of(await reader.next_frame())
    assert found == {"all": [1, 2, 3, 4], "flow": [1, 2, 4], "list": [2, 4], "neither": []}


async def test_a_slow_reader_is_told_its_gap_and_goes_on() -> None:
    hub, shelf = FeedHub(ring_events=10), Shelf()
    with hub.open_ring("a") as ring:
        reader = make_reader(hub, ring, shelf, 0)
        hub.publish(make_events(1, 3))
        shelf.events = make_events(1, 3)
        assert seqs_of(await reader.next_frame()) == [1, 2, 3]
        hub.publish(make_events(4, 30))
        frame = await reader.next_frame()
    assert seqs_of(frame) == [(3, 20), *range(21, 31)]
    assert frame is not None
    assert msgspec.json.decode(frame)[0] == {
        "seq": 20,
        "time": "2026-01-01T00:00:00.000Z",
        "type": "gap",
        "account": "a",
        "flow": None,
        "list": None,
        "contact": None,
        "attempt": None,
        "data": {"since": 3, "until": 20},
    }


async def test_events_that_the_store_has_forgotten_are_a_gap() -> None:
    hub, shelf = FeedHub(), Shelf()
    shelf.events = make_events(50, 52)
    with hub.open_ring("a") as ring:
        reader = make_reader(hub, ring, shelf, 7)
        assert seqs_of(await reader.next_frame()) == [(7, 49), 50, 51, 52]


async def test_a_reader_of_the_past_that_the_ring_overtakes_goes_on_with_the_store() -> None:
    hub, shelf = FeedHub(ring_events=10), Shelf()
    shelf.events = make_events(1, FRAME_EVENTS_MAX)
    with hub.open_ring("a") as ring:
        reader = make_reader(hub, ring, shelf, 0)
        assert seqs_of(await reader.next_frame()) == list(range(1, FRAME_EVENTS_MAX + 1))
        more = make_events(FRAME_EVENTS_MAX + 1, FRAME_EVENTS_MAX + 50)
        shelf.events += more
        hub.publish(more)
        assert seqs_of(await reader.next_frame()) == [event.seq for event in more]


async def test_a_ring_is_kept_only_while_somebody_reads() -> None:
    hub = FeedHub()
    with hub.open_ring("a") as first, hub.open_ring("a") as second:
        assert (first is second, hub.readers) == (True, 2)
    assert hub.readers == 0
    hub.publish(make_events(1, 1))
    with hub.open_ring("a") as third:
        assert third.first is None


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
    assert (await world.client("viewer").get("/v1/feed")).problem == (400, "bad_request")


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
