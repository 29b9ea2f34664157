"""What callees send, and what is made of it, through a plane in a process of its own."""

from __future__ import annotations

import re
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from adapters.media.client import PlaneSettings, RtpMediaPlane
from adapters.media.stream import DIGITS_MAX
from adapters.media.types import Remote, StreamLost
from adapters.media.wire.rtp import Header, build_packet
from tests.adapters.media.callee import HOST, open_callee
from tests.adapters.media.planes import WAYS, running_plane, write_prompt

pytestmark = pytest.mark.punctual

EVENT = 101
KEYS = "0123456789*#ABCD"


@pytest.fixture(params=["fastest", "sockets"])
async def plane(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[RtpMediaPlane]:
    async with running_plane(tmp_path, PlaneSettings(way=request.param)) as one:
        yield one


async def test_the_plane_says_which_way_it_goes(plane: RtpMediaPlane) -> None:
    assert plane.way in {WAYS[-1].name, "sockets"}


def key(digit: str, timestamp: int, sequence: int) -> list[bytes]:
    """The packets of one key: three while it is down, three to say that it is up."""
    packets = []
    for number in range(6):
        second = 0x8A if number > 2 else 0x0A
        duration = 160 * min(number + 1, 4)
        payload = bytes([KEYS.index(digit), second, duration >> 8, duration & 0xFF])
        marker = int(number == 0)
        header = Header(EVENT, sequence + number, timestamp, 5, marker)
        packets.append(build_packet(header, payload))
    return packets


async def test_keys_are_read_once_each_while_a_prompt_plays(
    plane: RtpMediaPlane, tmp_path: Path
) -> None:
    sound = write_prompt(tmp_path, "hello", 30, seed=1)
    async with open_callee() as callee, trio.open_nursery() as nursery:
        stream = await plane.open_stream()
        stream.connect(Remote(HOST, callee.remote.port, 0, EVENT))
        nursery.start_soon(stream.play, "hello")
        await callee.hear_anything_but_silence()
        for number, digit in enumerate(KEYS):
            packets = key(digit, 16_000 * number, 10 * number)
            # One is lost and two change places.
            for packet in (packets[1], packets[0], *packets[3:]):
                await callee.send_octets(stream.port, packet)
            await callee.hear(1)
        assert "".join([await stream.next_digit() for _ in KEYS]) == KEYS
        await callee.hear_sound()
        await stream.close()
        with pytest.raises(StreamLost):
            await stream.next_digit()
    heard = b"".join(frame for _, frame in callee.heard)
    assert sound[0] in heard


async def test_keys_that_nobody_asks_for_are_kept_up_to_a_bound(plane: RtpMediaPlane) -> None:
    async with open_callee() as callee:
        stream = await plane.open_stream()
        stream.connect(Remote(HOST, callee.remote.port, 0, EVENT))
        await callee.hear(1)
        pressed = [KEYS[number % 10] for number in range(DIGITS_MAX + 10)]
        for number, digit in enumerate(pressed):
            await callee.send_octets(stream.port, key(digit, 16_000 * number, 10 * number)[0])
            await callee.hear(1)
        while (await plane.ask_statistics()).packets_received < len(pressed):
            await callee.hear(1)
        await wait_all_tasks_blocked()
        kept = [await stream.next_digit() for _ in range(DIGITS_MAX)]
        assert kept == pressed[-DIGITS_MAX:]
        await stream.close()


async def test_events_that_were_not_agreed_are_no_keys(plane: RtpMediaPlane) -> None:
    async with open_callee() as callee:
        stream = await plane.open_stream()
        stream.connect(Remote(HOST, callee.remote.port, 0, None))
        await callee.hear(1)
        for packet in key("1", 0, 0):
            await callee.send_octets(stream.port, packet)
        await stream.close()
        assert stream.statistics().packets_received == 6
        with pytest.raises(StreamLost):
            await stream.next_digit()


async def test_a_callee_behind_address_translation_hears_and_is_heard(
    plane: RtpMediaPlane,
) -> None:
    async with open_callee() as in_sdp, open_callee() as callee:
        stream = await plane.open_stream()
        stream.connect(in_sdp.remote)

        async def speak(task_status: trio.TaskStatus[None]) -> None:
            task_status.started()
            for number in range(1_000):
                await callee.send(stream.port, Header(0, number, 160 * number, 5))
                # A stream is known by its pace.
                await trio.sleep(0.02)

        async with trio.open_nursery() as nursery:
            await nursery.start(speak)
            await callee.hear(20)
            nursery.cancel_scope.cancel()
        await stream.close()
        assert stream.statistics().packets_received > 0


async def test_rtcp_comes_in_beside_rtp_or_with_it_and_is_not_taken_for_sound(
    plane: RtpMediaPlane,
) -> None:
    report = bytes([0x80, 201, 0, 1]) + b"ssrc"
    async with open_callee() as callee:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as beside:
            # The callee's own RTCP comes from the port above that of its RTP.
            try:
                beside.bind((HOST, callee.remote.port + 1))
            except OSError:
                pytest.skip("the port above the callee's is taken")
            stream = await plane.open_stream()
            stream.connect(callee.remote)
            await callee.hear(1)
            beside.sendto(report, (HOST, stream.port + 1))
            await callee.send_octets(stream.port, report)
            await callee.send(stream.port, Header(0, 1, 160, 5))
            while (await plane.ask_statistics()).packets_received < 1:
                await callee.hear(1)
            await callee.hear(1)
            statistics = await plane.ask_statistics()
            await stream.close()
    assert (statistics.packets_received, statistics.rtcp_received) == (1, 2)


async def test_statistics_name_every_figure_of_the_plane(plane: RtpMediaPlane) -> None:
    async with open_callee() as callee:
        stream = await plane.open_stream()
        stream.connect(callee.remote)
        await callee.hear(3)
        statistics = await plane.ask_statistics()
        assert statistics.sending == 1
        assert sum(statistics.lateness_ms) == statistics.packets_sent >= 3
        assert re.fullmatch(r"io_uring|sockets", plane.way)
