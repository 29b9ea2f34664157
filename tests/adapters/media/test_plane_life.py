"""The plane as a process: how it starts, which ports it gives, how it is, and how it ends."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import pytest
import trio

from adapters.media import control, plane_process
from adapters.media.client import PlaneSettings, open_media_plane
from adapters.media.types import PlaneUnavailable
from tests.adapters.media.callee import HOST, open_callee
from tests.adapters.media.planes import GUARD_S, running_plane

pytestmark = pytest.mark.punctual


def bind_all(stack: ExitStack, ports: Iterable[int]) -> list[int]:
    """Bind a socket to each port until the stack is closed. Raises `OSError` if one is taken."""
    bound = []
    for port in ports:
        endpoint = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        endpoint.bind((HOST, port))
        bound.append(endpoint.getsockname()[1])
    return bound


def free_even_port() -> int:
    """An even port that is free just now, as are the three even ones after it."""
    while True:
        with contextlib.suppress(OSError, OverflowError), ExitStack() as stack:
            (first,) = bind_all(stack, [0])
            bind_all(stack, [first + 2, first + 4, first + 6])
            if first % 2 == 0:
                return int(first)


async def test_ports_are_the_even_ones_of_the_range_and_taken_ones_are_passed_over(
    tmp_path: Path,
) -> None:
    first = free_even_port()
    with ExitStack() as others, trio.fail_after(GUARD_S):
        bind_all(others, [first + 2])
        ports = (first - 1, first + 7)
        async with open_media_plane(HOST, prompts_folder=tmp_path, ports=ports) as plane:
            streams = [await plane.open_stream() for _ in range(3)]
            assert {stream.port for stream in streams} == {first, first + 4, first + 6}
            with pytest.raises(PlaneUnavailable, match="every media port is taken"):
                await plane.open_stream()
            await streams[1].close()
            assert (await plane.open_stream()).port == streams[1].port


async def test_planes_that_share_few_ports_give_all_of_them_away(tmp_path: Path) -> None:
    first = free_even_port()
    ports, settings = (first, first + 7), PlaneSettings(planes=2)
    with trio.fail_after(GUARD_S):
        async with open_media_plane(
            HOST, prompts_folder=tmp_path, ports=ports, settings=settings
        ) as plane:
            for _ in range(3):
                streams = [await plane.open_stream() for _ in range(4)]
                assert {stream.port - first for stream in streams} == {0, 2, 4, 6}
                with pytest.raises(PlaneUnavailable, match="every media port is taken"):
                    await plane.open_stream()
                for stream in streams:
                    await stream.close()


async def test_a_plane_that_stands_still_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plane_process, "REPORT_EVERY_S", 0.05)
    monkeypatch.setattr(plane_process, "ANSWER_WAIT_S", 0.5)
    async with running_plane(tmp_path) as plane:
        stream = await plane.open_stream()
        assert plane.process_id is not None
        os.kill(plane.process_id, signal.SIGSTOP)
        await stream.wait_lost()
        await plane.wait_ready()
        await (await plane.open_stream()).close()


async def test_the_plane_says_how_it_is_while_it_has_streams(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plane_process, "REPORT_EVERY_S", 0.01)
    async with running_plane(tmp_path) as plane, open_callee() as callee:
        stream = await plane.open_stream()
        stream.connect(callee.remote)
        while plane.statistics().packets_sent < 3:
            await callee.hear(1)
        statistics = plane.statistics()
        assert statistics.sending == 1
        assert sum(statistics.lateness_ms) == statistics.packets_sent


async def test_a_plane_that_cannot_start_is_unavailable(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.RaisesGroup(pytest.RaisesExc(PlaneUnavailable, match="does not start")):
        # 192.0.2.1 is for documentation: no machine has it.
        async with open_media_plane(HOST, prompts_folder=tmp_path, bind_host="192.0.2.1"):
            raise AssertionError("the plane started")
    assert "Cannot assign requested address" in capfd.readouterr().err


async def test_an_address_that_is_none_is_a_mistake_at_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"media\.example\.com"):
        async with open_media_plane("media.example.com", prompts_folder=tmp_path):
            raise AssertionError("the plane started")


@asynccontextmanager
async def bare_plane(folder: Path) -> AsyncIterator[tuple[trio.Process, trio.SocketStream]]:
    """The plane's process without its client: the test holds the control socket."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = await trio.lowlevel.open_process(
            [
                *(
                    sys.executable,
                    "-m",
                    "adapters.media.plane.loop",
                    "--control",
                    str(theirs.fileno()),
                ),
                *("--bind", HOST, "--ports", "0-0", "--prompts", str(folder)),
            ],
            pass_fds=[theirs.fileno()],
            stderr=subprocess.PIPE,
            cwd=Path(__file__).parents[3],
        )
    try:
        async with trio.SocketStream(trio.socket.from_stdlib_socket(ours)) as link:
            yield process, link
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
        assert process.stderr is not None
        await process.stderr.aclose()


async def next_events(link: trio.SocketStream) -> list[control.Event]:
    reader = control.FrameReader()
    while True:
        for body in reader.feed(await link.receive_some()):
            return control.decode_events(body)


async def test_an_idle_plane_ends_with_its_parent(tmp_path: Path) -> None:
    with trio.fail_after(GUARD_S):
        async with bare_plane(tmp_path) as (process, link):
            await link.send_all(control.encode_frame([control.Open([1])]))
            started, opened = await next_events(link)
            assert isinstance(started, control.Started)
            assert isinstance(opened, control.Opened)
            await link.aclose()
            assert await process.wait() == 0


async def test_a_sending_plane_ends_with_its_parent_and_not_before(tmp_path: Path) -> None:
    with trio.fail_after(GUARD_S):
        async with bare_plane(tmp_path) as (process, link), open_callee() as callee:
            await link.send_all(control.encode_frame([control.Open([1])]))
            await next_events(link)
            remote = callee.remote
            connect = control.Connect(1, remote.host, remote.port, 0)
            await link.send_all(control.encode_frame([connect]))
            await callee.hear(1)
            # A terminal and a service manager send these to the whole group.
            process.send_signal(signal.SIGINT)
            process.send_signal(signal.SIGTERM)
            await callee.hear(5)
            await link.aclose()
            assert await process.wait() == 0


async def test_a_plane_that_is_told_nonsense_ends(tmp_path: Path) -> None:
    with trio.fail_after(GUARD_S):
        async with bare_plane(tmp_path) as (process, link):
            await link.send_all(b"\x00\x00\x00\x04junk")
            assert await process.wait() == 1
