"""The trio side of the media plane: starts its processes, watches them, and opens streams on them.

A stream belongs to one process, which is chosen when it is opened; where there are cores for several,
each carries its share. When a process dies, or no longer answers, every stream on it is lost:
`wait_lost` returns and `play` raises `StreamLost`. It is started again after a wait that doubles while
it does not live; meanwhile new streams are opened on the others, and on the new one then.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Final, Literal

import trio
from msgspec import Struct

from adapters.media.control import LATENESS_MS_MAX, PlaneStatistics
from adapters.media.keeper import PlaneKeeper
from adapters.media.plane_process import OPEN_WAIT_S
from adapters.media.stream import PlaneStream
from adapters.media.types import PlaneUnavailable

PORTS_DEFAULT: Final = (20_000, 29_999)
"""The RTP ports of the configuration's default, first and last."""
START_WAIT_S: Final = 15.0
"""How long the first plane may take to open its first streams."""


class PlaneSettings(Struct, frozen=True):
    """How the processes of a plane work; the defaults are right but for measuring."""

    planes: int = 1
    """Processes. One fills a core at some thousand streams."""
    way: Literal["fastest", "sockets"] = "fastest"
    """`fastest` is io_uring where the system allows it; `sockets` never asks for it."""
    scheduling: Literal["realtime", "ordinary"] = "realtime"
    """`realtime` goes before ordinary processes where the system allows it."""
    speaks_opus: bool = False
    """Whether calls may be held in Opus, for which the extra must be there. What it needs is then read
    before the first call."""


def planes_of_this_machine() -> int:
    """How many processes suit a machine: one core is left for everything else."""
    return max(1, len(os.sched_getaffinity(0)) - 1)


class RtpMediaPlane:
    """A media plane in processes of its own; implements `adapters.media.types.MediaPlane`."""

    def __init__(self, address: str, keepers: list[PlaneKeeper]) -> None:
        assert keepers
        self._address = address
        self._keepers = keepers

    @property
    def address(self) -> str:
        """The IP address that callees send RTP to."""
        return self._address

    @property
    def process_ids(self) -> list[int]:
        """The processes that are the plane now."""
        processes = [keeper.process for keeper in self._keepers]
        return [one.process_id for one in processes if one and one.process_id is not None]

    @property
    def process_id(self) -> int | None:
        """The first of these processes; None while there is none."""
        return next(iter(self.process_ids), None)

    @property
    def way(self) -> str:
        """How packets go in and out of the kernel: `io_uring` or `sockets`; empty before it is known."""
        process = self._keepers[0].process
        return process.started.way if process and process.started else ""

    def statistics(self) -> PlaneStatistics:
        """How the plane was when it was last asked; it is asked every second while streams are open."""
        processes = [keeper.process for keeper in self._keepers]
        return add_up([process.statistics for process in processes if process])

    async def ask_statistics(self) -> PlaneStatistics:
        """How the plane is now. Raises `PlaneUnavailable` where a process is starting."""
        processes = [keeper.ready for keeper in self._keepers]
        if None in processes:
            raise PlaneUnavailable("the media plane is starting")
        return add_up([await process.ask_statistics() for process in processes if process])

    async def open_stream(self) -> PlaneStream:
        """Reserve a port, without a round trip where a stream is ready, and within `OPEN_WAIT_S` on whichever
        process. Raises `PlaneUnavailable`."""
        # Not a full checkpoint: a burst of calls ends by itself where the ready streams do.
        await trio.lowlevel.checkpoint_if_cancelled()
        refusal = PlaneUnavailable("the media plane is starting")
        left = [process for keeper in self._keepers if (process := keeper.ready)]
        give_up_at = trio.current_time() + OPEN_WAIT_S
        while left:
            # All of them take from the same ports: one may have none where another keeps many ready.
            process = min(left, key=lambda one: (not one.has_ready, one.streams))
            # What time there is they share: one that stands still leaves some to the others. None is left
            # where we ourselves stood still.
            left_s = max(0.0, give_up_at - trio.current_time())
            try:
                return await process.take_stream(left_s / len(left))
            except PlaneUnavailable as error:
                refusal = error
                left.remove(process)
        raise refusal

    async def wait_ready(self) -> None:
        """Wait until streams can be opened on every process."""
        for keeper in self._keepers:
            await keeper.wait_ready()

    async def wait_started(self) -> None:
        """Wait for the first processes to be ready. Raises `PlaneUnavailable` if one ends before."""
        with trio.move_on_after(START_WAIT_S):
            for keeper in self._keepers:
                await keeper.wait_settled()
        if not all(keeper.ready for keeper in self._keepers):
            raise PlaneUnavailable(
                "the media plane does not start; standard error has its own words"
            )

    async def keep_running(self) -> None:
        """Run one process after the other in every place, until cancelled."""
        async with trio.open_nursery() as nursery:
            for keeper in self._keepers:
                nursery.start_soon(keeper.keep_running)


def add_up(parts: list[PlaneStatistics]) -> PlaneStatistics:
    """The figures of several processes as those of one."""
    lateness_ms = [sum(part.lateness_ms[ms] for part in parts) for ms in range(LATENESS_MS_MAX + 1)]
    counts = {
        name: sum(getattr(part, name) for part in parts)
        for name in PlaneStatistics.__struct_fields__
        if name != "lateness_ms"
    }
    return PlaneStatistics(**counts, lateness_ms=lateness_ms)


@asynccontextmanager
async def open_media_plane(
    address: str,
    *,
    prompts_folder: Path,
    recordings_folder: Path | None = None,
    ports: tuple[int, int] = PORTS_DEFAULT,
    bind_host: str | None = None,
    settings: PlaneSettings | None = None,
    waits: bool = True,
) -> AsyncIterator[RtpMediaPlane]:
    """Run a media plane for as long as the block lasts.

    `address` is what callees are told to send to. `bind_host` is the local address of the sockets:
    `address` itself where that is a loopback address, else every address of the machine. `ports`
    are the first and last port, of which RTP takes the even ones and RTCP the odd; (0, 0) leaves the
    choice to the kernel. `prompts_folder` is the folder of a `PromptLibrary`, `recordings_folder` that of the
    recordings; without one, every recording fails. Who has other things to do while its processes start does
    not wait, and calls `wait_started` before the first stream.

    Raises `PlaneUnavailable` when the plane does not start, if waited for, and `ValueError` for an address
    that is none. On the way out the plane ends with all its streams.
    """
    settings = settings or PlaneSettings()
    arguments = [
        *_arguments(bind_host or _bind_host(address), ports, prompts_folder, recordings_folder),
        *("--way", settings.way, "--scheduling", settings.scheduling),
        *(["--opus"] if settings.speaks_opus else []),
    ]
    environment = _environment()
    join_host = _join_host(bind_host or _bind_host(address))
    keepers = [PlaneKeeper(arguments, environment, join_host) for _ in range(settings.planes)]
    plane = RtpMediaPlane(address, keepers)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(plane.keep_running)
        try:
            if waits:
                await plane.wait_started()
            yield plane
        finally:
            nursery.cancel_scope.cancel()


def _arguments(
    bind_host: str, ports: tuple[int, int], prompts_folder: Path, recordings_folder: Path | None
) -> list[str]:
    first_port, last_port = ports
    return [
        *(sys.executable, "-P", "-m", "adapters.media.plane.loop"),
        *("--bind", bind_host),
        *("--ports", f"{first_port}-{last_port}"),
        *("--prompts", str(prompts_folder.absolute())),
        *(("--recordings", str(recordings_folder.absolute())) if recordings_folder else ()),
    ]


def _bind_host(address: str) -> str:
    # The address in the SDP may be that of a router in front of this machine.
    ip = ip_address(address)
    if ip.is_loopback:
        return address
    return "::" if ip.version == 6 else "0.0.0.0"  # noqa: S104  # RTP comes from wherever SDP says


def _join_host(bind_host: str) -> str:
    """The address at which sockets that are bound to this one reach each other."""
    ip = ip_address(bind_host)
    if not ip.is_unspecified:
        return bind_host
    return "::1" if ip.version == 6 else "127.0.0.1"


def _environment() -> dict[str, str]:
    """The parent's environment, with which the child finds this very package from anywhere."""
    root = str(Path(__file__).resolve().parents[2])
    inherited = os.environ.get("PYTHONPATH")
    search_path = os.pathsep.join([root, inherited]) if inherited else root
    # numpy would start a thread for every core, and the plane computes nothing with them.
    return {**os.environ, "PYTHONPATH": search_path, "OPENBLAS_NUM_THREADS": "1"}
