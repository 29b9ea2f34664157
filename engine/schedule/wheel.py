"""A hierarchical timer wheel: schedule and cancel in constant time, and no ticking while nothing is due.

Time is cut into ticks. A timer lies on the level at which its due tick first differs from the present
tick, both written in digits of base `SLOTS`, in the slot that its own digit names there (Varghese and
Lauck, "Hashed and Hierarchical Timing Wheels", scheme 7, with the level found by XOR as the kernels
do). Two things follow. Everything on a level is due before anything on the level above, and within a
level a lower slot is due before a higher one, so the next thing to do is the lowest occupied slot of
the lowest occupied level: two bit operations, however many ticks lie between. And a timer moves down
at most once a level before it is due.

A timer never fires early (by more than `ROUNDING_TICKS`), and at most one tick late.
"""

from __future__ import annotations

import math
from typing import Any, Final, Generic, TypeVar

from msgspec import Struct

T = TypeVar("T")

DIGIT_BITS: Final = 10
SLOTS: Final = 1 << DIGIT_BITS
SLOT_MASK: Final = SLOTS - 1
SECOND_LEVEL: Final = 1 << (2 * DIGIT_BITS)
"""The ticks that the two lowest levels cover."""
LEVELS: Final = 5
"""Five digits of ten bits: at 10 ms a tick, 357,000 years."""
TICKS_MAX: Final = (1 << (DIGIT_BITS * LEVELS)) - 1

ROUNDING_TICKS: Final = 1e-4
"""Seconds since the epoch are floats of 0.24 µs: who sleeps until `next_wake` must find it come."""

CANCELED_SPARE: Final = 4096
"""Canceled timers that may lie in the slots beyond as many as there are live ones."""

_CANCELED: Final = object()
"""The item of a timer that is over."""
_NEVER: Final = TICKS_MAX + 1
"""The due tick of one that was canceled: who moves timers need not fetch their items from memory, which is
what a million of them spend their time with."""


class Timer(Struct, gc=False):
    """A scheduled item; what `schedule` returns and `cancel` takes."""

    due_tick: int
    item: Any


class TimerWheel(Generic[T]):
    """Holds items until they are due. Times are floats of seconds on any clock that only rises."""

    def __init__(self, now: float, tick_s: float = 0.01) -> None:
        self._tick_s = tick_s
        self._origin = now
        self._tick = 0
        self._levels: list[list[list[Timer]]] = [[[] for _ in range(SLOTS)] for _ in range(LEVELS)]
        self._occupied = [0] * LEVELS  # one bit a slot, set where a slot holds timers
        self._live = 0
        self._canceled = 0

    def __len__(self) -> int:
        """How many items are scheduled."""
        return self._live

    def schedule(self, due: float, item: T) -> Timer:
        """Hold `item` until `due`; what is overdue comes out with the next tick."""
        now = self._tick
        tick = math.ceil((due - self._origin) / self._tick_s)
        if tick <= now:
            tick = now + 1
        elif tick > TICKS_MAX:
            tick = TICKS_MAX
        timer = Timer(tick, item)
        self._live += 1
        if tick ^ now >= SECOND_LEVEL:
            self._place(timer, tick)
            return timer
        # As `_place` would have it, for what is due soon.
        level, index = (0, tick) if tick ^ now < SLOTS else (1, tick >> DIGIT_BITS)
        slot = self._levels[level][index & SLOT_MASK]
        if not slot:
            self._occupied[level] |= 1 << (index & SLOT_MASK)
        slot.append(timer)
        return timer

    def cancel(self, timer: Timer) -> bool:
        """Take a timer out; whether it was still scheduled.

        It keeps its place, emptied, until its slot comes up or the empty places outnumber the live.
        """
        if timer.item is _CANCELED:
            return False
        timer.item, timer.due_tick = _CANCELED, _NEVER
        self._live -= 1
        self._canceled += 1
        if self._canceled > self._live + CANCELED_SPARE:
            self._sweep()
        return True

    def next_wake(self) -> float | None:
        """No item is due before this moment; None when there is none at all. It may be the moment at
        which a slot of a higher level is only dealt out again."""
        place = self._lowest()
        return None if place is None else self._origin + place[2] * self._tick_s

    def expire(self, now: float) -> list[T]:
        """Every item due at or before `now`, tick by tick."""
        target = math.floor((now - self._origin) / self._tick_s + ROUNDING_TICKS)
        due: list[T] = []
        # All that it holds is due after the present tick.
        while self._tick < target and (place := self._lowest()) and place[2] <= target:
            level, slot, self._tick = place
            slots = self._levels[level]
            timers, slots[slot] = slots[slot], []
            self._occupied[level] ^= 1 << slot
            if level == 0:
                self._fire(timers, due)
            else:
                self._deal_out(timers, due)
        self._tick = max(self._tick, target)
        return due

    def drain(self) -> list[T]:
        """Take every item out, whenever it is due; in no certain order. O(slots + items)."""
        timers: list[Timer] = []
        for slots in self._levels:
            for index, slot in enumerate(slots):
                timers += slot
                slots[index] = []
        self._occupied = [0] * LEVELS
        drained: list[T] = []
        self._fire(timers, drained)
        return drained

    def _place(self, timer: Timer, tick: int) -> None:
        level = ((tick ^ self._tick).bit_length() - 1) // DIGIT_BITS
        index = (tick >> (DIGIT_BITS * level)) & SLOT_MASK
        slot = self._levels[level][index]
        if not slot:
            self._occupied[level] |= 1 << index
        slot.append(timer)

    def _lowest(self) -> tuple[int, int, int] | None:
        """The next occupied slot: level, slot, and the first tick that it covers."""
        for level, occupied in enumerate(self._occupied):
            if occupied:
                slot = (occupied & -occupied).bit_length() - 1
                shift = DIGIT_BITS * level
                above = self._tick >> (shift + DIGIT_BITS) << (shift + DIGIT_BITS)
                return level, slot, above | slot << shift
        return None

    def _fire(self, timers: list[Timer], due: list[T]) -> None:
        fired = len(due)
        for timer in timers:
            item = timer.item
            if item is not _CANCELED:
                timer.item = _CANCELED  # a later cancel of it finds nothing to do
                due.append(item)
        fired = len(due) - fired
        self._live -= fired
        self._canceled -= len(timers) - fired

    def _deal_out(self, timers: list[Timer], due: list[T]) -> None:
        """Move the timers of a higher level's slot down, now that the present tick has reached it."""
        now, lowest, occupied = self._tick, self._levels[0], self._occupied[0]
        for timer in timers:
            tick = timer.due_tick
            if tick ^ now < SLOTS:  # as `_place` would have it, for all of the second level
                slot = lowest[tick & SLOT_MASK]
                if not slot:
                    occupied |= 1 << (tick & SLOT_MASK)
                slot.append(timer)
            elif tick == _NEVER:
                self._canceled -= 1
            else:
                self._place(timer, tick)
        # A slot of a higher level begins with a slot 0 of the lowest, which has come with it.
        ready, lowest[0] = lowest[0], []
        self._occupied[0] = occupied & ~1
        self._fire(ready, due)

    def _sweep(self) -> None:
        """Drop the canceled timers; costs each cancel a constant share."""
        for level, slots in enumerate(self._levels):
            occupied = self._occupied[level]
            while occupied:
                index = (occupied & -occupied).bit_length() - 1
                occupied &= occupied - 1
                slots[index] = [timer for timer in slots[index] if timer.item is not _CANCELED]
                if not slots[index]:
                    self._occupied[level] &= ~(1 << index)
        self._canceled = 0
