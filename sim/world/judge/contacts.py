"""Nothing lost, nothing twice: contacts and their calls."""

from __future__ import annotations

from typing import Final

from sim.world.hours import day_of
from sim.world.judge.case import Call, Rules
from sim.world.tape import Answered, CallOver, Entry, Fact, Invite, Lie, Told

REDIRECTIONS: Final = range(300, 400)
COSTS_NOTHING: Final = (None, "congested", "canceled")
"""Dispositions of attempts that spend no budget."""


class ContactRules(Rules):
    """What was accepted, what became of it, and by how many calls."""

    def read(self, entry: Entry) -> None:
        match entry:
            case Answered() if entry.accepted:
                self._judge_accepted(entry)
            case CallOver():
                known = self.case.calls.get(entry.attempt)
                if known is not None:
                    known.is_over, known.person.up = True, None
            case Lie():
                self.case.note(
                    "every waiting contact has a true blocker",
                    f"{entry.contact} at {entry.at:.1f}: {entry.code}, {entry.detail}",
                )

    def _judge_accepted(self, answered: Answered) -> None:
        answer = answered.answer
        if answered.what == "list":
            kept = len(self.case.contacts_of(answer))
        else:
            kept = answer in self.case.tables.contacts
        if kept != answered.accepted:
            self.case.note("what was accepted is not lost", f"{answer}: {kept}")

    def invited(self, invite: Invite, call: Call | None) -> None:
        if not invite.written:
            self.case.note("nothing is dialled that is not written down", invite.attempt)
        if call is None:
            return
        call.code = invite.code
        call.invites += 1
        if call.invites > 1:
            self.case.note("no attempt is dialled twice", f"{invite.attempt}: {call.invites}")
        if not self._is_as_written(invite, call):
            self.case.note("the call is the one that was written down", invite.attempt)
        person = call.person
        if person.up is not None:
            what = f"{person.contact}: {person.up} and {invite.attempt}"
            self.case.note("no contact has two calls at once", what)
        person.up = invite.attempt

    def _is_as_written(self, invite: Invite, call: Call) -> bool:
        attempt = call.attempt
        return (
            (invite.number, invite.caller, invite.trunk)
            == (attempt.number, attempt.did, attempt.trunk)
            and (attempt.redirected_from or invite.number) in call.person.tel
            and invite.caller in self.case.flows[attempt.flow].dids
            and self.case.dids[invite.caller].trunk == invite.trunk
        )

    def told(self, told: Told, fact: Fact, call: Call | None) -> None:
        if told.type != "attempt.ended" or call is None:
            return
        call.disposition = fact.data.disposition
        if call.disposition in COSTS_NOTHING or call.code in REDIRECTIONS:
            return
        person, settings = call.person, self.case.settings_of(call.attempt.flow)
        person.spent += 1
        if person.spent > settings.attempts_max:
            what = f"{person.contact}: {person.spent} of {settings.attempts_max}"
            self.case.note("no contact is over its budget", what)
        most = settings.attempts_max_per_day
        if most is not None:
            day = day_of(person.tel[0], call.attempt.initiated_at)
            person.spent_on[day] = spent = person.spent_on.get(day, 0) + 1
            if spent > most:
                what = f"{person.contact}: {spent} of {most} on {day}"
                self.case.note("no contact is over its budget of a day", what)
