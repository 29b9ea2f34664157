"""The live feed: what happens in an account, as it happens, to however many ask.

The store publishes each event once, encoded, into its account's ring. A reader has nothing but a place in
that ring, so a reader more costs no memory, and one that is slow costs nobody anything: when the ring
has overtaken it, it is told which events it missed and goes on with those that are left.

Readers of the ring take turns: each belongs to one of a few beats, which are spread over the interval
between two batches. Those of one beat read at the same moment and so get the very same bytes, which are put
together once for all of them; and because the beats are apart, no crowd of readers keeps a call waiting while
all of it is served. One reader of a beat keeps the time for all, and pushes to each what it is to have: to
wake them all and let each send by itself would take as long again as the kernel takes for it. Who cannot be
pushed to, because its client is slow, is woken and sends at its client's pace.

A reader that asks for the past is first served from the store. It goes over to the ring when the store
has no more and the ring still holds what comes next; as events are numbered without holes, nothing is
lost or repeated at that joint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from math import floor
from typing import Final, Protocol

import msgspec
import trio
from msgspec import Struct

from engine.model.events import StoredEvent, is_of_contact, rfc3339
from engine.ports.clock import WallClock
from engine.ports.read_store import ReadStore
from engine.ports.stored import PAGE_MAX

RING_EVENTS: Final = 8_192
"""Events of an account that are kept for its readers, while it has any."""
FRAME_EVENTS_MAX: Final = PAGE_MAX
"""Events in one frame. A page of the store that is shorter is its last."""
BATCH_INTERVAL_S: Final = 0.1
"""Between two batches of the live feed to one reader: what happens meanwhile travels together."""
PUSHES_MAX: Final = 64
"""That are made at one go, without letting others of the process have their turn."""
BEATS: Final = 8
"""Moments within that interval at which readers get their batches, each reader at one of them."""
BATCHES_KEPT: Final = 2 * BEATS
"""Encoded batches of a ring that are kept for others who want the same."""

ROUNDING: Final = 1e-6
"""Of a beat: what counting moments may cost."""


class Entry(Protocol):
    """What a feed brings: an event, or what tells of a gap."""

    @property
    def seq(self) -> int:
        """Its number, by which a reader goes on after it."""

    @property
    def body(self) -> bytes:
        """The JSON object, UTF-8."""


class Gap(Struct, frozen=True):
    """Events that a reader missed, as an `Entry`."""

    seq: int
    """Of the last that is missing."""
    body: bytes


Encode = Callable[[Sequence[Entry]], bytes]
"""Entries → what is sent of them. It stands for itself: those who share a batch have the same one."""


class EventFilter(Struct, frozen=True):
    """Which events of an account are wanted; what is None is not asked about."""

    flow: str | None = None
    list: str | None = None
    contact: str | None = None
    types: frozenset[str] | None = None

    def choose(self, events: Sequence[StoredEvent]) -> Sequence[StoredEvent]:
        """Those that are wanted, in their order."""
        if self == EVERYTHING:
            return events
        return [event for event in events if self._wants(event)]

    def _wants(self, event: StoredEvent) -> bool:
        return (
            self.flow in (None, event.flow)
            and self.list in (None, event.list)
            and (self.types is None or event.type in self.types)
            and (self.contact is None or is_of_contact(event, self.contact))
        )


EVERYTHING: Final = EventFilter()

Push = Callable[[bytes], bytes | None]
"""Sends a batch at once, if the client takes it: None where it did, and else what its reader has to send in
the usual way, for which it may be that nothing but its turn is left."""


class _Beat:
    """Readers who get their batches at the same moment."""

    def __init__(self) -> None:
        self.keeper: FeedReader | None = None
        """The reader that keeps the time for all."""
        self.waiting: dict[FeedReader, trio.Event] = {}
        """Those who wait to be served, and how they are called."""
        self.news = trio.Event()
        """That there may be something to be read."""

    def wake(self) -> None:
        """Let the keeper look again."""
        self.news.set()
        self.news = trio.Event()

    def pass_on(self) -> None:
        """Let another reader keep the time."""
        self.keeper = next(iter(self.waiting), None)
        if self.keeper is not None:
            self.waiting.pop(self.keeper).set()


class _Ring:
    """The latest events of one account."""

    def __init__(self, size: int) -> None:
        self._slots: list[StoredEvent | None] = [None] * size
        self.first: int | None = None
        """The number of the oldest event that is held; None before there is one."""
        self.next: int = 0
        """The number that comes after the newest."""
        self.readers = 0
        self._opened = 0
        self._beats = tuple(_Beat() for _ in range(BEATS))
        self._batches: dict[tuple[int, int, EventFilter, Encode], bytes] = {}

    def give_beat(self) -> tuple[_Beat, float]:
        """The beat of one more reader, and how long after the beginning of an interval it comes, seconds."""
        self._opened += 1
        number = self._opened % BEATS
        return self._beats[number], number * BATCH_INTERVAL_S / BEATS

    def append(self, event: StoredEvent) -> None:
        if self.first is None or event.seq != self.next:
            self.first = event.seq
        self.next = event.seq + 1
        self._slots[event.seq % len(self._slots)] = event
        self.first = max(self.first, self.next - len(self._slots))

    def wake(self) -> None:
        """Let everybody who waits look again."""
        for beat in self._beats:
            beat.wake()

    def read(self, place: int, most: int) -> list[StoredEvent]:
        """Up to `most` events from number `place` on, which must not be older than `first`."""
        size = len(self._slots)
        events = [self._slots[seq % size] for seq in range(place, min(self.next, place + most))]
        return [event for event in events if event is not None]

    def encode(self, place: int, until: int, wanted: EventFilter, encode: Encode) -> bytes:
        """What is sent of the events from `place` to before `until`, which are held; nothing where none of
        them is wanted. Put together once for all who ask for the same."""
        which = (place, until, wanted, encode)
        batch = self._batches.get(which)
        if batch is None:
            events = wanted.choose(self.read(place, until - place))
            batch = encode(events) if events else b""
            if len(self._batches) >= BATCHES_KEPT:
                del self._batches[next(iter(self._batches))]
            self._batches[which] = batch
        return batch


class FeedHub:
    """Takes events from the store and keeps them for readers."""

    def __init__(self, ring_events: int = RING_EVENTS) -> None:
        self._ring_events = ring_events
        self._rings: dict[str, _Ring] = {}
        self.is_closed = False

    def publish(self, events: Sequence[StoredEvent]) -> None:
        """Take what one commit brought. Never blocks and never raises."""
        touched: dict[str, _Ring] = {}
        for event in events:
            ring = self._rings.get(event.account)
            if ring is not None:
                ring.append(event)
                touched[event.account] = ring
        for ring in touched.values():
            ring.wake()

    def close(self) -> None:
        """Let every reader end, and take no more."""
        self.is_closed = True
        for ring in self._rings.values():
            ring.wake()

    @property
    def readers(self) -> int:
        """How many read at the moment."""
        return sum(ring.readers for ring in self._rings.values())

    @contextmanager
    def open_ring(self, account: str) -> Iterator[_Ring]:
        """The account's ring, which holds what is published from now on while the block runs."""
        ring = self._rings.get(account)
        if ring is None:
            ring = self._rings[account] = _Ring(self._ring_events)
        ring.readers += 1
        try:
            yield ring
        finally:
            ring.readers -= 1
            if not ring.readers:
                del self._rings[account]


class FeedReader:
    """One reader's way through the events of an account."""

    def __init__(
        self,
        hub: FeedHub,
        ring: _Ring,
        store: ReadStore,
        clock: WallClock,
        *,
        account: str,
        since: int,
        encode: Encode,
        wanted: EventFilter = EVERYTHING,
        push: Push | None = None,
    ) -> None:
        """
        Args:
            hub: says when it is over.
            ring: the account's, held open while this reads.
            store: for the past.
            clock: stamps the entries that tell of a gap.
            account: whose events.
            since: the number of the last event that is not wanted.
            encode: puts a batch together.
            wanted: which events.
            push: sends at once what else `next_batch` brings; None where nothing does.
        """
        self._hub = hub
        self._ring = ring
        self._store = store
        self._clock = clock
        self._account = account
        self._encode = encode
        self._wanted = wanted
        self._place = since + 1
        self._push = push
        self._left: bytes | None = None
        """A batch that was read for this reader, and is for it to send."""
        self._beat, self._ahead_s = ring.give_beat()
        self._due = trio.current_time()
        self.is_live = False
        """Whether the past is done."""

    async def next_batch(self) -> bytes | None:
        """What is to be sent next, encoded, waiting for it and for the reader's beat; None when it is all
        over. What could be pushed is not among it."""
        while not self._hub.is_closed:
            if self._left is not None:
                batch, self._left = self._left, None
                return batch
            if self.is_live:
                await self._wait_turn()
            elif batch := await self._read_store():
                return batch
        return None

    async def _wait_turn(self) -> None:
        """Until there is a batch for this reader to send, or it is all over."""
        beat = self._beat
        if beat.keeper is None:
            beat.keeper = self
        try:
            if beat.keeper is not self:
                await self._wait_called()
            if beat.keeper is self:
                await self._keep_time()
        finally:
            # Whoever sends, or is cancelled, keeps nobody waiting.
            if beat.keeper is self:
                beat.pass_on()

    async def _wait_called(self) -> None:
        beat = self._beat
        called = beat.waiting[self] = trio.Event()
        if self.is_behind():
            beat.wake()
        try:
            await called.wait()
        finally:
            beat.waiting.pop(self, None)

    async def _keep_time(self) -> None:
        """Serve everybody of the beat at each of its moments, until there is something for this reader to
        send."""
        beat = self._beat
        while self._left is None:
            await trio.sleep_until(self._due)
            while not (self._hub.is_closed or self.is_behind() or _is_any_behind(beat.waiting)):
                await beat.news.wait()
                await trio.sleep_until(self._next_moment())
            if self._hub.is_closed:
                return
            self._due = self._next_moment()
            for count, reader in enumerate(list(beat.waiting), start=1):
                if reader in beat.waiting and not reader.serve():
                    beat.waiting.pop(reader).set()
                if count % PUSHES_MAX == 0:
                    await trio.lowlevel.checkpoint()
            self.serve()

    def serve(self) -> bool:
        """Read what is new, and push it; False where there is something left for the reader to send."""
        batch = self._read_ring()
        if batch:
            self._left = batch if self._push is None else self._push(batch)
        return self._left is None

    def is_behind(self) -> bool:
        """Whether there is something that it has not read."""
        return self._place < self._ring.next

    def _next_moment(self) -> float:
        # The same number for all of a beat, to the last bit: they must wake together.
        turn = floor((trio.current_time() - self._ahead_s) / BATCH_INTERVAL_S + ROUNDING) + 1
        return turn * BATCH_INTERVAL_S + self._ahead_s

    async def _read_store(self) -> bytes:
        events = await self._store.events_after(self._account, self._place - 1, FRAME_EVENTS_MAX)
        entries: list[Entry] = []
        if events:
            if events[0].seq > self._place:
                entries.append(self._skip_to(events[0].seq))
            entries += self._wanted.choose(events)
            self._place = events[-1].seq + 1
        first = self._ring.first
        is_within_ring = first is None or first <= self._place
        self.is_live = (is_within_ring and len(events) < FRAME_EVENTS_MAX) or not events
        return self._encode(entries) if entries else b""

    def _read_ring(self) -> bytes:
        first = self._ring.first
        if first is None:
            return b""
        gap = self._skip_to(first) if first > self._place else None
        place = self._place
        until = self._place = max(place, min(self._ring.next, place + FRAME_EVENTS_MAX))
        if gap is None:
            return self._ring.encode(place, until, self._wanted, self._encode)
        events = self._ring.read(place, until - place)
        return self._encode([gap, *self._wanted.choose(events)])

    def _skip_to(self, place: int) -> Gap:
        """Go on at `place`, and tell what is missed by that: the entry has the form of an event, and the
        number of the last that is missing. `data.since` is what to ask again with."""
        since, self._place = self._place - 1, place
        body = msgspec.json.encode(
            {
                "seq": place - 1,
                "time": rfc3339(self._clock.now()),
                "type": "gap",
                "account": self._account,
                "flow": None,
                "list": None,
                "contact": None,
                "attempt": None,
                "data": {"since": since, "until": place - 1},
            }
        )
        return Gap(place - 1, body)


def _is_any_behind(readers: Iterable[FeedReader]) -> bool:
    return any(reader.is_behind() for reader in readers)
