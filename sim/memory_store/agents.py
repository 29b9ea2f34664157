"""Agents, second legs, and what customers met who answered."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import trio

from adapters.sqlite import refusals, rules
from engine.model.agent import AGENTS_MAX, LEGS_SHOWN_MAX, Agent, AnswerDay, Leg, Presence
from engine.model.events import Event
from engine.ports.dial_store import Refusal
from engine.ports.stored import IdempotentAnswer, Page
from sim.memory_store.paging import page_by_text
from sim.memory_store.tables import Tables


class MemoryAgents:
    """The methods of `engine.ports.agent_store.AgentStore`."""

    _tables: Tables

    async def add_agent(
        self, agent: Agent, answer: IdempotentAnswer | None = None
    ) -> IdempotentAnswer | None:
        """Make an agent. Raises LookupError for an unknown flow."""
        await trio.lowlevel.checkpoint()
        tables = self._tables
        earlier = tables.earlier_answer(answer)
        if earlier is not None:
            return earlier
        tables.check_flow(agent.account, agent.flow)
        self._check_number(agent)
        if sum(one.flow == agent.flow for one in tables.agents.values()) >= AGENTS_MAX:
            raise refusals.too_many_agents()
        tables.agents[agent.id] = agent
        calls_list = tables.flows[agent.flow].calls_list
        tables.tell((rules.agent_event("agent.added", agent, calls_list, agent.created_at),))
        tables.keep_answer(answer)
        tables.commit()
        return None

    async def get_agent(self, account: str, flow: str, agent: str) -> Agent | None:
        """One agent of the flow."""
        await trio.lowlevel.checkpoint()
        return self._find(account, flow, agent)

    async def list_agents(
        self, account: str, flow: str, limit: int, cursor: str | None
    ) -> Page[Agent]:
        """Those of one flow, in the order of their ids."""
        await trio.lowlevel.checkpoint()
        found = [
            one
            for one in self._tables.agents.values()
            if (one.account, one.flow) == (account, flow)
        ]
        return page_by_text(found, lambda one: one.id, limit, cursor)

    async def change_agent(
        self, account: str, flow: str, agent: str, change: Callable[[Agent], Agent], at: float
    ) -> Agent | None:
        """Replace the agent by `change(agent)`."""
        await trio.lowlevel.checkpoint()
        found = self._find(account, flow, agent)
        if found is None:
            return None
        changed = change(found)
        self._check_number(changed)
        self._tables.agents[agent] = changed
        if changed != found:
            calls_list = self._tables.flows[flow].calls_list
            self._tables.tell((rules.agent_event("agent.changed", changed, calls_list, at),))
            self._tables.commit()
        return changed

    async def delete_agent(self, account: str, flow: str, agent: str, at: float) -> bool:
        """Take an agent away."""
        await trio.lowlevel.checkpoint()
        found = self._find(account, flow, agent)
        if found is None:
            return False
        del self._tables.agents[agent]
        calls_list = self._tables.flows[flow].calls_list
        self._tables.tell((rules.agent_event("agent.removed", found, calls_list, at),))
        self._tables.commit()
        return True

    async def note_presence(self, agent: str, presence: Presence, at: float, reason: str) -> bool:
        """Keep what an agent does now."""
        await trio.lowlevel.checkpoint()
        changed = self._note_presence(agent, presence, at, reason)
        self._tables.commit()
        return changed

    async def reset_presence(self, at: float, reason: str) -> int:
        """Everybody is away."""
        await trio.lowlevel.checkpoint()
        agents = sorted(self._tables.agents)
        changed = sum(self._note_presence(agent, "away", at, reason) for agent in agents)
        self._tables.commit()
        return changed

    async def begin_leg(self, leg: Leg) -> Refusal | None:
        """Write down the intent to dial."""
        await trio.lowlevel.checkpoint()
        tables = self._tables
        if leg.list not in tables.lists:
            return "gone"
        contact = tables.contacts.get(leg.contact or "")
        state = None if contact is None else contact.state
        refused = rules.leg_refusal(state, tables.lists[leg.list].state)
        if refused is not None:
            return refused
        if tables.is_listed(leg.account, leg.number, leg.flow, leg.initiated_at):
            return "do_not_call"
        tables.legs[leg.id] = leg
        tables.open_legs[leg.id] = None
        tables.tell((rules.leg_event("leg.initiated", leg, leg.initiated_at, did=leg.did),))
        tables.note_country(leg)
        tables.commit()
        return None

    async def note_leg(self, leg: Leg, event: Event) -> None:
        """Keep the answer. Does nothing to a leg that has ended, or is not known."""
        await trio.lowlevel.checkpoint()
        tables = self._tables
        if leg.id in tables.open_legs:
            tables.legs[leg.id] = leg
            tables.tell((event,))
            tables.commit()

    async def end_leg(self, leg: Leg) -> bool:
        """Keep the end."""
        await trio.lowlevel.checkpoint()
        tables = self._tables
        if leg.id not in tables.open_legs:
            return False
        del tables.open_legs[leg.id]
        tables.legs[leg.id] = leg
        tables.tell((rules.leg_ended(leg),))
        tables.commit()
        return True

    async def open_legs(self) -> list[Leg]:
        """Legs without an end."""
        await trio.lowlevel.checkpoint()
        return [self._tables.legs[leg] for leg in sorted(self._tables.open_legs)]

    async def legs_of(self, account: str, attempt: str) -> list[Leg]:
        """The legs of an attempt. Looks at every leg."""
        await trio.lowlevel.checkpoint()
        found = [
            leg
            for leg in self._tables.legs.values()
            if leg.account == account and leg.attempt == attempt
        ]
        return sorted(found, key=lambda leg: leg.id)[:LEGS_SHOWN_MAX]

    async def answer_days(self, since_day: int) -> Sequence[AnswerDay]:
        """What customers met, by flow and day."""
        await trio.lowlevel.checkpoint()
        days = sorted(self._tables.answer_days.items())
        return [day for (_, number), day in days if number >= since_day]

    def _find(self, account: str, flow: str, agent: str) -> Agent | None:
        found = self._tables.agents.get(agent)
        if found is None or (found.account, found.flow) != (account, flow):
            return None
        return found

    def _check_number(self, agent: Agent) -> None:
        for one in self._tables.agents.values():
            if (one.flow, one.number) == (agent.flow, agent.number) and one.id != agent.id:
                raise refusals.agent_exists(agent.number)

    def _note_presence(self, agent: str, presence: Presence, at: float, reason: str) -> bool:
        found = self._tables.agents.get(agent)
        if found is None or found.presence == presence:
            return False
        changed = msgspec.structs.replace(
            found, presence=presence, presence_at=at, presence_reason=reason
        )
        self._tables.agents[agent] = changed
        calls_list = self._tables.flows[changed.flow].calls_list
        told = rules.agent_event("agent.presence", changed, calls_list, at, reason)
        self._tables.tell((told,))
        return True
