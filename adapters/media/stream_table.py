"""What every stream sends next, as arrays: the pure core of the plane's tick.

A stream is a row. The rows that are sending are spread over `PHASES` phases of the 20 ms, and one
tick makes the packets of one phase, so that no packet waits for all the others. Silence is sound
too: a row always has a cursor into the arena's frames, which stands on a frame of silence or runs
through a prompt. Making the packets of a tick is therefore a handful of array operations, and one
gather, whatever the streams do.

It knows no socket, no clock and no file.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from adapters.media.arena import SILENCE_FRAMES
from adapters.media.rtp import FRAME_BYTES, PACKET_FIELDS

PHASES: Final = 10
"""Ticks in 20 ms: a packet waits for at most a tenth of the others."""

_NOT_PLAYING: Final = -1
_NO_PHASE: Final = -1
_MARKER: Final = 0x80


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
        self.sent = np.zeros(capacity, np.int64)
        """Packets that each row has sent."""
        self._payloads = np.zeros((capacity, FRAME_BYTES), np.uint8)
        """Where a tick gathers before it spreads the payloads over the packets."""
        self._silence = np.zeros(capacity, np.intp)
        self._cursor = np.zeros(capacity, np.intp)
        """The frame that goes out next."""
        self._step = np.zeros(capacity, np.intp)
        """1 while a prompt plays, 0 in silence."""
        self._end = np.full(capacity, _NOT_PLAYING, np.intp)
        """The frame at which the prompt is over."""
        self._phase = np.full(capacity, _NO_PHASE, np.intp)
        self._place = np.zeros(capacity, np.intp)
        """Where a row stands among the members of its phase."""
        self._members = np.zeros((PHASES, capacity), np.intp)
        self._member_counts = [0] * PHASES
        self.sending = 0
        """Rows that send a packet every 20 ms."""

    def clear(self, row: int) -> None:
        """Make a row a new stream: silent, not sending, with numbers that nobody can guess."""
        assert self._phase[row] == _NO_PHASE
        packet = self.packets[row]
        packet["first"] = 0x80
        packet["second"] = 0
        # RFC 3550 §5.1: all three begin at random.
        packet["sequence"] = self._chance.integers(1 << 16)
        packet["timestamp"] = self._chance.integers(1 << 32)
        packet["ssrc"] = self._chance.integers(1 << 32)
        self._end[row] = _NOT_PLAYING
        self._step[row] = 0
        self.sent[row] = 0

    def speak(self, row: int, payload_type: int) -> None:
        """Send silence in this law from the next packet on."""
        marker = self.packets[row]["second"] & _MARKER
        self.packets[row]["second"] = marker | payload_type
        self._silence[row] = SILENCE_FRAMES[payload_type]
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

    def start(self, row: int) -> None:
        """Send from now on, in the phase that has the least to do. Repeating it does nothing."""
        if self._phase[row] != _NO_PHASE:
            return
        phase = self._member_counts.index(min(self._member_counts))
        place = self._member_counts[phase]
        self._members[phase, place] = row
        self._member_counts[phase] += 1
        self._phase[row], self._place[row] = phase, place
        # Nothing was sent before: the marker tells the receiver to start its buffer anew.
        self.packets[row]["second"] |= _MARKER
        self.sending += 1

    def stop(self, row: int) -> None:
        """Send nothing; what plays waits. Repeating it does nothing."""
        phase, place = int(self._phase[row]), int(self._place[row])
        if phase == _NO_PHASE:
            return
        self._member_counts[phase] -= 1
        last = self._members[phase, self._member_counts[phase]]
        self._members[phase, place] = last
        self._place[last] = place
        self._phase[row] = _NO_PHASE
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
        np.take(self._frames, cursor, axis=0, out=payloads, mode="clip")
        self.packets["payload"][rows] = payloads
        self._cursor[rows] = cursor + self._step[rows]
        return Tick(rows, ended)

    def advance(self, rows: NDArray[np.intp]) -> None:
        """Count the packets of these rows as sent, and number their next ones."""
        packets = self.packets
        packets["sequence"][rows] += 1
        packets["timestamp"][rows] += FRAME_BYTES
        packets["second"][rows] &= ~_MARKER & 0xFF
        self.sent[rows] += 1
