"""What people said counts from the answer on: pauses, cancels, stops, and who must not be called."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from engine.model import Attempt
from sim.world.judge.case import Breach, Case
from sim.world.tape import Answered, Asked, Invite, Listed, Told, read_event

STOPS: Final = {
    "pause": "paused",
    "cancel": "canceled",
    "stop_account": "done",
    "pause_flow": "done",
}
"""Orders to stop, and how each is answered that is heeded."""
GOES_ON: Final = ("resume", "start_account", "resume_flow")


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
        self.stopped: dict[tuple[str, str], str] = {}
        """By list, flow or account: by which order."""
        self._asked: set[tuple[str, str]] = set()
        """Asked to be stopped, and not to go on since."""
        self._going_on: set[tuple[str, str]] = set()
        """Asked to go on, and not answered: whether that or a stop is the last word is not known."""

    def note_question(self, entry: Asked) -> None:
        """From the question on, and not from the answer, what was stopped may go on."""
        whom = _place_of(entry)
        if entry.what in STOPS:
            self._asked.add(whom)
        elif entry.what in GOES_ON:
            self._asked.discard(whom)
            self._going_on.add(whom)
            if self.stopped.get(whom) != "cancel":
                self.stopped.pop(whom, None)

    def note_answer(self, entry: Answered) -> None:
        """From the answer on nothing goes that was stopped."""
        whom = _place_of(entry)
        if entry.what in GOES_ON:
            self._going_on.discard(whom)
            self._asked.discard(whom)
        is_heeded = STOPS.get(entry.what) == entry.answer and whom in self._asked
        if is_heeded and (entry.what == "cancel" or whom not in self._going_on):
            self.stopped[whom] = entry.what


def judge_obedience(case: Case) -> Iterator[Breach]:
    """In the order in which things were seen: what was answered before a call left holds for it."""
    orders = _Orders()
    bans: list[_Ban] = []
    for entry in case.entries:
        match entry:
            case Asked():
                orders.note_question(entry)
            case Answered():
                orders.note_answer(entry)
            case Listed():
                bans += [
                    _Ban(entry.account, entry.flow, one, entry.expires_at) for one in entry.numbers
                ]
            case Told(type="attempt.opt_out"):
                bans.append(_opted_out(entry))
            case Told(type="attempt.initiated"):
                attempt = case.attempts[read_event(entry)["attempt"]]
                if any(ban.bars(attempt, attempt.initiated_at) for ban in bans):
                    yield Breach(
                        "nobody is called who must not be", f"{attempt.id} to {attempt.number}"
                    )
            case Invite():
                yield from _judge_stopped(case, entry, orders.stopped)


def _place_of(entry: Asked | Answered) -> tuple[str, str]:
    kind = next((one for one in ("account", "flow") if entry.what.endswith(one)), "list")
    return kind, entry.whom


def _judge_stopped(
    case: Case, invite: Invite, stopped: dict[tuple[str, str], str]
) -> Iterator[Breach]:
    attempt = case.attempts.get(invite.attempt)
    if attempt is None:
        return
    parties = ("list", attempt.list), ("flow", attempt.flow), ("account", attempt.account)
    for what in parties:
        if what in stopped:
            yield Breach(
                "nothing is dialled that was stopped",
                f"{invite.attempt} at {invite.at:.3f} after {stopped[what]} of {what[1]}",
            )


def _opted_out(told: Told) -> _Ban:
    event = read_event(told)
    flow = event["flow"] if event["data"]["scope"] == "flow" else None
    return _Ban(told.account, flow, event["data"]["number"], None)
