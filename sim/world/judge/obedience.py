"""What people said counts from the answer on: pauses, cancels, stops, and who must not be called."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from msgspec import Struct

from engine.model import Attempt
from engine.model.agent import Leg
from sim.world.judge.case import Call, Case, Person, Rules
from sim.world.tape import Answered, Asked, Entry, Fact, Invite, Listed, Told

STOPS: Final = {
    "pause": "paused",
    "cancel": "canceled",
    "stop_account": "done",
    "pause_account": "done",
    "pause_flow": "done",
}
"""Orders to stop, and how each is answered that is heeded."""
GOES_ON: Final = ("resume", "start_account", "resume_account", "resume_flow")
ENDS: Final = ("cancel_flow", "cancel_account")
"""Orders that end whatever waits at that moment."""


WAYS: Final = ("pause", "stop", "cancel")
"""One's own pause, an administrator's stop, an end."""
Place = tuple[str, str, str]
"""What is stopped, which of these, and in what way."""


class _Ban(Struct, frozen=True):
    """A number, or all that begin like it, that must not be called."""

    flow: str | None
    expires_at: float | None

    def bars(self, flow: str, wall_at: float) -> bool:
        if self.flow not in (None, flow):
            return False
        return self.expires_at is None or wall_at < self.expires_at


class _Bans:
    """Those of all accounts."""

    def __init__(self) -> None:
        self._of: dict[tuple[str, str], list[_Ban]] = {}
        """By account and number, or the beginning of one."""
        self._lengths: dict[str, set[int]] = {}
        """By account: how long the beginnings are."""

    def add(self, account: str, number: str, ban: _Ban) -> None:
        if number.endswith("*"):
            self._lengths.setdefault(account, set()).add(len(number) - 1)
        kept = self._of.setdefault((account, number), [])
        if ban not in kept:
            kept.append(ban)

    def bar(self, call: Attempt | Leg) -> bool:
        """Whether a call is one that must not be."""
        redirected_from = call.redirected_from if isinstance(call, Attempt) else None
        numbers = (call.number, redirected_from)
        return any(
            ban.bars(call.flow, call.initiated_at) for ban in self._on(call.account, numbers)
        )

    def know(self, person: Person) -> bool:
        """Whether any number of a contact is one that was not to be called at any moment so far."""
        return any(ban.flow in (None, person.flow) for ban in self._on(person.account, person.tel))

    def _on(self, account: str, numbers: Iterable[str | None]) -> Iterator[_Ban]:
        lengths = self._lengths.get(account, ())
        for number in numbers:
            if number is not None:
                for entry in (number, *(f"{number[:length]}*" for length in lengths)):
                    yield from self._of.get((account, entry), ())


class _Orders:
    """What is stopped at the moment."""

    def __init__(self) -> None:
        self.stopped: dict[Place, str] = {}
        """By which order."""
        self._asked: set[Place] = set()
        """Asked to be stopped, and not to go on since."""
        self._going_on: set[Place] = set()
        """Asked to go on, and not answered: whether that or a stop is the last word is not known."""

    def note_question(self, entry: Asked) -> None:
        """From the question on, and not from the answer, what was stopped may go on."""
        whom = _place_of(entry)
        if entry.what in STOPS:
            self._asked.add(whom)
        elif entry.what in GOES_ON:
            self._asked.discard(whom)
            self._going_on.add(whom)
            self.stopped.pop(whom, None)

    def note_answer(self, entry: Answered) -> None:
        """From the answer on nothing goes that was stopped."""
        whom = _place_of(entry)
        if entry.what in GOES_ON:
            self._going_on.discard(whom)
            self._asked.discard(whom)
        is_heeded = STOPS.get(entry.what) == entry.answer and whom in self._asked
        if is_heeded and whom not in self._going_on:
            self.stopped[whom] = entry.what


class _Endings:
    """Who is not called any more, as their flow or account was canceled. Of use only where such an order is
    in the plan."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self.ended: set[str] = set()
        """Contacts."""
        self._taken: dict[str, None] = {}
        """Contacts that were taken so far."""
        self._up: dict[str, None] = {}
        """Contacts with an attempt: it goes on, and so may those of single calls that follow it."""
        self._meant: dict[tuple[str, str], set[str]] = {}
        """By order that was not answered yet: who had been taken when it was given."""

    def note_question(self, entry: Asked) -> None:
        self._meant[entry.what, entry.whom] = {*self._taken}

    def note_answer(self, entry: Answered) -> None:
        if entry.what == "list" and entry.accepted:
            self._taken |= dict.fromkeys(self._case.contacts_of(entry.answer))
        elif entry.what == "call" and entry.accepted:
            self._taken[entry.answer] = None
        elif entry.what in ENDS and entry.answer == "done":
            contacts = self._case.tables.contacts
            for contact in self._meant.pop((entry.what, entry.whom), set()):
                one = contacts[contact]
                if entry.whom in (one.flow, one.account) and contact not in self._up:
                    self.ended.add(contact)

    def note_event(self, fact: Fact) -> None:
        assert fact.contact is not None
        if fact.type == "attempt.initiated":
            self._up[fact.contact] = None
        elif fact.type == "attempt.ended":
            self._up.pop(fact.contact, None)


class ObedienceRules(Rules):
    """In the order in which things were seen: what was answered before a call left holds for it."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self._orders = _Orders()
        has_ends = any(action.deed in ENDS for action in case.plan.actions)
        self._endings = _Endings(case) if has_ends else None
        self._bans = _Bans()

    def read(self, entry: Entry) -> None:
        match entry:
            case Asked():
                self._orders.note_question(entry)
                if self._endings is not None and entry.what in ENDS:
                    self._endings.note_question(entry)
            case Answered():
                self._orders.note_answer(entry)
                if self._endings is not None:
                    self._endings.note_answer(entry)
            case Listed():
                ban = _Ban(entry.flow, entry.expires_at)
                for number in entry.numbers:
                    self._bans.add(entry.account, number, ban)

    def told(self, told: Told, fact: Fact, call: Call | None) -> None:
        if told.type == "attempt.opt_out":
            assert fact.data.number is not None
            flow = fact.flow if fact.data.scope == "flow" else None
            numbers = {fact.data.number}
            if call is not None and call.attempt.redirected_from is not None:
                # Who was called, and to whom that led.
                numbers |= {call.attempt.number, call.attempt.redirected_from}
            for number in sorted(numbers):
                self._bans.add(told.account, number, _Ban(flow, None))
        elif told.type == "attempt.initiated" and call is not None:
            attempt = call.attempt
            if self._bans.bar(attempt):
                what = f"{attempt.id} to {attempt.number}"
                self.case.note("nobody is called who must not be", what)
        elif told.type == "leg.initiated":
            leg = self.case.tables.legs.get(fact.data.leg or "")
            if leg is not None and self._bans.bar(leg):
                self.case.note("nobody is called who must not be", f"{leg.id} to {leg.number}")
        elif told.type == "contact.completed" and fact.data.reason == "do_not_call":
            person = self.case.person(fact.contact or "")
            if person is not None and not self._bans.know(person):
                what = f"{person.contact}: {', '.join(person.tel)}"
                self.case.note("nobody is left out who may be called", what)
        if self._endings is not None and fact.attempt is not None:
            self._endings.note_event(fact)

    def invited(self, invite: Invite, call: Call | None) -> None:
        if call is None:
            return
        by: list[str | None] = []
        attempt, stopped = call.attempt, self._orders.stopped
        if stopped:
            parties = ("list", attempt.list), ("flow", attempt.flow), ("account", attempt.account)
            by = [stopped.get((*party, way)) for party in parties for way in WAYS]
        what = [f"after {one}" for one in by if one is not None]
        if self._endings is not None and attempt.contact in self._endings.ended:
            what.append("though its flow was canceled")
        for one in what:
            self.case.note(
                "nothing is dialled that was stopped", f"{invite.attempt} at {invite.at:.3f} {one}"
            )


def _place_of(entry: Asked | Answered) -> Place:
    kind = next((one for one in ("account", "flow") if entry.what.endswith(one)), "list")
    way = next((one for one in ("cancel", "stop") if entry.what.startswith(one)), "pause")
    return kind, entry.whom, "stop" if entry.what == "start_account" else way
