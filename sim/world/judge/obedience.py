"""What people said counts from the answer on: pauses, cancels, stops, and who must not be called."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import Struct

from engine.model import Attempt
from sim.world.judge.case import Breach, Case
from sim.world.tape import Answered, Asked, Invite, Listed, Told, read_event

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
    """Numbers that must not be called."""

    account: str
    flow: str | None
    number: str
    expires_at: float | None

    def bars(self, attempt: Attempt, wall_at: float) -> bool:
        if self.account != attempt.account or self.flow not in (None, attempt.flow):
            return False
        if self.expires_at is not None and wall_at >= self.expires_at:
            return False
        wanted = (attempt.number, attempt.redirected_from)
        if self.number.endswith("*"):
            return any(one is not None and one.startswith(self.number[:-1]) for one in wanted)
        return self.number in wanted


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
    """Who is not called any more, as their flow or account was canceled."""

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
            for contact in self._meant.pop((entry.what, entry.whom), set()):
                one = self._case.contacts[contact]
                if entry.whom in (one.flow, one.account) and contact not in self._up:
                    self.ended.add(contact)

    def note_event(self, entry: Told) -> None:
        if entry.type == "attempt.initiated":
            self._up[read_event(entry)["contact"]] = None
        elif entry.type == "attempt.ended":
            self._up.pop(read_event(entry)["contact"], None)


def judge_obedience(case: Case) -> Iterator[Breach]:
    """In the order in which things were seen: what was answered before a call left holds for it."""
    orders, endings = _Orders(), _Endings(case)
    bans: list[_Ban] = []
    for entry in case.entries:
        match entry:
            case Asked():
                orders.note_question(entry)
                if entry.what in ENDS:
                    endings.note_question(entry)
            case Answered():
                orders.note_answer(entry)
                endings.note_answer(entry)
            case Listed():
                bans += [
                    _Ban(entry.account, entry.flow, one, entry.expires_at) for one in entry.numbers
                ]
            case Told(type="attempt.opt_out"):
                bans.append(_opted_out(entry))
            case Told(type="attempt.initiated" | "attempt.ended"):
                endings.note_event(entry)
                yield from _judge_bans(case, entry, bans)
            case Invite():
                yield from _judge_stopped(case, entry, orders, endings)


def _judge_bans(case: Case, told: Told, bans: Sequence[_Ban]) -> Iterator[Breach]:
    if told.type == "attempt.initiated":
        attempt = case.attempts[read_event(told)["attempt"]]
        if any(ban.bars(attempt, attempt.initiated_at) for ban in bans):
            yield Breach("nobody is called who must not be", f"{attempt.id} to {attempt.number}")


def _place_of(entry: Asked | Answered) -> Place:
    kind = next((one for one in ("account", "flow") if entry.what.endswith(one)), "list")
    way = next((one for one in ("cancel", "stop") if entry.what.startswith(one)), "pause")
    return kind, entry.whom, "stop" if entry.what == "start_account" else way


def _judge_stopped(
    case: Case, invite: Invite, orders: _Orders, endings: _Endings
) -> Iterator[Breach]:
    attempt = case.attempts.get(invite.attempt)
    if attempt is None:
        return
    parties = ("list", attempt.list), ("flow", attempt.flow), ("account", attempt.account)
    by = [orders.stopped.get((*party, way)) for party in parties for way in WAYS]
    what = [f"after {one}" for one in by if one is not None]
    if attempt.contact in endings.ended:
        what.append("though its flow was canceled")
    for one in what:
        yield Breach(
            "nothing is dialled that was stopped", f"{invite.attempt} at {invite.at:.3f} {one}"
        )


def _opted_out(told: Told) -> _Ban:
    event = read_event(told)
    flow = event["flow"] if event["data"]["scope"] == "flow" else None
    return _Ban(told.account, flow, event["data"]["number"], None)
