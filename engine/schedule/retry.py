"""What follows an attempt: the contact's next try, or its final disposition.

One rule each, in the order of CONTRACT.md: what the network caused costs no budget; a callee who was
reached is done; one who refused is left alone; a number is tried again as often as the flow says for
that disposition; then the next number; then it is over.
"""

from __future__ import annotations

from typing import Final, cast

import msgspec

from engine.disposition import Disposition, Outcome
from engine.model import Contact, FlowSettings, RetriedDisposition

CONGESTION_WAIT_S: Final = 5.0
"""How long a contact is put back after `congested` where the network did not say how long."""
CONGESTION_WAIT_MAX_S: Final = 300.0
"""The longest Retry-After that is believed."""

REACHED: Final[frozenset[Disposition]] = frozenset({"answered", "canceled", "skipped", "expired"})
"""Dispositions after which there is nothing more to try."""


def after_attempt(
    contact: Contact, settings: FlowSettings, outcome: Outcome, now: float
) -> Contact:
    """The contact as it stands after an attempt that ended at `now`, seconds since the epoch."""
    disposition = outcome.disposition
    if disposition is None:
        return _wait(contact, now, 0.0)
    if not outcome.spends_budget:
        asked_s = outcome.retry_after_s
        wait_s = CONGESTION_WAIT_S if asked_s is None else min(asked_s, CONGESTION_WAIT_MAX_S)
        return _wait(contact, now, wait_s)
    contact = msgspec.structs.replace(contact, spent=contact.spent + 1)
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
        following = msgspec.structs.replace(contact, tel_index=contact.tel_index + 1, tries={})
        return _wait(following, now, 0.0)
    return complete(contact, disposition, now)


def _wait(contact: Contact, now: float, wait_s: float) -> Contact:
    return msgspec.structs.replace(
        contact, state="open", due_at=now + wait_s, wait_code="retry_wait"
    )
