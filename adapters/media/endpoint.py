"""Sockets of the plane: a port of its own for every stream, picked in turn from a range."""

from __future__ import annotations

import errno
import socket
from collections import deque
from ipaddress import ip_address
from typing import Final

PORT_TRIES_MAX: Final = 1_000
"""Ports that are tried for one stream before it is refused: another program may sit on as many. Each
that is taken costs a microsecond."""
ODD_PORTS_MAX: Final = 64
"""Odd ports that the kernel may choose, one after the other, before a stream is refused."""
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
        return PORT_TRIES_MAX if self._is_kernels_choice else min(len(self._free), PORT_TRIES_MAX)

    def pick(self) -> int:
        """The next port to try; 0 is whatever the kernel gives."""
        return 0 if self._is_kernels_choice else self._free.popleft()

    def give_back(self, port: int) -> None:
        """A port is free again, or was not free for us; the others go first."""
        if not self._is_kernels_choice:
            self._free.append(port)


def open_socket(host: str, picker: PortPicker) -> tuple[socket.socket, int]:
    """A socket that does not block, bound to an even port of its own.

    Raises `NoPort`, `NoDescriptor`, and `OSError` when `host` is no address of this machine.
    """
    odd: list[socket.socket] = []
    try:
        for _ in range(ODD_PORTS_MAX):
            endpoint = _new_socket(host)
            try:
                port = _bind(endpoint, host, picker)
            except BaseException:
                endpoint.close()
                raise
            if port % 2 == 0:
                return endpoint, port
            # Held until an even one is found, so that the kernel does not choose it again.
            odd.append(endpoint)
    finally:
        for endpoint in odd:
            endpoint.close()
    raise NoPort


def _new_socket(host: str) -> socket.socket:
    family = socket.AF_INET6 if ip_address(host).version == 6 else socket.AF_INET
    try:
        endpoint = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    except OSError as error:
        if error.errno in _FULL:
            raise NoDescriptor from error
        raise
    _prepare(endpoint)
    return endpoint


def _bind(endpoint: socket.socket, host: str, picker: PortPicker) -> int:
    """Bind to the first port in turn that nobody sits on, and say which. Raises `NoPort`."""
    for _ in range(picker.tries):
        port = picker.pick()
        try:
            endpoint.bind((host, port))
        except OSError as error:
            picker.give_back(port)
            if error.errno != errno.EADDRINUSE:
                raise
        else:
            return int(endpoint.getsockname()[1])
    raise NoPort


def _prepare(endpoint: socket.socket) -> None:
    endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
    if endpoint.family == socket.AF_INET6:
        endpoint.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, EXPEDITED_FORWARDING)
    else:
        endpoint.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, EXPEDITED_FORWARDING)
