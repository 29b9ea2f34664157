"""Bytes that come as a test lets them."""

from __future__ import annotations

from collections import deque

import trio


class Pieces:
    """Gives these pieces, and then the end."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = deque(pieces)

    async def receive(self) -> bytes:
        await trio.lowlevel.checkpoint()
        return self._pieces.popleft() if self._pieces else b""

    def receive_nowait(self) -> bytes:
        return self._pieces.popleft() if self._pieces else b""


class Tap:
    """Gives what a test pours in, when it does; `end` is the end."""

    def __init__(self) -> None:
        self.pour, self._pieces = trio.open_memory_channel[bytes](100)

    async def receive(self) -> bytes:
        try:
            return await self._pieces.receive()
        except trio.EndOfChannel:
            return b""

    def receive_nowait(self) -> bytes:
        try:
            return self._pieces.receive_nowait()
        except (trio.WouldBlock, trio.EndOfChannel):
            return b""
