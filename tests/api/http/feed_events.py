"""Events for readers of the feed, and which of them a frame has."""

from __future__ import annotations

from typing import Any

import msgspec

from engine.model.events import Event, StoredEvent, number_event
from tests.api.http.world import EPOCH


def make_events(first: int, last: int, **changes: Any) -> list[StoredEvent]:
    values = {"type": "contact.waiting", "time": EPOCH, "account": "a", "flow": "f", "list": "l"}
    event = Event(**{**values, **changes})
    return [number_event(event, seq) for seq in range(first, last + 1)]


def seqs_of(frame: bytes | None) -> list[Any]:
    """The numbers of a frame's events; a gap as (since, until)."""
    assert frame is not None
    return [
        (entry["data"]["since"], entry["data"]["until"]) if entry["type"] == "gap" else entry["seq"]
        for entry in msgspec.json.decode(frame)
    ]
