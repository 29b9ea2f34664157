"""No urgent contact is passed over by less urgent ones of its flow while it could go.

What was about to leave may leave, so one that is passed over is so only after some calls and seconds; and
only where nothing can be seen that may keep it itself from being called.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from engine.model import AccountRules, Contact, windows_of
from sim.world.hours import may_call
from sim.world.judge.case import Call, Case, Rules
from sim.world.tape import Answered, CallOver, Entry, Fact, Happened, Told

PASSED_MAX: Final = 3
"""So many calls may go before an urgent one that were about to leave."""
PASSED_S: Final = 15.0
"""And for so long."""
IN_A_ROW: Final = 9
"""After so many urgent calls a less urgent one has its turn (`engine.schedule.turns.PASSED_MAX`)."""
UNSETTLED_S: Final = 40.0
"""How long after a start, or after the clock was set, nobody can expect an order."""
BUSY_S: Final = 35.0
"""How long after a call to a number the number may be taken for busy."""


class PriorityRules(Rules):
    """Those of each flow by itself: its contacts share all limits but those of their callees."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self._lists: defaultdict[str, dict[str, None]] = defaultdict(dict)
        """By flow: lists that have urgent contacts, or had."""
        self._singles: defaultdict[str, dict[str, None]] = defaultdict(dict)
        """By flow: urgent single calls that were taken."""
        self._passed: dict[str, list[float]] = {}
        """By urgent contact that could go: when others of its flow went. Nothing was told of it since."""
        self._in_a_row: defaultdict[str, int] = defaultdict(int)
        """By DID, trunk and account: urgent calls since the last that was not."""
        self._settled_at = 0.0
        self._busy: dict[tuple[str, str], float] = {}
        """By account and number, where there are urgent contacts: until when it may be taken for busy."""

    def read(self, entry: Entry) -> None:
        match entry:
            case Happened(what="process starts" | "clock set"):
                self._settled_at = entry.at + UNSETTLED_S
                self._passed.clear()
            case Answered(what="call") if entry.accepted:
                contact = self.case.tables.contacts.get(entry.answer)
                if contact is not None and contact.priority == "urgent":
                    self._singles[contact.flow][contact.id] = None
            case Answered(what="prioritise_list", answer="done"):
                self._note_list(entry.whom)
            case CallOver():
                call = self.case.calls.get(entry.attempt)
                if call is not None and self._has_urgent(call.attempt.flow):
                    number = call.attempt.account, call.attempt.number
                    self._busy[number] = entry.at + BUSY_S

    def told(self, told: Told, fact: Fact, call: Call | None) -> None:
        if told.type == "list.accepted" and fact.list is not None:
            self._note_list(fact.list)
        elif fact.contact is not None and self._passed:
            self._passed.pop(fact.contact, None)
        if told.type == "attempt.initiated" and call is not None:
            self._note_turn(told, call)

    def _note_list(self, call_list: str) -> None:
        entry = self.case.tables.lists[call_list]
        if entry.urgent or entry.state.priority == "urgent":
            self._lists[entry.state.flow][call_list] = None

    def _has_urgent(self, flow: str) -> bool:
        return flow in self._lists or flow in self._singles

    def _note_turn(self, told: Told, call: Call) -> None:
        attempt = call.attempt
        contact = self.case.tables.contacts.get(attempt.contact)
        is_urgent = contact is not None and contact.priority == "urgent"
        parties = attempt.did, attempt.trunk, attempt.account
        if not is_urgent and self._has_urgent(attempt.flow) and told.at > self._settled_at:
            was_in_trouble = self.case.was_in_trouble(told.at - UNSETTLED_S, told.at)
            is_its_turn = any(self._in_a_row[one] >= IN_A_ROW for one in parties)
            if not was_in_trouble and not is_its_turn:
                self._note_passing(told.at, attempt.flow, attempt.initiated_at)
        for one in parties:
            self._in_a_row[one] = self._in_a_row[one] + 1 if is_urgent else 0

    def _note_passing(self, at: float, flow: str, wall_at: float) -> None:
        for contact in self._urgent(flow):
            if not self._could_go(contact, at, wall_at):
                self._passed.pop(contact.id, None)
                continue
            passed = self._passed.setdefault(contact.id, [])
            passed.append(at)
            if len(passed) > PASSED_MAX and at - passed[0] > PASSED_S:
                self.case.note(
                    "nobody who is urgent is passed over",
                    f"{contact.id} by {len(passed)} calls of {flow} until {at:.3f}",
                )

    def _urgent(self, flow: str) -> Iterator[Contact]:
        tables = self.case.tables
        ids = [*self._singles.get(flow, ())]
        for call_list in self._lists.get(flow, ()):
            ids += tables.lists[call_list].contacts
        for id_ in ids:
            contact = tables.contacts.get(id_)
            if contact is not None and contact.state == "open" and contact.priority == "urgent":
                yield contact

    def _could_go(self, contact: Contact, at: float, wall_at: float) -> bool:
        tables, number = self.case.tables, contact.number
        state = tables.lists[contact.list].state
        flow, account = self.case.flows[contact.flow], self.case.accounts[contact.account]
        if contact.due_at > wall_at or state.status not in ("scheduled", "running"):
            return False
        if flow.settings.callee_caps or account.rules.callee_caps or _has_day_caps(account.rules):
            return False
        up = (tables.attempts[one] for one in tables.open_attempts)
        if any((one.account, one.number) == (contact.account, number) for one in up):
            return False
        if self._busy.get((contact.account, number), at) > at:
            return False
        if tables.is_listed(contact.account, number, contact.flow, wall_at):
            return False
        parties = [
            (windows_of(account.rules.calling_window), account.timezone),
            (windows_of(flow.settings.calling_window), flow.timezone),
        ]
        return may_call(number, parties, wall_at)


def _has_day_caps(rules: AccountRules) -> bool:
    return bool(
        rules.calls_per_day is not None
        or rules.country_calls_per_day is not None
        or rules.country_caps
    )
