"""The feed: the reader by itself under a virtual clock, and the websocket on real sockets."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Iterator, Sequence
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
    BEATS,
    FRAME_EVENTS_MAX,
    Entry,
    EventFilter,
    FeedHub,
    FeedReader,
    Gap,
)
from api.http.frames import PIECE_BYTES, encode_frame
from api.http.guard import GuardedConnection
from bench.processes import usage_alone
from engine.events import Event, StoredEvent, number_event
from tests.api.http.serving import Server, serving
from tests.api.http.world import ADMIN_KEY, EPOCH, PUBLIC_URL, Clock, World


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
    wanted = EventFilter(**filters)
    return FeedReader(
        hub,
        ring,
        shelf,  # type: ignore[arg-type]
        Clock(),
        account="a",
        since=since,
        encode=encode_list,
        wanted=wanted,
    )


def encode_list(entries: Sequence[Entry]) -> bytes:
    """A JSON array, without a frame around it."""
    return b"[" + b",".join(entry.body for entry in entries) + b"]"


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
        frame = await reader.next_batch()
    assert frame == b"[" + shelf.events[0].body + b"," + shelf.events[1].body + b"]"


async def test_the_past_and_the_present_join_without_loss_or_repeat(
    autojump_clock: trio.testing.MockClock,
) -> None:
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
            seen += seqs_of(await reader.next_batch())
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
        assert seqs_of(await reader.next_batch()) == [1, 2, 3, 4]
        hub.publish(make_events(3, 6))
        assert seqs_of(await reader.next_batch()) == [5, 6]


async def test_what_happens_within_an_interval_travels_together(
    autojump_clock: trio.testing.MockClock,
) -> None:
    hub, shelf, batches = FeedHub(), Shelf(), []
    with hub.open_ring("a") as ring:
        reader = make_reader(hub, ring, shelf, 0)

        async def read() -> None:
            while (batch := await reader.next_batch()) is not None:
                batches.append((trio.current_time(), seqs_of(batch)))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            for number in range(1, 101):
                await trio.sleep(0.01)
                hub.publish(make_events(number, number))
            await trio.sleep(1)
            hub.close()
    assert [seq for _, seqs in batches for seq in seqs] == list(range(1, 101))
    assert 10 <= len(batches) <= 11
    apart = {round(after - before, 6) for (before, _), (after, _) in itertools.pairwise(batches)}
    assert apart == {BATCH_INTERVAL_S}


async def test_many_readers_get_batches_that_were_put_together_once_for_each_beat(
    autojump_clock: trio.testing.MockClock,
) -> None:
    hub, shelf, encoded = FeedHub(), Shelf(), []

    def encode(entries: Sequence[Entry]) -> bytes:
        encoded.append(len(entries))
        return encode_list(entries)

    batches: list[list[bytes]] = [[] for _ in range(300)]
    moments: set[float] = set()

    async def read(mine: list[bytes]) -> None:
        with hub.open_ring("a") as ring:
            reader = FeedReader(
                hub,
                ring,
                shelf,  # type: ignore[arg-type]
                Clock(),
                account="a",
                since=0,
                encode=encode,
            )
            while (batch := await reader.next_batch()) is not None:
                moments.add(round(trio.current_time() % BATCH_INTERVAL_S, 6) % BATCH_INTERVAL_S)
                mine.append(batch)

    async with trio.open_nursery() as nursery:
        for mine in batches:
            nursery.start_soon(read, mine)
        await trio.testing.wait_all_tasks_blocked()
        for first in range(1, 1001, 10):
            hub.publish(make_events(first, first + 9))
            await trio.sleep(0.01)
        await trio.sleep(1)
        hub.close()
    assert {sum(map(len, map(seqs_of, mine))) for mine in batches} == {1000}
    assert len({id(batch) for mine in batches for batch in mine}) == len(encoded)
    assert len(encoded) <= 12 * BEATS
    assert len(moments) == BEATS


class Client:
    """One who reads: takes what is pushed, or is too slow for that, or leaves."""

    def __init__(self, hub: FeedHub, shelf: Shelf) -> None:
        self.hub, self.shelf = hub, shelf
        self.pushed: list[int] = []
        self.sent: list[int] = []
        self.is_slow = False
        self.is_free = trio.Event()
        self.leaving = trio.CancelScope()

    def push(self, batch: bytes) -> bytes | None:
        if self.is_slow:
            return batch
        self.pushed += seqs_of(batch)
        return None

    async def read(self) -> None:
        with self.leaving, self.hub.open_ring("a") as ring:
            reader = FeedReader(
                self.hub,
                ring,
                self.shelf,  # type: ignore[arg-type]
                Clock(),
                account="a",
                since=0,
                encode=encode_list,
                push=self.push,
            )
            while (batch := await reader.next_batch()) is not None:
                await self.is_free.wait()
                self.sent += seqs_of(batch)


async def test_a_slow_client_and_one_that_leaves_keep_nobody_waiting(
    autojump_clock: trio.testing.MockClock,
) -> None:
    hub, shelf = FeedHub(), Shelf()
    clients = [Client(hub, shelf) for _ in range(4 * BEATS)]
    first, second, others = clients[:BEATS], clients[BEATS : 2 * BEATS], clients[2 * BEATS :]
    async with trio.open_nursery() as nursery:
        for client in clients:
            nursery.start_soon(client.read)
        await trio.sleep(1)
        hub.publish(make_events(1, 1))
        await trio.sleep(2 * BATCH_INTERVAL_S)
        assert {tuple(client.pushed) for client in clients} == {(1,)}

        for client in first:  # they came first, and keep the time
            client.is_slow = True
        hub.publish(make_events(2, 2))
        await trio.sleep(2 * BATCH_INTERVAL_S)
        hub.publish(make_events(3, 3))
        for client in second:
            client.leaving.cancel()
        hub.publish(make_events(4, 4))
        await trio.sleep(2 * BATCH_INTERVAL_S)
        assert {tuple(client.pushed) for client in others} == {(1, 2, 3, 4)}

        for client in first:
            client.is_slow = False
            client.is_free.set()
        await trio.sleep(2 * BATCH_INTERVAL_S)
        assert {(tuple(one.sent), tuple(one.pushed)) for one in first} == {((2,), (1, 3, 4))}
        hub.close()


async def test_a_client_that_takes_a_part_of_what_is_pushed_gets_all_of_it_in_order(
    autojump_clock: trio.testing.MockClock,
) -> None:
    taken: list[bytes] = []
    hub, shelf = FeedHub(), Shelf()

    def push(batch: bytes) -> bytes | None:
        taken.append(batch)
        return b"" if len(taken) == 1 else None

    with hub.open_ring("a") as ring:
        reader = FeedReader(
            hub,
            ring,
            shelf,  # type: ignore[arg-type]
            Clock(),
            account="a",
            since=0,
            encode=encode_list,
            push=push,
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep, 5)
            await trio.testing.wait_all_tasks_blocked()
            hub.publish(make_events(1, 1))
            assert await reader.next_batch() == b""
            with trio.move_on_after(1):
                hub.publish(make_events(2, 2))
                await reader.next_batch()
    assert [seqs_of(batch) for batch in taken] == [[1], [2]]


async def test_only_the_wanted_flow_list_contact_and_types_are_sent(
    autojump_clock: trio.testing.MockClock,
) -> None:
    hub, shelf = FeedHub(), Shelf()
    events = [
        *make_events(1, 1, flow="f1", list="l1", contact="c1", data={"contact": "c2"}),
        *make_events(2, 2, flow="f1", list="l2", contact="c2", type="attempt.ended"),
        *make_events(3, 3, flow="f2", list="l3", contact="c3", type="attempt.initiated"),
        *make_events(4, 4, flow="f1", list="l2", contact="c2"),
        *make_events(1, 1, account="b"),
    ]
    found: dict[str, list[int]] = {}
    wanted: dict[str, dict[str, Any]] = {
        "all": {},
        "flow": {"flow": "f1"},
        "list": {"list": "l2"},
        "contact": {"contact": "c2"},
        "types": {"types": frozenset({"attempt.ended", "attempt.initiated"})},
        "neither": {"flow": "f2", "list": "l1"},
    }
    for name, filters in wanted.items():
        with hub.open_ring("a") as ring, trio.move_on_after(1):
            found[name] = []
            reader = make_reader(hub, ring, shelf, 0, **filters)
            shelf.events = events[:1]
            hub.publish(events)
            while True:
                found[name] += seqs_of(await reader.next_batch())
    assert found == {
        "all": [1, 2, 3, 4],
        "flow": [1, 2, 4],
        "list": [2, 4],
        "contact": [2, 4],
        "types": [2, 3],
        "neither": [],
    }


@pytest.mark.parametrize("length", [0, 1, 122, 123, 124, 65_532, 65_533, 65_534, 200_000])
def test_a_frame_is_what_wsproto_would_make_of_it(length: int) -> None:
    body = b"x" * length
    expected = Connection(ConnectionType.SERVER).send(TextMessage(f"[{body.decode()}]"))
    assert encode_frame([Gap(1, body)]) == expected


async def test_a_slow_reader_is_told_its_gap_and_goes_on() -> None:
    hub, shelf = FeedHub(ring_events=10), Shelf()
    with hub.open_ring("a") as ring:
        reader = make_reader(hub, ring, shelf, 0)
        hub.publish(make_events(1, 3))
        shelf.events = make_events(1, 3)
        assert seqs_of(await reader.next_batch()) == [1, 2, 3]
        hub.publish(make_events(4, 30))
        frame = await reader.next_batch()
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
        assert seqs_of(await reader.next_batch()) == [(7, 49), 50, 51, 52]


async def test_a_reader_of_the_past_that_the_ring_overtakes_goes_on_with_the_store() -> None:
    hub, shelf = FeedHub(ring_events=10), Shelf()
    shelf.events = make_events(1, FRAME_EVENTS_MAX)
    with hub.open_ring("a") as ring:
        reader = make_reader(hub, ring, shelf, 0)
        assert seqs_of(await reader.next_batch()) == list(range(1, FRAME_EVENTS_MAX + 1))
        more = make_events(FRAME_EVENTS_MAX + 1, FRAME_EVENTS_MAX + 50)
        shelf.events += more
        hub.publish(more)
        assert seqs_of(await reader.next_batch()) == [event.seq for event in more]


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
