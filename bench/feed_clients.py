"""Readers of the feed, as cheap as they can be: they share this machine with what they measure. One loop
reads all sockets, and what many get is looked at once.

Run as `python -m bench.feed_clients URL KEY CLIENTS`. It says `ready` when all of them read, ends when its
input does, and prints what it saw (`Reading`) as JSON.
"""

from __future__ import annotations

import re
import selectors
import socket
import sys
import time
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
import numpy as np
from msgspec import Struct

READY: Final = b"ready"
RECEIVE_BYTES: Final = 262_144
LAG_MS_MAX: Final = 60_000
"""Events that come later are counted as so late."""
SEEN_MAX: Final = 64
"""Messages that are remembered for the others who get the same."""
WITHIN_MS: Final = 250
HEAD_BYTES: Final = 80
"""Of a message: they hold the number of its first event, by which it is known again."""
NONCE: Final = b"dGhlIHNhbXBsZSBub25jZQ=="

_TIME: Final = re.compile(rb'"time":"([^"]+)"')
_SEQ: Final = re.compile(rb'{"seq":(\d+),')


class Reading(Struct, frozen=True):
    """What all clients together saw."""

    events: int
    messages: int
    missed: int
    """Events that a client's numbers leave out."""
    lag_p50_ms: float
    """From the event's own time to when its message was read whole."""
    lag_p99_ms: float
    within_250_ms_share: float


class _Message(Struct, frozen=True):
    """One message, whoever gets it."""

    times: Any
    """Of its events, milliseconds since the epoch."""
    first: int
    last: int


class Clients:
    """All connections, and what came over them."""

    def __init__(self, url: str, key: str, count: int) -> None:
        self._lags = np.zeros(LAG_MS_MAX + 1, dtype=np.int64)
        self._messages = 0
        self._missed = 0
        self._seen: dict[tuple[int, bytes], _Message] = {}
        self._last: dict[int, int] = {}
        self._buffers: dict[int, bytearray] = {}
        self._selector = selectors.DefaultSelector()
        for _ in range(count):
            connection = _open(url, key)
            self._buffers[connection.fileno()] = bytearray()
            self._selector.register(connection, selectors.EVENT_READ)

    def read_until_told(self) -> None:
        """Read until the input ends."""
        self._selector.register(sys.stdin.buffer, selectors.EVENT_READ)
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is sys.stdin.buffer:
                    return
                assert isinstance(key.fileobj, socket.socket)
                self._receive(key.fileobj)

    def _receive(self, connection: socket.socket) -> None:
        data = connection.recv(RECEIVE_BYTES)
        assert data, "the server has closed a connection"
        number = connection.fileno()
        buffer = self._buffers[number]
        buffer += data
        while (frame := _split_frame(buffer)) is not None:
            opcode, message = frame
            if opcode == 1:
                self._take(number, message)

    def _take(self, number: int, content: bytes) -> None:
        now_ms = time.time() * 1e3  # noqa: TID251 - events carry the time of the wall clock
        which = (len(content), content[:HEAD_BYTES])
        message = self._seen.get(which)
        if message is None:
            message = _look_at(content)
            if len(self._seen) >= SEEN_MAX:
                del self._seen[next(iter(self._seen))]
            self._seen[which] = message
        np.add.at(self._lags, np.clip(now_ms - message.times, 0, LAG_MS_MAX).astype(np.int64), 1)
        self._messages += 1
        expected = self._last.get(number, message.first - 1) + 1
        self._missed += message.first - expected
        self._last[number] = message.last

    def sum_up(self) -> Reading:
        """All of it."""
        events = int(self._lags.sum())
        reached = np.cumsum(self._lags)
        p50, p99 = (float(np.searchsorted(reached, events * share)) for share in (0.5, 0.99))
        within = float(reached[WITHIN_MS]) / max(1, events)
        return Reading(events, self._messages, self._missed, p50, p99, within)


def _open(url: str, key: str) -> socket.socket:
    parts = urlsplit(url)
    connection = socket.create_connection((parts.hostname, parts.port), timeout=30)
    connection.sendall(
        b"GET /v1/feed HTTP/1.1\r\nHost: %b\r\nAuthorization: Bearer %b\r\nConnection: Upgrade\r\n"
        b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %b\r\n\r\n"
        % (parts.netloc.encode(), key.encode(), NONCE)
    )
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += connection.recv(1)
    assert b" 101 " in answer, answer
    return connection


def _split_frame(buffer: bytearray) -> tuple[int, bytes] | None:
    """The opcode and the content of the first frame of a buffer (RFC 6455 §5.2), which loses it; None where
    it is not whole yet."""
    if len(buffer) < 2:
        return None
    length, head = buffer[1], 2
    if length > 125:
        head = 4 if length == 126 else 10
        length = int.from_bytes(buffer[2:head], "big")
    if len(buffer) < head + length:
        return None
    frame = buffer[0] & 0x0F, bytes(buffer[head : head + length])
    del buffer[: head + length]
    return frame


def _look_at(content: bytes) -> _Message:
    moments = [datetime.fromisoformat(text.decode()) for text in _TIME.findall(content)]
    numbers = _SEQ.findall(content)
    times = np.array([moment.timestamp() * 1e3 for moment in moments])
    return _Message(times, int(numbers[0]), int(numbers[-1]))


def main(url: str, key: str, count: int) -> None:
    """Read, and print what was seen."""
    clients = Clients(url, key, count)
    sys.stdout.buffer.write(READY + b"\n")
    sys.stdout.buffer.flush()
    clients.read_until_told()
    sys.stdout.buffer.write(msgspec.json.encode(clients.sum_up()))
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
