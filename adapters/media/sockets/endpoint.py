"""Sockets of the plane: an even port for every stream's RTP, picked in turn from a range, and the next
one for its RTCP (RFC 3550 §11)."""

from __future__ import annotations

import errno
import socket
from collections import deque
from ipaddress import ip_address
from typing import Final

from msgspec import Struct

PORT_TRIES_MAX: Final = 1_000
"""Ports that are tried for one stream before it is refused: another program may sit on as many. Each
that is taken costs some microseconds."""
KERNEL_TRIES_MAX: Final = 64
"""Ports that the kernel may choose, one after the other: odd ones, and such whose next is taken."""
RECEIVE_BUFFER_BYTES: Final = 16_384
"""Asked of the kernel for each stream: some 20 packets, 400 ms, and then it drops."""
EXPEDITED_FORWARDING: Final = 0xB8
"""The traffic class of voice (RFC 3246, RFC 4594 §4.1)."""

_FULL: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class NoPort(Exception):
    """Every port that was tried is taken."""


class NoDescriptor(Exception):
    """The system gives this process no more sockets."""


class PortPicker:
    """Even ports of a range in turn, so that a port rests for as long as can be once it is free.

    `skip` ports are left for last: planes that share a range should each begin somewhere else. The
    range 0 to 0 leaves the choice to the kernel.
    """

    def __init__(self, first: int, last: int, skip: int = 0) -> None:
        self._free = deque(range(first + first % 2, last + 1, 2))
        assert self._free
        self._free.rotate(-skip)
        self._is_kernels_choice = last == 0

    @property
    def tries(self) -> int:
        """How many picks are worth trying for one stream; 0 when this process has all the ports."""
        return KERNEL_TRIES_MAX if self._is_kernels_choice else min(len(self._free), PORT_TRIES_MAX)

    def pick(self) -> int:
        """The next port to try; 0 is whatever the kernel gives."""
        return 0 if self._is_kernels_choice else self._free.popleft()

    def give_back(self, port: int) -> None:
        """A port is free again, or was not free for us; the others go first."""
        if not self._is_kernels_choice:
            self._free.append(port)


class Endpoints(Struct, frozen=True):
    """The two sockets of one stream. Neither blocks."""

    port: int
    """The even port of `rtp`; that of `rtcp` is the next."""
    rtp: socket.socket
    rtcp: socket.socket

    def close(self) -> None:
        """Free both ports."""
        self.rtp.close()
        self.rtcp.close()


def open_endpoints(host: str, picker: PortPicker) -> Endpoints:
    """Sockets on an even port and the next one.

    Raises `NoPort`, `NoDescriptor`, and `OSError` when `host` is no address of this machine.
    """
    held: list[socket.socket] = []
    try:
        rtp = _new_socket(host, held)
        rtcp = _new_socket(host, held)
        for _ in range(picker.tries):
            port = picker.pick()
            if not _bind(rtp, host, port):
                picker.give_back(port)
                continue
            port = int(rtp.getsockname()[1])
            if port % 2 == 0 and _bind(rtcp, host, port + 1):
                held.remove(rtp)
                held.remove(rtcp)
                return Endpoints(port, rtp, rtcp)
            picker.give_back(port)
            # Held until the search is over, so that the kernel does not choose the same again.
            rtp = _new_socket(host, held)
    finally:
        for endpoint in held:
            endpoint.close()
    raise NoPort


def open_beside(endpoint: socket.socket) -> socket.socket:
    """A socket on the same port, for packets of everybody but the one that `endpoint` is connected to.

    Both must say for a moment that they share their port. They do not go on saying so: otherwise a
    program of another kind could come and share it as well. Raises `OSError`.
    """
    beside = socket.socket(endpoint.family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    sharing = (endpoint, beside)
    try:
        for one in sharing:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        beside.bind(endpoint.getsockname())
        beside.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
    except BaseException:
        beside.close()
        raise
    finally:
        endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    beside.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    return beside


def _new_socket(host: str, held: list[socket.socket]) -> socket.socket:
    """A socket that is put among those which are held. Raises `NoDescriptor` and `OSError`."""
    family = socket.AF_INET6 if ip_address(host).version == 6 else socket.AF_INET
    try:
        endpoint = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    except OSError as error:
        if error.errno in _FULL:
            raise NoDescriptor from error
        raise
    held.append(endpoint)
    _prepare(endpoint)
    return endpoint


def _bind(endpoint: socket.socket, host: str, port: int) -> bool:
    """Whether the port could be had: somebody may sit on it. Raises `OSError`."""
    try:
        endpoint.bind((host, port))
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        return False
    return True


def _prepare(endpoint: socket.socket) -> None:
    endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
    if endpoint.family == socket.AF_INET6:
        endpoint.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, EXPEDITED_FORWARDING)
    else:
        endpoint.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, EXPEDITED_FORWARDING)
