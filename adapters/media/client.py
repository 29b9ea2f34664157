"""The trio side of the media plane: starts its process, watches it, and opens streams on it.

When the plane dies, or no longer answers, every stream that is open is lost: `wait_lost` returns and
`play` raises `StreamLost`. The process is started again after a wait that doubles while it does not
live, and new streams are opened on the new one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Final

import structlog
import trio

from adapters.media.control import PlaneStatistics
from adapters.media.plane_process import PlaneProcess
from adapters.media.stream import PlaneStream
from adapters.media.types import PlaneUnavailable

PORTS_DEFAULT: Final = (20_000, 29_999)
"""The RTP ports of the configuration's default, first and last."""
START_WAIT_S: Final = 15.0
"""How long the first plane may take to open its first streams."""
RESTART_WAIT_S_MIN: Final = 0.1
RESTART_WAIT_S_MAX: Final = 5.0
STEADY_S: Final = 10.0
"""A plane that lived for so long is started again after the shortest wait."""

log = structlog.get_logger(__name__)


class RtpMediaPlane:
    """A media plane in a process of its own; implements `adapters.media.types.MediaPlane`."""

    def __init__(self, address: str, arguments: list[str], environment: dict[str, str]) -> None:
        self._address = address
        self._arguments = arguments
        self._environment = environment
        self._process: PlaneProcess | None = None
        self._changed = trio.Event()
        """Set, and replaced, whenever a process became ready or ended."""
        self._has_failed = False

    @property
    def address(self) -> str:
        """The IP address that callees send RTP to."""
        return self._address

    @property
    def process_id(self) -> int | None:
        """The process that is the plane now; None while there is none."""
        return self._process.process_id if self._process else None

    def statistics(self) -> PlaneStatistics:
        """How the plane was when it was last asked; it is asked every second while streams are open."""
        return self._process.statistics if self._process else PlaneStatistics()

    async def open_stream(self) -> PlaneStream:
        """Reserve a port, without a round trip where a stream is ready. Raises `PlaneUnavailable`."""
        # Not a full checkpoint: a burst of calls ends by itself where the ready streams do.
        await trio.lowlevel.checkpoint_if_cancelled()
        process = self._process
        if process is None or not process.is_ready:
            raise PlaneUnavailable("the media plane is starting")
        return await process.take_stream()

    async def wait_ready(self) -> None:
        """Wait until streams can be opened."""
        while self._process is None or not self._process.is_ready:
            await self._changed.wait()

    async def wait_started(self) -> None:
        """Wait for the first process to be ready. Raises `PlaneUnavailable` if it ends before."""
        with trio.move_on_after(START_WAIT_S):
            while not self._has_failed:
                if self._process is not None and self._process.is_ready:
                    return
                await self._changed.wait()
        raise PlaneUnavailable("the media plane does not start; standard error has its own words")

    async def keep_running(self) -> None:
        """Run one process after the other, until cancelled."""
        wait_s = RESTART_WAIT_S_MIN
        while True:
            began = trio.current_time()
            process = PlaneProcess(self._note_change)
            self._process = process
            try:
                await process.run(self._arguments, self._environment)
            finally:
                self._process = None
                self._has_failed = True
                self._note_change()
            lived_s = trio.current_time() - began
            wait_s = RESTART_WAIT_S_MIN if lived_s >= STEADY_S else wait_s
            log.error(
                "media_plane_died",
                exit_code=process.exit_code,
                streams_lost=process.streams_lost,
                lived_s=round(lived_s, 1),
                restart_in_s=wait_s,
            )
            await trio.sleep(wait_s)
            wait_s = min(2 * wait_s, RESTART_WAIT_S_MAX)

    def _note_change(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


@asynccontextmanager
async def open_media_plane(
    address: str,
    *,
    prompts_folder: Path,
    ports: tuple[int, int] = PORTS_DEFAULT,
    bind_host: str | None = None,
) -> AsyncIterator[RtpMediaPlane]:
    """Run a media plane for as long as the block lasts.

    `address` is what callees are told to send to. `bind_host` is the local address of the sockets:
    `address` itself where that is a loopback address, else every address of the machine. `ports`
    are the first and last RTP port, of which the even ones are used; (0, 0) leaves the choice to
    the kernel. `prompts_folder` is the folder of a `PromptLibrary`.

    Raises `PlaneUnavailable` when the plane does not start, and `ValueError` for an address that is
    none. On the way out the plane ends with all its streams.
    """
    arguments = _arguments(bind_host or _bind_host(address), ports, prompts_folder)
    plane = RtpMediaPlane(address, arguments, _environment())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(plane.keep_running)
        try:
            await plane.wait_started()
            yield plane
        finally:
            nursery.cancel_scope.cancel()


def _arguments(bind_host: str, ports: tuple[int, int], prompts_folder: Path) -> list[str]:
    first_port, last_port = ports
    return [
        *(sys.executable, "-P", "-m", "adapters.media.plane"),
        *("--bind", bind_host),
        *("--ports", f"{first_port}-{last_port}"),
        *("--prompts", str(prompts_folder.absolute())),
    ]


def _bind_host(address: str) -> str:
    # The address in the SDP may be that of a router in front of this machine.
    ip = ip_address(address)
    if ip.is_loopback:
        return address
    return "::" if ip.version == 6 else "0.0.0.0"  # noqa: S104  # RTP comes from wherever SDP says


def _environment() -> dict[str, str]:
    """The parent's environment, with which the child finds this very package from anywhere."""
    root = str(Path(__file__).resolve().parents[2])
    inherited = os.environ.get("PYTHONPATH")
    search_path = os.pathsep.join([root, inherited]) if inherited else root
    # numpy would start a thread for every core, and the plane computes nothing with them.
    return {**os.environ, "PYTHONPATH": search_path, "OPENBLAS_NUM_THREADS": "1"}
