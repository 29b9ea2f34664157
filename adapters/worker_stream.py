"""What a worker finds, piece by piece, while it works: over a Unix socket of its own for each job.

A worker that is ahead of whoever reads it waits at its socket, so that no more is in memory than the
socket's buffers hold and the piece in hand.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, TypeVarTuple

import trio

from engine.ports.workers import WorkerFailed

PIECE_BYTES_MAX: Final = 64_000_000
"""A piece that claims to be longer comes from a worker that is broken."""
READ_BYTES: Final = 262_144
_LENGTH_BYTES: Final = 4

Ts = TypeVarTuple("Ts")


def pour(path: str, function: Callable[[*Ts], Iterable[bytes]], *args: *Ts) -> None:
    """Runs in the worker: send what the function yields to the socket at `path`, each with its length
    before it, and nothing after it for the end."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.connect(path)
        for piece in function(*args):
            link.sendall(len(piece).to_bytes(_LENGTH_BYTES) + piece)
        link.sendall(bytes(_LENGTH_BYTES))


class Spout:
    """The engine's end of one such socket. Made by `open_spout`."""

    def __init__(self, path: Path, listener: trio.socket.SocketType) -> None:
        self.path = path
        self._listener = listener
        self.is_done = False
        """Whether all has come that the worker yields."""

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """What the worker yields. Does not end where it breaks off. Raises `WorkerFailed` for what no
        worker sends."""
        link, _ = await self._listener.accept()
        with link:
            held = bytearray()
            while True:
                while (end := _end_of_piece(held)) is None:
                    data = await link.recv(READ_BYTES)
                    if not data:
                        # Whoever runs the worker learns why it broke off, and cancels this.
                        await trio.sleep_forever()
                    held += data
                if end == _LENGTH_BYTES:
                    self.is_done = True
                    return
                piece = bytes(memoryview(held)[_LENGTH_BYTES:end])
                del held[:end]
                yield piece


@asynccontextmanager
async def open_spout(path: Path) -> AsyncIterator[Spout]:
    """A socket at `path`, in a folder that nobody else may enter, for as long as the block lasts."""
    with trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM) as listener:
        await listener.bind(str(path))
        listener.listen(1)
        try:
            yield Spout(path, listener)
        finally:
            path.unlink(missing_ok=True)  # noqa: ASYNC240, in the machine's memory as a rule


def _end_of_piece(held: bytearray) -> int | None:
    """Where the first piece ends, with its length; None where it has not come whole. Raises
    `WorkerFailed`."""
    if len(held) < _LENGTH_BYTES:
        return None
    length = int.from_bytes(held[:_LENGTH_BYTES])
    if length > PIECE_BYTES_MAX:
        raise WorkerFailed("the worker sends what nobody can read")
    end = _LENGTH_BYTES + length
    return end if len(held) >= end else None
