"""A dialer flow with agents under virtual time, and what a test sees of who spoke with whom."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import trio

from engine.model import Attempt, Contact, Did, Flow, FlowSettings, Message
from engine.model.agent import Agent, AnswerDay, day_of
from engine.model.events import StoredEvent
from engine.ports.read_store import AttemptFilter
from engine.ports.telephony import CallRequest
from sim.memory_store import MemoryStore
from sim.telephony import CallScript
from tests.engine.made import EPOCH, did, flow
from tests.engine.world import VirtualClock, World, furnish, people, running

AGENT_PREFIX = "+1628555"
HANGUP: dict[str, Any] = {"start": "bye", "nodes": {"bye": {"type": "hangup"}}}
"""The graph of a flow that is there for its agents alone."""
SORRY = Message(play="prm_sorry")


def dialer(**settings: Any) -> Flow:
    """A dialer flow whose agents answer at once and have no wrap-up, unless told otherwise."""
    values = {"safe_harbour": SORRY, "wrap_up_s": 0, **settings}
    return flow(kind="dialer", definition=HANGUP, settings=FlowSettings(**values))


def fast_did() -> Did:
    """A DID that holds nobody up."""
    return did(cps=500, channels=5_000)


def is_agent(request: CallRequest) -> bool:
    """Whether a call goes to an agent."""
    return request.number.startswith(AGENT_PREFIX)


def hangs_up_the_first_time(request: CallRequest, before: int) -> CallScript:
    """An agent who has no patience at first; a flow's pace keeps the customer from being called meanwhile."""
    is_impatient = is_agent(request) and before == 0
    return CallScript(talk_s=1.0 if is_impatient else 60.0)


def answering(talk_s: float = 30.0) -> Callable[[CallRequest, int], CallScript]:
    """Customers answer after two seconds and talk for so long; agents answer after one."""

    def choose(request: CallRequest, _before: int) -> CallScript:
        if is_agent(request):
            return CallScript(final_after_s=1.0)
        return CallScript(talk_s=talk_s)

    return choose


class Office:
    """A world with a dialer flow."""

    def __init__(self, world: World, told: list[dict[str, Any]], flow: Flow) -> None:
        self.world = world
        self.told = told
        self.flow = flow

    @property
    def at_work(self) -> Any:
        """What agents ask."""
        return self.world.engine.staffing.at_work

    async def hire(self, count: int) -> list[Agent]:
        """Agents who are away."""
        made = []
        for number in range(count):
            raw = {"number": f"{AGENT_PREFIX}{number:04d}", "name": f"Agent {number}"}
            agent = await self.world.engine.staffing.create_agent(self.flow, raw)
            assert isinstance(agent, Agent)
            made.append(agent)
        return made

    async def seat(self, count: int) -> list[Agent]:
        """Agents who are available."""
        agents = await self.hire(count)
        async with trio.open_nursery() as nursery:
            for agent in agents:
                nursery.start_soon(self.set_presence, agent, "available")
        return agents

    async def set_presence(self, agent: Agent, presence: str) -> Agent:
        """Let an agent come or go, as the API does."""
        form = {"presence": presence}
        found = await self.world.engine.staffing.change_agent(self.flow, agent.id, form)
        assert found is not None
        return found

    def events(self, kind: str) -> list[dict[str, Any]]:
        """What was told of one type."""
        return [event for event in self.told if event["type"] == kind]

    async def attempts(self) -> list[Attempt]:
        """All attempts."""
        found: list[Attempt] = []
        cursor = None
        while True:
            page = await self.world.store.list_attempts("acc_1", AttemptFilter(), 1000, cursor)
            found += page.items
            cursor = page.next
            if cursor is None:
                return found

    async def call(self, contact_id: str, **changes: Any) -> Contact:
        """A single call, as the intake takes it."""
        made = people(1)[0]
        values = {"id": contact_id, "list": self.flow.calls_list, **changes}
        contact = msgspec.structs.replace(made, **values)
        await self.world.store.accept_call(contact)
        self.world.engine._scheduler.open_list(
            contact.account, contact.flow, contact.list, contact.due_at
        )
        return contact

    async def contact(self, contact_id: str) -> Contact:
        """One contact as it is now."""
        found = await self.world.store.get_contact("acc_1", contact_id)
        assert found is not None
        return found

    async def until(self, is_so: Callable[[], bool], within_s: float = 120.0) -> None:
        """Let virtual time pass until something is so."""
        with trio.fail_after(within_s):
            while not is_so():  # noqa: ASYNC110, virtual time has to be let pass
                await trio.sleep(0.05)

    async def until_told(self, kind: str, count: int) -> None:
        """Let virtual time pass until so many events of a type were told."""
        await self.until(lambda: len(self.events(kind)) >= count)


@asynccontextmanager
async def office(
    choose: Callable[[CallRequest, int], CallScript],
    flow: Flow,
    *,
    store: MemoryStore | None = None,
    told: list[dict[str, Any]] | None = None,
    dids: Sequence[Did] | None = None,
    earlier: int = 0,
    **settings: Any,
) -> AsyncIterator[Office]:
    """An engine with a dialer flow, until the block is left. A store that is given is taken as it is; one
    that is made has so many customers who answered on the day before."""
    heard: list[dict[str, Any]] = [] if told is None else told

    def hear(events: Sequence[StoredEvent]) -> None:
        heard.extend(msgspec.json.decode(event.body) for event in events)

    if store is None:
        store = MemoryStore(hear, VirtualClock())
        await furnish(store, [flow], dids or [fast_did()])
        if earlier:
            yesterday = day_of(EPOCH) - 1
            store._tables.answer_days[flow.id, yesterday] = AnswerDay(
                flow.id, yesterday, earlier, 0
            )
    async with running(choose, store=store, **settings) as world:
        yield Office(world, heard, flow)
