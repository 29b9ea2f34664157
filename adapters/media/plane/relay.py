"""Bridged streams: what one callee sends goes to the other as soon as it has come.

A bridged row's packets go out in the numbers of the row that sends them: its own source, and sequence
numbers and timestamps that go on from what it sent before. Between the two counts lies a shift, which
stays the same for as long as the packets belong together; so a packet that is lost is missing at the
other end too, and one that is late comes there late, and whoever listens deals with it as always.
The shift is found anew, and a marker says so, when a callee begins or begins anew.

A callee that sends nothing for `FILL_NS`, because it detects silence or is on hold, is replaced by the
row's own paced silence, so that nobody at the other end takes the call for dead.

G.711 in packets of 20 ms, which is nearly all, goes through array operations; everything else packet
by packet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from msgspec import Struct, structs
from numpy.typing import NDArray

from adapters.media.codecs.codec import CODECS_BY_NUMBER
from adapters.media.codecs.g711 import LAWS, law_table_number, make_law_tables
from adapters.media.codecs.voices import Translator, make_translator
from adapters.media.plane.event_tone import EventTone
from adapters.media.plane.stream_table import StreamTable
from adapters.media.sockets.receiver import Batch
from adapters.media.sockets.sender import Sender
from adapters.media.wire.dtmf import scale_durations
from adapters.media.wire.numbers import EVENT
from adapters.media.wire.rtp import (
    DROPOUT_MAX,
    FRAME_BYTES,
    HEADER_BYTES,
    MISORDER_MAX,
    PACKET_FIELDS,
    TIMESTAMPS_PER_MS,
    Arrivals,
    Header,
    parse_packet,
)

FILL_NS: Final = 100_000_000
"""A callee that was silent for so long is replaced by silence that is sent."""
_NOBODY: Final = -1
_PLAIN: Final = 0x80
"""The first octet of a packet without padding, extension or contributing sources."""
_MARKER: Final = 0x80
_WHOLE: Final = PACKET_FIELDS.itemsize


class Side(Struct, eq=False):
    """How one row of a bridge speaks and is spoken to. `Switchboard` says so anew when it changes."""

    payload_type: int
    """The codec of its sound, in both directions."""
    wire_type: int
    """What stands for it in what is sent."""
    telephone_event: int | None
    event_clock_hz: int
    send: Callable[[Header, bytes], None]
    """Sends one packet to its callee, whatever that takes."""
    is_sending: bool = True
    """Whether its callee is to be sent anything now."""


class Relay:
    """The bridges of one plane, up to half as many as it has rows."""

    def __init__(
        self,
        table: StreamTable,
        sender: Sender,
        capacity: int,
        settle: Callable[[int], None],
        note_length: Callable[[int, int], None],
    ) -> None:
        """`settle` is called when a row begins or ends being spoken for by another one, so that its own
        pace ends or goes on; `note_length` is told how many samples a packet of a row held that was
        translated."""
        self._table = table
        self._sender = sender
        self._settle = settle
        self._note_length = note_length
        self._sides: dict[int, Side] = {}
        self._translators: dict[int, tuple[tuple[int, int], Translator]] = {}
        """From which codec to which, and what does it. One that remembers lasts as long as both do."""
        self._tones: dict[int, EventTone] = {}
        """By the row that they are sent to, as all that follows."""
        self._rows = np.zeros(0, np.intp)
        """The rows that are bridged."""
        self._partner = np.full(capacity, _NOBODY, np.intp)
        self._flows = np.zeros(capacity, np.bool_)
        """Whether the shift holds: the partner's packets go out, and the row's own pace rests."""
        self._ssrc = np.zeros(capacity, np.int64)
        self._highest = np.zeros(capacity, np.int64)
        """The partner's highest sequence number, 16 bits."""
        self._sequence_shift = np.zeros(capacity, np.int64)
        self._timestamp_shift = np.zeros(capacity, np.int64)
        self._heard = np.zeros(capacity, np.int64)
        """The partner's timestamp at which the shift of timestamps holds. Where both have one clock, it holds
        at any."""
        self._end = np.zeros(capacity, np.int64)
        """The timestamp behind the last packet."""
        self._last_ns = np.zeros(capacity, np.int64)
        self._voice = np.full(capacity, _NOBODY, np.int64)
        """The payload type of the partner's sound; -1 where it is passed on packet by packet only."""
        self._spoken = np.zeros(capacity, np.uint8)
        """The payload type that the row sends."""
        self._table_number = np.zeros(capacity, np.intp)
        self._tables = make_law_tables()
        self._now_ns = 0
        self.packets = 0
        """Packets that were sent."""

    @property
    def bridges(self) -> int:
        """Pairs of rows that are bridged."""
        return len(self._rows) // 2

    def flows_to(self, row: int) -> bool:
        """Whether the row is spoken for by its partner just now."""
        return bool(self._flows[row])

    def join(self, row: int, side: Side, other: int, other_side: Side) -> None:
        """Bridge two rows, of which neither is bridged."""
        assert row != other
        assert self._partner[row] == self._partner[other] == _NOBODY
        self._partner[row], self._partner[other] = other, row
        for one, its_side in ((row, side), (other, other_side)):
            self._sides[one] = its_side
            self._tones[one] = EventTone()
        self._rows = np.fromiter(self._sides, np.intp)
        self._describe(row)
        self._describe(other)

    def part(self, row: int) -> None:
        """End the bridge of this row, if it has one."""
        other = int(self._partner[row])
        if other == _NOBODY:
            return
        for one in (row, other):
            self._end_flow(one)
            self._partner[one] = _NOBODY
            del self._sides[one], self._tones[one], self._translators[one]
        self._rows = np.fromiter(self._sides, np.intp, len(self._sides))

    def change(self, row: int, side: Side) -> None:
        """A row speaks otherwise from now on; one that is not bridged is passed over."""
        if row not in self._sides:
            return
        self._sides[row] = side
        if not side.is_sending:
            self._end_flow(row)
        self._describe(row)
        self._describe(int(self._partner[row]))

    def pass_on(self, batch: Batch, arrivals: Arrivals, now_ns: int) -> None:
        """Send on what has come of bridged rows."""
        self._now_ns = now_ns
        to = self._partner[arrivals.rows]
        bridged = to != _NOBODY
        if not bridged.any():
            return
        quick = bridged & self._is_quick(batch, arrivals, to)
        if quick.any():
            self._pass_quickly(batch, arrivals, to, quick)
        for number in np.flatnonzero(bridged & ~quick).tolist():
            place = arrivals.places[number]
            octets = batch.packets[place, : batch.lengths[place]].tobytes()
            parsed = parse_packet(octets)
            if parsed is not None:
                kind = int(arrivals.payload_type[number])
                header = structs.replace(parsed[0], payload_type=kind)
                self._pass_one(int(arrivals.rows[number]), int(to[number]), header, parsed[1])

    def tend(self, now_ns: int) -> None:
        """Fill in for those who have fallen silent."""
        self._now_ns = now_ns
        rows = self._rows
        silent = rows[self._flows[rows] & (now_ns - self._last_ns[rows] >= FILL_NS)]
        for row in silent.tolist():
            self._end_flow(row)

    def _describe(self, row: int) -> None:
        """Note how the packets of a row's partner become the row's."""
        spoken, heard = self._sides[row], self._sides[int(self._partner[row])]
        self._spoken[row] = spoken.wire_type
        pair = (heard.payload_type, spoken.payload_type)
        is_law = heard.payload_type in LAWS and spoken.payload_type in LAWS
        self._voice[row] = heard.payload_type if is_law and spoken.is_sending else _NOBODY
        if is_law:
            self._table_number[row] = law_table_number(*pair)
        before = self._translators[row][0] if row in self._translators else pair
        if _clocks(before) != _clocks(pair):
            # The shift of timestamps holds no longer.
            self._end_flow(row)
        if row not in self._translators or before != pair:
            self._translators[row] = (pair, make_translator(*pair))

    def _is_quick(
        self, batch: Batch, arrivals: Arrivals, to: NDArray[np.intp]
    ) -> NDArray[np.bool_]:
        """Which packets are whole frames of sound that go on where the ones before ended."""
        ahead = _ahead(arrivals.sequence, self._highest[to])
        quick: NDArray[np.bool_] = (
            self._flows[to]
            & (batch.lengths[arrivals.places] == _WHOLE)
            & (batch.packets[arrivals.places, 0] == _PLAIN)
            & (arrivals.payload_type == self._voice[to])
            & (arrivals.ssrc == self._ssrc[to])
            & (ahead <= DROPOUT_MAX)
            & (ahead >= -MISORDER_MAX)
        )
        return quick

    def _pass_quickly(
        self, batch: Batch, arrivals: Arrivals, to: NDArray[np.intp], quick: NDArray[np.bool_]
    ) -> None:
        rows, places = to[quick], arrivals.places[quick]
        sequence = arrivals.sequence[quick]
        timestamp = arrivals.timestamp[quick] + self._timestamp_shift[rows] & 0xFFFF_FFFF
        octets = batch.packets[places]
        packets = self._table.packets
        packets["payload"][rows] = self._tables[
            self._table_number[rows, np.newaxis], octets[:, HEADER_BYTES:_WHOLE]
        ]
        packets["second"][rows] = octets[:, 1] & _MARKER | self._spoken[rows]
        packets["sequence"][rows] = sequence + self._sequence_shift[rows] & 0xFFFF
        packets["timestamp"][rows] = timestamp
        self._sender.send(rows)
        self.packets += len(rows)
        self._table.note_frames(rows)
        highest = self._highest[rows]
        self._highest[rows] = highest + np.maximum(0, _ahead(sequence, highest)) & 0xFFFF
        self._end[rows] = timestamp + FRAME_BYTES
        self._last_ns[rows] = self._now_ns

    def _pass_one(self, row: int, to: int, header: Header, payload: bytes) -> None:
        side, other = self._sides[row], self._sides[to]
        if not other.is_sending:
            return
        is_event = header.payload_type == EVENT
        if not is_event and header.payload_type != side.payload_type:
            # Comfort noise, say: what the other side has not agreed to.
            self._skip(to, header)
            return
        is_first = not self._continues(to, header)
        if is_first:
            self._begin_flow(to, header)
        marker = int(is_first or bool(header.marker))
        at = self._moment(to, header.timestamp)
        if not is_event:
            is_late = not is_first and _ahead_of(header.sequence, self._highest[to]) <= 0
            if is_late and self._translators[to][1].joins:
                # What follows it has been joined to what was before.
                return
            self._translate(to, header, at, marker, payload)
        elif other.telephone_event is not None:
            scaled = scale_durations(payload, side.event_clock_hz, other.event_clock_hz)
            self._send(to, header.sequence, at, marker, other.telephone_event, scaled)
        else:
            self._sound_event(to, header, at, payload, side.event_clock_hz)
        self._note(to, header, at)

    def _send(
        self, to: int, sequence: int, timestamp: int, marker: int, kind: int, payload: bytes
    ) -> None:
        """Send one packet, with a sequence number of the partner's and a timestamp of the row's."""
        self.packets += 1
        self._sides[to].send(
            Header(
                kind,
                int(sequence + self._sequence_shift[to]) & 0xFFFF,
                timestamp & 0xFFFF_FFFF,
                int(self._table.packets[to]["ssrc"]),
                marker,
            ),
            payload,
        )

    def _translate(self, to: int, header: Header, at: int, marker: int, payload: bytes) -> None:
        """Send sound on as the row speaks: as one packet, or as so many as it has whole frames."""
        _, translator = self._translators[to]
        per_sample = self._table.ticks_per_ms(to) // TIMESTAMPS_PER_MS
        at -= translator.waiting * per_sample
        payloads = translator.translate(payload)
        self._note_length(int(self._partner[to]), translator.heard)
        kind = self._sides[to].wire_type
        for number, one in enumerate(payloads):
            first = marker if number == 0 else 0
            self._send(to, header.sequence + number, at, first, kind, one)
            at += translator.samples_of(one) * per_sample
        self._sequence_shift[to] += len(payloads) - 1
        self._end[to] = at

    def _moment(self, to: int, timestamp: int) -> int:
        """A timestamp of the partner's by the clock of the row, whole or beyond where it wraps."""
        heard = self._table.ticks_per_ms(int(self._partner[to]))
        since = (timestamp - int(self._heard[to]) + 0x8000_0000 & 0xFFFF_FFFF) - 0x8000_0000
        passed = since * self._table.ticks_per_ms(to) // heard
        return int(self._heard[to] + self._timestamp_shift[to]) + passed

    def _sound_event(self, to: int, header: Header, at: int, payload: bytes, clock_hz: int) -> None:
        """Play what a packet tells of an event to somebody who takes no events."""
        side = self._sides[to]
        frames = self._tones[to].sound(header.timestamp, payload, clock_hz, side.payload_type)
        if not frames:
            self._skip(to, header)
            return
        per_sample = self._table.ticks_per_ms(to) // TIMESTAMPS_PER_MS
        for number, frame in enumerate(frames):
            # Each frame has a timestamp of its own, where an event's packets share one.
            later = at + frame.first * per_sample
            marker = int(frame.first == 0)
            self._send(to, header.sequence + number, later, marker, side.wire_type, frame.octets)
        self._sequence_shift[to] += len(frames) - 1
        self._end[to] = at + (frames[-1].first + FRAME_BYTES) * per_sample

    def _skip(self, to: int, header: Header) -> None:
        """Leave a packet out, so that nobody takes it for lost."""
        if self._continues(to, header) and _ahead_of(header.sequence, self._highest[to]) > 0:
            self._sequence_shift[to] -= 1
            self._note(to, header, self._moment(to, header.timestamp))

    def _note(self, to: int, header: Header, at: int) -> None:
        ahead = max(0, _ahead_of(header.sequence, self._highest[to]))
        self._highest[to] = self._highest[to] + ahead & 0xFFFF
        self._heard[to], self._timestamp_shift[to] = header.timestamp, at - header.timestamp
        self._last_ns[to] = self._now_ns

    def _continues(self, to: int, header: Header) -> bool:
        ahead = _ahead_of(header.sequence, self._highest[to])
        return bool(
            self._flows[to]
            and header.ssrc == self._ssrc[to]
            and -MISORDER_MAX <= ahead <= DROPOUT_MAX
        )

    def _begin_flow(self, to: int, header: Header) -> None:
        """Let this packet be the next one of the row."""
        if self._flows[to]:
            self._keep_count(to)
        self._flows[to] = True
        # The row's own pace rests before its numbers are taken.
        self._settle(to)
        sequence, timestamp, _ = self._table.numbers(to)
        self._ssrc[to] = header.ssrc
        self._highest[to] = header.sequence
        self._sequence_shift[to] = sequence - header.sequence
        self._timestamp_shift[to] = timestamp - header.timestamp
        self._heard[to] = header.timestamp
        self._end[to] = timestamp
        self._last_ns[to] = self._now_ns

    def _end_flow(self, row: int) -> None:
        """Go on with the row's own pace."""
        if not self._flows[row]:
            return
        self._keep_count(row)
        self._flows[row] = False
        self._settle(row)

    def _keep_count(self, row: int) -> None:
        """Let the row's next packet follow on the last, later by the time between."""
        silent_ms = max(0, self._now_ns - int(self._last_ns[row])) // 1_000_000
        later = max(0, silent_ms * self._table.ticks_per_ms(row) - self._table.ticks(row))
        sequence = int(self._highest[row] + self._sequence_shift[row]) + 1
        self._table.renumber(row, sequence, int(self._end[row]) + later)


def _ahead(sequence: NDArray[np.int64], highest: NDArray[np.int64]) -> NDArray[np.int64]:
    """The signed 16-bit distance, whichever way the numbers wrapped."""
    return (sequence - highest + 0x8000 & 0xFFFF) - 0x8000


def _ahead_of(sequence: int, highest: int) -> int:
    return (int(sequence) - int(highest) + 0x8000 & 0xFFFF) - 0x8000


def _clocks(pair: tuple[int, int]) -> tuple[int, int]:
    heard, spoken = pair
    return CODECS_BY_NUMBER[heard].clock_hz, CODECS_BY_NUMBER[spoken].clock_hz
