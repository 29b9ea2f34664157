"""When calling windows or caller numbers change, or the clock is set back, contacts that were set aside for
the old ones, or by the old time, are looked at again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog
import trio

from engine.model import BlockerCode
from engine.ports.clock import WallClock
from engine.ports.dial_store import DialStore
from engine.ports.stored import StoreUnavailable

log = structlog.get_logger(__name__)

CHUNK: Final = 500
"""Contacts of one transaction."""
SET_ASIDE_FOR: Final[tuple[BlockerCode, ...]] = (
    "calling_window",
    "no_trunk",
    "account_limit",
    "callee_cap",
    "agents_busy",
    "engine_limit",
)
"""What contacts wait for in the store that a change of their flow, or of the clock, may end."""
STORE_RETRY_S: Final = 1.0
"""How soon a store that could not do it is asked again."""


class Reopening:
    """Brings forward what was set aside, a flow and a chunk at a time."""

    def __init__(
        self,
        store: DialStore,
        clock: WallClock,
        bring_list_forward: Callable[[str, str, str, float], None],
        turn: trio.Lock,
    ) -> None:
        """`bring_list_forward` tells the scheduler that contacts of a list (account, flow, list) are due at a
        moment that is earlier than before; `turn` is held by whoever sets contacts aside."""
        self._store = store
        self._clock = clock
        self._bring_list_forward = bring_list_forward
        self._turn = turn
        self._flows: dict[tuple[str, str], None] = {}
        self._woken = trio.Event()

    def add(self, account: str, flow: str) -> None:
        """What contacts of a flow were set aside for may be over."""
        self._flows[account, flow] = None
        self._woken.set()

    async def run(self) -> None:
        """Bring contacts forward, until cancelled."""
        while True:
            await self._woken.wait()
            self._woken = trio.Event()
            while self._flows:
                account, flow = next(iter(self._flows))
                del self._flows[account, flow]  # before it is done: it may change again meanwhile
                for code in SET_ASIDE_FOR:
                    async with self._turn:
                        await self._bring_forward(account, flow, code)

    async def _bring_forward(self, account: str, flow: str, code: BlockerCode) -> None:
        """All that waits at this moment. What is set aside from here on goes by the new windows, and only
        after this: it would be found here again, and brought forward without end."""
        now = self._clock.now()
        while True:
            try:
                lists = await self._store.bring_forward(account, flow, code, now, CHUNK)
            except StoreUnavailable as error:
                log.error("cannot bring contacts forward", flow=flow, error=str(error))
                await trio.sleep(STORE_RETRY_S)
                continue
            for call_list in lists:
                self._bring_list_forward(account, flow, call_list, now)
            if not lists:
                return
