"""Many datagrams in one system call: `recvmmsg` and `sendmmsg` through ctypes (Linux).

The far end of a media benchmark has to be several times cheaper than what it measures, on a machine
whose other core it is. Time stamps are the kernel's: they say when a packet was handed over, not when
somebody came to read it.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import socket
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

BATCH_MAX: Final = 1_024
PACKET_BYTES_MAX: Final = 256
RECEIVE_BUFFER_BYTES: Final = 64 << 20
"""What waits for a far end that is late; asked for as root, and cut down by the system otherwise."""

_SO_RCVBUFFORCE: Final = 33
_SO_TIMESTAMPNS: Final = 35
_NAME: Final = np.dtype([("family", "u2"), ("port", ">u2"), ("host", "u1", (4,)), ("zero", "u8")])
"""`struct sockaddr_in`."""
_VECTOR: Final = np.dtype([("base", "u8"), ("length", "u8")])
"""`struct iovec`."""
_MESSAGE: Final = np.dtype(
    [
        ("name", "u8"),
        ("name_length", "u8"),
        ("vector", "u8"),
        ("vectors", "u8"),
        ("control", "u8"),
        ("control_length", "u8"),
        ("flags", "u8"),
        ("length", "u8"),
    ]
)
"""`struct mmsghdr` of 64-bit systems; lengths of four octets are followed by four of padding."""
_CONTROL: Final = np.dtype(
    [("length", "u8"), ("level", "i4"), ("type", "i4"), ("s", "i8"), ("ns", "i8")]
)
"""One control message that holds a `struct timespec`."""


class Datagrams(Struct):
    """What one call has received; valid until the next."""

    packets: NDArray[np.uint8]
    """One in each row of a matrix, cut off at `PACKET_BYTES_MAX`."""
    received_ns: NDArray[np.int64]
    """When the kernel took it, Unix time."""


class DatagramSocket:
    """A UDP socket on 127.0.0.1 that sends and receives batches."""

    def __init__(self) -> None:
        self._endpoint = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._endpoint.bind(("127.0.0.1", 0))
        self.port = int(self._endpoint.getsockname()[1])
        try:
            self._endpoint.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES)
        except PermissionError:
            self._endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        with contextlib.suppress(OSError):
            self._endpoint.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._packets = np.zeros((BATCH_MAX, PACKET_BYTES_MAX), np.uint8)
        self._controls = np.zeros(BATCH_MAX, _CONTROL)
        self._vectors = _vectors(self._packets)
        self._messages = np.zeros(BATCH_MAX, _MESSAGE)
        self._messages["vector"] = _addresses(self._vectors)
        self._messages["vectors"] = 1
        self._messages["control"] = _addresses(self._controls)

    def receive(self) -> Datagrams:
        """What has come, up to `BATCH_MAX` datagrams; it never waits."""
        self._messages["control_length"] = _CONTROL.itemsize
        count = self._call("recvmmsg", self._messages, BATCH_MAX, socket.MSG_DONTWAIT, None)
        stamps = self._controls[:count]
        return Datagrams(self._packets[:count], stamps["s"] * 1_000_000_000 + stamps["ns"])

    def send(
        self, packets: NDArray[np.uint8], lengths: NDArray[np.intp], ports: NDArray[np.uint16]
    ) -> int:
        """Send each row of a matrix, cut to its length, to a port of 127.0.0.1; how many were sent."""
        names = np.zeros(len(packets), _NAME)
        names["family"], names["port"], names["host"] = socket.AF_INET, ports, (127, 0, 0, 1)
        vectors = _vectors(packets)
        vectors["length"] = lengths
        messages = np.zeros(len(packets), _MESSAGE)
        messages["name"], messages["name_length"] = _addresses(names), _NAME.itemsize
        messages["vector"], messages["vectors"] = _addresses(vectors), 1
        sent = 0
        while sent < len(messages):
            done = self._call("sendmmsg", messages[sent:], len(messages) - sent, 0)
            # A datagram that is refused is passed over.
            sent += max(1, done)
        return sent

    def close(self) -> None:
        """Free the port."""
        self._endpoint.close()

    def _call(self, name: str, messages: NDArray[np.void], count: int, *others: int | None) -> int:
        at = ctypes.c_void_p(messages.ctypes.data)
        done = int(self._libc[name](self._endpoint.fileno(), at, count, *others))
        code = ctypes.get_errno()
        if done < 0 and code not in {errno.EAGAIN, errno.ECONNREFUSED, errno.ENOBUFS}:
            raise OSError(code, os.strerror(code))
        return max(0, done)


def _vectors(packets: NDArray[np.uint8]) -> NDArray[np.void]:
    vectors = np.zeros(len(packets), _VECTOR)
    vectors["base"], vectors["length"] = _addresses(packets), packets.shape[1]
    return vectors


def _addresses(rows: NDArray[np.generic]) -> NDArray[np.uint64]:
    """Where each row of an array lies in memory."""
    first = np.uint64(rows.ctypes.data)
    return first + np.arange(len(rows), dtype=np.uint64) * np.uint64(rows.strides[0])
