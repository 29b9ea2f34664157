"""Looks after every flow whose lists are picked up somewhere: one task for each of its doors."""

from __future__ import annotations

from typing import Final

import structlog
import trio
from msgspec import Struct

from engine.control.all_flows import go_through_flows
from engine.drop.plan import wait_s
from engine.drop.visit import Memory, VisitServices, visit
from engine.model import Flow
from engine.model.drop_settings import DOORS, Door, DropSettings, place_of
from engine.model.pickup import OK, DropState, state_changed
from engine.ports.clock import Randomness
from engine.ports.drops import DropFailed
from engine.ports.stored import StoreUnavailable

VISITS_MAX: Final = 32
"""Visits that go on at once, of all accounts; each may hold a file in memory."""
ACCOUNT_VISITS_MAX: Final = 8
"""Of those, of one account."""
STORE_RETRY_S: Final = 1.0
CLEAR_EVERY_S: Final = 3_600.0
CLEAR_CHUNK: Final = 1_000
KEPT_S: Final = 30 * 86_400.0
"""How long a pick-up that is done can be looked up."""

log = structlog.get_logger(__name__)

Key = tuple[str, str, Door]
"""Account, flow, door."""


class DoorStatus(Struct, frozen=True):
    """What is known of a door beside what the store keeps."""

    looked_at: float | None
    """When the last visit ended; None before the first."""
    next_at: float | None
    """When the next is due; None during one."""
    failures: int
    """Visits in a row that went wrong."""
    growing: int
    """Files that may not be complete yet."""
    waiting: int
    """Files that are complete and wait for the next visit, or for the listener."""
    passed_over: int
    """Files whose names cannot be used."""


class _Watch:
    """The task of one door."""

    def __init__(self) -> None:
        self.memory = Memory()
        self.woken = trio.Event()
        self.looked_at: float | None = None
        self.next_at: float | None = None
        self.failures = 0


class DropKeeper:
    """Visits the places of all flows, each as often as its flow wants. `run` is its life."""

    def __init__(self, services: VisitServices, randomness: Randomness) -> None:
        self._services = services
        self._store = services.store
        self._randomness = randomness
        self._watches: dict[Key, _Watch] = {}
        self._new: dict[tuple[str, str], None] = {}
        self._changed = trio.Event()
        self._at_once = trio.CapacityLimiter(VISITS_MAX)
        self._at_once_of: dict[str, trio.CapacityLimiter] = {}

    def wake(self, account: str, flow: str) -> None:
        """This flow may have changed, or is to be visited now. Never blocks and never raises."""
        self._new[account, flow] = None
        self._changed.set()

    def status(self, account: str, flow: str, door: Door) -> DoorStatus | None:
        """How the visits to a door go; None while there are none."""
        watch = self._watches.get((account, flow, door))
        if watch is None:
            return None
        memory = watch.memory
        return DoorStatus(
            watch.looked_at,
            watch.next_at,
            watch.failures,
            memory.growing,
            memory.later,
            memory.passed_over,
        )

    @property
    def doors(self) -> int:
        """Doors that are looked after."""
        return len(self._watches)

    @property
    def failing(self) -> int:
        """Doors whose last visit went wrong."""
        return sum(watch.failures > 0 for watch in self._watches.values())

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Visit until cancelled."""
        self._watches.clear()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._clear)
            nursery.start_soon(go_through_flows, self._store, self._note_at_start)
            task_status.started()
            while True:
                await self._changed.wait()
                self._changed = trio.Event()
                changed, self._new = tuple(self._new), {}
                for account, flow in changed:
                    for door in DOORS:
                        self._begin((account, flow, door), nursery)

    def _begin(self, key: Key, nursery: trio.Nursery) -> None:
        watch = self._watches.get(key)
        if watch is not None:
            watch.woken.set()
            return
        self._watches[key] = _Watch()
        nursery.start_soon(self._watch, key, name=f"{key[2]} of {key[1]}")

    def _note_at_start(self, flow: Flow) -> None:
        """Begin with the flows that there are."""
        if any(setting_of(flow, door) is not None for door in DOORS):
            self.wake(flow.account, flow.id)

    async def _watch(self, key: Key) -> None:
        """Visit one door until its flow has it no more."""
        account, flow_id, door = key
        watch = self._watches[key]
        while True:
            try:
                flow = await self._store.get_flow(account, flow_id)
                setting = None if flow is None else setting_of(flow, door)
                if flow is None or setting is None:
                    if not watch.woken.is_set():
                        self._end(key)
                        return
                    watch.woken = trio.Event()
                    continue
                watch.woken = trio.Event()
                every_s = setting.every_s
                await self._visit(flow, door, setting, watch)
            except StoreUnavailable as error:
                log.error("cannot keep what was picked up", flow=flow_id, error=str(error))
                every_s, watch.failures = STORE_RETRY_S, 0
            pause_s = wait_s(every_s, watch.failures, self._randomness.random())
            watch.next_at = self._services.clock.now() + pause_s
            with trio.move_on_after(pause_s):
                await watch.woken.wait()
            watch.next_at = None

    async def _visit(self, flow: Flow, door: Door, setting: DropSettings, watch: _Watch) -> None:
        limiter = self._at_once_of.setdefault(
            flow.account, trio.CapacityLimiter(ACCOUNT_VISITS_MAX)
        )
        async with limiter, self._at_once:
            try:
                problem = await visit(self._services, flow, door, setting, watch.memory)
            except StoreUnavailable:
                raise
            except Exception:
                # One file, or one server, must not end the visits to all others.
                log.exception("a visit broke", flow=flow.id, door=door)
                problem = DropFailed("unavailable", "The visit broke; the log has more.")
        watch.looked_at = self._services.clock.now()
        watch.failures = 0 if problem is None else watch.failures + 1
        await self._keep_state(flow, door, setting, problem)

    async def _keep_state(
        self, flow: Flow, door: Door, setting: DropSettings, problem: DropFailed | None
    ) -> None:
        """Keep how the door stands, and tell it, where that is another way than before."""
        code, detail = (OK, "") if problem is None else (problem.code, problem.detail)
        before = await self._store.drop_state(flow.account, flow.id, door)
        if before is not None and (before.code, before.detail) == (code, detail):
            return
        is_new = code != (OK if before is None else before.code)
        since = self._services.clock.now() if is_new or before is None else before.since
        state = DropState(code, detail, since)
        event = state_changed(flow, door, state) if is_new else None
        if is_new:
            log.info("a door changed", flow=flow.id, place=place_of(setting), code=code)
        await self._store.keep_drop_state(flow.account, flow.id, door, state, event)

    def _end(self, key: Key) -> None:
        del self._watches[key]
        if not any(account == key[0] for account, _, _ in self._watches):
            self._at_once_of.pop(key[0], None)

    async def _clear(self) -> None:
        """Forget what was done long ago, now and then."""
        while True:
            try:
                before = self._services.clock.now() - KEPT_S
                while await self._store.clear_pickups(before, CLEAR_CHUNK) == CLEAR_CHUNK:
                    pass
            except StoreUnavailable as error:
                log.error("cannot forget old pick-ups", error=str(error))
            await trio.sleep(CLEAR_EVERY_S)


def setting_of(flow: Flow, door: Door) -> DropSettings | None:
    """Where a flow's lists are picked up; None where nowhere."""
    return flow.settings.sftp if door == "sftp" else flow.settings.folder
