"""What a flow's hook wants is delivered once, in the order of its contact, or visibly given up.

What is wanted and sent is kept until the end of the run: the large days have no hooks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from engine.model.webhook import Delivery, delivery_id
from sim.world.judge.case import Call, Case, Rules
from sim.world.tape import Entry, Fact, Happened, Received, Told

if TYPE_CHECKING:
    from sim.world.run import Run

UNANSWERED_S: Final = 10.0
"""How long after a receiver took an event the disk may have kept that from being written down."""

QUIET_S: Final = 45.0
"""How long a receiver may be left alone for what it did not take, and for what is under way to it."""
FAILURES_MAX: Final = 5
"""After so many in a row it is left alone for longer."""


class DeliveryRules(Rules):
    """Those of all hooks."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self._hooked = {id_: one for id_, one in case.flows.items() if one.settings.webhook}
        """Flows that have a hook which is not gone."""
        self._wanted: set[str] = set()
        self._received: list[Received] = []
        """What was taken."""
        self._tried: dict[str, float] = {}
        """By receiver: when it was last sent anything."""
        self._failures: dict[str, int] = {}
        """By receiver: how much in a row it did not take."""
        self._began_at = 0.0
        """When the latest process was started."""
        self._is_clock_set = False

    def told(self, told: Told, fact: Fact, call: Call | None) -> None:
        """Of every event that is wanted there is to be a delivery."""
        flow = self._hooked.get(fact.flow or "")
        if flow is None:
            return
        if told.type == "webhook.disabled":
            # Whether it tells itself of its end is not promised.
            del self._hooked[flow.id]
            return
        assert flow.settings.webhook is not None
        if flow.settings.webhook.wants(told.type):  # type: ignore[arg-type]
            self._wanted.add(delivery_id(told.account, told.seq))

    def read(self, entry: Entry) -> None:
        match entry:
            case Received():
                self._tried[entry.url] = entry.at
                before = self._failures.get(entry.url, 0)
                self._failures[entry.url] = 0 if entry.code == "ok" else before + 1
                if entry.code == "ok":
                    self._received.append(entry)
            case Happened(what="process starts"):
                self._began_at = entry.at
                self._failures.clear()
            case Happened(what="stop"):
                self._judge_due(entry.at)
            case Happened(what="clock set"):
                self._is_clock_set = True

    def finish(self, run: Run) -> None:
        kept = {one.id: one for one in run.deliveries}
        for one in self._wanted - kept.keys():
            self.case.note("every event that is wanted is delivered, or given up", one)
        self._judge_taken(kept)
        self._judge_left(kept)

    def _judge_taken(self, kept: dict[str, Delivery]) -> None:
        """What the receivers saw, in its order."""
        note = self.case.note
        taken: dict[str, Received] = {}
        latest: defaultdict[tuple[str, str], int] = defaultdict(int)
        for entry in self._received:
            one = kept.get(entry.delivery)
            if one is None:
                note("nothing is sent that nobody asked for", entry.delivery)
                continue
            before = taken.setdefault(entry.delivery, entry)
            if before is not entry:
                if not self._is_excused(before, entry):
                    note("nothing that was taken is sent again", entry.delivery)
                continue
            subject = one.flow, one.subject
            if one.seq < latest[subject]:
                note("what is sent of a contact is in order", f"{one.id} of {one.subject}")
            latest[subject] = max(latest[subject], one.seq)
        for one in kept.values():
            if one.state == "delivered" and one.id not in taken:
                note("what is delivered was taken", one.id)

    def _is_excused(self, before: Received, again: Received) -> bool:
        """Whether nobody could know that it was taken."""
        was_in_trouble = self.case.was_in_trouble(before.at, before.at + UNANSWERED_S)
        return before.process != again.process or was_in_trouble

    def _judge_left(self, kept: dict[str, Delivery]) -> None:
        """Of each subject the first that is pending has its turn, and nothing is given up while its hook is
        there: no run takes the days after which, or the tries with which, it may be."""
        for one in _heads(kept.values()):
            if one.due_at is None:
                self.case.note("no delivery waits for nothing", one.id)
        for one in kept.values():
            is_gone = one.last is not None and one.last.code == "gone"
            if one.state == "given_up" and not is_gone and one.flow in self._hooked:
                self.case.note("nothing is given up before its time", one.id)

    def _judge_due(self, stopped_at: float) -> None:
        """Whether anything was due for long as a process was stopped that was there all the while, and its
        receiver was sent nothing."""
        since = stopped_at - QUIET_S
        if self._began_at > since or self._is_clock_set:
            return
        if self.case.was_in_trouble(since, stopped_at):
            return
        wall_since = self.case.plan.epoch + since
        for flow, kept in self.case.tables.deliveries.items():
            hook = None if flow not in self._hooked else self._hooked[flow].settings.webhook
            if hook is None or self._failures.get(hook.url, 0) >= FAILURES_MAX:
                continue
            if self._tried.get(hook.url, -1.0) >= since:
                continue
            for one in _heads(kept.values()):
                if one.due_at is not None and one.due_at < wall_since:
                    self.case.note("what is due is sent", f"{one.id} at {stopped_at:.3f}")


def _heads(kept: Iterable[Delivery]) -> Iterable[Delivery]:
    """Of each subject the first that is pending."""
    heads: dict[tuple[str, str], Delivery] = {}
    for one in sorted(kept, key=lambda delivery: delivery.seq):
        if one.state == "pending":
            heads.setdefault((one.flow, one.subject), one)
    return heads.values()
