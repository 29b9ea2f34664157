"""What the API shows of agents, of second legs, and of a flow's floor."""

from __future__ import annotations

from msgspec import Struct

from engine.dial.agents.floor import FloorGlance
from engine.model import Dialing, Flow
from engine.model.agent import Agent, Leg, LegOutcome, Presence
from engine.model.events import rfc3339


class AgentView(Struct, frozen=True):
    """An agent."""

    id: str
    flow: str
    number: str
    name: str
    presence: Presence
    presence_at: str
    presence_reason: str | None
    """Why, as the event `agent.presence` told it; null until it was told once."""
    contact: str | None
    """The contact that is theirs while they are `busy`."""
    wrap_up_s: float | None
    """None is the flow's own."""
    created_at: str


class LegView(Struct, frozen=True):
    """A second leg."""

    id: str
    number: str
    agent: str | None
    did: str
    trunk: str
    outcome: LegOutcome | None
    """None while it goes on."""
    initiated_at: str
    answered_at: str | None
    ended_at: str | None
    sip_code: int | None


class AbandonedView(Struct, frozen=True):
    """What customers met who answered, over the last 30 days."""

    answered: int
    abandoned: int
    share: float
    max: float
    """The share that must not be reached."""


class FloorView(Struct, frozen=True):
    """What goes on between a flow's customers and its agents."""

    dialing: Dialing
    free: int
    """Agents who could take a customer."""
    in_air: int
    """Calls on their way to any agent."""
    room: int
    """How many more calls may be let go."""
    abandoned: AbandonedView


def show_agent(agent: Agent) -> AgentView:
    """An agent as the API shows it."""
    return AgentView(
        id=agent.id,
        flow=agent.flow,
        number=agent.number,
        name=agent.name,
        presence=agent.presence,
        presence_at=rfc3339(agent.presence_at),
        presence_reason=agent.presence_reason,
        contact=agent.contact,
        wrap_up_s=agent.wrap_up_s,
        created_at=rfc3339(agent.created_at),
    )


def show_leg(leg: Leg) -> LegView:
    """A second leg as the API shows it."""
    return LegView(
        id=leg.id,
        number=leg.number,
        agent=leg.agent,
        did=leg.did,
        trunk=leg.trunk,
        outcome=leg.outcome,
        initiated_at=rfc3339(leg.initiated_at),
        answered_at=None if leg.answered_at is None else rfc3339(leg.answered_at),
        ended_at=None if leg.ended_at is None else rfc3339(leg.ended_at),
        sip_code=leg.sip_code,
    )


def show_floor(flow: Flow, floor: FloorGlance) -> FloorView:
    """A flow's floor as the API shows it."""
    tally = floor.tally
    most = flow.settings.abandoned_max
    abandoned = AbandonedView(tally.answered, tally.abandoned, round(tally.share, 5), most)
    return FloorView(flow.settings.dialing, floor.free, floor.in_air, max(0, floor.room), abandoned)
