"""RTP (RFC 3550): the header, and what a receiver knows of many streams at once.

`ReceptionTable` keeps one row a stream and takes one packet of each of any number of streams in one
call, so that its cost is that of array operations. It knows no clock: arrival times are arguments.
"""

from __future__ import annotations

import struct
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

HEADER_BYTES: Final = 12
"""The fixed header of RFC 3550 §5.1."""
FRAME_BYTES: Final = 160
"""One packet's G.711: 20 ms at 8,000 octets a second."""
FRAME_MS: Final = 20
FRAME_NS: Final = 20_000_000
TIMESTAMPS_PER_MS: Final = 8
DROPOUT_MAX: Final = 3_000
"""A sequence number further ahead than this is a new start, not a loss (RFC 3550 A.1)."""
MISORDER_MAX: Final = 100
"""A sequence number further behind than this is a new start, not a late packet (RFC 3550 A.1)."""
RTCP_BYTES_MIN: Final = 8
"""The shortest RTCP packet: an empty receiver report (RFC 3550 §6.4.2)."""
RTCP_TYPE_MIN: Final = 192
RTCP_TYPE_MAX: Final = 223
"""The second octets that are RTCP's alone where both share a port (RFC 5761 §4)."""

_HEADER: Final = struct.Struct("!BBHII")
HEADER_FIELDS: Final = np.dtype(
    [("first", "u1"), ("second", "u1"), ("sequence", ">u2"), ("timestamp", ">u4"), ("ssrc", ">u4")]
)
"""The fixed header as a numpy record."""
PACKET_FIELDS: Final = np.dtype([*HEADER_FIELDS.descr, ("payload", "u1", (FRAME_BYTES,))])
"""One packet as a numpy record: the header without contributing sources, then 20 ms of G.711."""


class Header(Struct, frozen=True):
    """The fixed header of one packet."""

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    marker: int = 0
    """1 on the first packet after a silence that was not sent (RFC 3551 §4.1)."""


def build_packet(header: Header, payload: bytes) -> bytes:
    """One packet with no padding, extension or contributing source."""
    second = header.marker << 7 | header.payload_type
    head = _HEADER.pack(0x80, second, header.sequence, header.timestamp, header.ssrc)
    return head + payload


def parse_packet(packet: bytes) -> tuple[Header, bytes] | None:
    """The header and the payload of one packet; None for what is not RTP (RFC 3550 §5.1, A.1).

    Contributing sources, a header extension and padding are passed over.
    """
    if len(packet) < HEADER_BYTES or packet[0] >> 6 != 2:
        return None
    first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(packet)
    start = HEADER_BYTES + 4 * (first & 0xF)
    if first & 0x10:
        if len(packet) < start + 4:
            return None
        start += 4 + 4 * int.from_bytes(packet[start + 2 : start + 4], "big")
    end = len(packet) - (packet[-1] if first & 0x20 else 0)
    if start > end:
        return None
    header = Header(second & 0x7F, sequence, timestamp, ssrc, second >> 7)
    return header, packet[start:end]


class Arrivals(Struct):
    """One packet of each of several streams: parallel arrays, one element a packet."""

    rows: NDArray[np.intp]
    """The stream's row in the table. No row twice: of a second packet the first's effect is lost."""
    places: NDArray[np.intp]
    """Where the packet was in the matrix that it was read from."""
    payload_type: NDArray[np.uint8]
    sequence: NDArray[np.int64]
    timestamp: NDArray[np.int64]
    ssrc: NDArray[np.int64]


def is_rtcp(packets: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which packets, one in each row of a matrix, are RTCP where RTP arrives too (RFC 5761 §4)."""
    return (packets[:, 1] >= RTCP_TYPE_MIN) & (packets[:, 1] <= RTCP_TYPE_MAX)


def read_arrivals(
    rows: NDArray[np.intp], packets: NDArray[np.uint8], lengths: NDArray[np.intp]
) -> Arrivals:
    """Read the headers of packets, one in each row of a matrix; what is not RTP is left out."""
    good = (lengths >= HEADER_BYTES) & (packets[:, 0] >> 6 == 2) & ~is_rtcp(packets)
    headers = packets[good, :HEADER_BYTES].view(HEADER_FIELDS)[:, 0]
    return Arrivals(
        rows=rows[good],
        places=np.flatnonzero(good),
        payload_type=(headers["second"] & 0x7F).astype(np.uint8),
        sequence=headers["sequence"].astype(np.int64),
        timestamp=headers["timestamp"].astype(np.int64),
        ssrc=headers["ssrc"].astype(np.int64),
    )


class Reception(Struct, frozen=True):
    """What was received of one stream (RFC 3550 §6.4.1)."""

    packets: int = 0
    expected: int = 0
    loss: float = 0.0
    """Share of the expected packets that never came, 0 to 1; duplicates count as packets."""
    jitter_ms: float = 0.0


class ReceptionTable:
    """Receive statistics of up to `capacity` streams (RFC 3550 A.3 and A.8).

    A packet of another source, or one whose number is far off, begins a new sequence: what the old
    one expected is kept, and the gap between the two is nobody's loss.
    """

    def __init__(self, capacity: int) -> None:
        self._packets = np.zeros(capacity, np.int64)
        self._expected_before = np.zeros(capacity, np.int64)
        self._ssrc = np.full(capacity, -1, np.int64)
        self._lowest = np.zeros(capacity, np.int64)
        self._highest = np.full(capacity, -1, np.int64)
        """Extended sequence numbers: the lowest and highest of the present sequence."""
        self._voice = np.zeros(capacity, np.uint8)
        self._ticks_per_ms = np.full(capacity, TIMESTAMPS_PER_MS, np.int64)
        self._transit = np.zeros(capacity, np.int64)
        self._has_transit = np.zeros(capacity, np.bool_)
        self._jitter = np.zeros(capacity, np.float64)

    def clear(self, row: int) -> None:
        """Forget a stream: the row is another's from now on."""
        self._packets[row] = self._expected_before[row] = 0
        self._ssrc[row] = self._highest[row] = -1
        self._lowest[row] = 0
        self._has_transit[row] = False
        self._jitter[row] = 0.0

    def expect_voice(
        self, row: int, payload_type: int, ticks_per_ms: int = TIMESTAMPS_PER_MS
    ) -> None:
        """Take the jitter from packets of this type alone, whose timestamps count so fast: those of
        events stand still."""
        self._voice[row] = payload_type
        if ticks_per_ms != self._ticks_per_ms[row]:
            self._ticks_per_ms[row] = ticks_per_ms
            self._has_transit[row] = False
            self._jitter[row] = 0.0

    def record(self, arrivals: Arrivals, arrived_ns: int) -> None:
        """Count one packet of each of these streams, arrived at this moment of a monotonic clock."""
        rows = arrivals.rows
        self._packets[rows] += 1
        highest = self._highest[rows]
        # The distance is the signed 16-bit difference, whichever way the number wrapped.
        ahead = (arrivals.sequence - highest + 0x8000 & 0xFFFF) - 0x8000
        continues = (
            (arrivals.ssrc == self._ssrc[rows])
            & (ahead <= DROPOUT_MAX)
            & (ahead >= -MISORDER_MAX)
            & (highest >= 0)
        )
        if not continues.all():
            self._begin_sequence(rows[~continues], arrivals, ~continues)
        extended = np.where(continues, highest + ahead, arrivals.sequence)
        self._highest[rows] = np.maximum(self._highest[rows], extended)
        self._lowest[rows] = np.minimum(self._lowest[rows], extended)
        self._record_transit(arrivals, arrived_ns)

    def read(self, row: int) -> Reception:
        """What is known of one stream."""
        expected = int(self._expected_before[row])
        if self._highest[row] >= 0:
            expected += int(self._highest[row] - self._lowest[row]) + 1
        packets = int(self._packets[row])
        missing = max(0, expected - packets)
        return Reception(
            packets=packets,
            expected=expected,
            loss=missing / expected if expected else 0.0,
            jitter_ms=float(self._jitter[row] / self._ticks_per_ms[row]),
        )

    def read_jitter(self, row: int) -> int:
        """The jitter of one stream in units of its timestamps, as RTCP has it."""
        return round(float(self._jitter[row]))

    def read_source(self, row: int) -> tuple[int, int] | None:
        """Who is heard, and its highest sequence number with its cycles; None before it is heard."""
        if self._highest[row] < 0:
            return None
        return int(self._ssrc[row]), int(self._highest[row])

    def _begin_sequence(
        self, rows: NDArray[np.intp], arrivals: Arrivals, which: NDArray[np.bool_]
    ) -> None:
        known = self._highest[rows] >= 0
        self._expected_before[rows] += np.where(
            known, self._highest[rows] - self._lowest[rows] + 1, 0
        )
        self._ssrc[rows] = arrivals.ssrc[which]
        self._lowest[rows] = self._highest[rows] = arrivals.sequence[which]
        self._has_transit[rows] = False

    def _record_transit(self, arrivals: Arrivals, arrived_ns: int) -> None:
        voice = arrivals.payload_type == self._voice[arrivals.rows]
        rows = arrivals.rows[voice]
        arrived = arrived_ns // 1_000 * self._ticks_per_ms[rows] // 1_000
        transit = arrived - arrivals.timestamp[voice]
        change = (transit - self._transit[rows] + 0x8000_0000 & 0xFFFF_FFFF) - 0x8000_0000
        step = (np.abs(change) - self._jitter[rows]) / 16
        self._jitter[rows] += np.where(self._has_transit[rows], step, 0.0)
        self._transit[rows] = transit
        self._has_transit[rows] = True
