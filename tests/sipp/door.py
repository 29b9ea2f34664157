"""A carrier's edge in front of a sipp that takes TCP: it ends TLS, and it can break connections.

sipp as Debian builds it has no TLS. Connections come and go here; behind it there is one to sipp.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial

import trio

from tests.sipp.carrier import Carrier

Stream = trio.SocketStream | trio.SSLStream[trio.SocketStream]

_ACK = b"ACK sip:"
_BROKEN = (trio.BrokenResourceError, trio.ClosedResourceError)


class Door:
    """Made by `open_door`."""

    def __init__(self, inner: trio.SocketStream, context: ssl.SSLContext | None) -> None:
        self._inner = inner
        self._context = context
        self._outer: Stream | None = None
        """The connection that came last, where sipp's messages go."""
        self.connections = 0
        self.acknowledged = trio.Event()
        """Set when an ACK has gone in."""

    async def cut(self) -> None:
        """Close the connection that came last."""
        assert self._outer is not None, "nobody is connected"
        await trio.aclose_forcefully(self._outer)

    async def take(self, plain: trio.SocketStream) -> None:
        """Serve one connection."""
        outer: Stream = plain
        try:
            if self._context is not None:
                outer = trio.SSLStream(plain, self._context, server_side=True)
                await outer.do_handshake()
            self._outer = outer
            self.connections += 1
            while data := await outer.receive_some():
                await self._inner.send_all(data)
                if _ACK in data:
                    self.acknowledged.set()
        except _BROKEN:
            pass
        await trio.aclose_forcefully(outer)

    async def give(self) -> None:
        """Carry what sipp sends to whoever is connected."""
        while data := await self._inner.receive_some():
            if self._outer is not None:
                with suppress(*_BROKEN):
                    await self._outer.send_all(data)


@asynccontextmanager
async def open_door(
    carrier: Carrier, port: int, context: ssl.SSLContext | None = None
) -> AsyncIterator[Door]:
    """A door on this port in front of the sipp; with a context it speaks TLS outside."""
    host = carrier.place.host
    async with (
        await trio.open_tcp_stream(host, carrier.port) as inner,
        trio.open_nursery() as nursery,
    ):
        door = Door(inner, context)
        nursery.start_soon(_give_until_closed, door)
        await nursery.start(partial(trio.serve_tcp, door.take, port, host=host))
        yield door
        nursery.cancel_scope.cancel()


async def _give_until_closed(door: Door) -> None:
    with suppress(*_BROKEN):
        await door.give()
