"""The reader of the feed by itself, under a virtual clock."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
import trio
import trio.testing
from wsproto.connection import Connection, ConnectionType
from wsproto.events import TextMessage

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
from api.http.frames import encode_frame
from engine.model.events import StoredEvent
from tests.api.http.feed_events import make_events, seqs_of
from tests.api.http.world import Clock


class Shelf:
    """The part of a store that a reader asks: events, of which the oldest may be gone."""

    def __init__(self) -> None:
        self.events: list[StoredEvent] = []
        self.asked: list[int] = []

    async def events_after(self, account: str, seq: int, limit: int) -> list[StoredEvent]:
        await trio.lowlevel.checkpoint()
        self.asked.append(seq)
        return [event for event in self.events if event.seq > seq][:limit]


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
