"""What a flow's hook wants is delivered once, in the order of its contact, or visibly given up.

What is wanted and sent is kept until the end of the run: the large days have no hooks.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from engine.model.webhook import Delivery, delivery_id
from sim.world.judge.case import Call, Case, Rules
from sim.world.tape import Entry, Fact, Received, Told

if TYPE_CHECKING:
    from sim.world.run import Run

UNANSWERED_S: Final = 10.0
"""How long after a receiver took an event the disk may have kept that from being written down."""


class DeliveryRules(Rules):
    """Those of all hooks."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self._hooked = {id_: one for id_, one in case.flows.items() if one.settings.webhook}
        """Flows that have a hook which is not gone."""
        self._wanted: set[str] = set()
        self._received: list[Received] = []
        """What was taken."""

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
        if isinstance(entry, Received) and entry.code == "ok":
            self._received.append(entry)

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
        """Of each subject the first that is pending has its turn."""
        heads: dict[tuple[str, str], Delivery] = {}
        for one in sorted(kept.values(), key=lambda delivery: delivery.seq):
            if one.state == "pending":
                heads.setdefault((one.flow, one.subject), one)
        for one in heads.values():
            if one.due_at is None:
                self.case.note("no delivery waits for nothing", one.id)
