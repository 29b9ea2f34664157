"""Lists that are forecast, and dialled by the engine itself in virtual time: what one seed makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Final

import trio
from msgspec import Struct

from engine.forecast.behaviour import SeenCall, Stated
from engine.forecast.outlook import Forecast
from engine.model import CallingWindow, Contact, FlowSettings, RetryRule
from engine.model.events import StoredEvent
from engine.ports.telephony import CallRequest
from sim.memory_store import MemoryStore
from sim.profile import Profile, Shares, Spread, plan_call
from sim.telephony import CallScript
from sim.world.scheduling import run_virtually
from tests.engine.made import contact, did, flow
from tests.engine.world import VirtualClock, World, furnish, no_events, running

STEP_S: Final = 0.02
"""Of virtual time: what happens in one step happens together."""
LIST: Final = "lst_1"
"""That is asked about."""
SEEN_FIRST: Final = 1_000_000
"""From which on those are counted who were called before."""
DAYS_MAX: Final = 90
"""A list that takes longer is not dialled to its end."""


class Dialled(Struct, frozen=True):
    """How a list went."""

    began_at: float
    ended_at: float
    """Both in seconds since the epoch."""
    calls: tuple[SeenCall, ...]
    """All that were made."""


def settings_of(chance: Random) -> FlowSettings:
    """Retries, and a window that closes soon, or opens late, or none."""
    minute = chance.choice((8 * 60 + 6, 8 * 60 + 12))
    windows = (
        None,
        CallingWindow(start="07:00", end=f"{minute // 60:02}:{minute % 60:02}", callee_zone=False),
        CallingWindow(start=f"{minute // 60:02}:{minute % 60:02}", end="20:00", callee_zone=False),
    )
    retry = {
        "busy": RetryRule(chance.choice((0, 1, 2)), chance.choice((60, 300, 900))),
        "no-answer": RetryRule(chance.choice((0, 1)), chance.choice((300, 1_800))),
    }
    return FlowSettings(
        attempts_max=chance.choice((2, 3, 5)),
        retry=retry,  # type: ignore[arg-type]
        ring_timeout_s=chance.choice((20, 30)),
        calling_window=chance.choice(windows),
        channels=chance.choice((None, None, 12)),
    )


def profile_of(chance: Random) -> Profile:
    """Callees who answer often, or seldom. No number forces an ending: a trunk that says nothing to one of
    them would be taken for dead, and rest, which no forecast knows of."""
    shares = Shares(
        machine=chance.uniform(0, 0.25),
        busy=chance.uniform(0.02, 0.2),
        no_answer=chance.uniform(0.05, 0.35),
        invalid=chance.uniform(0, 0.05),
        declined=chance.uniform(0, 0.05),
    )
    talk_s = Spread(2.0, chance.uniform(5, 40), 120.0)
    return Profile(
        shares=shares,
        post_dial_s=Spread(0.1, 0.6, 3.0),
        talk_s=talk_s,
        media=False,
        forced_endings=False,
    )


def people(count: int, list_id: str, first: int, chance: Random) -> list[Contact]:
    """Contacts with one to three numbers each."""
    found = []
    for n in range(first, first + count):
        tel = tuple(f"+1415{3 * n + place:07}" for place in range(chance.choice((1, 1, 2, 3))))
        found.append(contact(id=f"cnt_{n:07}", list=list_id, row=n - first + 1, tel=tel))
    return found


class KnowingStore(MemoryStore):
    """A store whose flow has called before, and that tells when the list is done."""

    def __init__(self, seen: Sequence[SeenCall] = ()) -> None:
        super().__init__(self._hear, VirtualClock())
        self._seen = seen
        self.done = trio.Event()

    async def seen_calls(self, account: str, flow: str, now: float, limit: int) -> list[SeenCall]:
        found = await super().seen_calls(account, flow, now, limit)
        return found or [*self._seen]

    def _hear(self, events: Sequence[StoredEvent]) -> None:
        if any(one.type == "list.completed" and one.list == LIST for one in events):
            self.done.set()


class Scene:
    """What one seed makes of callees, limits and settings."""

    def __init__(self, seed: int, contacts: int, dids: int, seen: int) -> None:
        """`seen` people were called before the list, by which the forecast knows the callees."""
        chance = Random(seed)
        self.seed = seed
        self.profile = profile_of(chance)
        self.settings = settings_of(chance)
        cps, channels = chance.choice((1, 2)), chance.choice((3, 8, 30))
        self.dids = [did(number=f"+1415555{n:04}", cps=cps, channels=channels) for n in range(dids)]
        self.people = people(contacts, LIST, 0, chance)
        self.before = people(seen, "lst_0", SEEN_FIRST, chance)

    def forecast(self) -> Forecast:
        """What is said of the list, after those before it were called."""
        seen = run_virtually(self.seed, self._see, step_s=STEP_S)
        return run_virtually(self.seed, self._forecast, seen, step_s=STEP_S)

    def dial(self) -> Dialled:
        """The list, dialled to its end."""
        return run_virtually(self.seed, self._dial, step_s=STEP_S)

    async def _see(self) -> list[SeenCall]:
        """What calls of the list before come to, without a window and further tries."""
        store = MemoryStore(no_events, VirtualClock())
        ring_timeout_s = self.settings.ring_timeout_s
        await self._furnish(store, FlowSettings(attempts_max=1, ring_timeout_s=ring_timeout_s))
        async with running(self._choose, store=store) as world:
            await world.add_list(self.before, "lst_0")
            await world.wait_done("lst_0", 5.0)
        return await store.seen_calls("acc_1", "flw_1", world.clock.now(), len(self.before))

    async def _forecast(self, seen: Sequence[SeenCall]) -> Forecast:
        store = KnowingStore(seen)
        await self._furnish(store, self.settings)
        world = World(store, self._choose)
        await world.add_list(self.people, LIST)
        one, call_list = await store.get_flow("acc_1", "flw_1"), await store.get_list("acc_1", LIST)
        assert one is not None
        assert call_list is not None
        return await world.engine.forecaster.forecast_list(
            one, call_list, Stated(), world.clock.now()
        )

    async def _dial(self) -> Dialled:
        store = KnowingStore()
        await self._furnish(store, self.settings)
        async with running(self._choose, store=store) as world:
            began_at = world.clock.now()
            await world.add_list(self.people, LIST)
            with trio.fail_after(DAYS_MAX * 86_400.0):
                await store.done.wait()
        ended = await store.get_list("acc_1", LIST)
        assert ended is not None
        assert ended.finished_at is not None
        calls = await store.seen_calls("acc_1", "flw_1", ended.finished_at, 1 << 30)
        return Dialled(began_at, ended.finished_at, tuple(calls))

    def _choose(self, request: CallRequest, before: int) -> CallScript:
        plan = plan_call(self.profile, self.seed, request.number, before)
        talk_s = plan.talk_s if plan.code == 200 else None
        # A callee whom nobody hears ring rings here all the same, or its trunk might be taken for dead.
        return CallScript(plan.alert_after_s, plan.final_after_s, plan.code, talk_s)

    async def _furnish(self, store: MemoryStore, settings: FlowSettings) -> None:
        numbers = tuple(one.number for one in self.dids)
        await furnish(store, [flow(dids=numbers, settings=settings)], self.dids)
