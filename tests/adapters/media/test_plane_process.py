"""One life of the plane's process, told by the test what the plane would say."""

from __future__ import annotations

from typing import NoReturn

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from adapters.media import control
from adapters.media.client import RtpMediaPlane
from adapters.media.keeper import PlaneKeeper
from adapters.media.plane_process import OPEN_WAIT_S, PlaneProcess
from adapters.media.types import PlaneUnavailable

HOST = "127.0.0.1"


def make_plane(count: int) -> tuple[RtpMediaPlane, list[PlaneProcess]]:
    """A plane of so many processes, which say nothing unless the test does."""
    processes = []
    keepers = []
    for _ in range(count):
        process = PlaneProcess(lambda: None, HOST)
        process.is_ready = True
        keeper = PlaneKeeper([], {}, HOST)
        keeper.process = process
        processes.append(process)
        keepers.append(keeper)
    return RtpMediaPlane(HOST, keepers), processes


async def test_streams_go_to_calls_in_the_order_in_which_these_asked() -> None:
    """In a burst of calls one that lost every race for a stream would have failed after a second."""
    process = PlaneProcess(lambda: None, HOST)
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


async def test_a_call_waits_no_longer_for_several_planes_that_stand_still_than_for_one(
    autojump_clock: MockClock,
) -> None:
    plane, _ = make_plane(4)
    with pytest.raises(PlaneUnavailable, match="does not keep up"):
        await plane.open_stream()
    assert trio.current_time() == pytest.approx(OPEN_WAIT_S)


async def test_a_plane_that_stands_still_leaves_time_for_another_to_open_a_stream(
    autojump_clock: MockClock,
) -> None:
    plane, [still, other] = make_plane(2)
    other._streams[99] = None  # type: ignore[assignment]  # it is asked last
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def answer() -> None:
            await trio.sleep(0.9 * OPEN_WAIT_S)
            other._take(control.Opened(1, 4_000))

        assert (await plane.open_stream()).port == 4_000
    assert (still.streams, other.streams) == (0, 2)


async def test_a_call_whose_time_went_by_while_nothing_ran_is_told_so_by_the_planes_that_are_left(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    plane, [still, _] = make_plane(2)

    async def take_late(_: float) -> NoReturn:
        await trio.sleep(1.5 * OPEN_WAIT_S)
        raise PlaneUnavailable("it came too late")

    monkeypatch.setattr(still, "take_stream", take_late)
    with pytest.raises(PlaneUnavailable, match="does not keep up"):
        await plane.open_stream()
