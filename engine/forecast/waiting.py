"""Contacts of one list whose numbers are in the same zones, and that are due, in a forecast."""

from __future__ import annotations

from collections import deque

from msgspec import Struct

from engine.schedule.calling_hours import CallingHours


class _Block(Struct):
    """Contacts who come due together, in the store: those of all standings are mixed."""

    step: int
    is_called: bool
    counts: dict[int, int]
    """Contacts by their standings."""
    contacts: int = 0
    """All of them."""

    def add(self, standing: int, contacts: int) -> None:
        self.counts[standing] = self.counts.get(standing, 0) + contacts
        self.contacts += contacts

    def take(self, some: int) -> list[tuple[int, int]]:
        """(standing, contacts) of so many, as they are mixed."""
        taken, passed, left = [], 0, self.contacts
        for standing, waiting in self.counts.items():
            part = (passed + waiting) * some // left - passed * some // left
            passed += waiting
            if part:
                taken.append((standing, part))
        for standing, part in taken:
            self.counts[standing] -= part
        self.contacts -= some
        return taken


class Queue:
    """Some in memory, the others in the store, as `engine.schedule.fetching` has them."""

    def __init__(
        self, stream: int, zones: tuple[str, ...], hours: CallingHours, held_max: int
    ) -> None:
        self.stream = stream
        self.zones = zones
        self.ready: deque[tuple[int, int, int]] = deque()
        """(due step, standing, contacts), those in memory; empty only where nobody is due."""
        self.hours = hours
        self.is_open = True
        self.until = -1
        """Up to which step that holds."""
        self._stored: deque[_Block] = deque()
        self._called: set[int] = set()
        """Standings of contacts who have been called."""
        self._held_max = held_max
        self._held = 0

    def add(
        self, step: int, standing: int, contacts: int, *, is_held: bool, is_called: bool
    ) -> None:
        """Some come due, who waited in memory or in the store, and have been called or not."""
        if is_called:
            self._called.add(standing)
        if is_held:
            self.ready.append((step, standing, contacts))
            self._held += contacts
        else:
            self._store(step, standing, contacts)
        self._fetch()

    def reopen(self, step: int) -> None:
        """The window opens: all who could not be called were set aside until now, and whoever is due at the
        same moment goes in the order of the list: who has been called is before who has not."""
        waiting = [(standing, contacts) for _, standing, contacts in self.ready]
        for block in self._stored:
            waiting += block.counts.items()
        self.ready.clear()
        self._stored.clear()
        self._held = 0
        for standing, contacts in sorted(waiting, key=lambda one: one[0] not in self._called):
            self._store(step, standing, contacts)
        self._fetch()

    def take(self, contacts_max: int) -> tuple[int, int]:
        """(standing, contacts) of the next, so many at the most."""
        step, standing, waiting = self.ready.popleft()
        taken = min(contacts_max, waiting)
        if taken < waiting:
            self.ready.appendleft((step, standing, waiting - taken))
        self._held -= taken
        self._fetch()
        return standing, taken

    def _store(self, step: int, standing: int, contacts: int) -> None:
        is_called = standing in self._called
        last = self._stored[-1] if self._stored else None
        if last is None or (last.step, last.is_called) != (step, is_called):
            last = _Block(step, is_called, {})
            self._stored.append(last)
        last.add(standing, contacts)

    def _fetch(self) -> None:
        if self._held > self._held_max // 2:
            return
        while self._stored and self._held < self._held_max:
            block = self._stored[0]
            some = min(block.contacts, self._held_max - self._held)
            self.ready.extend((block.step, *one) for one in block.take(some))
            self._held += some
            if not block.contacts:
                self._stored.popleft()
