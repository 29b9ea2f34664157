"""The floor of `trigger`: a quart-trio application that reads a JSON body and answers 202.

Run as `python -m bench.bare_front PORT`; it runs until it is killed.
"""

from __future__ import annotations

import sys

import hypercorn.trio
import msgspec
import trio
from hypercorn.config import Config
from quart import Response, request
from quart_trio import QuartTrio


def make_app() -> QuartTrio:
    """The application."""
    app = QuartTrio("bare")

    @app.post("/trigger")
    async def trigger() -> Response:
        body = msgspec.json.decode(await request.get_data())
        answer = msgspec.json.encode({"to": body["to"], "status": "scheduled"})
        return Response(answer, 202, content_type="application/json")

    return app


async def main(port: int) -> None:
    """Serve on loopback."""
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.accesslog = config.errorlog = None
    await hypercorn.trio.serve(make_app(), config)


if __name__ == "__main__":
    trio.run(main, int(sys.argv[1]))
