"""The floors of `trigger`: a quart-trio application, and one of plain ASGI, which read a JSON body and
answer 202.

Run as `python -m bench.bare_front PORT quart|asgi`; it runs until it is killed.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Any, Final

import hypercorn.trio
import msgspec
import trio
from hypercorn.config import Config
from quart import Response, request
from quart_trio import QuartTrio


def make_quart() -> QuartTrio:
    """The application."""
    app = QuartTrio("bare")

    @app.post("/trigger")
    async def trigger() -> Response:
        return Response(_answer(await request.get_data()), 202, content_type="application/json")

    return app


async def answer_plainly(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """The same as an ASGI application without a framework."""
    if scope["type"] == "lifespan":
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": f"{message['type']}.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message.get("body", b"")
        more = message.get("more_body", False)
    answer = _answer(body)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(answer)).encode()),
    ]
    await send({"type": "http.response.start", "status": 202, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


def _answer(content: bytes | str) -> bytes:
    body = msgspec.json.decode(content)
    return msgspec.json.encode({"to": body["to"], "status": "scheduled"})


APPLICATIONS: Final[dict[str, Callable[[], Any]]] = {
    "quart": make_quart,
    "asgi": lambda: answer_plainly,
}


async def main(port: int, kind: str) -> None:
    """Serve on loopback."""
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.accesslog = config.errorlog = None
    await hypercorn.trio.serve(APPLICATIONS[kind](), config)


if __name__ == "__main__":
    trio.run(main, int(sys.argv[1]), sys.argv[2])
