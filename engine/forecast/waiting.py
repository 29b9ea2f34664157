"""Contacts of one list whose numbers are in the same zones, and that are due, in a forecast."""

from __future__ import annotations

from collections import deque

from engine.schedule.calling_hours import CallingHours


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
        self._stored: deque[tuple[int, int, int]] = deque()
        self._held_max = held_max
        self._held = 0

    def add(self, step: int, standing: int, contacts: int, is_held: bool) -> None:
        """Some come due, who waited in memory or in the store."""
        (self.ready if is_held else self._stored).append((step, standing, contacts))
        self._held += contacts if is_held else 0
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

    def _fetch(self) -> None:
        if self._held > self._held_max // 2:
            return
        while self._stored and self._held < self._held_max:
            step, standing, waiting = self._stored.popleft()
            some = min(waiting, self._held_max - self._held)
            if some < waiting:
                self._stored.appendleft((step, standing, waiting - some))
            self.ready.append((step, standing, some))
            self._held += some
