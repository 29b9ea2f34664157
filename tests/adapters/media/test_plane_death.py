"""What becomes of calls when the plane's process dies, and of the calls after them."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import trio

from adapters.media.client import PlaneSettings, RtpMediaPlane
from adapters.media.types import PlaneUnavailable, Stream, StreamLost
from tests.adapters.media.callee import Callee, open_callee
from tests.adapters.media.planes import running_plane, write_prompt

pytestmark = pytest.mark.punctual

CALLS = 200


async def expect_play_to_be_lost(stream: Stream) -> None:
    with pytest.raises(StreamLost):
        await stream.play("long")


async def test_a_killed_plane_loses_its_streams_and_the_next_one_serves_new_ones(
    tmp_path: Path,
) -> None:
    write_prompt(tmp_path, "long", 3_000, seed=1)
    sound = write_prompt(tmp_path, "hello", 5, seed=2)
    async with running_plane(tmp_path) as plane, open_callee() as callee:
        streams = [await plane.open_stream() for _ in range(20)]
        for stream in streams:
            stream.connect(callee.remote)
        killed = plane.process_id
        assert killed is not None
        async with trio.open_nursery() as nursery:
            for stream in streams:
                nursery.start_soon(stream.wait_lost)
            nursery.start_soon(expect_play_to_be_lost, streams[0])
            await callee.hear_anything_but_silence()
            os.kill(killed, signal.SIGKILL)
        with pytest.raises(PlaneUnavailable, match="starting"):
            await plane.open_stream()
        with pytest.raises(StreamLost):
            await streams[1].play("hello")
        for stream in streams:
            stream.connect(callee.remote)
            await stream.close()
        await plane.wait_ready()
        assert plane.process_id not in (None, killed)
        async with open_callee() as next_callee:
            stream = await plane.open_stream()
            stream.connect(next_callee.remote)
            await stream.play("hello")
            assert await next_callee.hear_sound() == sound[0]


async def play_until_lost(plane: RtpMediaPlane, callee: Callee, lost: list[int]) -> None:
    """A call as the SIP room has one: it plays, and watches for the loss of its stream."""
    stream = await plane.open_stream()
    stream.connect(callee.remote)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(expect_play_to_be_lost, stream)
        await stream.wait_lost()
    await stream.close()
    lost.append(stream.port)


async def test_killing_the_process_ends_200_calls_and_the_next_call_plays(tmp_path: Path) -> None:
    write_prompt(tmp_path, "long", 3_000, seed=1)
    sound = write_prompt(tmp_path, "hello", 5, seed=2)
    lost: list[int] = []
    async with running_plane(tmp_path) as plane, open_callee() as callee:
        async with trio.open_nursery() as nursery:
            for _ in range(CALLS):
                nursery.start_soon(play_until_lost, plane, callee, lost)
            sources: set[int] = set()
            while len(sources) < CALLS:
                ((header, _),) = await callee.hear(1)
                sources.add(header.ssrc)
            assert lost == []
            assert plane.process_id is not None
            os.kill(plane.process_id, signal.SIGKILL)
        assert len(set(lost)) == CALLS
        await plane.wait_ready()
        async with open_callee() as next_callee:
            stream = await plane.open_stream()
            stream.connect(next_callee.remote)
            await stream.play("hello")
            assert await next_callee.hear_sound() == sound[0]


async def test_of_two_processes_the_other_goes_on_and_takes_the_new_calls(tmp_path: Path) -> None:
    sound = write_prompt(tmp_path, "hello", 10, seed=2)
    async with (
        running_plane(tmp_path, PlaneSettings(planes=2)) as plane,
        open_callee() as first_callee,
        open_callee() as second_callee,
    ):
        killed, alive = plane.process_ids
        # Streams go to the process that has the fewest: in turn, as long as all stay.
        first, second = await plane.open_stream(), await plane.open_stream()
        first.connect(first_callee.remote)
        second.connect(second_callee.remote)
        await first_callee.hear(1)
        await second_callee.hear(1)
        os.kill(killed, signal.SIGKILL)
        await first.wait_lost()
        await second.play("hello")
        assert await second_callee.hear_sound() == sound[0]
        third = await plane.open_stream()
        async with open_callee() as third_callee:
            third.connect(third_callee.remote)
            await third.play("hello")
            assert await third_callee.hear_sound() == sound[0]
        await plane.wait_ready()
        assert alive in plane.process_ids
        assert killed not in plane.process_ids
        assert len(plane.process_ids) == 2


async def test_two_processes_share_a_range_of_ports_and_their_figures_are_added_up(
    tmp_path: Path,
) -> None:
    async with (
        running_plane(tmp_path, PlaneSettings(planes=2)) as plane,
        open_callee() as callee,
    ):
        streams = [await plane.open_stream() for _ in range(40)]
        for stream in streams:
            stream.connect(callee.remote)
        sources: set[int] = set()
        while len(sources) < len(streams):
            ((header, _),) = await callee.hear(1)
            sources.add(header.ssrc)
        statistics = await plane.ask_statistics()
        assert (len({stream.port for stream in streams}), statistics.sending) == (40, 40)
