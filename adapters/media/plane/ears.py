"""The strangers' door of a stream: a second socket on its port, for the first seconds of a call.

A stream's own socket is connected, so that the kernel keeps strangers from it at no cost. While it is
not known yet whether the callee is where its SDP says, an ear beside it hears everybody else. It is
closed for good when the callee is heard, when another address has proven to be the callee, and when
its time is over; from then on nobody can move the stream.
"""

from __future__ import annotations

import select
import socket
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import numpy as np
from msgspec import Struct, structs
from numpy.typing import NDArray

from adapters.media.plane.latch import Latch, Source
from adapters.media.sockets.endpoint import open_beside
from adapters.media.sockets.receiver import RECEIVE_BYTES_MAX
from adapters.media.wire.rtp import parse_packet

LEARN_NS: Final = 10_000_000_000
"""How long a callee may take to be heard from another address."""
EARS_MAX: Final = 1_024
"""Ears open at once; then the one that is open for longest is closed."""
PACKETS_AT_ONCE_MAX: Final = 32
"""Packets of strangers that are looked at in one go, at most one of each ear: some 0.1 ms."""


class _Ear(Struct, eq=False):
    """One ear."""

    row: int
    endpoint: socket.socket
    latch: Latch
    closes_ns: int = 0
    """Set at the first look at it."""


class Ears:
    """The ears of all streams that are learning, by their rows."""

    def __init__(
        self,
        capacity: int,
        open_packet: Callable[[int, bytes], bytes | None],
        read_number: Callable[[int, int], int],
    ) -> None:
        """`open_packet` makes plain what came for a secure row; None where it is not authentic.
        `read_number` says what a payload type means on a row."""
        self._read_number = read_number
        self._open_packet = open_packet
        self.packets = 0
        """Packets of strangers that were looked at."""
        self._readable = select.epoll()
        self._by_row: OrderedDict[int, _Ear] = OrderedDict()
        """In the order in which they were opened."""
        self._by_descriptor: dict[int, _Ear] = {}
        self._is_open = np.zeros(capacity, np.bool_)
        self._new: list[_Ear] = []
        """Opened since the last look: their time has not begun."""

    def __contains__(self, row: int) -> bool:
        return row in self._by_row

    def open(self, row: int, endpoint: socket.socket, payload_type: int) -> None:
        """Hear strangers on the port of this socket, which is connected. One that is open is made new.

        Raises `OSError` when the system gives no socket for it; the stream can go on without.
        """
        self.close(row)
        while len(self._by_row) >= EARS_MAX:
            self.close(next(iter(self._by_row)))
        ear = _Ear(row, open_beside(endpoint), Latch(payload_type))
        self._new.append(ear)
        self._by_row[row] = self._by_descriptor[ear.endpoint.fileno()] = ear
        self._is_open[row] = True
        self._readable.register(ear.endpoint.fileno(), select.EPOLLIN)

    def close(self, row: int) -> None:
        """Hear no more strangers for this row. Repeating it does nothing."""
        ear = self._by_row.pop(row, None)
        if ear is not None:
            del self._by_descriptor[ear.endpoint.fileno()]
            ear.endpoint.close()
            self._is_open[row] = False

    def close_those_of(self, rows: NDArray[np.intp]) -> None:
        """Hear no more strangers for these rows: their callees have been heard."""
        if self._by_row:
            for row in rows[self._is_open[rows]].tolist():
                self.close(row)

    def listen(self, now_ns: int) -> list[tuple[int, Source]]:
        """The rows whose callee has proven to be elsewhere, and where; their ears are closed."""
        if not self._by_row:
            self._new.clear()
            return []
        proven = []
        for descriptor, _ in self._readable.poll(0, PACKETS_AT_ONCE_MAX):
            ear = self._by_descriptor[descriptor]
            source = self._take_one(ear, now_ns)
            if source is not None:
                proven.append((ear.row, source))
                self.close(ear.row)
        self._close_those_over(now_ns)
        return proven

    def close_all(self) -> None:
        """Free every socket."""
        for row in list(self._by_row):
            self.close(row)
        self._readable.close()

    def _take_one(self, ear: _Ear, now_ns: int) -> Source | None:
        try:
            packet, address = ear.endpoint.recvfrom(RECEIVE_BYTES_MAX)
        except OSError:
            return None
        self.packets += 1
        opened = self._open_packet(ear.row, packet)
        parsed = None if opened is None else parse_packet(opened)
        if parsed is None:
            return None
        source = (str(address[0]), int(address[1]))
        kind = self._read_number(ear.row, parsed[0].payload_type)
        header = structs.replace(parsed[0], payload_type=kind)
        return source if ear.latch.take(source, header, now_ns) else None

    def _close_those_over(self, now_ns: int) -> None:
        for ear in self._new:
            ear.closes_ns = now_ns + LEARN_NS
        self._new.clear()
        while self._by_row:
            longest_open = next(iter(self._by_row.values()))
            if now_ns < longest_open.closes_ns:
                return
            self.close(longest_open.row)
