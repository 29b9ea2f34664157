"""A company's own system, on loopback: what flows ask."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

import msgspec
import trio

from adapters.outgoing_http import ANSWER_BYTES_MAX

ANSWERS: Final[dict[str, bytes]] = {
    "/orders/bring": b'{"day": "2030-12-31"}',
    "/broken": b"<p>no JSON</p>",
    "/large": b'"' + b"x" * (ANSWER_BYTES_MAX + 1) + b'"',
}
STATUSES: Final = {"/down": 500, "/away": 302}


class Asked:
    """What it was asked, in order: method, path, body."""

    def __init__(self) -> None:
        self.url = ""
        self.questions: list[tuple[str, str, Any]] = []


@asynccontextmanager
async def open_server() -> AsyncIterator[Asked]:
    """The server for as long as the block lasts. `/slow` never answers, `/away` leads elsewhere."""
    asked = Asked()
    async with trio.open_nursery() as nursery:
        [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
        asked.url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
        nursery.start_soon(trio.serve_listeners, partial(_serve, asked), [listener])
        yield asked
        nursery.cancel_scope.cancel()


async def _serve(asked: Asked, stream: trio.SocketStream) -> None:
    received = b""
    while b"\r\n\r\n" not in received:
        received += await stream.receive_some(65_536)
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {line.partition(":")[0].lower(): line.partition(":")[2].strip() for line in lines}
    while len(body) < int(headers.get("content-length", 0)):
        body += await stream.receive_some(65_536)
    method, path, _ = first.split(" ")
    asked.questions.append((method, path, msgspec.json.decode(body) if body else None))
    if path == "/slow":
        await trio.sleep_forever()
    content = ANSWERS.get(path, b"{}")
    status = STATUSES.get(path, 200)
    answer = (
        f"HTTP/1.1 {status} .\r\nContent-Type: application/json\r\nContent-Length: {len(content)}"
        f"\r\nLocation: {asked.url}/orders/bring\r\nConnection: close\r\n\r\n"
    )
    try:
        await stream.send_all(answer.encode() + content)
    except trio.BrokenResourceError:
        return  # who gets too much goes away
    finally:
        await trio.aclose_forcefully(stream)
