"""How far a list is, folded from the events of the feed. Pure: its only clock is the events' own."""

from __future__ import annotations

from collections import Counter, deque
from datetime import datetime
from typing import Final

from msgspec import Struct

from api.answers import FeedEvent, ListView

PACE_WINDOW_S: Final = 1.0
"""The pace of a DID is what it started within the latest so many seconds."""
STARTS_KEPT_MAX: Final = 10_000
"""Attempts of one DID that are remembered for its pace."""


class DidPace(Struct, frozen=True):
    """How fast one DID dials."""

    did: str
    now: int
    """Attempts begun within the latest second."""
    total: int
    """Attempts so far."""


class Progress:
    """The state of one list. `take` each event in order, and `adopt` what the engine itself counts."""

    def __init__(self, contacts: int) -> None:
        self.contacts = contacts
        """How many there are to be reached."""
        self.attempts = 0
        self._told: Counter[str] = Counter()
        self._counted: Counter[str] = Counter()
        self.has_ended = False
        self.waits: dict[str, int] = {}
        """How many contacts wait for what, by the codes of blockers, when it was last told."""
        self._answered: set[str] = set()
        self._dialing: set[str] = set()
        self._starts: dict[str, deque[datetime]] = {}
        self._totals: Counter[str] = Counter()
        self._first: datetime | None = None
        self._latest: datetime | None = None

    def take(self, event: FeedEvent) -> None:
        """Fold one event in. Types that say nothing about progress are passed over."""
        self._latest = max(event.time, self._latest or event.time)
        attempt = event.attempt or ""
        match event.type:
            case "list.accepted":
                self.contacts = int(event.data.get("contacts", self.contacts))
            case "attempt.initiated":
                self._first = self._first or event.time
                self.attempts += 1
                self._dialing.add(attempt)
                did = str(event.data.get("did", "?"))
                self._totals[did] += 1
                self._starts.setdefault(did, deque(maxlen=STARTS_KEPT_MAX)).append(event.time)
            case "attempt.answered":
                self._dialing.discard(attempt)
                self._answered.add(attempt)
            case "attempt.ended":
                self._dialing.discard(attempt)
                self._answered.discard(attempt)
            case "contact.completed":
                self._told[str(event.data.get("disposition", "?"))] += 1
            case "list.waiting":
                waits = event.data.get("blocked")
                self.waits = dict(waits) if isinstance(waits, dict) else {}
            case "list.completed":
                self.has_ended = True

    def adopt(self, view: ListView) -> None:
        """Take over the engine's own count where it is ahead: events of long ago may be gone."""
        self.contacts = max(self.contacts, view.counts.contacts)
        self._counted = Counter(view.dispositions)
        self.waits = view.blocked
        self.has_ended = self.has_ended or view.has_ended

    @property
    def told(self) -> int:
        """Completions of contacts that came over the feed."""
        return self._told.total()

    @property
    def dispositions(self) -> Counter[str]:
        """How contacts ended: what the feed told, or the engine counted, whichever is ahead."""
        return max(self._told, self._counted, key=Counter.total)

    @property
    def completed(self) -> int:
        """Contacts that have their disposition."""
        return self.dispositions.total()

    @property
    def calls_up(self) -> int:
        """Calls that are answered and go on."""
        return len(self._answered)

    @property
    def calls_dialing(self) -> int:
        """Calls that are not answered yet."""
        return len(self._dialing)

    @property
    def elapsed_s(self) -> float:
        """Seconds from the first attempt to the latest event."""
        if self._first is None or self._latest is None:
            return 0.0
        return (self._latest - self._first).total_seconds()

    @property
    def left_s(self) -> float | None:
        """Seconds to the end if it goes on like this; None while there is nothing to go by."""
        if self.completed == 0 or self.elapsed_s == 0:
            return None
        return (self.contacts - self.completed) * self.elapsed_s / self.completed

    def paces(self) -> tuple[DidPace, ...]:
        """Each DID's pace, in the order of the numbers."""
        return tuple(
            DidPace(did, self._count_recent(self._starts[did]), self._totals[did])
            for did in sorted(self._starts)
        )

    def _count_recent(self, starts: deque[datetime]) -> int:
        assert self._latest is not None, "a start is an event"
        while starts and (self._latest - starts[0]).total_seconds() >= PACE_WINDOW_S:
            starts.popleft()
        return len(starts)
