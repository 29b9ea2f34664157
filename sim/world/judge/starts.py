"""Nobody is called before the start time that they were given, with their trigger or later."""

from __future__ import annotations

from typing import Final

from sim.world.judge.case import Call, Case, Rules
from sim.world.tape import Answered, Asked, Entry, Happened, Invite

MOVES: Final = ("reschedule_list", "reschedule_contact")
EXACT_S: Final = 1e-3


class StartRules(Rules):
    """From the answer on that a contact was taken, or that its start time was changed."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self._starts: dict[str, float] = {}
        """By contact: not called before, by the wall clock."""
        self._in_flight: dict[str, int] = {}
        """How often a contact has been asked to be moved without an answer yet: which of several is the last
        word is not known."""

    def read(self, entry: Entry) -> None:
        match entry:
            case Asked() if entry.what in MOVES:
                self._note_question(entry)
            case Answered() if entry.what in MOVES:
                self._note_answer(entry)
            case Answered(what="list" | "call") if entry.accepted:
                self._note_taken(entry)
            case Happened(what="process starts"):
                # Nobody is there any more who would answer, or go on with it.
                self._in_flight.clear()

    def invited(self, invite: Invite, call: Call | None) -> None:
        if call is None:
            return
        start = self._starts.get(call.person.contact)
        if start is not None and call.begun_at(invite) < start - EXACT_S:
            what = f"{invite.attempt} at {invite.wall_at:.3f}, not before {start:.3f}"
            self.case.note("nobody is called before the start time that was given", what)

    def _note_question(self, entry: Asked) -> None:
        for contact in self._meant(entry):
            self._in_flight[contact] = self._in_flight.get(contact, 0) + 1
            self._starts.pop(contact, None)

    def _note_answer(self, entry: Answered) -> None:
        for contact in self._meant(entry):
            alone = self._in_flight.get(contact) == 1
            if entry.until is not None and alone:
                self._starts[contact] = entry.until
            self._in_flight[contact] = self._in_flight.get(contact, 1) - 1

    def _note_taken(self, answered: Answered) -> None:
        if self.case.plan.forgets_after_s is not None:
            return  # days in which everybody is to be called at once
        contacts = self.case.contacts_of(answered.answer) or [answered.answer]
        for contact in contacts:
            kept = self.case.tables.contacts.get(contact)
            if kept is not None and contact not in self._in_flight:
                self._starts[contact] = kept.starttime

    def _meant(self, entry: Asked | Answered) -> list[str]:
        if entry.what == "reschedule_contact":
            return [entry.whom]
        return self.case.contacts_of(entry.whom)
