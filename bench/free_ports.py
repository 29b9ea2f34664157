"""Ports for programs that have to be told which one to take."""

from __future__ import annotations

import secrets
import socket
from itertools import cycle, islice
from typing import Final

PORTS: Final = range(10_000, 15_000, 10)
"""Below those that the kernel gives away by itself: between the look for such a one and its use, somebody may
be given it. The ports of calls' sound lie higher."""
_KINDS: Final = (socket.SOCK_DGRAM, socket.SOCK_STREAM)

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
