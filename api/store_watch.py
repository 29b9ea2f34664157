"""Notices that nothing can be written down any more, says so, and notices when that is over.

While the disk is full, read-only, or the database locked by another process, the engine refuses triggers and
begins no call; outcomes of calls that are up are kept and tried again. Each of these would end by itself, but
an engine that has nothing to do would not know: so that as long as there is a fault, the watch tries.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import structlog
import trio

from api.metrics import StoreStatistics
from engine.ports.stored import StoreUnavailable

LOOK_EVERY_S: Final = 0.5

log = structlog.get_logger(__name__)


class StoreWatch:
    """Looks at one store."""

    def __init__(
        self, look: Callable[[], StoreStatistics], prove: Callable[[], Awaitable[None]]
    ) -> None:
        """
        Args:
            look: how the store is.
            prove: writes something; raises `StoreUnavailable`.
        """
        self._look = look
        self._prove = prove

    def problems(self) -> list[str]:
        """Why nothing can be written, in a sentence; empty when all is well."""
        fault = self._look().fault
        if fault is None:
            return []
        return [f"Nothing can be written down, and so nobody is called: {fault}."]

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Watch until cancelled."""
        task_status.started()
        while True:
            before = self._look()
            if before.fault is not None:
                log.error("store_failing", fault=before.fault, refused=before.refused)
                await self._wait_good()
                refused = self._look().refused - before.refused
                log.info("store_recovered", refused_meanwhile=refused)
            await trio.sleep(LOOK_EVERY_S)

    async def _wait_good(self) -> None:
        while True:
            await trio.sleep(LOOK_EVERY_S)
            try:
                await self._prove()
            except StoreUnavailable:
                continue
            return
