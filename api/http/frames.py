"""Websocket messages that are put together once and sent to many.

A server's frames are not masked (RFC 6455 §5.1), so one message is the same bytes for every client, and
hypercorn need not make a frame of it again for each.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

import trio
from hypercorn.protocol.events import Data, Event, Request
from hypercorn.protocol.ws_stream import ASGIWebsocketState, WSStream
from hypercorn.typing import ASGISendEvent

from api.http.feed import Entry, Push

TEXT_AND_LAST: Final = 0x81
"""First byte of a text message in one frame (RFC 6455 §5.2). As text, because browsers hand binary
messages over as blobs."""
SHORT_BYTES_MAX: Final = 125
MIDDLE_BYTES_MAX: Final = 0xFFFF
PIECE_BYTES: Final = 256
"""Of what a client sends, before others have their turn. A ping has 6 bytes and is answered without a wait:
ten thousand that came at once held up all calls for a second."""


class ReadyFrame(bytes):
    """A whole frame as it goes on the wire, which an application sends like any bytes."""


def encode_frame(entries: Sequence[Entry]) -> ReadyFrame:
    """A text message that is the JSON array of these entries."""
    content = b",".join([entry.body for entry in entries])
    return ReadyFrame(b"%b[%b]" % (_head_of(len(content) + 2), content))


def _head_of(length: int) -> bytes:
    if length <= SHORT_BYTES_MAX:
        return struct.pack("!BB", TEXT_AND_LAST, length)
    if length <= MIDDLE_BYTES_MAX:
        return struct.pack("!BBH", TEXT_AND_LAST, SHORT_BYTES_MAX + 1, length)
    return struct.pack("!BBQ", TEXT_AND_LAST, SHORT_BYTES_MAX + 2, length)


PUSH: Final = "callwheel.push"
"""In the `state` of a websocket's ASGI scope: a `feed.Push` for frames that are ready."""


class FramedStream(WSStream):
    """A websocket that sends frames which are ready as they are."""

    push_bytes: Push
    """Sends bytes on the connection at once, as far as its client takes them."""

    async def handle(self, event: Event) -> None:
        """Take what arrived."""
        if isinstance(event, Request):
            event.state[PUSH] = self.push
        if not isinstance(event, Data):
            await super().handle(event)
            return
        for start in range(0, len(event.data), PIECE_BYTES):
            piece = event.data[start : start + PIECE_BYTES]
            await super().handle(Data(stream_id=event.stream_id, data=piece))
            await trio.lowlevel.checkpoint()

    def push(self, frame: bytes) -> bytes | None:
        """As of `feed.Push`."""
        if self.closed or self.state is not ASGIWebsocketState.CONNECTED:
            return frame
        left = self.push_bytes(frame)
        return None if left is None else ReadyFrame(left)

    async def app_send(self, message: ASGISendEvent | None) -> None:
        """Take what the application sends."""
        if message is not None and message["type"] == "websocket.send":
            data = message.get("bytes")
            if isinstance(data, ReadyFrame) and self.state is ASGIWebsocketState.CONNECTED:
                if not self.closed:
                    await self.send(Data(stream_id=self.stream_id, data=data))
                return
        await super().app_send(message)
