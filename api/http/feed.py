"""The live feed: what happens in an account, as it happens, to however many ask.

The store publishes each event once, encoded, into its account's ring. A reader has nothing but a place in
that ring, so a reader more costs no memory, and one that is slow costs nobody anything: when the ring
has overtaken it, it is told which events it missed and goes on with those that are left.

A reader that asks for the past is first served from the store. It goes over to the ring when the store
has no more and the ring still holds what comes next; as events are numbered without holes, nothing is
lost or repeated at that joint.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import msgspec
import trio

from engine.events import StoredEvent, rfc3339
from engine.ports.clock import WallClock
from engine.ports.store import PAGE_MAX, ReadStore

RING_EVENTS: Final = 8_192
"""Events of an account that are kept for its readers, while it has any."""
FRAME_EVENTS_MAX: Final = PAGE_MAX
"""Events in one frame. A page of the store that is shorter is its last."""


class _Ring:
    """The latest events of one account."""

    def __init__(self, size: int) -> None:
        self._slots: list[StoredEvent | None] = [None] * size
        self.first: int | None = None
        """The number of the oldest event that is held; None before there is one."""
        self.next: int = 0
        """The number that comes after the newest."""
        self.changed = trio.Event()
        self.readers = 0

    def append(self, event: StoredEvent) -> None:
        if self.first is None or event.seq != self.next:
            self.first = event.seq
        self.next = event.seq + 1
        self._slots[event.seq % len(self._slots)] = event
        self.first = max(self.first, self.next - len(self._slots))

    def wake(self) -> None:
        """Let everybody who waits look again."""
        self.changed.set()
        self.changed = trio.Event()

    def read(self, place: int, most: int) -> list[StoredEvent]:
        """Up to `most` events from number `place` on, which must not be older than `first`."""
        size = len(self._slots)
        events = [self._slots[seq % size] for seq in range(place, min(self.next, place + most))]
        return [event for event in events if event is not None]


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
        flow: str | None = None,
        call_list: str | None = None,
    ) -> None:
        """
        Args:
            hub: says when it is over.
            ring: the account's, opened before `since` was looked up.
            store: for the past.
            clock: stamps the entries that tell of a gap.
            account: whose events.
            since: the number of the last event that is not wanted.
            flow: only this flow's; None for any.
            call_list: only this list's; None for any.
        """
        self._hub = hub
        self._ring = ring
        self._store = store
        self._clock = clock
        self._account = account
        self._flow = flow
        self._list = call_list
        self._place = since + 1
        self.is_live = False
        """Whether the past is done."""

    async def next_frame(self) -> bytes | None:
        """A JSON array of the events that come next, waiting for them; None when it is all over."""
        while not self._hub.is_closed:
            changed = self._ring.changed
            entries = self._read_ring() if self.is_live else await self._read_store()
            if entries:
                return b"[" + b",".join(entries) + b"]"
            if self.is_live and self._place >= self._ring.next:
                await changed.wait()
        return None

    async def _read_store(self) -> list[bytes]:
        events = await self._store.events_after(self._account, self._place - 1, FRAME_EVENTS_MAX)
        entries: list[bytes] = []
        if events:
            if events[0].seq > self._place:
                entries.append(self._skip_to(events[0].seq))
            entries += self._choose(events)
            self._place = events[-1].seq + 1
        first = self._ring.first
        is_within_ring = first is None or first <= self._place
        self.is_live = (is_within_ring and len(events) < FRAME_EVENTS_MAX) or not events
        return entries

    def _read_ring(self) -> list[bytes]:
        entries: list[bytes] = []
        first = self._ring.first
        if first is None:
            return entries
        if first > self._place:
            entries.append(self._skip_to(first))
        events = self._ring.read(self._place, FRAME_EVENTS_MAX)
        self._place += len(events)
        return entries + self._choose(events)

    def _choose(self, events: Iterable[StoredEvent]) -> list[bytes]:
        return [
            event.body
            for event in events
            if (self._flow is None or event.flow == self._flow)
            and (self._list is None or event.list == self._list)
        ]

    def _skip_to(self, place: int) -> bytes:
        """Go on at `place`, and tell what is missed by that: the entry has the form of an event, and the
        number of the last that is missing. `data.since` is what to ask again with."""
        since, self._place = self._place - 1, place
        return msgspec.json.encode(
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
