"""What a flow's hook wants is delivered once, in the order of its contact, or visibly given up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from engine.webhook import Delivery, delivery_id
from sim.world.judge.case import Breach, Case
from sim.world.tape import Received, read_event

UNANSWERED_S: Final = 10.0
"""How long after a receiver took an event the disk may have kept that from being written down."""


def judge_deliveries(case: Case) -> Iterator[Breach]:
    """Those of all hooks."""
    kept = {one.id: one for one in case.run.deliveries}
    yield from _judge_wanted(case, kept)
    yield from _judge_taken(case, kept)
    yield from _judge_left(kept)


def _judge_wanted(case: Case, kept: dict[str, Delivery]) -> Iterator[Breach]:
    """Of every event that was wanted there is a delivery, and of no other."""
    gone: set[str] = set()
    wanted: set[str] = set()
    for told in case.told:
        flow = case.flows.get(read_event(told)["flow"] or "")
        if flow is None or flow.settings.webhook is None or flow.id in gone:
            continue
        if told.type == "webhook.disabled":
            gone.add(flow.id)
            # Whether it tells itself of its end is not promised.
            continue
        if flow.settings.webhook.wants(told.type):  # type: ignore[arg-type]
            wanted.add(delivery_id(told.account, told.seq))
    for one in wanted - kept.keys():
        yield Breach("every event that is wanted is delivered, or given up", one)


def _judge_taken(case: Case, kept: dict[str, Delivery]) -> Iterator[Breach]:
    """What the receivers saw, in its order."""
    taken: dict[str, Received] = {}
    latest: defaultdict[tuple[str, str], int] = defaultdict(int)
    for entry in case.entries:
        if not isinstance(entry, Received) or entry.code != "ok":
            continue
        one = kept.get(entry.delivery)
        if one is None:
            yield Breach("nothing is sent that nobody asked for", entry.delivery)
            continue
        before = taken.setdefault(entry.delivery, entry)
        if before is not entry:
            until = before.at + UNANSWERED_S
            is_excused = before.process != entry.process or case.was_in_trouble(before.at, until)
            if not is_excused:
                yield Breach("nothing that was taken is sent again", entry.delivery)
            continue
        subject = one.flow, one.subject
        if one.seq < latest[subject]:
            yield Breach("what is sent of a contact is in order", f"{one.id} of {one.subject}")
        latest[subject] = max(latest[subject], one.seq)
    for one in kept.values():
        if one.state == "delivered" and one.id not in taken:
            yield Breach("what is delivered was taken", one.id)


def _judge_left(kept: dict[str, Delivery]) -> Iterator[Breach]:
    """Of each subject the first that is pending has its turn."""
    heads: dict[tuple[str, str], Delivery] = {}
    for one in sorted(kept.values(), key=lambda delivery: delivery.seq):
        if one.state == "pending":
            heads.setdefault((one.flow, one.subject), one)
    for one in heads.values():
        if one.due_at is None:
            yield Breach("no delivery waits for nothing", one.id)
