"""One life of the plane's process, told by the test what the plane would say."""

from __future__ import annotations

import trio
import trio.testing

from adapters.media import control
from adapters.media.plane_process import PlaneProcess


async def test_streams_go_to_calls_in_the_order_in_which_these_asked() -> None:
    """In a burst of calls one that lost every race for a stream would have failed after a second."""
    process = PlaneProcess(lambda: None, "127.0.0.1")
    got: list[tuple[int, int]] = []

    async def take(call: int) -> None:
        stream = await process.take_stream()
        got.append((call, stream.number))

    async with trio.open_nursery() as nursery:
        for call in range(20):
            nursery.start_soon(take, call)
            await trio.testing.wait_all_tasks_blocked()
        for number in range(0, 20, 4):
            for one in range(number, number + 4):
                process._take(control.Opened(one, 4_000 + 2 * one))
            await trio.testing.wait_all_tasks_blocked()
    assert got == [(number, number) for number in range(20)]
