"""Keeps a long-lived service running: one that breaks is logged and started again, and harms no other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog
import trio

log = structlog.get_logger(__name__)

BACKOFF_FIRST_S: Final = 0.1
BACKOFF_MAX_S: Final = 10.0
SETTLED_S: Final = 60.0
"""A service that ran so long before it broke is started again with little delay."""


async def keep_running(
    name: str,
    service: Callable[..., Awaitable[None]],
    *,
    task_status: trio.TaskStatus[Any] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run a service until it returns; when it raises, run it again after a while that grows with each
    time. A service that breaks before it was ever up raises: it cannot run at all.

    Args:
        service: called with `task_status`, through which it says that it is up.
    """
    wait_s = BACKOFF_FIRST_S
    was_up = False
    while True:
        begun = trio.current_time()
        try:
            async with trio.open_nursery() as nursery:
                value = await nursery.start(service)
                if not was_up:
                    was_up = True
                    task_status.started(value)
        except Exception:
            if not was_up:
                raise
            log.exception("a service broke and is started again", service=name)
        else:
            return
        if trio.current_time() - begun > SETTLED_S:
            wait_s = BACKOFF_FIRST_S
        await trio.sleep(wait_s)
        wait_s = min(2 * wait_s, BACKOFF_MAX_S)
