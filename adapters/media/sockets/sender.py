"""Sending a batch: what every way into the kernel must do, and the plain way.

A sender is told once where a row's packet lies and which socket is its own, and from then on only
which rows go out.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


def _send_nothing() -> None:
    """What a row does whose stream is gone."""


class Sender(Protocol):
    """Sends packets that lie in rows, each on the row's own connected socket."""

    def attach(self, row: int, endpoint: socket.socket, packet: NDArray[np.uint8]) -> None:
        """Send this row from here: the packet's memory stays where it is and is read at each send."""

    def detach(self, row: int) -> None:
        """Forget a row, before its socket is closed."""

    def send(self, rows: NDArray[np.intp]) -> int:
        """Send the packets of these rows, none of them twice; how many the kernel refused.

        A packet that is refused is tried once more: an ICMP error about an earlier one is reported
        in place of sending this one, and is cleared by being reported.
        """

    def close(self) -> None:
        """Free what the kernel holds for it."""


class SocketSender:
    """Sends with one call of the socket's own `send` for each packet."""

    def __init__(self, capacity: int) -> None:
        self._sends: list[Callable[[], object]] = [_send_nothing] * capacity

    def attach(self, row: int, endpoint: socket.socket, packet: NDArray[np.uint8]) -> None:
        self._sends[row] = partial(endpoint.send, packet.data)

    def detach(self, row: int) -> None:
        self._sends[row] = _send_nothing

    def send(self, rows: NDArray[np.intp]) -> int:
        failed = 0
        sends = self._sends
        for row in rows.tolist():
            try:
                sends[row]()
            except OSError:
                failed += self._send_again(row)
        return failed

    def close(self) -> None:
        self._sends.clear()

    def _send_again(self, row: int) -> int:
        try:
            self._sends[row]()
        except OSError:
            return 1
        return 0
