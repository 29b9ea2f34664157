"""What a stream says to its plane, without one."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from adapters.media import control
from adapters.media.stream import PlaneStream
from adapters.media.types import PlaneUnavailable, Remote
from engine.ports.telephony import MediaStatistics

LAST_WORD = MediaStatistics(packets_sent=50)


class SomePlane:
    """Where a stream may be."""

    join_host = "127.0.0.1"

    async def take_stream(self) -> PlaneStream:
        raise PlaneUnavailable("there is no other")


async def test_the_last_word_of_a_stream_that_was_connected_is_waited_for() -> None:
    posted: list[control.Command] = []
    stream = PlaneStream(posted.append, 7, 20_000, SomePlane())
    stream.connect(Remote("192.0.2.1", 4000, 0))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.close)
        await wait_all_tasks_blocked()
        assert posted[1:] == [control.Close(7)]
        stream.note_over(LAST_WORD)
    assert stream.statistics() == LAST_WORD


@pytest.mark.parametrize("is_over", [False, True])
async def test_of_a_stream_that_was_never_connected_no_last_word_is_waited_for(
    is_over: bool,
) -> None:
    posted: list[control.Command] = []
    stream = PlaneStream(posted.append, 7, 20_000, SomePlane())
    if is_over:
        stream.note_lost(MediaStatistics())
    await stream.close()
    assert posted == ([] if is_over else [control.Close(7)])
    assert stream.statistics() == MediaStatistics()
