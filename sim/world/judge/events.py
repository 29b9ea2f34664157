"""What is told is told once, in its order, and the last word is the last."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final

from sim.world.judge.case import Breach, Case
from sim.world.tape import read_event

RANKS: Final = {
    "attempt.initiated": 0,
    "attempt.ringing": 1,
    "attempt.answered": 2,
    "attempt.ended": 4,
}
"""Events of an attempt in their order; all others lie between an answer and the end."""


def judge_events(case: Case) -> Iterator[Breach]:
    """Those of every account, contact, attempt and list."""
    seqs: defaultdict[str, int] = defaultdict(int)
    by_attempt: defaultdict[str, list[str]] = defaultdict(list)
    completed: dict[str, str] = {}
    finished: set[str] = set()
    for told in case.told:
        seqs[told.account] += 1
        if told.seq != seqs[told.account]:
            yield Breach("events are numbered without a gap", f"{told.account}: {told.seq}")
        event = read_event(told)
        contact, attempt = event["contact"], event["attempt"]
        if contact in completed:
            yield Breach("the last event of a contact is its disposition", _show(event))
        if event["list"] in finished:
            yield Breach("the last event of a list is its completion", _show(event))
        if attempt is not None and event["type"].startswith("attempt."):
            by_attempt[attempt].append(event["type"])
        if event["type"] == "contact.completed":
            completed[contact] = event["data"]["disposition"]
        elif event["type"] == "list.completed":
            finished.add(event["list"])
    yield from _judge_attempts(case, by_attempt)
    yield from _judge_completions(case, completed, finished)


def _judge_attempts(case: Case, by_attempt: dict[str, list[str]]) -> Iterator[Breach]:
    for attempt, types in by_attempt.items():
        ranks = [RANKS.get(one, 3) for one in types]
        once = [rank for rank in ranks if rank != 3]
        if ranks != sorted(ranks) or len(once) != len(set(once)):
            yield Breach("the events of an attempt are in order", f"{attempt}: {' '.join(types)}")
        if ranks[0] != 0 or ranks[-1] != 4:
            yield Breach("an attempt is told of from its intent to its end", f"{attempt}: {types}")
    for untold in case.attempts.keys() - by_attempt.keys():
        yield Breach("every attempt is told of", untold)


def _judge_completions(
    case: Case, completed: dict[str, str], finished: set[str]
) -> Iterator[Breach]:
    open_lists = set()
    for contact in case.contacts.values():
        if contact.disposition != completed.get(contact.id):
            yield Breach(
                "every contact has one disposition, which is told",
                f"{contact.id}: {contact.disposition}, told {completed.get(contact.id)}",
            )
        if contact.disposition is None:
            open_lists.add(contact.list)
    for one in case.lists.values():
        if one.standing or one.status == "rejected":
            continue
        should = one.id not in open_lists
        if should != (one.id in finished):
            yield Breach("a list is completed with its last contact", one.id)


def _show(event: dict[str, Any]) -> str:
    return f"{event['list']} {event['contact']}: {event['type']} {event['data']}"
