"""What is told of a call is what the carrier saw of it, what becomes of its contact follows from that, and
whoever has been reached, or is left alone, is called no more."""

from __future__ import annotations

from collections import Counter
from typing import Final, cast

from engine.model import RetriedDisposition
from sim.world.judge.case import Call, Case, Person, Rules
from sim.world.tape import Asked, Entry, Fact, Happened, Told

MEANINGS: Final[dict[int, str]] = {
    404: "invalid-number",
    408: "no-answer",
    410: "invalid-number",
    429: "congested",
    480: "no-answer",
    484: "invalid-number",
    486: "busy",
    503: "congested",
    600: "busy",
    603: "declined",
    604: "invalid-number",
    607: "blocked",
    608: "blocked",
}
"""What a final response means; that of all others which refuse is `failed`."""
WITHOUT_A_RESPONSE: Final = (None, "canceled", "no-answer", "failed")
"""What an attempt may end as whose final response did not come through, or not in time."""
NO_TRIES: Final = (None, "canceled", "congested", "unknown")
"""After a call that ended so, its number is called again whatever the flow says of retries."""
GIVEN_UP: Final = 20
"""After so many calls that came to nothing a number may be given up, which costs budget."""
REDIRECTIONS: Final = range(300, 400)
CANCELS: Final = ("cancel", "cancel_contact", "cancel_flow", "cancel_account")
NOT_CALLED: Final = (
    "do_not_call",
    "duplicate_number",
    "number_not_allowed",
    "agent_not_reached",
    "no_room",
)
"""Why a contact may be left out."""


class OutcomeRules(Rules):
    """Those of every attempt that ends, and of every contact that is completed."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self._canceled: set[str] = set()
        """Whom somebody asked to cancel: contacts, lists, flows and accounts."""
        self._processes = 0

    def read(self, entry: Entry) -> None:
        match entry:
            case Asked() if entry.what in CANCELS:
                self._canceled.add(entry.whom)
            case Happened(what="process starts"):
                self._processes += 1

    def told(self, told: Told, fact: Fact, call: Call | None) -> None:
        if told.type == "attempt.initiated" and call is not None:
            call.process = self._processes
            self._judge_next(call)
        elif told.type == "attempt.ended" and call is not None:
            self._judge_end(fact, call)
            call.person.last = call
        elif told.type == "contact.completed" and fact.contact is not None:
            person = self.case.person(fact.contact)
            if person is not None:
                self._judge_completion(fact, person)

    def _judge_next(self, call: Call) -> None:
        last = call.person.last
        if last is not None and self._is_last_word(last):
            what = f"{call.attempt.id} after {last.attempt.id}: {last.disposition}"
            self.case.note("nobody is called who was reached or is to be left alone", what)
        elif last is not None and _number_of(last) == _number_of(call):
            self._judge_tries(last, call)

    def _judge_tries(self, last: Call, call: Call) -> None:
        """Whether the number may be called again after a call that ended like the last."""
        ended = last.disposition
        if ended in NO_TRIES or last.code in REDIRECTIONS:
            return
        made = sum(
            _number_of(one) == _number_of(call)
            and one.disposition == ended
            and one.code not in REDIRECTIONS
            for one in call.person.calls.values()
            if one is not call
        )
        rule = self.case.settings_of(call.attempt.flow).retry.get(cast("RetriedDisposition", ended))
        most = 0 if rule is None else rule.tries
        if made > most:
            what = f"{call.attempt.id}: {ended} {made} times, tried again {most} times at the most"
            self.case.note("no number is tried more often than its flow says", what)

    def _is_last_word(self, call: Call) -> bool:
        """Whether nothing is to be tried after a call that ended like this one."""
        settings = self.case.settings_of(call.attempt.flow)
        match call.disposition:
            case "answered":
                return True
            case "machine":
                return "machine" not in settings.retry
            case "declined":
                return settings.declined == "stop"
            case "unknown":
                return settings.on_unknown == "stop"
        return False

    def _judge_end(self, fact: Fact, call: Call) -> None:
        ended, code = fact.data.disposition, call.code
        if ended == "unknown" or call.process < self._processes:
            # Nobody knows what became of a call that was up as its process died.
            is_true = ended == "unknown" and call.process < self._processes
        elif not call.invites:
            # A fault of ours is a bug, and is found as one.
            is_true = ended in ("canceled", "failed")
        elif code == 200:
            is_true = ended in ("answered", "machine", *WITHOUT_A_RESPONSE)
        elif ended == "congested":
            # A number is given up that comes to nothing for want of the network.
            is_true = code in (0, 429, 503)
        else:
            meant = MEANINGS.get(code or 0, "failed")
            is_true = ended == meant or ended in WITHOUT_A_RESPONSE
        if not is_true:
            what = f"{call.attempt.id}: {code}, told {ended}"
            self.case.note("a call ends as the carrier saw it end", what)

    def _judge_completion(self, fact: Fact, person: Person) -> None:
        disposition, reason, last = fact.data.disposition, fact.data.reason, person.last
        if disposition == "skipped":
            is_true = reason in NOT_CALLED
        elif disposition == "canceled":
            whom = {person.contact, person.list, person.flow, person.account}
            is_true = not self._canceled.isdisjoint(whom)
        elif disposition == "unknown" and self._was_its_agent_cut_off(person):
            is_true = self.case.settings_of(person.flow).on_unknown == "stop"
        else:
            is_true = last is not None and disposition == last.disposition
        if not is_true:
            ended = "nothing" if last is None else last.disposition
            told = disposition if reason is None else f"{disposition} ({reason})"
            what = f"{person.contact}: {told} after {ended}"
            self.case.note("a contact's disposition is that of its last call", what)
        elif last is not None and disposition == last.disposition and self._has_more(person, last):
            what = f"{person.contact}: {disposition}"
            self.case.note("nobody is given up with a number that was not called", what)

    def _has_more(self, person: Person, last: Call) -> bool:
        """Whether a contact that is given up has budget, and a number that was not called."""
        if self._is_last_word(last) or last.disposition in ("canceled", "congested"):
            return False
        attempts = [call.attempt for call in person.calls.values()]
        called = {one.redirected_from or one.number for one in attempts}
        full = Counter(
            _number_of(call) for call in person.calls.values() if call.disposition == "congested"
        )
        spent = person.spent + sum(calls >= GIVEN_UP for calls in full.values())
        most = self.case.settings_of(person.flow).attempts_max
        return spent < most and not called.issuperset(person.tel)

    def _was_its_agent_cut_off(self, person: Person) -> bool:
        """Whether a contact's agent was on the telephone for it, or about to be, when a process died."""
        return any(
            leg.contact == person.contact and leg.outcome == "unknown"
            for leg in self.case.tables.legs.values()
        )


def _number_of(call: Call) -> str:
    """Whose call it is, wherever a trunk has redirected it to."""
    return call.attempt.redirected_from or call.attempt.number
