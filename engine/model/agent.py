"""Agents, and the second legs of calls, as values.

As in `engine.model`: everything is frozen, every moment is seconds since the epoch, UTC.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

AGENTS_MAX: Final = 1_000
"""Agents of one flow."""
LEGS_SHOWN_MAX: Final = 100
"""Legs of one attempt that are shown, the first ones."""
ABANDONED_DAYS: Final = 30
"""Days, today's included, over which the abandoned calls of a flow are counted."""
DAY_S: Final = 86_400

Presence = Literal["available", "busy", "wrap_up", "away"]
"""What an agent does: waits for a customer, has one, writes up the last one, is not there."""

AgentName = Annotated[
    str, Meta(min_length=1, max_length=200, pattern=r"^\S(?:[^\x00-\x1f\x7f]*\S)?\Z")
]
WrapUp = Annotated[float, Meta(ge=0, le=3_600)]
"""Seconds after a call in which an agent gets no other."""


class Agent(Struct, frozen=True):
    """Somebody who talks with a flow's customers."""

    id: str
    account: str
    flow: str
    number: str
    """E.164: where the agent is called. Unique within the flow."""
    name: str
    wrap_up_s: WrapUp | None
    """None is the flow's own."""
    presence: Presence
    """As it was told last. After a start of the engine everybody is `away`."""
    presence_at: float
    """Since when."""
    created_at: float
    presence_reason: str | None = None
    """Why: as `agent.presence` told it; None until it was told once."""
    contact: str | None = None
    """The contact that is theirs at this moment, by its id. The store knows of none."""


LegOutcome = Literal["answered", "busy", "no_answer", "failed", "canceled", "unknown"]
"""What became of a leg; `unknown` was interrupted by a crash, `canceled` was not needed any more."""


class Leg(Struct, frozen=True, gc=False):
    """A further call that is made for an attempt or for an agent: to whoever takes the customer's call. One
    leg is one INVITE, like an attempt, and its intent is written down before that leaves."""

    id: str
    account: str
    flow: str
    list: str
    """The list of its contact, or the flow's standing list."""
    number: str
    did: str
    trunk: str
    initiated_at: float
    attempt: str | None = None
    """None where an agent is called before there is a customer."""
    contact: str | None = None
    agent: str | None = None
    """The agent's id; None for a number that is no agent's."""
    answered_at: float | None = None
    ended_at: float | None = None
    outcome: LegOutcome | None = None
    """None while it goes on."""
    sip_code: int | None = None


class AnswerDay(Struct, frozen=True):
    """What customers met who answered a flow's calls on one day."""

    flow: str
    day: int
    """Days since the epoch, UTC."""
    answered: int
    """Calls that a person answered, and for which an agent was wanted."""
    abandoned: int
    """Those of them that no agent took in time."""


def day_of(at: float) -> int:
    """The day of a moment: days since the epoch, UTC."""
    return int(at // DAY_S)
