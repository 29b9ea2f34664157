"""Nobody is called again before the moment that was told, nor sooner than their flow has them wait."""

from __future__ import annotations

from datetime import datetime
from typing import Final, cast

from engine.model import RetriedDisposition
from sim.world.judge.case import Call, Case, Rules
from sim.world.judge.starts import MOVES
from sim.world.tape import Asked, CallOver, Entry, Fact, Happened, Invite, Told

EXACT_S: Final = 2e-3
"""Moments are told in thousandths."""
REDIRECTIONS: Final = range(300, 400)


class WaitRules(Rules):
    """Those of each contact that was tried, and is tried again."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self._set_at = -1e9
        """When the clock was last set, or a start time last asked for."""

    def read(self, entry: Entry) -> None:
        match entry:
            case Happened(what="clock set"):
                self._set_at = entry.at
            case CallOver():
                # From here on the flow has them wait, however long a disk needs to take the end.
                over = self.case.calls.get(entry.attempt)
                if over is not None:
                    over.ended_at = entry.at
            case Asked() if entry.what in MOVES:
                self._set_at = entry.at
                contacts = self.case.contacts_of(entry.whom) or [entry.whom]
                for contact in contacts:
                    person = self.case.people.get(contact)
                    if person is not None:
                        person.waits_until = None

    def told(self, told: Told, fact: Fact, call: Call | None) -> None:
        if told.type == "contact.waiting" and fact.contact is not None:
            person = self.case.person(fact.contact)
            if person is not None and fact.data.until is not None:
                person.waits_until = datetime.fromisoformat(fact.data.until).timestamp()
        elif told.type == "attempt.ended" and call is not None and call.ended_at is None:
            call.ended_at = told.at

    def invited(self, invite: Invite, call: Call | None) -> None:
        if call is None:
            return
        until = call.person.waits_until
        if until is not None and call.begun_at(invite) < until - EXACT_S:
            what = f"{invite.attempt} at {invite.wall_at:.3f}, not before {until:.3f}"
            self.case.note("nobody is called before the moment that was told", what)
        last = call.person.last
        if last is None or last.ended_at is None or last.ended_at <= self._set_at:
            return
        wait_s = self._wait_s(last, call)
        if invite.at < last.ended_at + wait_s - EXACT_S:
            what = f"{invite.attempt} {invite.at - last.ended_at:.3f} s after {last.attempt.id}"
            self.case.note("nobody is called again sooner than their flow says", what)

    def _wait_s(self, last: Call, call: Call) -> float:
        """How long the flow has a number wait after a call of it that ended so."""
        is_same = last.attempt.number == call.attempt.number
        if not is_same or (last.code in REDIRECTIONS):
            return 0.0
        retry = self.case.settings_of(call.attempt.flow).retry
        rule = retry.get(cast("RetriedDisposition", last.disposition))
        return 0.0 if rule is None else float(rule.wait_s)
