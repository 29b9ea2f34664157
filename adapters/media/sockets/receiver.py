"""Receiving a batch: what every way into the kernel must do, and the plain way.

A receiver takes at most one packet of each socket at a time, so that one that is flooded delays no
other: what is flooded drops in the kernel, in the one socket's own buffer.
"""

from __future__ import annotations

import select
import socket
from typing import Final, Protocol

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

RECEIVE_BATCH_MAX: Final = 1_024
"""Packets taken at once; the others wait in their sockets."""
RECEIVE_BYTES_MAX: Final = 640
"""What is kept of a packet: 60 ms of G.711 and a header with extensions have room."""


class Batch(Struct):
    """Packets, one of each of several sockets. They are valid until the next batch is taken."""

    slots: NDArray[np.intp]
    """Whose packet it is. No slot twice."""
    packets: NDArray[np.uint8]
    """One packet in each row of a matrix, cut off at `RECEIVE_BYTES_MAX`."""
    lengths: NDArray[np.intp]
    """Octets of each packet that were kept."""

    def only(self, which: NDArray[np.bool_]) -> Batch:
        """Those packets of them."""
        return Batch(self.slots[which], self.packets[which], self.lengths[which])


class Receiver(Protocol):
    """Takes what has arrived at many sockets."""

    def attach(self, slot: int, endpoint: socket.socket) -> None:
        """Listen to a socket under this number."""

    def detach(self, slot: int, endpoint: socket.socket) -> None:
        """Listen no more, before the socket is closed."""

    def receive(self) -> Batch:
        """One packet of each socket that has any, up to `RECEIVE_BATCH_MAX`; it never waits.

        Errors that sockets report, such as those of ICMP, are cleared and passed over.
        """

    def close(self) -> None:
        """Free what the kernel holds for it."""


class SocketReceiver:
    """Asks epoll who has something, and calls the socket's own `recv_into` for each."""

    def __init__(self) -> None:
        self._readable = select.epoll()
        self._slots: dict[int, tuple[int, socket.socket]] = {}
        """Slot and socket, by descriptor."""
        self._packets = np.zeros((RECEIVE_BATCH_MAX, RECEIVE_BYTES_MAX), np.uint8)
        self._receive_into = [row.data for row in self._packets]

    def attach(self, slot: int, endpoint: socket.socket) -> None:
        descriptor = endpoint.fileno()
        self._slots[descriptor] = (slot, endpoint)
        self._readable.register(descriptor, select.EPOLLIN)

    def detach(self, slot: int, endpoint: socket.socket) -> None:
        descriptor = endpoint.fileno()
        self._readable.unregister(descriptor)
        del self._slots[descriptor]

    def receive(self) -> Batch:
        slots: list[int] = []
        lengths: list[int] = []
        receive_into = self._receive_into
        for descriptor, _ in self._readable.poll(0, RECEIVE_BATCH_MAX):
            slot, endpoint = self._slots[descriptor]
            try:
                length = endpoint.recv_into(receive_into[len(slots)])
            except OSError:
                continue
            slots.append(slot)
            lengths.append(length)
        count = len(slots)
        return Batch(np.array(slots, np.intp), self._packets[:count], np.array(lengths, np.intp))

    def close(self) -> None:
        self._readable.close()
