"""What the judge knows of a run at the moment: who waits or is called, by what was told. What has ended, and
was judged, is forgotten."""

from __future__ import annotations

from collections import deque
from datetime import date
from typing import TYPE_CHECKING, Final

from msgspec import Struct, field

from engine.model import Attempt, FlowSettings
from sim.world.plan import Plan
from sim.world.tape import Entry, Fact, Invite, Told

if TYPE_CHECKING:
    from sim.memory_store.tables import Tables
    from sim.world.run import Run

BREACHES_KEPT_MAX: Final = 10_000
"""Breaches that are written down; what is broken more often than that is known to be."""


class Breach(Struct, frozen=True):
    """A promise that was broken."""

    promise: str
    """In a few words, the same for each breach of it."""
    what: str


class Person(Struct):
    """A contact that was called, or completed."""

    contact: str
    account: str
    flow: str
    list: str
    tel: tuple[str, ...]
    calls: dict[str, Call] = field(default_factory=dict)
    """By attempt."""
    up: str | None = None
    """The attempt whose call is up."""
    spent: int = 0
    """Calls that cost budget."""
    spent_on: dict[date, int] = field(default_factory=dict)
    """The same by day, where the flow has a budget of a day."""
    completed: str | None = None
    """The disposition that was told."""
    last: Call | None = None
    """The latest call whose end was told."""
    waits_until: float | None = None
    """Until when it was told to wait; seconds since the epoch."""


class Call(Struct):
    """An attempt that was told of."""

    attempt: Attempt
    """As it was written down at first."""
    person: Person
    told: str = ""
    """The type of its latest event."""
    rank: int = -1
    """Of that event among those of an attempt."""
    invites: int = 0
    code: int | None = None
    """Of its INVITE's final response."""
    is_over: bool = False
    """Whether the call is, if there was one."""
    disposition: str | None = None
    """As its end was told."""
    process: int = 0
    """Which process made it, counted from 1."""
    ended_at: float | None = None
    """When its end was told, in seconds of the world."""

    def begun_at(self, invite: Invite) -> float:
        """What the clock showed when the call began. It may be set back between intent and INVITE."""
        return max(invite.wall_at, self.attempt.initiated_at)


class Case:
    """A run so far."""

    def __init__(self, plan: Plan, tables: Tables) -> None:
        """`tables` are what the store holds, whatever that is in each moment."""
        self.plan = plan
        self.tables = tables
        self.flows = {one.id: one for one in plan.flows}
        self.dids = {one.number: one for one in plan.dids}
        self.accounts = {one.id: one for one in plan.accounts}
        self.people: dict[str, Person] = {}
        """By contact."""
        self.calls: dict[str, Call] = {}
        """By attempt."""
        self.completed: deque[tuple[float, str]] = deque()
        """When a contact's disposition was told, in seconds of the world, and whose: those that are not
        settled, the earliest first."""
        self.breaches: list[Breach] = []

    def note(self, promise: str, what: str) -> None:
        """A promise was broken."""
        if len(self.breaches) < BREACHES_KEPT_MAX:
            self.breaches.append(Breach(promise, what))

    def person(self, contact: str) -> Person | None:
        """A contact; None where there is none, or none any more."""
        known = self.people.get(contact)
        if known is None:
            kept = self.tables.contacts.get(contact)
            if kept is None:
                return None
            known = Person(contact, kept.account, kept.flow, kept.list, kept.tel)
            self.people[contact] = known
        return known

    def call(self, attempt: str) -> Call | None:
        """An attempt; None where nothing of it is written down."""
        known = self.calls.get(attempt)
        if known is None:
            kept = self.tables.attempts.get(attempt)
            person = None if kept is None else self.person(kept.contact)
            if kept is None or person is None:
                return None
            known = self.calls[attempt] = person.calls[attempt] = Call(kept, person)
        return known

    def forget(self, person: Person) -> None:
        """Nothing more is to be said of a contact."""
        self.people.pop(person.contact, None)
        for attempt in person.calls:
            self.calls.pop(attempt, None)

    def settings_of(self, flow: str) -> FlowSettings:
        """As the plan has them."""
        return self.flows[flow].settings

    def contacts_of(self, call_list: str) -> list[str]:
        """Those of a list that the store still holds."""
        entry = self.tables.lists.get(call_list)
        return [] if entry is None else entry.contacts

    def was_in_trouble(self, since: float, until: float) -> bool:
        """Whether the disk was full or slow between two moments of the world."""
        return any(one.begin <= until and one.end >= since for one in self.plan.disk)


class Rules:
    """Some of what the judge holds a run to. What a kind of rules does not need to see, it leaves as it is
    here, and is not told of it."""

    def __init__(self, case: Case) -> None:
        self.case = case

    def read(self, entry: Entry) -> None:
        """Anything else was seen: no event, no INVITE."""

    def told(self, told: Told, fact: Fact, call: Call | None) -> None:
        """An event was committed, of this attempt if it is of one."""

    def invited(self, invite: Invite, call: Call | None) -> None:
        """An INVITE left, of this attempt; None where nothing of it is written down."""

    def finish(self, run: Run) -> None:
        """The run is over."""
