"""What the engine keeps of agents, of second legs, and of customers who were abandoned.

Part of `engine.ports.store.Store`; what is said there of transactions, accounts and cursors holds here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from engine.model.agent import Agent, AnswerDay, Leg, Presence
from engine.model.events import Event
from engine.ports.dial_store import Refusal
from engine.ports.stored import IdempotentAnswer, Page


class AgentStore(Protocol):
    """Agents, legs, and what customers met."""

    async def add_agent(
        self, agent: Agent, answer: IdempotentAnswer | None = None
    ) -> IdempotentAnswer | None:
        """With the event `agent.added`. Raises `Conflict`: `agent_exists` when the flow has one of this
        number, `too_many_agents` when it has `AGENTS_MAX`."""

    async def get_agent(self, account: str, flow: str, agent: str) -> Agent | None:
        """One agent of the flow."""

    async def list_agents(
        self, account: str, flow: str, limit: int, cursor: str | None
    ) -> Page[Agent]:
        """Those of one flow, in the order of their ids."""

    async def change_agent(
        self, account: str, flow: str, agent: str, change: Callable[[Agent], Agent], at: float
    ) -> Agent | None:
        """Replace the agent by `change(agent)`, with the event `agent.changed`, and return that; None when
        there is no such agent. Presence is not changed this way. Of `change` the same holds as of
        `change_flow`'s. Raises `Conflict("agent_exists")`."""

    async def delete_agent(self, account: str, flow: str, agent: str, at: float) -> bool:
        """Whether there was one; its legs stay. With the event `agent.removed`."""

    async def note_presence(self, agent: str, presence: Presence, at: float, reason: str) -> bool:
        """Keep what an agent does now, with the event `agent.presence`. False, and nothing changed, where
        that is so already or the agent is gone."""

    async def reset_presence(self, at: float, reason: str) -> int:
        """Everybody who is not `away` is from now on, with an event each. How many that were."""

    async def begin_leg(self, leg: Leg) -> Refusal | None:
        """Write down the intent to dial a leg, with the event `leg.initiated`. Refused, with nothing
        changed, as `do_not_call` by the list that refuses attempts; and where it is for a contact that has
        no call, as an attempt on that would be: as `gone` and `list_paused`."""

    async def note_leg(self, leg: Leg, event: Event) -> None:
        """Keep that a leg was answered."""

    async def end_leg(self, leg: Leg) -> bool:
        """Keep a leg's end, with the event `leg.ended`. False, and nothing changed, when it had ended."""

    async def open_legs(self) -> list[Leg]:
        """Legs without an end, in the order of their ids: after a start, those that a crash interrupted."""

    async def legs_of(self, account: str, attempt: str) -> list[Leg]:
        """The legs of an attempt, in the order of their ids; the first `LEGS_SHOWN_MAX`."""

    async def answer_days(self, since_day: int) -> Sequence[AnswerDay]:
        """What customers met on each day from `since_day` on, by flow and day. It is counted by
        `end_attempt`: an attempt that a person answered and whose `abandoned` is not None."""
