"""What a starting engine takes up of an earlier one, and which calls that only the store remembers count in
windows."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from engine.dial.attempts.record import end_interrupted
from engine.dial.limits.recent_calls import RecentCalls
from engine.dial.operation import Operation
from engine.model import Did, Flow
from engine.ports.clock import WallClock
from engine.ports.store import Store
from engine.ports.stored import Page

PAGE: Final = 1000
RESTORE_S: Final = 3_600.0
RESTORE_STEPS_MAX: Final = 10_000
"""Calls of how long a time are in memory at once while the sliding windows are restored, and in how many such
steps at the most."""
RECALLED_S: Final = 1.0
"""So recent calls the windows remember themselves."""


async def recover(
    store: Store, clock: WallClock, operation: Operation, take_flow: Callable[[Flow], None]
) -> None:
    """Take up what an earlier process left: accounts, flows, and interrupted attempts, which end."""
    cursor: str | None = None
    while True:
        accounts = await store.list_accounts(PAGE, cursor)
        for account in accounts.items:
            operation.set_account(account)
        cursor = accounts.next
        if cursor is None:
            break
    flows = {}
    while True:
        page = await store.list_all_flows(PAGE, cursor)
        for flow in page.items:
            flows[flow.id] = flow
            take_flow(flow)
        cursor = page.next
        if cursor is None:
            break
    for attempt, contact in await store.open_attempts():
        await end_interrupted(store, attempt, contact, flows.get(attempt.flow), clock.now())


async def find_dids(store: Store) -> list[Did]:
    """All DIDs of the installation."""
    dids: list[Did] = []
    cursor: str | None = None
    while True:
        page: Page[Did] = await store.list_all_dids(PAGE, cursor)
        dids += page.items
        cursor = page.next
        if cursor is None:
            return dids


async def restore_starts(store: Store, clock: WallClock, operation: Operation) -> float:
    """Have the latest calls count in the sliding windows, a piece at a time: a single cap over a month asks
    for all calls of a month. When the latest of them began: in the future where the clock was set back
    meanwhile."""
    now = clock.now()
    since = max(0.0, now - operation.looks_back_s())
    step_s = max(RESTORE_S, (now - since) / RESTORE_STEPS_MAX)
    latest_at = -math.inf
    while since <= now:
        until = since + step_s
        starts = await store.recent_starts(since, until if until <= now else math.inf)
        operation.restore(starts)
        latest_at = max([latest_at, *(start.initiated_at for start in starts[-1:])])
        since = until
    return latest_at


async def recall_starts(store: Store, clock: WallClock, recent: RecentCalls) -> None:
    """Have `recent` know of the latest calls as far as it looks back, but for those that windows remember."""
    since = clock.now() - recent.looks_back_s
    while recent.looks_back_s and since < clock.now() - RECALLED_S:
        until = min(since + RESTORE_S, clock.now())
        recent.add(await store.recent_starts(since, until))
        since = until
