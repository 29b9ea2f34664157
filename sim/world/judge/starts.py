"""Nobody is called before the start time that they were given."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sim.world.judge.case import Breach, Case
from sim.world.tape import Answered, Asked, Happened, Invite

MOVES: Final = ("reschedule_list", "reschedule_contact")
EXACT_S: Final = 1e-3


class _Starts:
    """What holds of each contact."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self.of: dict[str, float] = {}
        """Not called before, by the wall clock."""
        self._in_flight: dict[str, int] = {}
        """How often a contact has been asked to be moved without an answer yet: which of several is the last
        word is not known."""

    def note_question(self, entry: Asked) -> None:
        for contact in self._meant(entry):
            self._in_flight[contact] = self._in_flight.get(contact, 0) + 1
            self.of.pop(contact, None)

    def note_answer(self, entry: Answered) -> None:
        for contact in self._meant(entry):
            alone = self._in_flight.get(contact) == 1
            if entry.until is not None and alone:
                self.of[contact] = entry.until
            self._in_flight[contact] = self._in_flight.get(contact, 1) - 1

    def forget_unanswered(self) -> None:
        """Nobody is there any more who would answer, or go on with it."""
        self._in_flight.clear()

    def _meant(self, entry: Asked | Answered) -> list[str]:
        if entry.what == "reschedule_contact":
            return [entry.whom]
        return self._case.contacts_of(entry.whom)


def judge_starts(case: Case) -> Iterator[Breach]:
    """From the answer on that a start time was changed."""
    starts = _Starts(case)
    for entry in case.entries:
        match entry:
            case Asked() if entry.what in MOVES:
                starts.note_question(entry)
            case Answered() if entry.what in MOVES:
                starts.note_answer(entry)
            case Happened(what="process starts"):
                starts.forget_unanswered()
            case Invite():
                attempt = case.attempts.get(entry.attempt)
                start = None if attempt is None else starts.of.get(attempt.contact)
                if start is not None and entry.wall_at < start - EXACT_S:
                    yield Breach(
                        "nobody is called before the start time that was given",
                        f"{entry.attempt} at {entry.wall_at:.3f}, not before {start:.3f}",
                    )
