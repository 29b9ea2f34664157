"""What is told is told once, in its order, and the last word is the last."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from sim.world.judge.case import Call, Case, Rules
from sim.world.tape import Fact, Told

if TYPE_CHECKING:
    from sim.world.run import Run

RANKS: Final = {
    "attempt.initiated": 0,
    "attempt.ringing": 1,
    "attempt.answered": 2,
    "attempt.ended": 4,
}
"""Events of an attempt in their order; all others lie between an answer and the end."""
BETWEEN: Final = 3


class EventRules(Rules):
    """Those of every account, contact, attempt and list."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self._seqs: defaultdict[str, int] = defaultdict(int)
        self._finished: set[str] = set()
        """Lists whose completion was told."""

    def told(self, told: Told, fact: Fact, call: Call | None) -> None:
        self._seqs[told.account] += 1
        if told.seq != self._seqs[told.account]:
            self.case.note("events are numbered without a gap", f"{told.account}: {told.seq}")
        is_of_leg = told.type.startswith("leg.")
        # A leg's end is told when its telephone is hung up, which may be after all else of its contact.
        if fact.contact is not None and not is_of_leg:
            self._judge_contact(told, fact)
        if fact.contact is not None and told.type == "leg.initiated":
            person = self.case.person(fact.contact)
            if person is None or person.completed is not None:
                self.case.note("nobody is called for a contact that is done", _show(fact))
        if fact.list in self._finished and not is_of_leg:
            self.case.note("the last event of a list is its completion", _show(fact))
        if call is not None and told.type.startswith("attempt."):
            self._judge_attempt(told.type, call)
        if told.type == "list.completed" and fact.list is not None:
            self._finished.add(fact.list)

    def _judge_contact(self, told: Told, fact: Fact) -> None:
        assert fact.contact is not None
        person = self.case.person(fact.contact)
        if person is None or person.completed is not None:
            self.case.note("the last event of a contact is its disposition", _show(fact))
        if person is not None and fact.type == "contact.completed":
            person.completed = fact.data.disposition
            self.case.completed.append((told.at, fact.contact))

    def _judge_attempt(self, type_: str, call: Call) -> None:
        rank, attempt = RANKS.get(type_, BETWEEN), call.attempt.id
        if rank < call.rank or (rank == call.rank != BETWEEN):
            what = f"{attempt}: {type_} after {call.told}"
            self.case.note("the events of an attempt are in order", what)
        if call.rank < 0 < rank:
            what = f"{attempt}: begins with {type_}"
            self.case.note("an attempt is told of from its intent to its end", what)
        call.rank, call.told = rank, type_

    def finish(self, run: Run) -> None:
        open_lists = {one.list for one in run.contacts if one.disposition is None}
        for one in run.lists:
            if one.standing or one.status == "rejected":
                continue
            should = one.id not in open_lists
            if should != (one.id in self._finished):
                self.case.note("a list is completed with its last contact", one.id)


def _show(fact: Fact) -> str:
    return f"{fact.list} {fact.contact}: {fact.type} {fact.data}"
