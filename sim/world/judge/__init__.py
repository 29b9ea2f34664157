"""The judge: reads along with a run from outside, by the carrier's log and the commits, compares that with
what the store holds, and says which promise was broken. It shares no code with what it judges.

It keeps what is under way and the windows of limits, and nothing of what was settled: a day of a million
contacts takes it no more memory than an hour.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from sim.world.judge.agents import AgentRules
from sim.world.judge.case import Breach, Call, Case, Rules
from sim.world.judge.contacts import ContactRules
from sim.world.judge.deliveries import DeliveryRules
from sim.world.judge.events import EventRules
from sim.world.judge.hours import HourRules
from sim.world.judge.letters import LetterRules
from sim.world.judge.limits import LimitRules
from sim.world.judge.obedience import ObedienceRules
from sim.world.judge.outcomes import OutcomeRules
from sim.world.judge.priorities import PriorityRules
from sim.world.judge.rests import RestRules
from sim.world.judge.settling import Settling
from sim.world.judge.starts import StartRules
from sim.world.judge.waits import WaitRules
from sim.world.plan import Plan
from sim.world.tape import Entry, Fact, Invite, Told, read_fact

if TYPE_CHECKING:
    from sim.memory_store.tables import Tables
    from sim.world.run import Run

__all__ = ["Breach", "Judge", "judge"]

RULES: Final[Sequence[type[Rules]]] = (
    EventRules,
    ContactRules,
    AgentRules,
    DeliveryRules,
    HourRules,
    LetterRules,
    LimitRules,
    ObedienceRules,
    OutcomeRules,
    PriorityRules,
    RestRules,
    StartRules,
    WaitRules,
)


class Judge:
    """Reads one run. `tables` are what its store holds."""

    def __init__(self, plan: Plan, tables: Tables) -> None:
        self.case = Case(plan, tables)
        self._settling = Settling(self.case)
        self._rules = [make(self.case) for make in RULES]
        self._told: list[Callable[[Told, Fact, Call | None], None]] = self._having("told")
        self._invited: list[Callable[[Invite, Call | None], None]] = self._having("invited")
        self._read: list[Callable[[Entry], None]] = self._having("read")

    def _having(self, method: str) -> list[Any]:
        """The method of those rules that have one of their own."""
        return [
            getattr(one, method)
            for one in self._rules
            if getattr(type(one), method) is not getattr(Rules, method)
        ]

    def read(self, entry: Entry) -> None:
        """The next thing that was seen."""
        if isinstance(entry, Told):
            fact = read_fact(entry)
            call = None if fact.attempt is None else self.case.call(fact.attempt)
            for told in self._told:
                told(entry, fact, call)
        elif isinstance(entry, Invite):
            known = self.case.call(entry.attempt)
            for invited in self._invited:
                invited(entry, known)
        else:
            for read in self._read:
                read(entry)

    def settle_until(self, at: float) -> list[str]:
        """Look for the last time at those contacts whose disposition was told until a moment of the world,
        and forget them: which they were."""
        completed, settled = self.case.completed, []
        while completed and completed[0][0] <= at:
            _, contact = completed.popleft()
            self._settling.settle(contact)
            settled.append(contact)
        return settled

    def finish(self, run: Run) -> list[Breach]:
        """Everything that was broken; nothing where all held. Once, when the run is over."""
        for rules in self._rules:
            rules.finish(run)
        self._settling.settle_all()
        for fault in run.faults:
            self.case.note("a bug of ours", fault)
        for what in run.left:
            self.case.note("nothing is left when all is done", what)
        return self.case.breaches


def judge(run: Run) -> list[Breach]:
    """What was broken in a run; nothing where all held."""
    return [*run.breaches]
