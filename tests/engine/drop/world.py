"""A flow with a place where lists are dropped, and a plug that can be pulled at every step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import msgspec
from msgspec import Struct

from adapters.workers import InlineWorkers
from engine.drop.visit import Memory, VisitServices, visit
from engine.ids import IdSource
from engine.intake.submission import Intake
from engine.model import Flow
from engine.model.drop_settings import FolderSettings
from engine.model.events import StoredEvent
from engine.model.letter import Attachment
from engine.ports.drops import DropFailed, DropSession
from sim.memory_drops import MemoryDrops, MemoryPlace
from sim.memory_store import MemoryStore
from tests.contract.store_samples import ACME, FLOW, NOW, FixedClock, furnish
from tests.engine.plug import Plug, Plugged

SETTING = FolderSettings("leads", 60)
CHANGES = ("accept_list", "keep_refusal", "note_pickup_steps", "keep_drop_state")
GOOD = b"tel1\n+14155550100\n+14155550101\nnonsense\n"


class Told(Struct, frozen=True):
    """A letter to the holder."""

    subject: str
    text: str
    attachments: tuple[Attachment, ...]


class Letters:
    """Keeps letters by their keys."""

    def __init__(self, plug: Plug) -> None:
        self.by_key: dict[str, Told] = {}
        self._plug = plug

    async def tell(
        self,
        account: str,
        key: str,
        subject: str,
        text: str,
        attachments: Sequence[Attachment] = (),
    ) -> None:
        self._plug.step("before tell")
        self.by_key[key] = Told(subject, text, tuple(attachments))
        self._plug.step("after tell")


class DropWorld:
    """All of it. Made by `open_world`."""

    def __init__(self, intake_workers: Any = None) -> None:
        self.clock = FixedClock()
        self.told: list[StoredEvent] = []
        self.store = MemoryStore(self.told.extend, self.clock)
        self.plug = Plug()
        self.place = MemoryPlace()
        self.letters = Letters(self.plug)
        self.place.after = lambda what: self.plug.step(f"after {what}")
        self.fail: Callable[[str], DropFailed | None] = lambda _: None
        self.place.fault = self._fault
        plugged: Any = Plugged(self.store, CHANGES, self.plug)
        ids = IdSource(self.clock, Random(1))
        intake = Intake(
            store=plugged,
            clock=self.clock,
            ids=ids,
            workers=intake_workers or InlineWorkers(),
            destinations=("+1",),
            on_accepted=lambda *_: None,
        )
        self.services = VisitServices(
            store=plugged,
            intake=intake,
            clock=self.clock,
            ids=ids,
            drops=MemoryDrops(self.place),
            holder=self.letters,
        )
        self.memory = Memory()

    def _fault(self, what: str) -> DropFailed | None:
        self.plug.step(f"before {what}")
        return self.fail(what)

    async def flow(self) -> Flow:
        flow = await self.store.get_flow(ACME, FLOW)
        assert flow is not None
        return flow

    async def visit(self, times: int = 1, setting: FolderSettings = SETTING) -> DropFailed | None:
        """Visit the place, a minute apart; what the last visit says."""
        problem = None
        for _ in range(times):
            problem = await visit(self.services, await self.flow(), "folder", setting, self.memory)
            self.clock.at += 60
        return problem

    async def lists(self) -> list[str]:
        """The lists that were picked up."""
        page = await self.store.list_lists(ACME, FLOW, 100, None)
        return [one.id for one in page.items if one.source == "folder"]

    def events(self, kind: str) -> list[dict[str, Any]]:
        return [msgspec.json.decode(one.body)["data"] for one in self.told if one.type == kind]

    async def set_listener(self, active: bool) -> None:
        await self.store.change_flow(
            ACME, FLOW, lambda flow: msgspec.structs.replace(flow, listener_active=active)
        )


async def open_world(workers: Any = None) -> DropWorld:
    """A world with its accounts and flows."""
    world = DropWorld(workers)
    await furnish(world.store)
    world.told.clear()
    return world


__all__ = ["GOOD", "NOW", "SETTING", "DropSession", "DropWorld", "open_world"]
