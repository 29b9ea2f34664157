"""What a server of a test hears of the HTTP client that it stands opposite to."""

from __future__ import annotations

import h11
import trio


async def read_request(stream: trio.abc.Stream) -> tuple[h11.Request | None, bytes]:
    """The only request of a connection and its body; None where the client went away before it asked."""
    connection = h11.Connection(h11.SERVER)
    request, body = None, b""
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(bytes(await stream.receive_some()))
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.Data):
            body += event.data
        else:
            return request, body
