"""Agents, and the legs on which they are called: each leg is written down, called once and ends; an agent has
one customer at a time, and whoever has gone is not rung."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.world.judge.case import Call, Case, Rules
from sim.world.tape import Answered, Asked, CallOver, Entry, Fact, Happened, Invite, Told

if TYPE_CHECKING:
    from sim.world.run import Run


class AgentRules(Rules):
    """Those of all flows with agents."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self._called: set[str] = set()
        """Legs that were called."""
        self._up: set[str] = set()
        """Legs whose call is up."""
        self._told: dict[str, None] = {}
        """Legs whose intent was told, and not their end."""
        self._customers: dict[str, str] = {}
        """By agent: the attempt of the customer that they have."""
        self._gone: set[str] = set()
        """Who asked to go, was answered, and has not come since."""
        self._going: dict[str, int] = {}
        """How often somebody has asked to go, and was not answered, …"""
        self._outdated: dict[str, int] = {}
        """… and how often of that before they asked to come again. They are answered in their order."""

    def read(self, entry: Entry) -> None:
        match entry:
            case CallOver():
                self._up.discard(entry.attempt)
            case Asked(what="agent_comes"):
                self._gone.discard(entry.whom)
                self._outdated[entry.whom] = self._going.get(entry.whom, 0)
            case Asked(what="agent_goes"):
                self._going[entry.whom] = self._going.get(entry.whom, 0) + 1
            case Answered(what="agent_goes"):
                self._note_going(entry)
            case Happened(what="process died" | "stop"):
                self._customers.clear()
                if entry.what == "process died":  # who has asked it is told nothing
                    self._going.clear()
                    self._outdated.clear()

    def _note_going(self, answered: Answered) -> None:
        whom = answered.whom
        self._going[whom] = max(0, self._going.get(whom, 0) - 1)
        if self._outdated.get(whom, 0) > 0:
            self._outdated[whom] -= 1
        elif answered.answer == "done":
            self._gone.add(whom)

    def invited(self, invite: Invite, call: Call | None) -> None:
        leg = self.case.tables.legs.get(invite.attempt)
        if leg is None:
            return
        if invite.attempt in self._called:
            self.case.note("no leg is called twice", invite.attempt)
        if (invite.number, invite.caller, invite.trunk) != (leg.number, leg.did, leg.trunk):
            self.case.note("the call is the one that was written down", invite.attempt)
        self._called.add(invite.attempt)
        self._up.add(invite.attempt)
        if leg.agent in self._gone and leg.attempt is None:
            what = f"{leg.agent} at {invite.at:.3f}"
            self.case.note("no agent is rung who has gone", what)

    def told(self, told: Told, fact: Fact, call: Call | None) -> None:
        agent, attempt = fact.data.agent, fact.attempt
        match told.type:
            case "leg.initiated" if fact.data.leg is not None:
                self._told[fact.data.leg] = None
            case "leg.ended" if fact.data.leg is not None:
                if self._told.pop(fact.data.leg, "") is not None:
                    self.case.note("a leg ends once, after its beginning", fact.data.leg)
            case "agent.presence" if agent is not None and fact.data.presence != "busy":
                self._customers.pop(agent, None)
            case "attempt.connected" if agent is not None and attempt is not None:
                before = self._customers.setdefault(agent, attempt)
                if before != attempt and not self.case.was_in_trouble(told.at - 60, told.at):
                    what = f"{agent}: {before} and {attempt} at {told.at:.3f}"
                    self.case.note("no agent has two customers at once", what)
            case "attempt.ended":
                gone = [who for who, whom in self._customers.items() if whom == attempt]
                for who in gone:
                    del self._customers[who]

    def finish(self, run: Run) -> None:
        for leg in sorted({*self._told, *self.case.tables.open_legs}):
            self.case.note("every leg ends", leg)
        for leg in sorted(self._up):
            self.case.note("no call is left behind", leg)
