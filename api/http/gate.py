"""How Quart's side of a connection reads a request and sends its answer.

Three faults are worked around here. Quart-trio 0.12 takes a body into memory as fast as it comes,
before anybody has looked at who sends it: `GatedBody` reads nothing until the handler says how much it
takes. And it cancels the task that sends an answer while hypercorn is still making the connection ready
for the next request, so that finished connections are never closed: each send is shielded here. The
shield holds nobody up for long, because `guard` gives every send a deadline. And sending to a client that
has left neither fails nor waits, so that a task that only sends would keep all others from running.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import partial
from typing import Final

import trio
from hypercorn.typing import (
    ASGIReceiveCallable,
    ASGIReceiveEvent,
    ASGISendCallable,
    ASGISendEvent,
)
from quart_trio import QuartTrio
from quart_trio.asgi import TrioASGIHTTPConnection, TrioASGIWebsocketConnection
from quart_trio.wrappers import TrioRequest
from quart_trio.wrappers.request import TrioBody

from api.http.problem import Problem

STREAM_BUFFER_BYTES: Final = 1_000_000
"""Of a body that is read as it comes; a sender that is ahead of its reader waits."""
STREAM_IDLE_S: Final = 30.0
"""How long nothing may come of such a body."""


class GatedBody(TrioBody):
    """A request's body, of which nothing is read until somebody opens the gate."""

    def __init__(self, expected_bytes: int | None, max_content_length: int | None) -> None:
        super().__init__(expected_bytes, max_content_length)
        self._expected_bytes = expected_bytes
        self._bytes_max = 0
        self._received_bytes = 0
        self._decided = trio.Event()
        self._room = trio.Event()
        self.is_stream = False
        """Whether it is read as it comes, also while it is answered."""
        self.turn = AsyncExitStack()
        """What is held until the request is over. A stream's answer cannot let go of it by itself: that of a
        client who leaves early is never begun, and what was never begun never ends."""

    def open(self, bytes_max: int) -> None:
        """Let up to `bytes_max` in. Raises a `body_too_large` problem when more is announced."""
        if self._expected_bytes is not None and self._expected_bytes > bytes_max:
            raise _too_large(bytes_max)
        self._bytes_max = bytes_max
        self._decided.set()

    def discard(self) -> None:
        """Let it in only to throw it away: nobody will read it any more."""
        self.is_stream = False
        self._room.set()
        self._bytes_max = 0
        self.clear()
        self._decided.set()

    async def wait_decided(self) -> None:
        """Wait until the body is opened or discarded."""
        await self._decided.wait()

    def append(self, data: bytes) -> None:
        """Keep a piece that arrived, as long as the whole stays within its limit."""
        self._received_bytes += len(data)
        if self._received_bytes <= self._bytes_max:
            super().append(data)
        else:
            self.clear()
            self.set_complete()

    def open_stream(self, bytes_max: int) -> None:
        """Let it in as fast as it is read with `receive`. Raises as `open`."""
        self.is_stream = True
        self.open(bytes_max)

    async def wait_room(self) -> None:
        """Wait until more of it may come."""
        while self.is_stream and len(self._data) >= STREAM_BUFFER_BYTES:
            self._room = trio.Event()
            await self._room.wait()

    async def receive(self) -> bytes:
        """What came of a stream; nothing at its end. Raises the problems `body_too_large` and
        `body_timeout`."""
        with trio.move_on_after(STREAM_IDLE_S) as scope:
            await self._has_data.wait()
        if scope.cancelled_caught:
            raise Problem("body_timeout", f"Nothing came of the body for {STREAM_IDLE_S:g} s.")
        return self.receive_nowait()

    def receive_nowait(self) -> bytes:
        """What is there of a stream; nothing where nothing is."""
        if self._received_bytes > self._bytes_max:
            raise _too_large(self._bytes_max)
        data = bytes(self._data)
        self._data.clear()
        if not self._complete.is_set():
            self._has_data.clear()
        self._room.set()
        return data

    def put_back(self, data: bytes) -> None:
        """What was received and belongs to whoever receives next."""
        if data:
            self._data[:0] = data
            self._has_data.set()

    async def read(self, timeout_s: float) -> bytes:
        """All of it. Raises the problems `body_too_large` and `body_timeout`."""
        with trio.move_on_after(timeout_s) as scope:
            data: bytes = await self
        if scope.cancelled_caught:
            raise _too_late(timeout_s)
        if self._received_bytes > self._bytes_max:
            raise _too_large(self._bytes_max)
        return data


class WholeBody:
    """A body that came with its request, as much of a `GatedBody` as a short request needs."""

    def __init__(self, data: bytes | None) -> None:
        """None is for a body that did not come in its time."""
        self._data = data

    def open(self, bytes_max: int) -> None:
        """As of `GatedBody`."""
        if self._data is not None and len(self._data) > bytes_max:
            raise _too_large(bytes_max)

    async def read(self, timeout_s: float) -> bytes:
        """All of it. Raises the problem `body_timeout`."""
        if self._data is None:
            raise _too_late(timeout_s)
        return self._data


def _too_late(timeout_s: float) -> Problem:
    return Problem("body_timeout", f"The body was not complete after {timeout_s:g} s.")


def _too_large(bytes_max: int) -> Problem:
    return Problem("body_too_large", f"At most {bytes_max} bytes are taken here.")


class GatedRequest(TrioRequest):
    """A request whose body waits."""

    body_class = GatedBody  # type: ignore[assignment]
    body: GatedBody


class ShieldedConnection(TrioASGIHTTPConnection):
    """One request and its answer."""

    app: QuartTrio

    async def handle_messages(  # type: ignore[override]
        self, nursery: trio.Nursery, request: GatedRequest, receive: ASGIReceiveCallable
    ) -> None:
        """Take what the client sends, from when its body is wanted; a client that leaves ends it all."""
        body = request.body
        await body.wait_decided()

        async def receive_into_room() -> ASGIReceiveEvent:
            await body.wait_room()
            return await receive()

        await super().handle_messages(nursery, request, receive_into_room)

    async def handle_request(  # type: ignore[override]
        self, nursery: trio.Nursery, request: GatedRequest, send: ASGISendCallable
    ) -> None:
        """Let the application answer, and send that answer whole."""
        async with request.body.turn:
            response = await self.app.handle_request(request)
            # From here on somebody must take the rest of the body, or hypercorn's queue to this request
            # stays full and its connection can never be closed.
            if not request.body.is_stream:
                request.body.discard()
            await self._send_response(partial(_send_shielded, send), response)
            request.body.discard()
        nursery.cancel_scope.cancel()


class YieldingWebsocket(TrioASGIWebsocketConnection):
    """One websocket."""

    async def send_data(self, send: ASGISendCallable, data: str | bytes) -> None:
        """Send a message, and let others run even where nothing is waited for: hypercorn drops what is
        sent to a client that has left without a word, and who sends for ever would never be cancelled."""
        await trio.lowlevel.checkpoint()
        await super().send_data(send, data)


def set_up_gate(app: QuartTrio) -> None:
    """Let the application's connections be those of this module."""
    app.asgi_http_class = ShieldedConnection
    app.asgi_websocket_class = YieldingWebsocket
    app.request_class = GatedRequest
    app.config["MAX_CONTENT_LENGTH"] = None  # whoever opens the gate says how much


async def _send_shielded(send: ASGISendCallable, message: ASGISendEvent) -> None:
    # Sending on a connection that is gone does not wait for anything, and would never be cancelled.
    await trio.lowlevel.checkpoint()
    with trio.CancelScope(shield=True):
        await send(message)
