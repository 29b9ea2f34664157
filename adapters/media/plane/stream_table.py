"""What every stream sends next, as arrays: the pure core of the plane's tick.

A stream is a row. The rows are spread over `PHASES` phases of the 20 ms, and one tick makes the packets
of one phase, so that no packet waits for all the others. The rows of a phase lie side by side: a tick
then reads and writes one stretch of each array, not single places all over it. Silence is sound
too: a row always has a cursor into the arena's frames, which stands on a frame of silence or runs
through a prompt. Making the packets of a tick is therefore a handful of array operations, and one
gather, whatever the streams do.

It knows no socket, no clock and no file.
"""

from __future__ import annotations

import struct
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from adapters.media.codecs.codec import CODECS_BY_NUMBER
from adapters.media.plane.arena import SILENCE_FRAMES
from adapters.media.wire.rtp import FRAME_BYTES, FRAME_MS, PACKET_FIELDS

PHASES: Final = 10
"""Ticks in 20 ms: a packet waits for at most a tenth of the others."""

_NUMBERS: Final = struct.Struct("!HII")
_NUMBERS_AT: Final = 2
"""Sequence number, timestamp and source, and where a packet has them (RFC 3550 §5.1)."""
_NOT_PLAYING: Final = -1
_NO_PLACE: Final = -1
_MARKER: Final = 0x80


class RowPicker:
    """Which rows are free. Those that are taken are spread evenly over the phases."""

    def __init__(self, capacity: int) -> None:
        self._rows_per_phase = rows_per_phase(capacity)
        self._free: list[list[int]] = [[] for _ in range(PHASES)]
        for row in reversed(range(capacity)):
            self._free[row // self._rows_per_phase].append(row)

    def take(self) -> int:
        """A row of the phase that has the most left. Raises `IndexError` when none is."""
        return max(self._free, key=len).pop()

    def give_back(self, row: int) -> None:
        """A row is free again."""
        self._free[row // self._rows_per_phase].append(row)


def rows_per_phase(capacity: int) -> int:
    """Row n belongs to phase n // this."""
    return -(-capacity // PHASES)


class Tick(Struct):
    """What one tick has to do."""

    rows: NDArray[np.intp]
    """The rows whose packets are ready to be sent."""
    ended: NDArray[np.intp]
    """Those of them whose prompt has just had its last 20 ms."""


class StreamTable:
    """The sending side of up to `capacity` streams."""

    def __init__(
        self, capacity: int, frames: NDArray[np.uint8], chance: np.random.Generator
    ) -> None:
        self._frames = frames
        self._chance = chance
        self.packets = np.zeros(capacity, PACKET_FIELDS)
        self.octets: NDArray[np.uint8] = self.packets.view(np.uint8).reshape(capacity, -1)
        """Each row's packet as it is sent, from where it lies."""
        self._seconds = self.packets["second"]
        self._sequences = self.packets["sequence"]
        self._timestamps = self.packets["timestamp"]
        self._sounds = self.packets["payload"]
        self._sent = np.zeros(capacity, np.int64)
        """Packets that each row has sent; of one that sends now, without those of all ticks of its phase."""
        self._octets_more = np.zeros(capacity, np.int64)
        """Octets of payload beyond 20 ms of G.711 a packet."""
        self._payloads = np.zeros((capacity, FRAME_BYTES), np.uint8)
        """Where a tick gathers before it spreads the payloads over the packets."""
        self._ticks = np.full(capacity, FRAME_BYTES, np.uint32)
        """What 20 ms add to a row's timestamp."""
        self._silence = np.zeros(capacity, np.intp)
        self._cursor = np.zeros(capacity, np.intp)
        """The frame that goes out next."""
        self._step = np.zeros(capacity, np.intp)
        """1 while a prompt plays, 0 in silence."""
        self._end = np.full(capacity, _NOT_PLAYING, np.intp)
        """The frame at which the prompt is over."""
        self._rows_per_phase = rows_per_phase(capacity)
        self._place = np.full(capacity, _NO_PLACE, np.intp)
        """Where a row stands among the members of its phase."""
        self._members = np.zeros((PHASES, self._rows_per_phase), np.intp)
        self._member_counts = [0] * PHASES
        self._ticks_of = [0] * PHASES
        """Ticks that each phase has had: every member sends a packet in each."""
        self._has_markers = [False] * PHASES
        """Whether a packet of the phase may bear a marker."""
        self.sending = 0
        """Rows that send a packet every 20 ms."""

    def clear(self, row: int) -> None:
        """Make a row a new stream: silent, not sending, with numbers that nobody can guess."""
        assert self._place[row] == _NO_PLACE
        packet = self.packets[row]
        packet["first"] = 0x80
        packet["second"] = 0
        # RFC 3550 §5.1: all three begin at random.
        packet["sequence"] = self._chance.integers(1 << 16)
        packet["timestamp"] = self._chance.integers(1 << 32)
        packet["ssrc"] = self._chance.integers(1 << 32)
        self._end[row] = _NOT_PLAYING
        self._step[row] = 0
        self._sent[row] = self._octets_more[row] = 0

    def begin_low(self, row: int, sequence_max: int) -> None:
        """Let a row that has sent nothing yet begin at a number not above this one, a power of 2 less 1."""
        self.packets[row]["sequence"] &= sequence_max

    def speak(self, row: int, payload_type: int, wire_type: int | None = None) -> None:
        """Send silence in this codec from the next packet on, under its own number or another."""
        marker = self.packets[row]["second"] & _MARKER
        self.packets[row]["second"] = marker | (payload_type if wire_type is None else wire_type)
        self._silence[row] = SILENCE_FRAMES[payload_type]
        self._ticks[row] = CODECS_BY_NUMBER[payload_type].timestamp_step
        self.silence(row)

    def play(self, row: int, first: int, count: int) -> None:
        """Play these frames of the arena from the next packet on."""
        assert count > 0
        self._cursor[row] = first
        self._end[row] = first + count
        self._step[row] = 1

    def position(self, row: int) -> int:
        """The frame of the arena that goes out next."""
        return int(self._cursor[row])

    def silence(self, row: int) -> None:
        """Send silence from the next packet on."""
        self._cursor[row] = self._silence[row]
        self._end[row] = _NOT_PLAYING
        self._step[row] = 0

    def ticks(self, row: int) -> int:
        """What 20 ms add to the row's timestamp."""
        return int(self._ticks[row])

    def ticks_per_ms(self, row: int) -> int:
        """What a millisecond adds."""
        return self.ticks(row) // FRAME_MS

    def numbers(self, row: int) -> tuple[int, int, int]:
        """Sequence number, timestamp and source of the row's next packet."""
        # Four times as fast as field by field through numpy.
        sequence, timestamp, ssrc = _NUMBERS.unpack_from(self.octets[row], _NUMBERS_AT)
        return sequence, timestamp, ssrc

    def renumber(self, row: int, sequence: int, timestamp: int) -> None:
        """Let the row's next packet have these numbers, whole or beyond where they wrap."""
        packet = self.packets[row]
        packet["sequence"], packet["timestamp"] = sequence & 0xFFFF, timestamp & 0xFFFF_FFFF

    def note_sent(self, row: int, octets: int) -> None:
        """Count a packet of so much payload that was sent past this table."""
        self._sent[row] += 1
        self._octets_more[row] += octets - FRAME_BYTES

    def note_frames(self, rows: NDArray[np.intp]) -> None:
        """Count a packet of 20 ms of G.711 for each of these rows, no row twice, that was sent past this
        table."""
        self._sent[rows] += 1

    def packets_sent(self, row: int) -> int:
        """Packets that the row has sent."""
        sent = int(self._sent[row])
        if self._place[row] != _NO_PLACE:
            sent += self._ticks_of[row // self._rows_per_phase]
        return sent

    def octets_sent(self, row: int) -> int:
        """Octets of payload that the row has sent."""
        return self.packets_sent(row) * FRAME_BYTES + int(self._octets_more[row])

    def start(self, row: int) -> None:
        """Send from now on, after nothing was sent. Repeating it does nothing."""
        if self._place[row] == _NO_PLACE:
            # The marker tells the receiver to start its buffer anew.
            self.packets[row]["second"] |= _MARKER
            self.go_on(row)

    def go_on(self, row: int) -> None:
        """Send from now on, where the row's packets were made elsewhere until now. Repeating it does
        nothing."""
        if self._place[row] != _NO_PLACE:
            return
        phase = row // self._rows_per_phase
        place = self._member_counts[phase]
        self._members[phase, place] = row
        self._member_counts[phase] += 1
        self._place[row] = place
        self._sent[row] -= self._ticks_of[phase]
        # What it sends next may begin with one, whoever has set it.
        self._has_markers[phase] = True
        self.sending += 1

    def stop(self, row: int) -> None:
        """Send nothing; what plays waits. Repeating it does nothing."""
        phase, place = row // self._rows_per_phase, int(self._place[row])
        if place == _NO_PLACE:
            return
        self._member_counts[phase] -= 1
        last = self._members[phase, self._member_counts[phase]]
        self._members[phase, place] = last
        self._place[last] = place
        self._place[row] = _NO_PLACE
        self._sent[row] += self._ticks_of[phase]
        self.sending -= 1

    def tick(self, phase: int) -> Tick:
        """Make the packets of one phase. Their rows are valid until the next call on this table."""
        count = self._member_counts[phase]
        rows = self._members[phase, :count]
        cursor = self._cursor[rows]
        over = cursor == self._end[rows]
        ended = rows[over]
        if len(ended):
            self._cursor[ended] = self._silence[ended]
            self._end[ended] = _NOT_PLAYING
            self._step[ended] = 0
            cursor = self._cursor[rows]
        payloads = self._payloads[:count]
        self._frames.take(cursor, axis=0, out=payloads, mode="clip")
        self._sounds[rows] = payloads
        self._cursor[rows] = cursor + self._step[rows]
        return Tick(rows, ended)

    def advance(self, phase: int) -> None:
        """Count the packets of a phase's last tick as sent, and number the next ones."""
        rows = self._members[phase, : self._member_counts[phase]]
        self._sequences[rows] += 1
        self._timestamps[rows] += self._ticks[rows]
        self._ticks_of[phase] += 1
        if self._has_markers[phase]:
            self._seconds[rows] &= ~_MARKER & 0xFF
            self._has_markers[phase] = False
