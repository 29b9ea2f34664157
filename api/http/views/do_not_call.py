"""The do-not-call list as the API shows it."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from api.http.views.encoding import show_time
from engine.model.do_not_call import DoNotCall, DoNotCallChange, DoNotCallSource
from engine.model.events import rfc3339


class DoNotCallView(Struct, frozen=True):
    """A number, or a range of numbers, that is not called."""

    number: str
    flow: str | None
    """Only by this flow; None by none of the account."""
    added_at: str
    expires_at: str | None
    note: str
    source: DoNotCallSource
    added_by: str | None


class DoNotCallChangeView(Struct, frozen=True):
    """What somebody did to the do-not-call list."""

    time: str
    action: Literal["added", "removed"]
    number: str
    flow: str | None
    source: DoNotCallSource
    by: str | None
    expires_at: str | None
    note: str


def show_do_not_call(entry: DoNotCall) -> DoNotCallView:
    """A listed number as the API shows it."""
    return DoNotCallView(
        number=entry.number,
        flow=entry.flow,
        added_at=rfc3339(entry.added_at),
        expires_at=show_time(entry.expires_at),
        note=entry.note,
        source=entry.source,
        added_by=entry.added_by,
    )


def show_do_not_call_change(change: DoNotCallChange) -> DoNotCallChangeView:
    """A change of the do-not-call list as the API shows it."""
    return DoNotCallChangeView(
        time=rfc3339(change.at),
        action=change.action,
        number=change.number,
        flow=change.flow,
        source=change.source,
        by=change.by,
        expires_at=show_time(change.expires_at),
        note=change.note,
    )
