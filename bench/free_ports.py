"""Ports for programs that have to be told which one to take, and whether they have."""

from __future__ import annotations

import secrets
import socket
from itertools import cycle, islice
from pathlib import Path
from typing import Final

PORTS: Final = range(10_000, 15_000, 10)
"""Below those that the kernel gives away by itself: between the look for such a one and its use, somebody may
be given it. The ports of calls' sound lie higher."""
_KINDS: Final = (socket.SOCK_DGRAM, socket.SOCK_STREAM)
_TABLES: Final = {socket.SOCK_DGRAM: ("udp", "udp6"), socket.SOCK_STREAM: ("tcp", "tcp6")}
_NET: Final = Path("/proc/thread-self/net")
_LISTENS: Final = "0A"

_in_turn: Final = islice(cycle(PORTS), secrets.randbelow(len(PORTS)), None)
"""Each comes once until all have: two that are looked for before either is used differ."""


def free_port(host: str = "127.0.0.1") -> int:
    """A port of this machine that nobody has just now, over UDP and TCP, as nobody has the next one. Raises
    `OSError` where there is none."""
    for port in islice(_in_turn, len(PORTS)):
        if all(_is_free(kind, host, at) for kind in _KINDS for at in (port, port + 1)):
            return port
    raise OSError(f"{host} has no free port from {PORTS[0]} to {PORTS[-1]}")


def _is_free(kind: socket.SocketKind, host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, kind) as probe:
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def is_taken(port: int, kind: socket.SocketKind = socket.SOCK_DGRAM) -> bool:
    """Whether somebody has a port at any of this machine's addresses; over TCP, whether they listen.

    The kernel is asked (proc_pid_net(5)): to try and take it would keep it for a moment from those who are
    about to.
    """
    lines = [line.split() for table in _TABLES[kind] for line in _rows(_NET / table)]
    return any(
        int(local.rpartition(":")[2], 16) == port
        for _, local, _, state, *_ in lines
        if kind == socket.SOCK_DGRAM or state == _LISTENS
    )


def _rows(table: Path) -> list[str]:
    """Those of one of the kernel's tables, without its heading; none where it has no such table."""
    return table.read_text().splitlines()[1:] if table.exists() else []
