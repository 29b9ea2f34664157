"""Sending and receiving through io_uring: a batch of packets is one call into the kernel."""

from __future__ import annotations

import ctypes
import os
import platform
import select
import socket
from typing import Final

import numpy as np
from numpy.typing import NDArray

from adapters.media.sockets.receiver import RECEIVE_BATCH_MAX, RECEIVE_BYTES_MAX, Batch
from adapters.media.sockets.ring import RECV, SEND, SKIP_SUCCESS, Ring, RingUnavailable

_QUIETLY: Final = socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL
_EPOLL_EVENT: Final = np.dtype(
    [("events", "u4"), ("slot", "u8")], align=platform.machine() not in {"x86_64", "AMD64", "i686"}
)
"""`struct epoll_event`, which is packed on x86 and nowhere else."""
_EPOLL_CTL_ADD: Final = 1
_EPOLL_CTL_DEL: Final = 2


class RingSender:
    """Sends all packets of a batch with one call; implements `adapters.media.sockets.sender.Sender`."""

    def __init__(self, capacity: int) -> None:
        self._ring = Ring(capacity)
        jobs = self._ring.jobs
        jobs["kind"], jobs["flags"], jobs["message_flags"] = SEND, SKIP_SUCCESS, _QUIETLY
        self._packets: list[NDArray[np.uint8] | None] = [None] * capacity
        """Held, as the kernel reads them by their addresses."""

    def attach(self, row: int, endpoint: socket.socket, packet: NDArray[np.uint8]) -> None:
        job = self._ring.jobs[row]
        job["descriptor"] = endpoint.fileno()
        job["address"], job["length"] = packet.ctypes.data, packet.nbytes
        self._packets[row] = packet

    def detach(self, row: int) -> None:
        self._ring.jobs[row]["descriptor"] = -1
        self._packets[row] = None

    def send(self, rows: NDArray[np.intp]) -> int:
        refused, _ = self._ring.do(rows)
        if not len(refused):
            return 0
        refused, _ = self._ring.do(refused)
        return len(refused)

    def close(self) -> None:
        self._ring.close()


class RingReceiver:
    """Asks epoll who has something, and takes all of it with one call; implements
    `adapters.media.sockets.receiver.Receiver`.

    epoll's own call is made through ctypes as well: it writes the slots where numpy reads them.
    """

    def __init__(self, slots: int) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._wait = self._libc.epoll_wait
        self._ring = Ring(slots)
        self._packets = np.zeros((RECEIVE_BATCH_MAX, RECEIVE_BYTES_MAX), np.uint8)
        self._addresses = self._packets.ctypes.data + RECEIVE_BYTES_MAX * np.arange(
            RECEIVE_BATCH_MAX, dtype=np.uint64
        )
        self._position = np.zeros(slots, np.intp)
        """Where in the batch a slot's packet is."""
        self._places = np.arange(RECEIVE_BATCH_MAX)
        nothing = np.zeros(0, np.intp)
        self._none = Batch(nothing, self._packets[:0], nothing)
        self._events = np.zeros(RECEIVE_BATCH_MAX, _EPOLL_EVENT)
        self._events_at = ctypes.c_void_p(self._events.ctypes.data)
        jobs = self._ring.jobs
        jobs["kind"], jobs["message_flags"], jobs["length"] = RECV, _QUIETLY, RECEIVE_BYTES_MAX
        self._epoll = self._libc.epoll_create1(select.EPOLL_CLOEXEC)
        if self._epoll < 0:
            self._ring.close()
            raise RingUnavailable(os.strerror(ctypes.get_errno()))

    def attach(self, slot: int, endpoint: socket.socket) -> None:
        self._ring.jobs[slot]["descriptor"] = endpoint.fileno()
        self._control(_EPOLL_CTL_ADD, slot, endpoint)

    def detach(self, slot: int, endpoint: socket.socket) -> None:
        self._control(_EPOLL_CTL_DEL, slot, endpoint)
        self._ring.jobs[slot]["descriptor"] = -1

    def receive(self) -> Batch:
        count = self._wait(self._epoll, self._events_at, RECEIVE_BATCH_MAX, 0)
        if count <= 0:
            return self._none
        slots = self._events["slot"][:count].astype(np.intp)
        lengths = np.full(count, -1, np.intp)
        self._ring.jobs["address"][slots] = self._addresses[:count]
        self._position[slots] = self._places[:count]
        done, said = self._ring.do(slots)
        lengths[self._position[done]] = said
        packets = self._packets[:count]
        if lengths.min() < 0:
            good = lengths >= 0
            slots, packets, lengths = slots[good], packets[good], lengths[good]
        return Batch(slots, packets, lengths)

    def close(self) -> None:
        os.close(self._epoll)
        self._ring.close()

    def _control(self, operation: int, slot: int, endpoint: socket.socket) -> None:
        event = np.zeros(1, _EPOLL_EVENT)
        event["events"], event["slot"] = select.EPOLLIN, slot
        at = ctypes.c_void_p(event.ctypes.data)
        if self._libc.epoll_ctl(self._epoll, operation, endpoint.fileno(), at) < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
