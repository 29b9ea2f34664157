"""A letter that was promised is sent once, or visibly given up, or still due."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from engine.model.letter import Letter
from sim.world.judge.case import Call, Case, Rules
from sim.world.tape import Answered, Entry, Fact, Happened, Posted, Told

if TYPE_CHECKING:
    from sim.world.run import Run

UNANSWERED_S: Final = 10.0
"""How long after a server took a letter the disk may have kept that from being written down."""
QUIET_S: Final = 30.0
"""How long letters that go on at once may keep others waiting."""


class LetterRules(Rules):
    """Those of all letters of a run."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self._promised: set[str] = set()
        """Keys of letters, by account, of which somebody was told that they will come."""
        self._taken: dict[str, Posted] = {}
        """By letter: that the server took it."""
        self._refused: set[str] = set()
        """Letters that it refused for good."""
        self._given_up: set[str] = set()
        """Letters of which that was told."""
        self._began_at = 0.0
        """When the latest process was started."""
        self._sent_at = -1.0
        """When the server was last sent anything."""
        self._is_clock_set = False

    def read(self, entry: Entry) -> None:
        match entry:
            case Answered(what="letter", answer="done"):
                self._promised.add(entry.whom)
            case Posted():
                self._note_posted(entry)
            case Happened(what="process starts"):
                self._began_at = entry.at
            case Happened(what="clock set"):
                self._is_clock_set = True
            case Happened(what="stop"):
                self._judge_due(entry.at)

    def _note_posted(self, posted: Posted) -> None:
        self._sent_at = posted.at
        before = self._taken.get(posted.letter)
        if before is not None and not self._is_excused(before, posted):
            self.case.note("no letter that was taken is sent again", posted.letter)
        if posted.code == "ok":
            self._taken[posted.letter] = posted
        elif posted.code == "refused for good":
            self._refused.add(posted.letter)

    def _is_excused(self, before: Posted, again: Posted) -> bool:
        """Whether nobody could know that it was taken."""
        was_in_trouble = self.case.was_in_trouble(before.at, before.at + UNANSWERED_S)
        return before.process != again.process or was_in_trouble

    def told(self, told: Told, fact: Fact, call: Call | None) -> None:
        if told.type == "letter.given_up" and fact.data.letter is not None:
            self._given_up.add(fact.data.letter)

    def _judge_due(self, stopped_at: float) -> None:
        """Whether anything was due for long as a process was stopped that was there all the while."""
        since = stopped_at - QUIET_S
        if self._is_clock_set or max(self._began_at, self._sent_at) > since:
            return
        if self.case.was_in_trouble(since, stopped_at):
            return
        for one in self.case.tables.letters.values():
            if one.due_at is not None and one.due_at < self.case.plan.epoch + since:
                self.case.note("a letter that is due is sent", f"{one.id} at {stopped_at:.3f}")

    def finish(self, run: Run) -> None:
        kept = [*self.case.tables.letters.values()]
        keys = [f"{one.account}/{one.key}" for one in kept]
        for promised in self._promised.difference(keys):
            self.case.note("every letter that was promised comes, or is given up", promised)
        if len(keys) != len({*keys}):
            self.case.note("a letter is there once for its key", ", ".join(sorted(keys)))
        for one in kept:
            if not self._is_told_truly(one):
                what = f"{one.id}: {one.state}"
                self.case.note("what is kept of a letter is what became of it", what)

    def _is_told_truly(self, letter: Letter) -> bool:
        match letter.state:
            case "sent":
                return letter.id in self._taken
            case "given_up":  # no run takes the days after which the last try is
                return letter.id in self._given_up and letter.id in self._refused
            case "waiting":
                return letter.due_at is not None
