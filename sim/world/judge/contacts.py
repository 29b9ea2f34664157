"""Nothing lost, nothing twice: contacts and their calls."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import date
from typing import Final

from engine.model import Attempt
from sim.world.hours import day_of
from sim.world.judge.case import Breach, Case
from sim.world.tape import Answered, CallOver, Invite, Lie

REDIRECTIONS: Final = range(300, 400)


def judge_contacts(case: Case) -> Iterator[Breach]:
    """What was accepted, what became of it, and by how many calls."""
    yield from _judge_accepted(case)
    yield from _judge_invites(case)
    yield from _judge_one_at_a_time(case)
    yield from _judge_budget(case)
    for attempt in case.attempts.values():
        if attempt.ended_at is None:
            yield Breach("every attempt ends", attempt.id)
    for contact in case.contacts.values():
        if contact.state == "dialing":
            yield Breach("no contact is left behind", f"{contact.id} is being dialled for ever")
        if (contact.state == "completed") != (contact.disposition is not None):
            yield Breach("a contact has a disposition when it is completed", contact.id)
    for entry in case.entries:
        if isinstance(entry, Lie):
            yield Breach(
                "every waiting contact has a true blocker",
                f"{entry.contact} at {entry.at:.1f}: {entry.code}, {entry.detail}",
            )


def _judge_accepted(case: Case) -> Iterator[Breach]:
    of_list = Counter(contact.list for contact in case.contacts.values())
    for entry in case.entries:
        if not isinstance(entry, Answered) or not entry.accepted:
            continue
        kept = of_list[entry.answer] if entry.what == "list" else entry.answer in case.contacts
        if kept != entry.accepted:
            yield Breach("what was accepted is not lost", f"{entry.answer}: {kept}")


def _judge_invites(case: Case) -> Iterator[Breach]:
    for attempt, count in Counter(one.attempt for one in case.invites).items():
        if count > 1:
            yield Breach("no attempt is dialled twice", f"{attempt}: {count} INVITEs")
    for invite in case.invites:
        if not invite.written:
            yield Breach("nothing is dialled that is not written down", invite.attempt)
        attempt_or_none = case.attempts.get(invite.attempt)
        if attempt_or_none is not None and not _is_as_written(case, invite, attempt_or_none):
            yield Breach("the call is the one that was written down", invite.attempt)
        if invite.attempt not in case.overs:
            yield Breach("no call is left behind", invite.attempt)


def _is_as_written(case: Case, invite: Invite, attempt: Attempt) -> bool:
    contact = case.contacts[attempt.contact]
    return (
        (invite.number, invite.caller, invite.trunk) == (attempt.number, attempt.did, attempt.trunk)
        and (attempt.redirected_from or invite.number) in contact.tel
        and invite.caller in case.flows[attempt.flow].dids
        and case.dids[invite.caller].trunk == invite.trunk
    )


def _judge_one_at_a_time(case: Case) -> Iterator[Breach]:
    up: dict[str, str] = {}
    for entry in case.entries:
        if isinstance(entry, Invite | CallOver):
            attempt = case.attempts.get(entry.attempt)
            if attempt is None:
                continue
            if isinstance(entry, CallOver):
                up.pop(attempt.contact, None)
                continue
            if attempt.contact in up:
                yield Breach(
                    "no contact has two calls at once",
                    f"{attempt.contact}: {up[attempt.contact]} and {attempt.id}",
                )
            up[attempt.contact] = attempt.id


def _judge_budget(case: Case) -> Iterator[Breach]:
    codes = {one.attempt: one.code for one in case.invites}
    spent: defaultdict[str, int] = defaultdict(int)
    by_day: defaultdict[tuple[str, date], int] = defaultdict(int)
    for attempt in case.attempts.values():
        was_redirected = codes.get(attempt.id) in REDIRECTIONS
        if attempt.disposition in (None, "congested", "canceled") or was_redirected:
            continue
        contact = case.contacts[attempt.contact]
        spent[contact.id] += 1
        by_day[contact.id, day_of(contact.tel[0], attempt.initiated_at)] += 1
    for contact_id, count in spent.items():
        most = case.settings_of(contact_id).attempts_max
        if count > most:
            yield Breach("no contact is over its budget", f"{contact_id}: {count} of {most}")
    for (contact_id, day), count in by_day.items():
        most_a_day = case.settings_of(contact_id).attempts_max_per_day
        if most_a_day is not None and count > most_a_day:
            what = f"{contact_id}: {count} of {most_a_day} on {day}"
            yield Breach("no contact is over its budget of a day", what)
