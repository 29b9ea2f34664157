"""The last look at a contact: whether the store holds what was told of it."""

from __future__ import annotations

from engine.model import Contact
from sim.world.judge.case import Call, Case
from sim.world.judge.events import RANKS

LAST = RANKS["attempt.ended"]


class Settling:
    """Settles one contact after the other, or all that are left."""

    def __init__(self, case: Case) -> None:
        self._case = case

    def settle(self, contact: str) -> None:
        """Compare what was told of a contact and its attempts with what is kept, and forget what was told."""
        case = self._case
        kept, person = case.tables.contacts.get(contact), case.person(contact)
        if kept is None or person is None:
            case.note("what was accepted is not lost", f"{contact} is not there any more")
        if kept is not None:
            self._compare(kept, None if person is None else person.completed)
        if person is None:
            return
        for attempt, call in person.calls.items():
            self._settle_call(attempt, call)
        for untold in {*case.tables.attempts_of_contact.get(contact, ())} - person.calls.keys():
            case.note("every attempt is told of", untold)
        case.forget(person)

    def settle_all(self) -> None:
        """All that are left, when the run is over."""
        for contact in [*dict.fromkeys((*self._case.people, *self._case.tables.contacts))]:
            self.settle(contact)

    def _compare(self, kept: Contact, told: str | None) -> None:
        note = self._case.note
        if kept.state == "dialing":
            note("no contact is left behind", f"{kept.id} is being dialled for ever")
        if (kept.state == "completed") != (kept.disposition is not None):
            note("a contact has a disposition when it is completed", kept.id)
        if kept.disposition != told:
            what = f"{kept.id}: {kept.disposition}, told {told}"
            note("every contact has one disposition, which is told", what)

    def _settle_call(self, attempt: str, call: Call) -> None:
        note, kept = self._case.note, self._case.tables.attempts.get(attempt)
        if kept is None:
            note("what was written down is kept", attempt)
        elif kept.ended_at is None:
            note("every attempt ends", attempt)
        elif kept.disposition != call.disposition:
            what = f"{attempt}: {kept.disposition}, told {call.disposition}"
            note("an attempt ended as it was told", what)
        if call.rank != LAST:
            note("an attempt is told of from its intent to its end", f"{attempt}: {call.told}")
        if call.invites and not call.is_over:
            note("no call is left behind", attempt)
