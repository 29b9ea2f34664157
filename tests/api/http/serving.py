"""A server on real sockets, for what a test client cannot show."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import trio
from msgspec import Struct
from quart_trio import QuartTrio

from api.http.gate import set_up_gate
from api.http.guard import CONNECTIONS_MAX, Tally, serve_http
from api.http.shortcut import Shortcut
from api.http.tls import Certificate


class Server(Struct):
    """Where a server listens, and what it counted."""

    host: str
    port: int
    tally: Tally
    shutdown: trio.Event

    async def connect(self) -> trio.SocketStream:
        """A new connection to it."""
        return await trio.open_tcp_stream(self.host, self.port)

    async def exchange(self, data: bytes) -> bytes:
        """Send bytes on a connection of their own, and read until the server ends it."""
        async with await self.connect() as stream:
            await stream.send_all(data)
            return await read_to_end(stream)


async def read_to_end(stream: trio.SocketStream) -> bytes:
    """What is received until the other side ends or resets the connection."""
    received = bytearray()
    try:
        async for piece in stream:
            received += piece
    except trio.BrokenResourceError:
        pass
    return bytes(received)


@asynccontextmanager
async def serving(
    app: QuartTrio,
    *,
    closing: Callable[[], None] = lambda: None,
    drain_s: float = 0.0,
    connections_max: int = CONNECTIONS_MAX,
    certificate: Certificate | None = None,
    shortcut: Shortcut | None = None,
) -> AsyncIterator[Server]:
    """Serve `app` on a free port of the loopback while the block runs."""
    tally, shutdown = Tally(), trio.Event()
    async with trio.open_nursery() as nursery:

        async def run(task_status: trio.TaskStatus[tuple[str, int]]) -> None:
            await serve_http(
                app,
                "127.0.0.1",
                0,
                shutdown=shutdown,
                closing=closing,
                tally=tally,
                drain_s=drain_s,
                connections_max=connections_max,
                certificate=certificate,
                shortcut=shortcut,
                task_status=task_status,
            )

        host, port = await nursery.start(run)
        yield Server(host, port, tally, shutdown)
        shutdown.set()


def make_guarded_app(name: str) -> QuartTrio:
    """An application without routes, with our side of Quart's connections."""
    app = QuartTrio(name, static_folder=None)
    set_up_gate(app)
    return app
