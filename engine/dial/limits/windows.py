"""At most so many calls in any window of so many seconds: exactly, not on average.

A token bucket lets twice its rate through around a refill, and a counter a minute lets twice its count
through around the full minute. What holds in *every* sliding window is simple: the n-th call before this
one must be older than the window. So a window remembers its last n calls and nothing else.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Final

from msgspec import Struct

GUARD_S: Final = 0.02
"""Seconds added to a window, so that calls which leave a full window apart still arrive so at a callee
who gets the later one sooner."""

SPREAD: Final = 0.9
"""Calls of a full window are spaced over this share of it: nearly even, yet with room to catch up."""

INTENT_MAX_S: Final = 5.0
"""An INVITE leaves within this time of its intent, or not at all. After a restart the windows go by the
intents, and must know how much later the calls can have left."""

PENDING_MAX: Final = 256
"""Calls, the latest, among which those are looked for that have not left yet."""


class Slot(Struct, gc=False):
    """One call's place in a window."""

    at: float
    """When the call leaves, or left; monotonic seconds."""
    sent: bool = False
    """Whether it has left: until then `at` may still move."""


class SlidingWindow:
    """At most `calls` in any `per_s` seconds. Times are seconds of a clock that only rises."""

    def __init__(self, calls: int, per_s: float, spread: float = 0.0) -> None:
        self.calls = calls
        self.per_s = per_s
        self._slots: deque[Slot] = deque(maxlen=calls)
        self._spacing_s = spread * per_s / calls

    def free_at(self) -> float:
        """The earliest moment for one more call; infinite while that depends on a call which has its
        slot and has not left yet."""
        slots = self._slots
        if len(slots) == self.calls and not slots[0].sent:
            return math.inf
        return self.not_before()

    def not_before(self) -> float:
        """No call is let go before this moment, whenever those leave that have their slots: it is never
        before those moments."""
        slots = self._slots
        if not slots:
            return -math.inf
        spaced = slots[-1].at + self._spacing_s
        if len(slots) < self.calls:
            return spaced
        return max(slots[0].at + self.per_s + GUARD_S, spaced)

    @property
    def may_free(self) -> bool:
        """Whether a call has a slot that has not left yet, and may not; those are among the latest."""
        latest = islice(reversed(self._slots), PENDING_MAX)
        return any(not slot.sent for slot in latest)

    def reserve(self, at: float) -> Slot:
        """Take a slot at a moment that is not before `free_at()`."""
        slot = Slot(at)
        self._slots.append(slot)
        return slot

    def restore(self, at: float) -> None:
        """Enter a call that left before this process began; oldest first."""
        self._slots.append(Slot(at, sent=True))

    def give_back(self, slot: Slot) -> None:
        """Forget a slot whose call never left. O(slots that were taken after it)."""
        for place in range(len(self._slots) - 1, -1, -1):
            if self._slots[place] is slot:
                del self._slots[place]
                return

    def inherit(self, old: SlidingWindow) -> None:
        """Count the latest calls of the window that this one replaces: first of all those that have not
        left yet, as they are the last to leave."""
        self._slots.extend(sorted(old._slots, key=lambda slot: (not slot.sent, slot.at)))

    @property
    def remembered(self) -> int:
        """Calls that it knows of."""
        return len(self._slots)

    def recall(self, earlier: Sequence[float]) -> None:
        """Enter calls that left before all that it knows of, oldest first."""
        known = [*self._slots]
        self._slots.clear()
        self._slots.extend([*(Slot(at, sent=True) for at in earlier), *known])

    @property
    def oldest_at(self) -> float:
        """When the earliest call left that it knows of; infinite where it knows none."""
        return self._slots[0].at if self._slots else math.inf

    def count(self, now: float) -> int:
        """Calls that left, or are about to, within the window that ends now. O(calls)."""
        return sum(slot.at > now - self.per_s for slot in self._slots)


class Pacer:
    """A call every so many seconds, and none before a moment: what a trunk that refused calls is given. It
    stands beside the windows, which hold whatever it says. Times are those of the windows."""

    def __init__(self) -> None:
        self.gap_s = 0.0
        """Seconds from one call to the next; 0 for no pace of its own."""
        self.not_before = -math.inf
        self._latest: Slot | None = None

    def free_at(self) -> float:
        """The earliest moment for one more call."""
        if self._latest is None or self.gap_s == 0.0:
            return self.not_before
        return max(self.not_before, self._latest.at + self.gap_s)

    def reserve(self, at: float) -> Slot:
        """Take a slot at a moment that is not before `free_at()`."""
        self._latest = Slot(at)
        return self._latest


def window_for_cps(cps: float) -> SlidingWindow:
    """The window of a calls-per-second limit: a whole number of calls in a second, or, below one, a call
    every 1/cps seconds. The calls are spread over it."""
    if cps < 1:
        return SlidingWindow(1, 1 / cps, SPREAD)
    return SlidingWindow(int(cps), 1.0, SPREAD)


def mark_sent(slot: Slot, at: float) -> None:
    """The call of this slot left at this moment."""
    slot.at = at
    slot.sent = True
