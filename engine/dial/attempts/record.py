"""What is told of an attempt and of its contact, and the end of an attempt that nobody saw end."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from engine.dial.attempts.lifecycle import FINAL_STATUS
from engine.model import Attempt, Contact, Flow, Media, SipOutcome
from engine.model.disposition import Outcome
from engine.model.events import Event, EventType, rfc3339
from engine.ports.dial_store import DialStore
from engine.ports.telephony import Ended, MediaStatistics
from engine.schedule.retry import after_attempt, complete

SILENT_REASON: Final = "No final response came"
"""Instead of a reason phrase, which is another's."""


def attempt_event(event_type: EventType, attempt: Attempt, at: float, **data: Any) -> Event:
    """Something that happened to an attempt, at a moment in seconds since the epoch."""
    return Event(
        type=event_type,
        time=at,
        account=attempt.account,
        flow=attempt.flow,
        list=attempt.list,
        contact=attempt.contact,
        attempt=attempt.id,
        data=data,
    )


def ended_event(attempt: Attempt, at: float) -> Event:
    """The end of an attempt."""
    return attempt_event(
        "attempt.ended",
        attempt,
        at,
        status=attempt.status,
        disposition=attempt.disposition,
        duration_s=attempt.duration_s,
        sip_code=attempt.sip.code if attempt.sip is not None else None,
    )


def following_event(contact: Contact, at: float, reason: str | None = None) -> Event:
    """What follows for a contact: that it waits, or its final disposition.

    Args:
        reason: why its number was not dialled, where it was not.
    """
    data: dict[str, Any]
    if contact.state == "open":
        event_type: EventType = "contact.waiting"
        data = {"blocker": contact.wait_code, "until": rfc3339(contact.due_at)}
        if contact.detour is not None:
            data["redirected_to"] = contact.detour
    else:
        event_type = "contact.completed"
        data = {"disposition": contact.disposition, "reference": contact.reference}
    if reason is not None:
        data["reason"] = reason
    return Event(
        type=event_type,
        time=at,
        account=contact.account,
        flow=contact.flow,
        list=contact.list,
        contact=contact.id,
        data=data,
    )


def sip_of(ended: Ended, call_id: str) -> SipOutcome:
    """What the wire said at the end of a call. A 408 or a 503 that nobody sent is not put into the trunk's
    mouth (RFC 3261 §8.1.3.1 would have a silent one treated as such): there is no code, and the reason says
    so, and why it is so where the transport knows."""
    is_silent = ended.sip_code is None and ended.how in ("unreachable", "we_hung_up")
    reason = SILENT_REASON if is_silent else ended.sip_reason
    return SipOutcome(ended.sip_code, reason, call_id, ended.failure)


def media_of(statistics: MediaStatistics) -> Media:
    """What of a call's figures its record keeps."""
    return Media(
        loss=statistics.loss,
        jitter_ms=statistics.jitter_ms,
        mos=statistics.mos,
        remote_loss=statistics.remote_loss,
        remote_jitter_ms=statistics.remote_jitter_ms,
        rtt_ms=statistics.rtt_ms,
    )


async def end_interrupted(
    store: DialStore, attempt: Attempt, contact: Contact, flow: Flow | None, now: float
) -> None:
    """Close an attempt that a crash left open. Nobody knows what became of it, so it is `unknown`, and
    its contact is dialled again only where the flow says so."""
    ended = msgspec.structs.replace(
        attempt, status=FINAL_STATUS["unknown"], disposition="unknown", ended_at=now
    )
    if flow is None:
        after = complete(contact, "unknown", now)
    else:
        after = after_attempt(contact, flow, Outcome("unknown"), now, made_at=attempt.initiated_at)
    events = [ended_event(ended, now)]
    if after.state == "open":
        events.append(following_event(after, now))
    await store.end_attempt(ended, after, events)
