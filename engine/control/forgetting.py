"""What is forgotten after a while, so that an installation that runs for years does not fill its disk."""

from __future__ import annotations

from typing import Final

import structlog
import trio

from engine.ports.clock import WallClock
from engine.ports.settings_store import InstallationStore
from engine.ports.stored import StoreUnavailable

log = structlog.get_logger(__name__)

EVERY_S: Final = 3_600.0
CHUNK: Final = 500
"""Events that are forgotten in one transaction: calls that wait for theirs are not held up."""
DAY_S: Final = 86_400.0


class Forgetting:
    """Forgets events whose time is over."""

    def __init__(self, store: InstallationStore, clock: WallClock, events_kept_days: float) -> None:
        self._store = store
        self._clock = clock
        self._events_kept_s = events_kept_days * DAY_S

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Look every hour until canceled."""
        task_status.started()
        while True:
            try:
                forgotten = await self._forget()
            except StoreUnavailable as error:
                log.error("cannot forget old events", error=str(error))
            else:
                if forgotten:
                    log.info("old_events_forgotten", events=forgotten)
            await trio.sleep(EVERY_S)

    async def _forget(self) -> int:
        before = self._clock.now() - self._events_kept_s
        forgotten = 0
        while count := await self._store.clear_events(before, CHUNK):
            forgotten += count
        return forgotten
