"""What follows an attempt: the contact's next try, or its final disposition.

One rule each, in the order of CONTRACT.md: what the network caused costs no budget, nor does a call that a
trunk redirected; a callee who was reached is done; one who refused is left alone; a number is tried again
as often as the flow says for that disposition; then the next number; then it is over.
"""

from __future__ import annotations

from typing import Final, cast

import msgspec

from engine.disposition import Disposition, Outcome
from engine.model import Contact, FlowSettings, RetriedDisposition

CONGESTION_WAIT_S: Final = 1.0
"""How long a contact is put back at the most when the first trunk refuses it as congested …"""
CONGESTION_WAIT_MAX_S: Final = 60.0
"""… and at the most when it is refused again and again, each time for twice as long: where the far end of
one call is full, only this keeps it from being dialled without end."""

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
    settings: FlowSettings,
    outcome: Outcome,
    now: float,
    kept_wait_s: float = 0.0,
) -> Contact:
    """The contact as it stands after an attempt that ended at `now`, seconds since the epoch.

    Args:
        kept_wait_s: how long it waits where the attempt cost no budget.
    """
    disposition = outcome.disposition
    if outcome.redirected_to is not None:
        contact = msgspec.structs.replace(contact, detour=outcome.redirected_to, detoured=True)
        return _wait(contact, now, 0.0)
    if disposition is None or not outcome.spends_budget:
        return _wait(contact, now, kept_wait_s)
    contact = msgspec.structs.replace(contact, spent=contact.spent + 1, detour=None)
    if _is_final(disposition, settings) or contact.spent >= settings.attempts_max:
        return complete(contact, disposition, now)
    return _try_again(contact, settings, disposition, now)


def complete(contact: Contact, disposition: Disposition, now: float) -> Contact:
    """The contact with its final disposition."""
    return msgspec.structs.replace(
        contact, state="completed", disposition=disposition, completed_at=now
    )


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
        following = msgspec.structs.replace(
            contact, tel_index=contact.tel_index + 1, tries={}, detoured=False
        )
        return _wait(following, now, 0.0)
    return complete(contact, disposition, now)


def _wait(contact: Contact, now: float, wait_s: float) -> Contact:
    return msgspec.structs.replace(
        contact, state="open", due_at=now + wait_s, wait_code="retry_wait"
    )
