"""What follows an attempt: the contact's next try, or its final disposition.

One rule each, in the order of CONTRACT.md: what the network caused costs no budget, but a number that comes
to nothing again and again while its trunk takes other calls is given up; a call that a trunk redirected costs
none either; a callee who was reached is done; one who refused is left alone; a number is tried again
as often as the flow says for that disposition; then the next number; then it is over. What is left over of a
day's budget waits for the contact's next day.
"""

from __future__ import annotations

from typing import Final, cast

import msgspec

from engine.model import Contact, Flow, FlowSettings, RetriedDisposition
from engine.model.disposition import Disposition, Outcome
from engine.schedule.day_budget import budget_of, note_spent

CONGESTION_WAIT_S: Final = 1.0
"""How long a contact is put back at the most when the first trunk refuses it as congested …"""
CONGESTION_WAIT_MAX_S: Final = 60.0
"""… and at the most when it is refused again and again, each time for twice as long: where the far end of
one call is full, only this keeps it from being dialled without end."""

STALLS_MAX: Final = 20
"""A number is given up when so many calls of it in a row came to nothing for want of the network, each while
its trunk took other calls. That takes ten minutes of refusals at the least, as each wait is longer."""

REACHED: Final[frozenset[Disposition]] = frozenset({"answered", "canceled", "skipped", "expired"})
"""Dispositions after which there is nothing more to try."""


def congestion_wait_s(rounds: int, chance: float) -> float:
    """How long a contact is put back that was refused as congested. Only as much as spreads the contacts of
    one burst: what the trunk needs beyond that holds all its calls, and is that trunk's blocker.

    Args:
        rounds: how often all trunks of its route have refused it before, in a row.
        chance: 0 to 1.
    """
    longest_s = min(CONGESTION_WAIT_MAX_S, CONGESTION_WAIT_S * 2.0 ** min(rounds, 16))
    return longest_s * (1 + chance) / 2


def after_attempt(
    contact: Contact,
    flow: Flow,
    outcome: Outcome,
    now: float,
    kept_wait_s: float = 0.0,
    made_at: float | None = None,
) -> Contact:
    """The contact as it stands after an attempt that ended at `now`, seconds since the epoch.

    Args:
        kept_wait_s: how long it waits where the attempt cost no budget.
        made_at: when the attempt was made, on whose day it counts; None is `now`.
    """
    disposition = outcome.disposition
    if outcome.redirected_to is not None:
        detour = msgspec.structs.replace(
            contact, detour=outcome.redirected_to, detoured=True, tries=_without_stalls(contact)
        )
        return _wait(detour, now, 0.0)
    if disposition is None or not outcome.spends_budget:
        return _wait(contact, now, kept_wait_s)
    return _spend(contact, flow, disposition, now, made_at)


def after_stall(
    contact: Contact,
    flow: Flow,
    outcome: Outcome,
    now: float,
    kept_wait_s: float,
    stalls: int,
    made_at: float | None = None,
) -> tuple[Outcome, Contact]:
    """The outcome of an attempt that came to nothing for want of the network, and the contact as it stands
    after it. The last stall of a number that is given up costs its budget; where there was no answer at
    all, it is `failed`.

    Args:
        stalls: how many calls of the number have come to nothing, in a row, while its trunk took others.
    """
    if stalls < STALLS_MAX:
        tries: dict[Disposition, int] = {**contact.tries, "congested": stalls}
        counted = msgspec.structs.replace(contact, tries=tries)
        return outcome, after_attempt(counted, flow, outcome, now, kept_wait_s)
    if outcome.disposition is None:
        outcome = Outcome("failed")
    assert outcome.disposition is not None
    return outcome, _spend(contact, flow, outcome.disposition, now, made_at)


def stalls_of(contact: Contact) -> int | None:
    """How many calls of the contact's number have come to nothing in a row while its trunk took others;
    None where its latest call did not come to nothing. Kept among its tries, as `congested`, which no retry
    rule counts: so a restart does not forget it, and the next number begins anew."""
    return contact.tries.get("congested")


def complete(contact: Contact, disposition: Disposition, now: float) -> Contact:
    """The contact with its final disposition."""
    return msgspec.structs.replace(
        contact, state="completed", disposition=disposition, completed_at=now
    )


def _spend(
    contact: Contact, flow: Flow, disposition: Disposition, now: float, made_at: float | None
) -> Contact:
    dead = contact.dead
    if disposition == "invalid-number" and contact.detour is not None:
        dead = (*dead, contact.detour)
    spent = msgspec.structs.replace(
        contact,
        spent=contact.spent + 1,
        spent_at=note_spent(contact, now if made_at is None else made_at),
        dead=dead,
        detour=None,
        detoured=False,
        tries=_without_stalls(contact),
    )
    if _is_final(disposition, flow.settings) or spent.spent >= flow.settings.attempts_max:
        return complete(spent, disposition, now)
    return _wait_for_day(_try_again(spent, flow.settings, disposition, now), flow)


def _wait_for_day(contact: Contact, flow: Flow) -> Contact:
    """The contact on the first day, from the one on which it is due, that has a call left."""
    budget = budget_of(flow)
    if budget is None or contact.state != "open":
        return contact
    next_day = budget.spent_until(contact, contact.due_at)
    return contact if next_day is None else msgspec.structs.replace(contact, due_at=next_day)


def _without_stalls(contact: Contact) -> dict[Disposition, int]:
    return {what: count for what, count in contact.tries.items() if what != "congested"}


def _is_final(disposition: Disposition, settings: FlowSettings) -> bool:
    if disposition == "declined":
        return settings.declined == "stop"
    if disposition == "unknown":
        return settings.on_unknown == "stop"
    if disposition == "machine":
        return "machine" not in settings.retry
    return disposition in REACHED


def _try_again(
    contact: Contact, settings: FlowSettings, disposition: Disposition, now: float
) -> Contact:
    if disposition == "unknown":
        return _wait(contact, now, 0.0)
    rule = settings.retry.get(cast("RetriedDisposition", disposition))
    tried = contact.tries.get(disposition, 0)
    if rule is not None and tried < rule.tries:
        tries = {**contact.tries, disposition: tried + 1}
        return _wait(msgspec.structs.replace(contact, tries=tries), now, rule.wait_s)
    if contact.tel_index + 1 < len(contact.tel):
        following = msgspec.structs.replace(contact, tel_index=contact.tel_index + 1, tries={})
        return _wait(following, now, 0.0)
    return complete(contact, disposition, now)


def _wait(contact: Contact, now: float, wait_s: float) -> Contact:
    return msgspec.structs.replace(
        contact, state="open", due_at=now + wait_s, wait_code="retry_wait"
    )
