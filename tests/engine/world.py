"""The engine under virtual time: the in-memory store, a simulated network, a clock that tests move."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import trio
import trio.testing

from adapters.workers import InlineWorkers
from engine.dial.attempts.conversation import FlowParts
from engine.dial.trunks.trunk import TrunkSettings
from engine.model import AccountRules, Contact, Did, Flow
from engine.model.events import StoredEvent
from engine.ports.intake_store import NewList
from engine.ports.telephony import CallRequest
from engine.running.settings import EngineSettings
from engine.runtime import Engine
from sim.memory_store import MemoryStore
from sim.telephony import CallScript, SimulatedTelephony
from tests.engine.made import EPOCH, HOME_RULES, account, call_list, contact, did, flow

POLLS_MAX = 20_000
"""A world in which nothing happens any more would be watched for ever."""


class VirtualClock:
    """A wall clock that goes with trio's clock, which begins at 0 in a test."""

    def now(self) -> float:
        return EPOCH + trio.current_time()


class SetClock(VirtualClock):
    """A wall clock that is set by hand."""

    ahead_s = 0.0

    def now(self) -> float:
        return super().now() + self.ahead_s


class World:
    """An engine, what it stands on, and what a test asks of them."""

    def __init__(
        self,
        store: MemoryStore,
        choose: Callable[[CallRequest, int], CallScript],
        clock: VirtualClock | None = None,
        parts: FlowParts | None = None,
        **settings: Any,
    ) -> None:
        self.store = store
        self.clock = clock or VirtualClock()
        self.telephony = SimulatedTelephony(choose)
        values = {
            "channels": 10_000,
            "cps": 1_000,
            "destinations": ("+",),
            "trunks": (TrunkSettings("main", 10_000, 1_000),),
        }
        self.engine = Engine(
            EngineSettings(**{**values, **settings}),
            store=store,
            telephony=self.telephony,
            clock=self.clock,
            randomness=Random(1),
            workers=InlineWorkers(),
            parts=parts,
        )

    def dial_times(self, caller: str | None = None) -> list[float]:
        """When each INVITE left, of one DID or of all; seconds of trio's clock."""
        return [one.at for one in self.telephony.dialed if caller in (None, one.request.caller)]

    async def add_list(self, contacts: Sequence[Contact], list_id: str = "lst_1") -> None:
        """Accept a list as the intake does."""
        one = call_list(id=list_id, flow=contacts[0].flow)
        await self.store.accept_list(NewList(one, contacts))
        due_at = min(contact.due_at for contact in contacts)
        self.engine._scheduler.open_list(one.account, one.flow, one.id, due_at)

    async def contacts(self, list_id: str = "lst_1") -> list[Contact]:
        """The contacts of a list as they are now."""
        found: list[Contact] = []
        cursor = None
        while True:
            page = await self.store.list_contacts("acc_1", list_id, 1000, cursor)
            found += page.items
            cursor = page.next
            if cursor is None:
                return found

    async def wait_done(self, list_id: str = "lst_1", poll_s: float = 1.0) -> None:
        """Let virtual time pass until every contact of a list is completed; it is looked so often."""
        for _ in range(POLLS_MAX):
            counts = await self.store.count_list("acc_1", list_id, self.clock.now())
            assert counts is not None
            if counts.completed == counts.contacts:
                return
            await trio.sleep(poll_s)
        raise AssertionError(f"{list_id} is not done: {counts}")


def people(count: int, **changes: Any) -> list[Contact]:
    """Contacts with a number each, due at once."""
    return [
        contact(id=f"cnt_{n:06}", row=n + 1, tel=(f"+1415{n:07}",), **changes) for n in range(count)
    ]


def everyone_answers(_request: CallRequest, _before: int) -> CallScript:
    """Each callee answers after two seconds and listens to the end."""
    return CallScript()


def no_events(_events: Sequence[StoredEvent]) -> None:
    """Nobody listens to the events."""


def make_store() -> MemoryStore:
    """An empty store."""
    return MemoryStore(no_events, VirtualClock())


async def furnish(
    store: MemoryStore,
    flows: Sequence[Flow],
    dids: Sequence[Did],
    rules: AccountRules = HOME_RULES,
) -> None:
    """Put an account, flows and DIDs into a store."""
    await store.add_account(account(rules=rules))
    for one in dids:
        await store.add_did(one)
    for one_flow in flows:
        await store.add_flow(one_flow)


@asynccontextmanager
async def running(
    choose: Callable[[CallRequest, int], CallScript] = everyone_answers,
    *,
    store: MemoryStore | None = None,
    flows: Sequence[Flow] | None = None,
    dids: Sequence[Did] | None = None,
    **settings: Any,
) -> AsyncIterator[World]:
    """An engine that runs until the block is left, over a store with one flow and one DID unless told
    otherwise. A store that is given is taken as it is."""
    if store is None:
        store = make_store()
        await furnish(store, flows or [flow()], dids or [did()])
    world = World(store, choose, **settings)
    async with trio.open_nursery() as nursery:
        await nursery.start(lambda *, task_status: world.engine.run(task_status=task_status))
        yield world
        nursery.cancel_scope.cancel()
