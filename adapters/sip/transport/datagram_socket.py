"""A UDP socket that never waits, and that hears of ICMP errors."""

from __future__ import annotations

import errno
import socket
import struct
from typing import Literal

from adapters.sip.wire.uri import Address

DATAGRAM_BYTES_MAX = 16_384
"""Longest datagram that is read; of a longer one the rest is lost, and it will not parse."""
BUFFER_BYTES = 4 * 1024 * 1024
"""Asked of the kernel for each direction; it grants what `net.core.rmem_max` allows."""
ERRORS_PER_ROUND_MAX = 64
"""Most ICMP errors read at once."""
TRIES_MAX = 3
"""How often a datagram is tried: an error that stands in its place is there once."""

# From <linux/in.h>, <linux/in6.h> and <linux/errqueue.h>: Python 3.11 does not name them.
_IP_RECVERR = 11
_IPV6_RECVERR = 25
_EXTENDED_ERROR = struct.Struct("@IBBBBII")
_ORIGINS_ICMP = (2, 3)

_OF_OTHERS = (errno.ECONNREFUSED, errno.ENOBUFS)
"""Errors that say nothing of where a datagram was to go: the first comes from a host that an earlier one has
reached, the second from this machine."""

Sent = Literal["sent", "full", "failed"]


class DatagramSocket:
    """Bound at once; `close` it. Raises `OSError` when it cannot be bound."""

    def __init__(self, host: str, port: int) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.has_errors = False
        """Whether there may be something for `take_errors`, as far as receiving and sending has shown."""
        try:
            self.socket.setblocking(False)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
            self._hear_errors(family)
            self.socket.bind((host, port))
        except BaseException:
            self.socket.close()
            raise

    @property
    def family(self) -> socket.AddressFamily:
        return self.socket.family

    @property
    def address(self) -> Address:
        """Where it is bound."""
        host, port = self.socket.getsockname()[:2]
        return host, port

    def close(self) -> None:
        self.socket.close()

    def receive(self) -> tuple[bytes, Address] | None:
        """The next datagram and its source, None when there is none."""
        # An ICMP error shows up here once, in the place of a datagram; its details are in the
        # error queue, and the datagram is still there.
        for _ in range(2):
            try:
                data, source = self.socket.recvfrom(DATAGRAM_BYTES_MAX)
            except BlockingIOError:
                return None
            except OSError:
                self.has_errors = True
                continue
            return data, (source[0], source[1])
        return None

    def send(self, data: bytes, address: Address) -> Sent:
        """Send without waiting. `full` is the kernel's buffer; a retransmission repairs that."""
        refusal = 0
        for _ in range(TRIES_MAX):
            try:
                self.socket.sendto(data, address)
            except (BlockingIOError, InterruptedError):
                return "full"
            except OSError as error:
                # Often the pending error of an earlier datagram, perhaps to somebody else, and then this one
                # has not been tried yet: a router may say of any host that there is no way to it.
                self.has_errors = True
                refusal = error.errno or 0
                continue
            return "sent"
        return "full" if refusal in _OF_OTHERS else "failed"

    def take_errors(self) -> list[Address]:
        """The destinations that the network has refused since the last time."""
        refused = []
        for _ in range(ERRORS_PER_ROUND_MAX):
            try:
                _, ancillary, _, destination = self.socket.recvmsg(0, 512, socket.MSG_ERRQUEUE)
            except OSError:
                self.has_errors = False
                break
            if any(_is_refusal(data) for _, _, data in ancillary):
                refused.append((destination[0], destination[1]))
        return refused

    def _hear_errors(self, family: socket.AddressFamily) -> None:
        level, option = (
            (socket.IPPROTO_IPV6, _IPV6_RECVERR)
            if family == socket.AF_INET6
            else (socket.IPPROTO_IP, _IP_RECVERR)
        )
        try:
            self.socket.setsockopt(level, option, 1)
        except OSError:
            # Not Linux: Timer B finds out too, only later.
            return


def _is_refusal(data: bytes) -> bool:
    """Whether an extended error says that nobody is there; a path that wants smaller datagrams
    does not."""
    if len(data) < _EXTENDED_ERROR.size:
        return False
    number, origin, *_ = _EXTENDED_ERROR.unpack_from(data)
    return origin in _ORIGINS_ICMP and number != errno.EMSGSIZE


def local_address_towards(address: Address, family: socket.AddressFamily) -> str:
    """The address of ours that the system would use to reach another; nothing is sent.

    Raises `OSError` when there is no way.
    """
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect(address)
        host: str = probe.getsockname()[0]
        return host
