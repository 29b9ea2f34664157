"""Keeps one place of the media plane manned: one process after the other, for ever."""

from __future__ import annotations

from typing import Final

import structlog
import trio

from adapters.media.plane_process import PlaneProcess

RESTART_WAIT_S_MIN: Final = 0.1
RESTART_WAIT_S_MAX: Final = 5.0
STEADY_S: Final = 10.0
"""A plane that lived for so long is started again after the shortest wait."""

log = structlog.get_logger(__name__)


class PlaneKeeper:
    """Starts a plane's process, and another one when that has ended."""

    def __init__(self, arguments: list[str], environment: dict[str, str], join_host: str) -> None:
        self._arguments = arguments
        self._join_host = join_host
        self._environment = environment
        self._changed = trio.Event()
        """Set, and replaced, whenever a process became ready or ended."""
        self.process: PlaneProcess | None = None
        """The process that serves now; None while there is none."""
        self.has_failed = False
        """Whether a process of this place has ended already."""

    @property
    def ready(self) -> PlaneProcess | None:
        """The process, if streams can be opened on it."""
        return self.process if self.process and self.process.is_ready else None

    async def wait_ready(self) -> PlaneProcess:
        """Wait until streams can be opened."""
        while (ready := self.ready) is None:
            await self._changed.wait()
        return ready

    async def wait_settled(self) -> None:
        """Wait until the first process is ready, or has ended."""
        while self.ready is None and not self.has_failed:
            await self._changed.wait()

    async def keep_running(self) -> None:
        """Run one process after the other, until cancelled."""
        wait_s = RESTART_WAIT_S_MIN
        while True:
            began = trio.current_time()
            process = PlaneProcess(self._note_change, self._join_host)
            self.process = process
            try:
                await process.run(self._arguments, self._environment)
            finally:
                self.process = None
                self.has_failed = True
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
