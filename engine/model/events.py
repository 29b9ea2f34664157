"""What happened, in the past tense: the facts that the feed, webhooks and results are made of.

The store numbers each event within its account and keeps it in the same transaction as the change
that it tells of, so that an event is never lost and never told of something that did not happen.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct, field

SECONDS_REMEMBERED: Final = 64
"""Whole seconds whose text is kept."""

EventType = Literal[
    "list.accepted",
    "list.started",
    "list.paused",
    "list.rescheduled",
    "list.waiting",
    "list.completed",
    "contact.waiting",
    "contact.completed",
    "attempt.initiated",
    "attempt.ringing",
    "attempt.answered",
    "attempt.amd",
    "attempt.step",
    "attempt.digits",
    "attempt.connected",
    "attempt.abandoned",
    "attempt.opt_out",
    "attempt.ended",
    "leg.initiated",
    "leg.answered",
    "leg.ended",
    "agent.added",
    "agent.changed",
    "agent.presence",
    "agent.removed",
    "webhook.disabled",
    "door.failed",
    "door.restored",
    "door.file_refused",
    "door.mail_refused",
    "did.resting",
    "did.resumed",
    "account.new_country",
    "configuration.taken",
    "letter.given_up",
    "activation.requested",
    "activation.confirmed",
    "activation.refused",
    "activation.expired",
]


class Event(Struct, frozen=True, gc=False):
    """One fact. Which fields are set follows from its type: a list event has no contact, and one of a DID
    has no flow and no list, which are empty then."""

    type: EventType
    time: float
    """When it happened, seconds since the epoch."""
    account: str
    flow: str
    list: str
    contact: str | None = None
    attempt: str | None = None
    data: dict[str, Any] = field(default_factory=dict)
    """What belongs to this type; `docs/lifecycle.md` has the table."""


class StoredEvent(Struct, frozen=True, gc=False):
    """An event as the store keeps it: numbered, and encoded once for all who read it."""

    account: str
    seq: int
    """Rises by one per account."""
    flow: str
    list: str
    type: EventType
    body: bytes
    """The JSON object of CONTRACT.md, UTF-8."""
    has_delivery: bool = False
    """Whether it was written down for a webhook; known only to those who hear of the commit."""


class _Timed(Struct):
    time: datetime


_read_time = msgspec.json.Decoder(_Timed).decode


def time_of(body: bytes) -> float:
    """When a stored event happened, from its JSON; seconds since the epoch."""
    return _read_time(body).time.timestamp()


def rfc3339(at: float) -> str:
    """A moment in UTC with milliseconds, as the API writes it; what is less than one is cut off."""
    seconds, microseconds = divmod(round(at * 1e6), 1_000_000)
    return f"{_whole_second(seconds)}.{microseconds // 1000:03}Z"


@lru_cache(maxsize=SECONDS_REMEMBERED)
def _whole_second(at: int) -> str:
    """Most moments that are written lie in the second that is passing."""
    return datetime.fromtimestamp(at, UTC).isoformat()[:19]


_encoder = msgspec.json.Encoder()


def number_event(event: Event, seq: int, has_delivery: bool = False) -> StoredEvent:
    """Give an event its number and its wire form."""
    body = _encoder.encode(
        {
            "seq": seq,
            "time": rfc3339(event.time),
            "type": event.type,
            "account": event.account,
            "flow": event.flow or None,
            "list": event.list or None,
            "contact": event.contact,
            "attempt": event.attempt,
            "data": event.data,
        }
    )
    return StoredEvent(event.account, seq, event.flow, event.list, event.type, body, has_delivery)


def is_of_contact(event: StoredEvent, contact: str) -> bool:
    """Whether it tells of this contact. That is read from its wire form, where ids, which hold no quotes,
    stand before the data: it is asked too seldom to be kept beside each event."""
    head = event.body.find(b'"data":')
    return event.body.find(b'"contact":"%b"' % contact.encode(), 0, head) >= 0
