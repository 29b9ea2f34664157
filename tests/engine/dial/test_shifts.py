"""Agents who come and go in any order, at any step, whatever their telephones and the store do meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import cycle
from typing import Any, Final

import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct
from trio.testing import MockClock

from engine.model import Flow
from engine.model.agent import Agent, Leg, Presence
from engine.ports.dial_store import Refusal
from engine.ports.stored import Conflict
from engine.ports.telephony import Call, CallRequest
from sim.memory_store import MemoryStore
from sim.simulated_call import SimulatedCall
from sim.telephony import CallScript
from tests.engine.dial.office import Office, dialer, fast_did, is_agent, office
from tests.engine.world import VirtualClock, furnish, no_events
from tests.sizes import size

AGENTS: Final = 2
LAZY_S: Final = (0.0, 0.01, 0.6)
"""How long the store may take for what it is asked of agents and their legs."""
STEPS_MAX: Final = 12
"""Of trio's, that pass between two things at the most where no time does."""
PATIENCE_S: Final = 60.0
"""Longer than anybody waits who asked an agent to come: for limits, for the ringing, for the store."""
END_S: Final = 900.0
"""In which everybody is called at last, once agents come and stay."""

TELEPHONES: Final = (
    CallScript(final_after_s=0.2),
    CallScript(final_after_s=0.2, talk_s=0.0),
    CallScript(final_after_s=1.0, talk_s=3.0),
    CallScript(final_after_s=None),
    CallScript(final_after_s=0.2, code=486),
)
"""What an agent's telephone does: stays up, is hung up at once, or soon, rings, is busy."""


class Happening(Struct, frozen=True):
    """One thing that somebody does, and what passes before the next."""

    what: str
    agent: int
    steps: int
    pause_s: float


happenings = st.builds(
    Happening,
    st.sampled_from(("come", "come", "come", "go", "go", "go", "part", "call", "list")),
    st.sampled_from((0, 0, 0, *range(AGENTS))),
    st.integers(0, STEPS_MAX),
    st.sampled_from((0.0, 0.0, 0.0, 0.01, 0.3, 0.3, 2.0, 30.0)),
)
lags = st.lists(st.sampled_from(LAZY_S), min_size=1, max_size=6)


class LazyStore(MemoryStore):
    """A store that takes its time with agents."""

    def __init__(self, ask_lags: Sequence[float], tell_lags: Sequence[float]) -> None:
        """For how long what people ask, and what is told of agents, takes in turn; in seconds."""
        super().__init__(no_events, VirtualClock())
        self._ask_lags = cycle(ask_lags)
        self._tell_lags = cycle(tell_lags)

    async def change_agent(
        self, account: str, flow: str, agent: str, change: Callable[[Agent], Agent], at: float
    ) -> Agent | None:
        await trio.sleep(next(self._ask_lags))
        return await super().change_agent(account, flow, agent, change, at)

    async def note_presence(self, agent: str, presence: Presence, at: float, reason: str) -> bool:
        await trio.sleep(next(self._tell_lags))
        return await super().note_presence(agent, presence, at, reason)

    async def begin_leg(self, leg: Leg) -> Refusal | None:
        await trio.sleep(next(self._tell_lags))
        return await super().begin_leg(leg)


class Judge:
    """Sees what agents ask and which telephones ring."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self.gone: set[str] = set()
        """Who asked to go, was answered, and has not asked to come since."""
        self.waiting = 0
        """Who has asked, and was not answered."""
        self._comings: dict[str, int] = {}
        """How often each has asked to come."""
        self.faults: list[str] = []
        self._calls: dict[str, list[SimulatedCall]] = {}

    async def ask(self, one: Office, agent: Agent, what: str) -> None:
        """Somebody asks for an agent to come or go, and waits for the answer."""
        if what == "come":
            self._comings[agent.id] = self._comings.get(agent.id, 0) + 1
            self.gone.discard(agent.id)
        comings = self._comings.get(agent.id)
        self.waiting += 1
        try:
            await one.set_presence(agent, "available" if what == "come" else "away")
        except Conflict as conflict:
            if conflict.code not in ("agent_unreached", "agent_busy"):
                raise
        self.waiting -= 1
        if what == "go" and comings == self._comings.get(agent.id):
            self.gone.add(agent.id)

    def note_ring(self, request: CallRequest) -> None:
        """An INVITE leaves for an agent."""
        leg = self._store._tables.legs[request.attempt]
        if leg.contact is None and leg.agent in self.gone:
            self.faults.append(f"{leg.agent} is rung after going")
        calls = self._calls.get(request.number, [])
        if sum(is_up(call) for call in calls) > 1:
            self.faults.append(f"{request.number} is rung twice at once")

    def watch(self, one: Office) -> None:
        """See the calls that are made from now on."""
        prepare = one.world.telephony.prepare_call

        @asynccontextmanager
        async def prepare_call(request: CallRequest) -> AsyncIterator[Call]:
            async with prepare(request) as call:
                assert isinstance(call, SimulatedCall)
                self._calls.setdefault(request.number, []).append(call)
                yield call

        one.world.telephony.prepare_call = prepare_call  # type: ignore[method-assign]


def is_up(call: SimulatedCall) -> bool:
    """Whether a call was dialled, and nobody has hung up."""
    is_over = call._ended is not None or call._hung_up_at is not None
    return call._script is not None and not is_over and call._leaves_at > trio.current_time()


async def go_through(
    flow: Flow,
    happened: Sequence[Happening],
    telephones: Sequence[CallScript],
    ask_lags: Sequence[float],
    tell_lags: Sequence[float],
) -> None:
    """Let everything happen; then agents come and stay, and everybody is called."""
    store = LazyStore(ask_lags, tell_lags)
    await furnish(store, [flow], [fast_did()])
    judge = Judge(store)
    scripts = [*telephones]

    def choose(request: CallRequest, _before: int) -> CallScript:
        if not is_agent(request):
            return CallScript(final_after_s=0.5, talk_s=2.0)
        judge.note_ring(request)
        return scripts.pop() if scripts else CallScript(final_after_s=0.2)

    async with office(choose, flow, store=store) as one, trio.open_nursery() as nursery:
        judge.watch(one)
        agents = await one.hire(AGENTS)
        made = 0
        for one_thing in happened:
            agent = agents[one_thing.agent]
            match one_thing.what:
                case "come" | "go":
                    nursery.start_soon(judge.ask, one, agent, one_thing.what)
                case "part":
                    _part(one, agent)
                case "call":
                    made += 1
                    number = f"+1415777{made:04d}"
                    await one.call(f"cnt_own_{made}", agent=agent.number, tel=(number,))
                case "list":
                    made += 1
                    number = f"+1415777{made:04d}"
                    await one.call(f"cnt_any_{made}", tel=(number,))
            for _ in range(one_thing.steps):
                await trio.lowlevel.checkpoint()
            if one_thing.pause_s:
                await trio.sleep(one_thing.pause_s)
        await trio.sleep(PATIENCE_S)
        assert judge.waiting == 0
        scripts.clear()
        async with trio.open_nursery() as last:
            for agent in agents:
                last.start_soon(judge.ask, one, agent, "come")
        with trio.fail_after(END_S):
            await one.world.wait_done("lst_calls")
    assert judge.faults == [], judge.faults
    assert await store.open_legs() == []


def _part(one: Office, agent: Agent) -> None:
    try:
        one.at_work.part(agent)
    except Conflict as conflict:
        if conflict.code not in ("agent_not_talking", "agent_not_available"):
            raise


@given(
    happened=st.lists(happenings, min_size=3, max_size=24),
    telephones=st.lists(st.sampled_from(TELEPHONES), max_size=12),
    ask_lags=lags,
    tell_lags=lags,
    dialing=st.sampled_from(("progressive", "progressive", "preview")),
)
@settings(max_examples=size(50, 5_000), deadline=None)
def test_in_any_order_of_coming_and_going_nobody_is_rung_who_has_gone_and_everybody_is_served(
    happened: list[Happening],
    telephones: list[CallScript],
    ask_lags: list[float],
    tell_lags: list[float],
    dialing: str,
) -> None:
    changes: dict[str, Any] = {"dialing": dialing, "agent_ring_timeout_s": 5.0}
    if dialing == "preview":  # nobody looks at what a list brings
        happened = [one for one in happened if one.what != "list"]
    trio.run(
        go_through,
        dialer(**changes),
        happened,
        telephones,
        ask_lags,
        tell_lags,
        clock=MockClock(autojump_threshold=0),
    )
