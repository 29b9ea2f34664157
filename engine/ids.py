"""Ids: opaque, prefixed by what they name, and sortable by the time they were made."""

from __future__ import annotations

from typing import Final, Literal

from engine.ports.clock import Randomness, WallClock

Prefix = Literal[
    "acc", "key", "did", "flw", "lst", "cnt", "att", "prm", "leg", "agt", "rec", "pck", "ltr", "act"
]

RANDOM_BITS: Final = 64


class IdSource:
    """Makes ids of 48 bits of milliseconds and 64 bits of chance, in hexadecimal.

    Two ids of one source never sort against the order of their making, even within one millisecond
    or when the clock is set back.
    """

    def __init__(self, clock: WallClock, randomness: Randomness) -> None:
        self._clock = clock
        self._randomness = randomness
        self._last = 0

    def new(self, prefix: Prefix) -> str:
        """One id."""
        fresh = (int(self._clock.now() * 1000) << RANDOM_BITS) | self._randomness.getrandbits(
            RANDOM_BITS
        )
        self._last = max(fresh, self._last + 1)
        return f"{prefix}_{self._last:028x}"

    def new_many(self, prefix: Prefix, count: int) -> list[str]:
        """`count` ids in rising order, at a fraction of the price of as many calls of `new`."""
        return ids_from(self.new_range(prefix, count), count)

    def new_range(self, prefix: Prefix, count: int) -> str:
        """The first of `count` ids that are set aside; `ids_from` names the others."""
        first = self.new(prefix)
        self._last += max(0, count - 1)
        return first


def ids_from(first: str, count: int) -> list[str]:
    """`count` ids that follow one another, from the first on."""
    prefix, _, digits = first.partition("_")
    begin = int(digits, 16)
    return [f"{prefix}_{value:028x}" for value in range(begin, begin + count)]


def id_after(first: str, count: int) -> str:
    """The id that comes so many after another, as of `ids_from`."""
    prefix, _, digits = first.partition("_")
    return f"{prefix}_{int(digits, 16) + count:028x}"
