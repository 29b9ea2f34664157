"""What a plane hears: the packets of the callees, of both ports of each stream, and of strangers.

A stream's row has two slots of the receiver, one for the socket of its RTP and one for that of its
RTCP. A pass over all of them is a handful of array operations; a packet is looked at by itself only
where it carries an event, which is rare. What is beyond its row's `Allowance` is not looked at at all.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
from msgspec import Struct, field
from numpy.typing import NDArray

from adapters.media.codecs.codec import CODECS_BY_NUMBER
from adapters.media.listening.listeners import Listening
from adapters.media.plane.allowance import Allowance
from adapters.media.plane.ears import Ears
from adapters.media.plane.latch import Source
from adapters.media.plane.shields import Shields
from adapters.media.sockets.endpoint import Endpoints
from adapters.media.sockets.receiver import RECEIVE_BYTES_MAX, Batch, Receiver
from adapters.media.wire.numbers import EVENT, Numbers, NumberTable
from adapters.media.wire.rtp import (
    RTCP_BYTES_MIN,
    Arrivals,
    Header,
    Reception,
    ReceptionTable,
    is_rtcp,
    parse_packet,
    read_arrivals,
)

DRAIN_MAX: Final = 64
"""Packets taken at once from one stream's socket, which never holds as many."""
SLOTS_PER_ROW: Final = 2


class EventPacket(Struct, frozen=True):
    """One packet of a telephone event (RFC 4733)."""

    row: int
    header: Header
    payload: bytes


class Heard(Struct):
    """What one pass has heard that somebody must know of."""

    events: list[EventPacket] = field(default_factory=list)
    moves: list[tuple[int, Source]] = field(default_factory=list)
    """Rows whose callee is elsewhere, and where."""
    reports: list[tuple[int, bytes]] = field(default_factory=list)
    """RTCP, and the rows that it came for."""
    sound: tuple[Batch, Arrivals] | None = None
    """The RTP of this pass, valid until the next; its payload types are those of this room."""


class Hearing:
    """The receiving side of up to `capacity` streams."""

    def __init__(
        self,
        capacity: int,
        make_receiver: Callable[[int], Receiver],
        listening: Listening,
        shields: Shields,
        allowance: Allowance,
    ) -> None:
        self.packets_received = 0
        self.rtcp_received = 0
        self._capacity = capacity
        self.reception = ReceptionTable(capacity)
        self._shields = shields
        self._allowance = allowance
        self._receiver = make_receiver(SLOTS_PER_ROW * capacity)
        self._numbers = NumberTable(capacity)
        self._listening = listening
        self._ears = Ears(capacity, shields.open, self._numbers.read_one)
        self._now_ns = 0
        self._drained = np.zeros((1, RECEIVE_BYTES_MAX), np.uint8)

    @property
    def strangers_packets(self) -> int:
        """Packets of strangers that were looked at."""
        return self._ears.packets

    def clear(self, row: int) -> None:
        """Make a row a new stream's."""
        self.reception.clear(row)
        self._numbers.clear(row)
        self._allowance.clear(row)

    def expect(self, row: int, numbers: Numbers) -> None:
        """What the callee speaks in, and which packets of it are events."""
        codec = CODECS_BY_NUMBER[numbers.voice]
        self.reception.expect_voice(row, numbers.voice, codec.ticks_per_ms)
        self._numbers.agree(row, numbers)
        # Where no events were agreed, the keys are in the sound.
        self._listening.expect(row, numbers.voice, has_digits=numbers.sent_event is None)

    def attach(self, row: int, endpoints: Endpoints) -> None:
        """Hear a stream from now on. Its sockets are connected, and nothing waits in them."""
        self._receiver.attach(row, endpoints.rtp)
        self._receiver.attach(self._capacity + row, endpoints.rtcp)

    def detach(self, row: int, endpoints: Endpoints) -> None:
        """Hear a stream no more, before its sockets are closed."""
        self._receiver.detach(row, endpoints.rtp)
        self._receiver.detach(self._capacity + row, endpoints.rtcp)
        self._ears.close(row)

    def learn(self, row: int, endpoint: socket.socket, payload_type: int) -> None:
        """Be ready for a callee that is elsewhere than its SDP says, until it is heard. Raises
        `OSError` when the system gives no socket for it."""
        self._ears.open(row, endpoint, payload_type)

    def is_learning(self, row: int) -> bool:
        """Whether it is still open where the callee of this row is."""
        return row in self._ears

    def hear(self, now_ns: int) -> Heard:
        """Take what has arrived, at most one packet of each stream: a flood costs nobody else more."""
        self._now_ns = now_ns
        self._listening.go_on(now_ns)
        heard = Heard()
        batch = self._receiver.receive()
        if len(batch.slots):
            self._take(self._open(batch), heard)
        heard.moves = self._ears.listen(now_ns)
        return heard

    def drain(self, row: int, endpoint: socket.socket) -> Heard:
        """Take all that waits for one stream."""
        heard = Heard()
        for length in self._lengths_of_waiting(endpoint):
            batch = Batch(np.array([row]), self._drained, np.array([length]))
            self._take_rtp(self._open(batch), heard)
        return heard

    def discard(self, endpoints: Endpoints) -> None:
        """Throw away all that waits in the sockets of one stream."""
        for endpoint in (endpoints.rtp, endpoints.rtcp):
            for _ in self._lengths_of_waiting(endpoint):
                pass

    def read(self, row: int) -> Reception:
        """What is known of one stream."""
        return self.reception.read(row)

    def close(self) -> None:
        """Free what the kernel holds for it."""
        self._ears.close_all()
        self._receiver.close()

    def _lengths_of_waiting(self, endpoint: socket.socket) -> Iterator[int]:
        """Take packet after packet while there is any that can be read."""
        for _ in range(DRAIN_MAX):
            try:
                yield endpoint.recv_into(self._drained[0].data)
            except BlockingIOError:
                return
            except OSError:
                continue

    def _open(self, batch: Batch) -> Batch:
        """What is within everybody's allowance, and authentic where it is secure."""
        good = self._allowance.take(batch.slots, self._now_ns)
        return self._shields.open_batch(batch if good is None else batch.only(good))

    def _take(self, batch: Batch, heard: Heard) -> None:
        beside = batch.slots >= self._capacity
        if beside.any():
            self._take_rtcp(batch, np.flatnonzero(beside), heard)
            batch = batch.only(~beside)
        self._take_rtp(batch, heard)

    def _take_rtcp(self, batch: Batch, places: NDArray[np.intp], heard: Heard) -> None:
        self.rtcp_received += len(places)
        for place in places.tolist():
            octets = batch.packets[place, : batch.lengths[place]].tobytes()
            heard.reports.append((int(batch.slots[place]) % self._capacity, octets))

    def _take_rtp(self, batch: Batch, heard: Heard) -> None:
        arrivals = read_arrivals(batch.slots, batch.packets, batch.lengths)
        if len(arrivals.rows) < len(batch.slots):
            muxed = is_rtcp(batch.packets) & (batch.lengths >= RTCP_BYTES_MIN)
            self._take_rtcp(batch, np.flatnonzero(muxed), heard)
        self.packets_received += len(arrivals.rows)
        arrivals.payload_type = self._numbers.read(arrivals.rows, arrivals.payload_type)
        heard.sound = batch, arrivals
        self.reception.record(arrivals, self._now_ns)
        self._ears.close_those_of(arrivals.rows)
        self._take_events(batch, arrivals, heard)
        if self._listening.rows:
            self._listening.take(batch, arrivals)

    def _take_events(self, batch: Batch, arrivals: Arrivals, heard: Heard) -> None:
        are_events = arrivals.payload_type == EVENT
        if not are_events.any():
            return
        for place in arrivals.places[are_events].tolist():
            octets = batch.packets[place, : batch.lengths[place]].tobytes()
            parsed = parse_packet(octets)
            if parsed is not None:
                heard.events.append(EventPacket(int(batch.slots[place]), *parsed))
