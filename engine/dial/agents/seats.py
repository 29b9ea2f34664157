"""One shift of an agent, as a table: what the agent does, and what may follow.

An agent has one customer at the most, and a customer one agent: a seat is taken only while it is `free`, and
by one holder. A shift begins `expected` and ends `away`, which nothing leaves: who has gone, at whatever
moment, is rung no more for that shift. What is not in the table cannot happen, and changes nothing.
"""

from __future__ import annotations

from typing import Final, Literal

import trio

from engine.model.agent import Agent, Presence
from engine.ports.stored import Conflict

SeatState = Literal["expected", "calling", "free", "taken", "talking", "wrap_up", "away"]
"""- `expected`: has asked to come, and is not there yet, nor called;
- `calling`: the agent's own telephone is being called, and no customer waits for it;
- `free`: can take a customer this moment;
- `taken`: one customer is meant for this agent: it is looked at, being called, or about to be connected;
- `talking`: connected with that customer;
- `wrap_up`: writes up the last one;
- `away`: has gone, or did not come.
"""

SeatEvent = Literal[
    "come", "ring", "reach", "take", "connect", "give_back", "part", "ready", "leave", "lose"
]
"""- `come`: the agent is there; `ring`: and is called; `reach`: and has answered;
- `take`: a customer is meant for the agent; `connect`: they speak; `give_back`: it came to nothing;
- `part`: they have spoken; `ready`: the wrap-up is over;
- `leave`: the agent goes away; `lose`: the agent's telephone is hung up, or does not answer.
"""

STEPS: Final[dict[tuple[SeatState, SeatEvent], SeatState]] = {
    ("expected", "come"): "free",
    ("expected", "ring"): "calling",
    ("expected", "leave"): "away",
    ("expected", "lose"): "away",
    ("calling", "reach"): "free",
    ("calling", "leave"): "away",
    ("calling", "lose"): "away",
    ("free", "take"): "taken",
    ("free", "leave"): "away",
    ("free", "lose"): "away",
    ("taken", "connect"): "talking",
    ("taken", "give_back"): "free",
    ("taken", "lose"): "away",
    ("talking", "part"): "wrap_up",
    ("talking", "lose"): "away",
    ("wrap_up", "ready"): "free",
    ("wrap_up", "leave"): "away",
    ("wrap_up", "lose"): "away",
}
"""(state, event) → state. Who leaves while a customer is theirs sees that customer through first."""

PRESENCE: Final[dict[SeatState, Presence]] = {
    "expected": "away",
    "calling": "away",
    "free": "available",
    "taken": "busy",
    "talking": "busy",
    "wrap_up": "wrap_up",
    "away": "away",
}


class Seat:
    """One agent, from asking to come to having gone."""

    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        self.state: SeatState = "expected"
        self.customer: str | None = None
        """The contact that is theirs."""
        self.is_leaving = False
        """Whether the agent goes away as soon as no customer needs them."""
        self.has_line = False
        """Whether the agent's telephone is up for the whole shift: hanging it up is going away."""
        self.since = 0.0
        """When the state was entered; `trio.current_time()`."""
        self.lost_by: str | None = None
        """How the agent's telephone was lost, where that ended the shift: `hung_up`, `busy`, `no_answer`."""
        self.refusal: Conflict | None = None
        """Why the agent could not come, where it is not the telephone."""
        self._has_come = False
        self._is_settled = trio.Event()
        """Whether the agent comes is known."""

    @property
    def presence(self) -> Presence:
        """What the agent does, as outsiders are told."""
        return PRESENCE[self.state]

    def step(self, event: SeatEvent, now: float) -> bool:
        """Take in what happened; whether that changed anything."""
        after = STEPS.get((self.state, event))
        if after is None:
            return False
        self.state, self.since = after, now
        self._has_come = self._has_come or after == "free"
        if after != "calling":
            self._is_settled.set()
        if after not in ("taken", "talking"):
            self.customer = None
        if after == "away":
            self.is_leaving = False
        return True

    async def wait(self) -> None:
        """Return once the agent has come, however soon they go. Raises `Conflict` where they do not."""
        await self._is_settled.wait()
        if not self._has_come:
            raise self.refusal or Conflict(
                "agent_unreached",
                "The agent's telephone was not answered, or the agent went away before it was.",
            )

    def take(self, customer: str, now: float) -> None:
        """Give the agent, who is free, a customer."""
        assert self.state == "free", "an agent has one customer at a time"
        self.step("take", now)
        self.customer = customer
