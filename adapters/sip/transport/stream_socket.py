"""Sockets of TCP connections: how they are made and set."""

from __future__ import annotations

import os
import socket
from ipaddress import ip_address

import trio

BACKLOG = 128
"""Connections that the kernel accepts before we look at them."""
USER_TIMEOUT_MS = 20_000
"""How long sent bytes may stay unacknowledged before the kernel calls the connection broken; its own
idea of that is a quarter of an hour."""


def listen(host: str, port: int) -> socket.socket:
    """A socket that accepts connections. Raises `OSError` when it cannot be bound."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listener.setblocking(False)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def prepare_socket(new_socket: socket.socket) -> None:
    """What every connection's socket is set to."""
    new_socket.setblocking(False)
    new_socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        new_socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)


def connect(address: tuple[str, int], local_host: str) -> socket.socket:
    """A socket that is connecting, from `local_host` where that is an address of the same family.

    Raises `OSError` when the system refuses, and `ValueError` for a host that is no IP address, since
    nobody is asked for names here, or a port that is none.
    """
    host, port = address
    if not 0 < port < 65536:
        raise ValueError(f"{port} is no port")
    family, kind, protocol, _, target = socket.getaddrinfo(
        str(ip_address(host)),
        port,
        type=socket.SOCK_STREAM,
        flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    )[0]
    connecting = socket.socket(family, kind, protocol)
    try:
        prepare_socket(connecting)
        if local_host and (":" in local_host) == (family == socket.AF_INET6):
            if hasattr(socket, "IP_BIND_ADDRESS_NO_PORT"):
                connecting.setsockopt(socket.IPPROTO_IP, socket.IP_BIND_ADDRESS_NO_PORT, 1)
            connecting.bind((local_host, 0))
        connecting.connect(target)
    except BlockingIOError:
        return connecting
    except BaseException:
        connecting.close()
        raise
    return connecting


async def wait_connected(connecting: socket.socket) -> None:
    """Wait until a connecting socket is connected. Raises `OSError` when nobody accepts."""
    await trio.lowlevel.wait_writable(connecting)
    number = connecting.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if number:
        raise OSError(number, os.strerror(number))
    if connecting.getsockname() == connecting.getpeername():
        # Nobody listens at a port that the kernel may hand out, and it has handed it to us.
        raise ConnectionRefusedError("connected to itself")
