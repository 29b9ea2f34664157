"""Goes through all flows that there are, as those do at their start who look after each of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog
import trio

from engine.model import Flow
from engine.ports.settings_store import InstallationStore
from engine.ports.stored import StoreUnavailable

PAGE: Final = 500
"""Flows that are read at once."""
RETRY_S: Final = 1.0

log = structlog.get_logger(__name__)


async def go_through_flows(store: InstallationStore, note: Callable[[Flow], None]) -> None:
    """Call `note`, which must not block, with each flow in the order of their ids. Waits while the store
    cannot be read."""
    cursor: str | None = None
    while True:
        try:
            page = await store.list_all_flows(PAGE, cursor)
        except StoreUnavailable as error:
            log.error("cannot look for flows", error=str(error))
            await trio.sleep(RETRY_S)
            continue
        for flow in page.items:
            note(flow)
        cursor = page.next
        if cursor is None:
            return
