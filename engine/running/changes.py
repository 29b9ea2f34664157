"""Takes accounts, flows and DIDs that were made or changed into operation, while calls go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog
import trio

from engine.dial.did_keeper import DidKeeper
from engine.dial.dids.did import DidActor
from engine.dial.operation import Operation
from engine.flow.definition import InvalidDefinition
from engine.model import Account, Flow
from engine.ports.clock import WallClock
from engine.ports.store import Store
from engine.ports.stored import StoreUnavailable
from engine.schedule.reopening import Reopening
from engine.schedule.scheduler import Scheduler

log = structlog.get_logger(__name__)

STORE_RETRY_S: Final = 1.0
"""How soon a store that could not be read is asked again."""


class Changes:
    """Notes what was changed, and reads it from the store. `run` is a task of its own."""

    def __init__(
        self,
        store: Store,
        clock: WallClock,
        operation: Operation,
        scheduler: Scheduler,
        dids: DidKeeper,
        reopening: Reopening,
    ) -> None:
        self._store = store
        self._clock = clock
        self._operation = operation
        self._scheduler = scheduler
        self._dids = dids
        self._reopening = reopening
        self.turns = trio.Lock()
        """Held from reading an account or a flow to taking it into operation, so that no older one comes
        after."""
        self.flow_listeners: list[Callable[[str, str], None]] = []
        """Called with (account, flow) after a change of a flow is stored; they must not block."""
        self._noted: dict[tuple[str, str, str], None] = {}
        self._changed = trio.Event()

    def note_account(self, account: str) -> None:
        """An account was made or changed. Never blocks, as the others."""
        self._noted[("account", account, account)] = None
        self._changed.set()

    def note_flow(self, account: str, flow: str) -> None:
        """A flow was made, changed or deleted."""
        self._noted[("flow", account, flow)] = None
        self._changed.set()
        for hear in self.flow_listeners:
            hear(account, flow)

    def note_did(self, account: str, number: str) -> None:
        """A DID was made."""
        self._noted[("did", account, number)] = None
        self._changed.set()

    async def run(self, start_actor: Callable[[DidActor], None]) -> None:
        """Take what is noted into operation, until cancelled. `start_actor` starts the task of a DID."""
        while True:
            await self._changed.wait()
            self._changed = trio.Event()
            while self._noted:
                change = next(iter(self._noted))
                del self._noted[change]  # before it is read: it may change again meanwhile
                try:
                    await self._take(*change, start_actor)
                except StoreUnavailable as error:
                    log.error("cannot read what was changed", what=change[0], error=str(error))
                    self._noted[change] = None
                    await trio.sleep(STORE_RETRY_S)

    async def _take(
        self, kind: str, account: str, name: str, start_actor: Callable[[DidActor], None]
    ) -> None:
        if kind == "did":
            await self._take_did(account, name, start_actor)
            return
        if kind == "account" or not self._operation.knows_account(account):
            await self._take_account(account)
        if kind == "account":
            return
        async with self.turns:
            flow = await self._store.get_flow(account, name)
            if flow is None:
                self._operation.remove_flow(name)
                self._scheduler.queues.forget(name)
                return
            self.operate_flow(flow)
        self._scheduler.queues.offer_all(name)

    async def _take_did(
        self, account: str, number: str, start_actor: Callable[[DidActor], None]
    ) -> None:
        if self._operation.knows_did(number):
            return
        if not self._operation.knows_account(account):
            await self._take_account(account)
        for actor in await self._dids.take(account, number):
            start_actor(actor)
        for flow in self._operation.flows_of(number):
            self._scheduler.queues.offer_all(flow)

    async def _take_account(self, id_: str) -> None:
        async with self.turns:
            account = await self._store.get_account(id_)
            if account is not None:
                self.operate_account(account)

    def operate_account(self, account: Account) -> None:
        """Go by an account as it is now."""
        for flow in self._operation.set_account(account):
            self._note_hours(account.id, flow)
        for flow in self._operation.flows_of_account(account.id):
            self._scheduler.queues.offer_all(flow)

    def operate_flow(self, flow: Flow) -> None:
        """Go by a flow as it is now. One that cannot be read, as a later release may have left it, holds its
        contacts and nobody else's."""
        try:
            if self._operation.set_flow(flow):
                self._note_hours(flow.account, flow.id)
        except InvalidDefinition as error:
            log.error("a flow cannot be run", flow=flow.id, mistakes=str(error))

    def note_clock_back(self) -> None:
        """What was set aside until a moment would wait until the clock shows it, although what it waits for
        may be over, or may not be there by this time: it is looked at again."""
        for floor in self._operation.floors():
            self._note_hours(floor.flow.account, floor.flow.id)

    def _note_hours(self, account: str, flow: str) -> None:
        """The calling windows of a flow, or its caller numbers, are others now, or the time is: what waits
        for the old ones is looked at again."""
        self._scheduler.aside.recall(flow, self._clock.now())
        self._reopening.add(account, flow)
