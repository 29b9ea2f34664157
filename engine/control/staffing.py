"""The agents of flows: who they are, and what they and those who look after them ask for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeVar

import msgspec
import trio
from msgspec import UNSET, Struct, UnsetType

from engine.dial.agents.floor import FloorGlance
from engine.form import Invalid, Mistake, find_mistakes, read_form, require
from engine.forms.number import ANY_DESTINATION
from engine.ids import IdSource
from engine.intake.numbers import NumberProblem, read_number
from engine.model import Contact, Flow, audit
from engine.model.agent import Agent, AgentName, Presence, WrapUp
from engine.ports.clock import WallClock
from engine.ports.store import Store
from engine.ports.stored import IdempotentAnswer

T = TypeVar("T")
Remember = Callable[[T], IdempotentAnswer]


class AgentForm(Struct, frozen=True, forbid_unknown_fields=True):
    """What an agent is made of."""

    number: str
    name: AgentName
    wrap_up_s: WrapUp | None = None
    """None is the flow's own."""


class AgentChange(Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be different of an agent; what is left out stays."""

    number: str | UnsetType = UNSET
    name: AgentName | UnsetType = UNSET
    wrap_up_s: WrapUp | UnsetType | None = UNSET
    presence: Presence | UnsetType = UNSET
    """`available` also ends a wrap-up; `busy` and `wrap_up` only say what is, and nobody can ask for them."""


class Arrival(Protocol):
    """An agent who comes."""

    async def wait(self) -> None:
        """Return once the agent is there. Raises `Conflict` where they are not reached."""


class AtWork(Protocol):
    """Agents at work. `engine.dial.legs.workforce.Workforce` is it; every method raises `Conflict`."""

    def show(self, agent: Agent) -> Agent:
        """The agent with their presence and their contact as they are this moment."""

    def refresh(self, agent: Agent) -> None:
        """An agent was changed."""

    def let_come(self, agent: Agent) -> Arrival:
        """Let an agent come, or end their wrap-up."""

    def let_go(self, agent: Agent) -> None:
        """Let an agent go."""

    def remove(self, agent: Agent) -> None:
        """An agent was taken away."""

    async def show_next(self, agent: Agent) -> Contact | None:
        """The next contact for an agent to look at."""

    def accept(self, agent: Agent, contact: str) -> None:
        """Call the contact that the agent has looked at."""

    def skip(self, agent: Agent, contact: str) -> None:
        """Leave that contact for later."""

    def part(self, agent: Agent, contact: str | None = None) -> None:
        """End an agent's talk; where a contact is named, only the one with that contact."""

    def look_at_floor(self, flow: str) -> FloorGlance:
        """What goes on in a flow."""


class Staffing:
    """Makes, changes and takes away agents, and passes on what they ask for."""

    def __init__(self, *, store: Store, clock: WallClock, ids: IdSource, at_work: AtWork) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids
        self.at_work = at_work
        self._turns: dict[str, trio.StrictFIFOLock] = {}
        """Of agents of whom somebody asks something at this moment."""

    async def create_agent(
        self, flow: Flow, raw: Any, remember: Remember[Agent] | None = None
    ) -> Agent | IdempotentAnswer:
        """An agent as `raw`, an `AgentForm`, asks for; away at first. Raises `Invalid`, and `Conflict`
        (`agent_exists`, `too_many_agents`, `flow_deleted`)."""
        if flow.kind != "dialer":
            raise Invalid("agent_not_allowed", "Only a flow of the kind `dialer` has agents.")
        require([*find_mistakes(raw, AgentForm), *_find_number_mistakes(raw)])
        form = read_form(raw, AgentForm)
        now = self._clock.now()
        agent = Agent(
            id=self._ids.new("agt"),
            account=flow.account,
            flow=flow.id,
            number=_read(form.number),
            name=form.name,
            wrap_up_s=form.wrap_up_s,
            presence="away",
            presence_at=now,
            created_at=now,
        )
        audit.note(agent.id)
        answer = remember(agent) if remember else None
        return await self._store.add_agent(agent, answer) or agent

    async def change_agent(self, flow: Flow, agent: str, raw: Any) -> Agent | None:
        """The agent as `raw`, an `AgentChange`, asks for; None when there is no such agent. Raises `Invalid`,
        and `Conflict` (`agent_exists`, and those of `AtWork.let_come`, `AtWork.let_go` and `Arrival.wait`).
        Of those who ask at once, the last one has the last word."""
        require([*find_mistakes(raw, AgentChange), *_find_number_mistakes(raw)])
        form = read_form(raw, AgentChange)
        if form.presence in ("busy", "wrap_up") and raw.keys() == {"presence"}:
            found = await self._store.get_agent(flow.account, flow.id, agent)
            if found is None:
                return None
            require(_find_presence_mistakes(form.presence, self.at_work.show(found).presence))
        wanted = {
            name: value
            for name, value in msgspec.structs.asdict(form).items()
            if value is not UNSET and name != "presence"
        }
        if "number" in wanted:
            wanted["number"] = _read(wanted["number"])

        def change(old: Agent) -> Agent:
            return msgspec.structs.replace(old, **wanted)

        arrival: Arrival | None = None
        async with self._turn(agent):
            # A client that hangs up must not keep what was changed from being heard of.
            with trio.CancelScope(shield=True):
                changed = await self._store.change_agent(
                    flow.account, flow.id, agent, change, self._clock.now()
                )
            if changed is None:
                return None
            self.at_work.refresh(changed)
            if form.presence == "available":
                arrival = self.at_work.let_come(changed)
            elif form.presence == "away":
                self.at_work.let_go(changed)
        if arrival is not None:
            await arrival.wait()
        return self.at_work.show(changed)

    async def delete_agent(self, flow: Flow, agent: str) -> bool:
        """Whether there was one. Who has a customer sees that customer through."""
        async with self._turn(agent):
            found = await self._store.get_agent(flow.account, flow.id, agent)
            if found is None:
                return False
            with trio.CancelScope(shield=True):
                deleted = await self._store.delete_agent(
                    flow.account, flow.id, agent, self._clock.now()
                )
            self.at_work.remove(found)
            return deleted

    @asynccontextmanager
    async def _turn(self, agent: str) -> AsyncIterator[None]:
        """One after the other, in the order in which they asked, of those who ask something of an agent: a
        store may answer them in another order, and an agent who was sent away last is not to be rung."""
        turn = self._turns.setdefault(agent, trio.StrictFIFOLock())
        try:
            async with turn:
                yield
        finally:
            # Who gave up waiting may come here late, when others have begun anew.
            if not turn.locked() and self._turns.get(agent) is turn:
                del self._turns[agent]


def _find_presence_mistakes(wanted: Presence, present: Presence) -> Iterator[Mistake]:
    """A presence that nobody can ask for, unless the agent has it."""
    if wanted != present:
        detail = f"An agent is made `available` or `away`, and not `{wanted}`."
        yield Mistake("/presence", "invalid_value", detail)


def _read(text: str) -> str:
    number = read_number(text, ANY_DESTINATION)
    assert isinstance(number, str)  # it was among the mistakes otherwise
    return number


def _find_number_mistakes(raw: Any) -> list[Mistake]:
    text = raw.get("number") if isinstance(raw, dict) else None
    number = read_number(text, ANY_DESTINATION) if isinstance(text, str) else None
    if isinstance(number, NumberProblem):
        return [Mistake("/number", number.code, number.detail)]
    return []
