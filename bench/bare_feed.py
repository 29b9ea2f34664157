"""The floor of `feed`: a trio-websocket server that makes batches of nothing and sends them to all who come.

Run as `python -m bench.bare_feed PORT EVENTS_PER_S`; it runs until it is killed.
"""

from __future__ import annotations

import sys
import time
from typing import Final

import trio
from trio_websocket import ConnectionClosed, WebSocketRequest, serve_websocket

from engine.model.events import Event, number_event

INTERVAL_S: Final = 0.1


class _Source:
    """The batch of the moment, and a sign that there is a new one."""

    def __init__(self, events_per_s: int) -> None:
        self._events = max(1, round(events_per_s * INTERVAL_S))
        self._next = 1
        self.batch = ""
        self.changed = trio.Event()

    async def run(self) -> None:
        """Make batches for ever. The events of one happened while the one before was out."""
        while True:
            begun = time.time()  # noqa: TID251 - events carry the time of the wall clock
            await trio.sleep(INTERVAL_S)
            bodies = [
                number_event(
                    Event(
                        type="attempt.step",
                        time=begun + INTERVAL_S * place / self._events,
                        account="acc_0000000000000000000000000",
                        flow="flw_0000000000000000000000000",
                        list="lst_0000000000000000000000000",
                        contact="cnt_0000000000000000000000000",
                        attempt="att_0000000000000000000000000",
                        data={"node": "step1", "type": "set"},
                    ),
                    self._next + place,
                ).body.decode()
                for place in range(self._events)
            ]
            self._next += self._events
            self.batch = f"[{','.join(bodies)}]"
            self.changed.set()
            self.changed = trio.Event()


async def main(port: int, events_per_s: int) -> None:
    """Serve on loopback."""
    source = _Source(events_per_s)

    async def serve(request: WebSocketRequest) -> None:
        connection = await request.accept()
        try:
            while True:
                await source.changed.wait()
                await connection.send_message(source.batch)
        except ConnectionClosed:
            return

    async with trio.open_nursery() as nursery:
        nursery.start_soon(source.run)
        await serve_websocket(serve, "127.0.0.1", port, ssl_context=None)


if __name__ == "__main__":
    trio.run(main, int(sys.argv[1]), int(sys.argv[2]))
