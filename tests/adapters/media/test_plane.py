"""Streams of the plane for real: its own process, real sockets, and what callees hear."""

from __future__ import annotations

import socket
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import trio

from adapters.media import plane_process
from adapters.media.client import RtpMediaPlane
from adapters.media.plane.quality import estimate_mos
from adapters.media.types import MediaPlane, Remote, Stream, StreamLost
from adapters.media.wire.rtp import Header
from engine.ports.telephony import MediaStatistics
from tests.adapters.media.callee import HOST, SILENCE, Callee, continuous, open_callee
from tests.adapters.media.planes import running_plane, write_prompt

pytestmark = pytest.mark.punctual


async def test_the_plane_and_its_streams_are_what_the_sip_room_expects(tmp_path: Path) -> None:
    async with running_plane(tmp_path) as plane:
        as_port: MediaPlane = plane
        stream: Stream = await as_port.open_stream()
        assert (as_port.address, stream.port % 2) == (HOST, 0)
        await stream.close()


@pytest.mark.parametrize("payload_type", [0, 8])
async def test_a_prompt_is_heard_whole_with_silence_before_and_after(
    tmp_path: Path, payload_type: int
) -> None:
    sound = write_prompt(tmp_path, "hello", 12, seed=1)
    async with running_plane(tmp_path) as plane, open_callee(payload_type) as callee:
        stream = await plane.open_stream()
        stream.connect(callee.remote)
        before = await callee.hear(3)
        await stream.play("hello")
        assert await callee.hear_sound() == sound[payload_type]
        await stream.close()
    assert [frame for _, frame in before] == [SILENCE[payload_type]] * 3
    assert [header for header, _ in callee.heard] == continuous(callee.heard, payload_type)


async def test_play_returns_when_the_last_packet_has_left(tmp_path: Path) -> None:
    write_prompt(tmp_path, "hello", 5, seed=1)
    async with running_plane(tmp_path) as plane, open_callee() as callee:
        stream = await plane.open_stream()
        stream.connect(callee.remote)
        await stream.play("hello")
        # Five of the prompt, and the silence with which its 20 ms were over.
        assert stream.statistics().packets_sent >= 6
        await stream.close()


async def test_a_prompt_that_is_played_before_the_callee_is_known_waits_for_it(
    tmp_path: Path,
) -> None:
    sound = write_prompt(tmp_path, "hello", 5, seed=1)
    async with (
        running_plane(tmp_path) as plane,
        open_callee(8) as callee,
        trio.open_nursery() as nursery,
    ):
        stream = await plane.open_stream()
        nursery.start_soon(stream.play, "hello")
        await trio.testing.wait_all_tasks_blocked()
        stream.connect(callee.remote)
        assert await callee.hear_sound() == sound[8]


async def test_fifty_streams_each_play_their_own_prompt(tmp_path: Path) -> None:
    sounds = [write_prompt(tmp_path, f"p{n}", 8 + n % 9, seed=n) for n in range(50)]
    heard: dict[int, bytes] = {}

    async def call(number: int, plane: RtpMediaPlane, callee: Callee) -> None:
        stream = await plane.open_stream()
        stream.connect(callee.remote)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.play, f"p{number}")
            heard[number] = await callee.hear_sound()
        await stream.close()
        expected = continuous(callee.heard, callee.payload_type)
        assert [header for header, _ in callee.heard] == expected

    async with running_plane(tmp_path) as plane, AsyncExitStack() as stack:
        callees = [await stack.enter_async_context(open_callee(8 * (n % 2))) for n in range(50)]
        async with trio.open_nursery() as nursery:
            for number, callee in enumerate(callees):
                nursery.start_soon(call, number, plane, callee)
    assert heard == {n: sounds[n][8 * (n % 2)] for n in range(50)}


async def test_more_streams_than_are_kept_ready_can_be_opened_at_once(tmp_path: Path) -> None:
    count = 3 * plane_process.READY_STREAMS_MAX
    ports: list[int] = []

    async def open_one(plane: RtpMediaPlane) -> None:
        ports.append((await plane.open_stream()).port)

    async with running_plane(tmp_path) as plane, trio.open_nursery() as nursery:
        for _ in range(count):
            nursery.start_soon(open_one, plane)
    assert (len(set(ports)), {port % 2 for port in ports}) == (count, {0})


async def test_a_cancelled_play_falls_silent_and_the_next_is_whole(tmp_path: Path) -> None:
    write_prompt(tmp_path, "long", 3_000, seed=1)
    sound = write_prompt(tmp_path, "short", 6, seed=2)
    async with running_plane(tmp_path) as plane, open_callee() as callee:
        stream = await plane.open_stream()
        stream.connect(callee.remote)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.play, "long")
            await callee.hear_anything_but_silence()
            nursery.cancel_scope.cancel()
        await callee.hear_silence()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.play, "short")
            assert await callee.hear_sound() == sound[0]
        await stream.close()
    assert [header for header, _ in callee.heard] == continuous(callee.heard, 0)


@pytest.mark.parametrize("prompt", ["missing", "../hello", ""])
async def test_a_prompt_that_there_is_not_is_a_key_error_and_harms_nothing(
    tmp_path: Path, prompt: str
) -> None:
    sound = write_prompt(tmp_path, "hello", 4, seed=1)
    async with running_plane(tmp_path) as plane, open_callee() as callee:
        stream = await plane.open_stream()
        stream.connect(callee.remote)
        with pytest.raises(KeyError) as caught:
            await stream.play(prompt)
        assert caught.value.args == (prompt,)
        await stream.play("hello")
        assert await callee.hear_sound() == sound[0]


async def test_a_damaged_prompt_is_a_key_error(tmp_path: Path) -> None:
    (tmp_path / "half.ulaw").write_bytes(b"x" * 100)
    async with running_plane(tmp_path) as plane, open_callee() as callee:
        stream = await plane.open_stream()
        stream.connect(callee.remote)
        with pytest.raises(KeyError, match="half"):
            await stream.play("half")


async def test_one_stream_plays_one_prompt_at_a_time(tmp_path: Path) -> None:
    write_prompt(tmp_path, "long", 3_000, seed=1)
    async with running_plane(tmp_path) as plane, trio.open_nursery() as nursery:
        stream = await plane.open_stream()
        nursery.start_soon(stream.play, "long")
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await stream.play("long")
        nursery.cancel_scope.cancel()


async def test_a_stream_that_moves_goes_on_with_its_prompt_at_the_new_place(
    tmp_path: Path,
) -> None:
    sound = write_prompt(tmp_path, "hello", 40, seed=1)
    async with (
        running_plane(tmp_path) as plane,
        open_callee(0) as first,
        open_callee(0) as second,
        trio.open_nursery() as nursery,
    ):
        stream = await plane.open_stream()
        stream.connect(first.remote)
        nursery.start_soon(stream.play, "hello")
        await first.hear_anything_but_silence()
        stream.connect(first.remote)
        stream.connect(second.remote)
        end = await second.hear_sound()
    assert sound[0].endswith(end)
    assert 0 < len(end) < len(sound[0])


async def test_a_prompt_goes_on_in_the_other_law_when_the_callee_changes_to_it(
    tmp_path: Path,
) -> None:
    sound = write_prompt(tmp_path, "hello", 40, seed=1)
    async with (
        running_plane(tmp_path) as plane,
        open_callee(0) as callee,
        trio.open_nursery() as nursery,
    ):
        stream = await plane.open_stream()
        stream.connect(callee.remote)
        nursery.start_soon(stream.play, "hello")
        await callee.hear_anything_but_silence()
        callee.payload_type = 8
        stream.connect(callee.remote)
        await callee.hear_sound()
    frames = [
        (header.payload_type, frame)
        for header, frame in callee.heard
        if frame not in SILENCE.values()
    ]
    assert [frame for _, frame in frames] == [
        sound[kind][160 * n : 160 * n + 160] for n, (kind, _) in enumerate(frames)
    ]
    assert (len(frames), {kind for kind, _ in frames}) == (40, {0, 8})


async def test_the_unspecified_address_pauses_a_stream_and_its_prompt(tmp_path: Path) -> None:
    sound = write_prompt(tmp_path, "hello", 20, seed=1)
    async with (
        running_plane(tmp_path) as plane,
        open_callee() as callee,
        open_callee() as other,
        trio.open_nursery() as nursery,
    ):
        stream, other_stream = await plane.open_stream(), await plane.open_stream()
        stream.connect(callee.remote)
        nursery.start_soon(stream.play, "hello")
        await callee.hear(5)
        stream.connect(Remote("0.0.0.0", 4_000, 0))
        # While another stream has 40 packets, a stream that is not paused would end its prompt.
        other_stream.connect(other.remote)
        await other.hear(40)
        stream.connect(callee.remote)
        await callee.hear_sound()
    frames = [frame for _, frame in callee.heard]
    assert b"".join(frames).strip(b"\xff") == sound[0].strip(b"\xff")
    first = callee.heard[0][0].sequence
    numbers = [(header.sequence - first) & 0xFFFF for header, _ in callee.heard]
    assert numbers == list(range(len(numbers)))
    # One at the beginning, and one after the pause.
    assert sum(header.marker for header, _ in callee.heard) == 2


async def test_closing_gives_the_final_statistics_and_the_port_back(tmp_path: Path) -> None:
    async with running_plane(tmp_path) as plane, open_callee() as callee:
        stream = await plane.open_stream()
        stream.connect(callee.remote)
        await callee.hear(2)
        # Numbers 10 to 19 without 13 and 16, one of them twice and one late.
        numbers = [10, 11, 12, 14, 17, 15, 18, 18, 19]
        await callee.send(stream.port, *[Header(0, n, 160 * n, 5) for n in numbers])
        await stream.close()
        statistics = stream.statistics()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as endpoint:
            endpoint.bind((HOST, stream.port))
        with pytest.raises(StreamLost):
            await stream.play("anything")
        await stream.close()
    sent = statistics.packets_sent
    assert sent >= 2
    # Nine packets for ten numbers; the duplicate counts as one that came (RFC 3550 A.3).
    jitter_ms = statistics.jitter_ms
    mos = estimate_mos(0.1, jitter_ms, None)
    assert statistics == MediaStatistics(sent, 9, 0.1, jitter_ms, mos=mos)


async def test_jitter_is_measured_between_the_callees_packets(tmp_path: Path) -> None:
    async with running_plane(tmp_path) as plane, open_callee() as callee:
        stream = await plane.open_stream()
        stream.connect(callee.remote)
        await callee.hear(1)
        # Timestamps 10,000 s apart and sent at once: what the machine's own delays add is nothing.
        step = 80_000_000
        await callee.send(stream.port, *[Header(0, n, n * step & 0xFFFF_FFFF, 5) for n in range(4)])
        await stream.close()
    expected_ms = (1 - (15 / 16) ** 3) * step / 8
    assert stream.statistics().jitter_ms == pytest.approx(expected_ms, rel=0.01)


async def test_only_packets_of_the_connected_callee_are_taken(tmp_path: Path) -> None:
    async with running_plane(tmp_path) as plane, open_callee() as callee, open_callee() as stranger:
        stream = await plane.open_stream()
        await stranger.send(stream.port, *[Header(0, n, 0, 1) for n in range(5)])
        stream.connect(callee.remote)
        await callee.hear(2)
        await stranger.send(stream.port, *[Header(0, n, 0, 1) for n in range(500)])
        await callee.send(stream.port, *[Header(0, n, 160 * n, 5) for n in range(7)])
        await stream.close()
    got = stream.statistics()
    assert (got.packets_received, got.loss) == (7, 0.0)


async def test_a_callee_that_is_gone_harms_no_other_stream(tmp_path: Path) -> None:
    sound = write_prompt(tmp_path, "hello", 10, seed=1)
    async with running_plane(tmp_path) as plane, open_callee() as callee:
        async with open_callee() as gone:
            to_nobody = await plane.open_stream()
            to_nobody.connect(gone.remote)
            await gone.hear(1)
        stream = await plane.open_stream()
        stream.connect(callee.remote)
        await callee.hear(5)
        await stream.play("hello")
        assert await callee.hear_sound() == sound[0]
        await to_nobody.play("hello")
        await to_nobody.close()
        assert to_nobody.statistics().packets_sent > 10


@pytest.mark.parametrize(
    "remote", [Remote("2001:db8::1", 4_000, 0), Remote("calls.example.com", 4_000, 0)]
)
async def test_a_remote_that_cannot_be_reached_from_here_makes_the_stream_lost(
    tmp_path: Path, remote: Remote
) -> None:
    async with running_plane(tmp_path) as plane:
        stream = await plane.open_stream()
        stream.connect(remote)
        await stream.wait_lost()
        with pytest.raises(StreamLost):
            await stream.play("hello")
        await stream.close()
        await (await plane.open_stream()).close()
