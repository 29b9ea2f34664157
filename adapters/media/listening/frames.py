"""Continuous sound out of packets: frames of 20 ms in order, of many streams at once.

A stream's time is that of its timestamps, so that what was lost, or was not sent because nobody spoke,
is silence of the right length, and what came twice or too late is passed over. A frame is given away as
soon as it is whole, and that needs no waiting where packets of 20 ms come in order: they are handed on as
they are. All others are laid in a room, and leave it one in a tick. Where one is missing, the frames behind
it wait `REORDER_SAMPLES` for it. Where nothing comes at all, the clock goes on in the packets' place,
`QUIET_NS` behind them.

Timestamps that jump further than a stream's room begin a new sequence where the last one ended. So does a
sender that has been quiet and then goes on as if no time had passed: nothing that it says is lost.

Every frame is work for whoever listens, so a stream's sound may run ahead of the clock, as it does after the
network stood still, but not for long: a sender whose timestamps leap with each packet would else make hours
of silence in a minute, and cost all others their time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Places = NDArray[np.intp]
Samples = NDArray[np.int16]

FRAME_SAMPLES: Final = 160
FRAME_NS: Final = 20_000_000
ROOM_FRAMES: Final = 32
"""What is kept of a stream: its sound is given away long before that is full."""
ROOM_SAMPLES: Final = ROOM_FRAMES * FRAME_SAMPLES
PACKET_SAMPLES_MAX: Final = 960
"""120 ms, the longest of any codec; what is longer is cut."""
AHEAD_SAMPLES_MAX: Final = ROOM_SAMPLES - PACKET_SAMPLES_MAX
"""A packet further ahead begins a new sequence."""
BEHIND_SAMPLES_MAX: Final = 8_000
"""So does one further behind; one that is less so has come too late."""
REORDER_SAMPLES: Final = 480
"""So much more must have come before a missing packet is taken for lost."""
QUIET_NS: Final = 200_000_000
"""After so long without a packet time goes on without. Networks seldom stall for longer, and what comes
late after that is heard late."""
FIRST_NS: Final = 60_000_000
"""The same for a stream that has just been opened, of which perhaps nothing was ever to come."""
LEAD_SAMPLES_MAX: Final = 16_000
"""How far a stream's sound may be ahead of the clock (2 s); what comes beyond is passed over."""
PACE: Final = 2
"""So many times as fast as the clock a stream's sound may go on for ever."""
CATCH_UP_MAX: Final = 10
"""Frames of silence that one look makes of each stream, where the clock was not looked at for so long."""

EVERYBODY: Final = slice(None)
_SAMPLES_PER_S: Final = 8_000
_MASK: Final = np.int16(-32_768)
"""Samples lie in the room with their highest bit turned, so that memory that was never written, which is
0, means that nothing has come. The sample that would become 0 is taken for its neighbour."""


class Frames(Struct):
    """The next 20 ms of each of several streams: parallel arrays, one element a stream. No row twice."""

    rows: Places
    samples: Samples
    """`len(rows)` x 160, at 8 kHz."""


class Fragments(Struct):
    """What one packet of each of several streams says: parallel arrays, one element a packet. No row twice,
    and all are of equal length."""

    rows: Places
    ssrc: NDArray[np.int64]
    timestamp: NDArray[np.int64]
    """As received, 32 bits."""
    ticks_per_sample: NDArray[np.int64]
    samples: Samples


class FrameTable:
    """The sound of up to `capacity` streams, of those that are open."""

    def __init__(self, capacity: int) -> None:
        self.is_open = np.zeros(capacity, np.bool_)
        self._room = np.zeros(capacity * ROOM_SAMPLES, np.int16)
        self._cursor = np.zeros(capacity, np.int64)
        """The sample that is given away next, counted from the first; always at a frame's beginning."""
        self._end = np.zeros(capacity, np.int64)
        """The sample after the last that has come; never before the cursor."""
        self._ssrc = np.full(capacity, -1, np.int64)
        self._timestamp = np.zeros(capacity, np.int64)
        """Of the last packet that was in its place."""
        self._position = np.zeros(capacity, np.int64)
        """Where that one's first sample was."""
        self._quiet_ns = np.zeros(capacity, np.int64)
        """When the clock goes on without packets."""
        self._was_quiet = np.zeros(capacity, np.bool_)
        """Whether it has done so since the last packet."""
        self._has_more = np.zeros(capacity, np.bool_)
        """Whether there may be a frame to give away."""
        self._lead = np.zeros(capacity, np.int64)
        """How far the sound was ahead of `PACE` when it was last looked at, in samples."""
        self._lead_cursor = np.zeros(capacity, np.int64)
        self._lead_ns = np.zeros(capacity, np.int64)
        """Where the cursor was then, and when it was."""

    def open(self, row: int, now_ns: int) -> None:
        """Give away a stream's frames from now on; until a packet comes they are silence."""
        self._clear_room(row)
        self._cursor[row] = self._end[row] = 0
        self._lead[row] = self._lead_cursor[row] = 0
        self._lead_ns[row] = now_ns
        self._ssrc[row] = -1
        self._quiet_ns[row] = now_ns + FIRST_NS
        self._was_quiet[row] = False
        self.is_open[row] = True

    def close(self, row: int) -> None:
        """Do so no longer."""
        self.is_open[row] = self._has_more[row] = False

    def take(self, fragments: Fragments, now_ns: int) -> Iterator[Frames]:
        """Take a packet of each of these streams, which must be open: what is whole now."""
        rows, samples = fragments.rows, fragments.samples[:, :PACKET_SAMPLES_MAX]
        position = self._find_positions(fragments)
        self._quiet_ns[rows] = now_ns + QUIET_NS
        self._was_quiet[rows] = False
        cursor = self._cursor[rows]
        in_order = position == cursor
        if samples.shape[1] == FRAME_SAMPLES:
            in_order &= self._end[rows] == cursor
            if in_order.all():
                yield self._pass_on(rows, samples)
                return
            if in_order.any():
                yield self._pass_on(rows[in_order], samples[in_order])
                rows, samples, position = rows[~in_order], samples[~in_order], position[~in_order]
        timely = self._keep_pace(rows, now_ns)
        timely &= position + samples.shape[1] <= self._cursor[rows] + ROOM_SAMPLES
        if not timely.all():
            rows, samples, position = rows[timely], samples[timely], position[timely]
        self._put(rows, samples, position)
        self._has_more[rows] = True

    def give_away(self) -> Iterator[Frames]:
        """The next frame of each stream whose packets did not come as whole frames in order, if it is whole
        or was waited for. Whoever calls this once in each tick does so many streams' work at once, and no
        stream's sound takes more of a tick than that of all others."""
        rows = np.flatnonzero(self._has_more)
        if len(rows) == 0:
            return
        frame = self._peek(rows)
        is_whole = (frame != 0).all(axis=1)
        waited = self._end[rows] - self._cursor[rows] >= FRAME_SAMPLES + REORDER_SAMPLES
        ready = is_whole | waited
        self._has_more[rows[~ready]] = False
        if ready.any():
            yield self._take_out(rows[ready], frame[ready])

    def look(self, now_ns: int, part: slice = EVERYBODY) -> Iterator[Frames]:
        """Let time go on for the streams of which nothing comes, among these rows."""
        for _ in range(CATCH_UP_MAX):
            rows = self._find_quiet(now_ns, part)
            if len(rows) == 0:
                return
            self._quiet_ns[rows] += FRAME_NS
            self._was_quiet[rows] = True
            frame = self._peek(rows)
            self._end[rows] = np.maximum(self._end[rows], self._cursor[rows] + FRAME_SAMPLES)
            yield self._take_out(rows, frame)
        # Whoever stood still for longer has no use for what was missed.
        self._quiet_ns[self._find_quiet(now_ns, part)] = now_ns + FRAME_NS

    def flush(self, row: int) -> Iterator[Frames]:
        """What has come of a stream and was not given away, before it is closed."""
        one = np.array([row])
        while self._end[row] > self._cursor[row]:
            yield self._take_out(one, self._peek(one))

    def _find_quiet(self, now_ns: int, part: slice) -> Places:
        rows = np.flatnonzero(self.is_open[part] & (self._quiet_ns[part] <= now_ns))
        return rows + (part.start or 0)

    def _find_positions(self, of: Fragments) -> NDArray[np.int64]:
        """Where in each stream's sound the packet belongs; that of a new sequence is the end."""
        rows = of.rows
        since = (of.timestamp - self._timestamp[rows] + 0x8000_0000 & 0xFFFF_FFFF) - 0x8000_0000
        position = self._position[rows] + since // of.ticks_per_sample
        cursor = self._cursor[rows]
        behind = cursor - position
        begins = (
            (of.ssrc != self._ssrc[rows])
            | (behind < -AHEAD_SAMPLES_MAX)
            | (behind > BEHIND_SAMPLES_MAX)
            | (self._was_quiet[rows] & (behind > 0))
        )
        if begins.any():
            # At a frame's beginning, where packets of 20 ms are passed on as they are.
            fresh = -(-self._end[rows] // FRAME_SAMPLES) * FRAME_SAMPLES
            position = np.where(begins, fresh, position)
            self._ssrc[rows] = of.ssrc
        later = begins | (since >= 0)
        self._timestamp[rows] = np.where(later, of.timestamp, self._timestamp[rows])
        self._position[rows] = np.where(later, position, self._position[rows])
        return position

    def _keep_pace(self, rows: Places, now_ns: int) -> NDArray[np.bool_]:
        """Which of these streams are not too far ahead of the clock. Packets that are passed on as they
        are need not be asked about: of each stream there is one at a time."""
        cursor = self._cursor[rows]
        passed = (now_ns - self._lead_ns[rows]) * (PACE * _SAMPLES_PER_S) // 1_000_000_000
        lead = np.maximum(0, self._lead[rows] + cursor - self._lead_cursor[rows] - passed)
        self._lead[rows], self._lead_cursor[rows], self._lead_ns[rows] = lead, cursor, now_ns
        timely: NDArray[np.bool_] = lead <= LEAD_SAMPLES_MAX
        return timely

    def _pass_on(self, rows: Places, samples: Samples) -> Frames:
        self._cursor[rows] += FRAME_SAMPLES
        self._end[rows] = self._cursor[rows]
        return Frames(rows, samples)

    def _put(self, rows: Places, samples: Samples, position: NDArray[np.int64]) -> None:
        """Lay samples where they belong, but for those whose time is over."""
        places = position[:, np.newaxis] + np.arange(samples.shape[1])
        timely = places >= self._cursor[rows][:, np.newaxis]
        at = rows[:, np.newaxis] * ROOM_SAMPLES + places % ROOM_SAMPLES
        laid = np.maximum(samples, -32_767) ^ _MASK
        self._room[at[timely]] = laid[timely]
        self._end[rows] = np.maximum(self._end[rows], position + samples.shape[1])

    def _peek(self, rows: Places) -> Samples:
        """The next frame of these streams, as it lies in the room."""
        frames = self._room.reshape(-1, ROOM_FRAMES, FRAME_SAMPLES)
        return frames[rows, self._cursor[rows] // FRAME_SAMPLES % ROOM_FRAMES]

    def _take_out(self, rows: Places, frame: Samples) -> Frames:
        """Give the next frame away: what has not come of it is silence."""
        at = self._cursor[rows] // FRAME_SAMPLES % ROOM_FRAMES
        if frame.any():
            self._room.reshape(-1, ROOM_FRAMES, FRAME_SAMPLES)[rows, at] = 0
        self._cursor[rows] += FRAME_SAMPLES
        self._end[rows] = np.maximum(self._end[rows], self._cursor[rows])
        return Frames(rows, np.where(frame == 0, np.int16(0), frame ^ _MASK))

    def _clear_room(self, row: int) -> None:
        room = self._room[row * ROOM_SAMPLES : (row + 1) * ROOM_SAMPLES]
        # Reading memory that was never written costs none.
        if room.any():
            room[:] = 0
