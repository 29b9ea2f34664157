"""Room in a row of equal blocks: taken first fit, given back, neighbours joined."""

from __future__ import annotations

from bisect import bisect_left


class Extents:
    """The free stretches of blocks 0 to `blocks - 1`."""

    def __init__(self, blocks: int) -> None:
        self._free: list[tuple[int, int]] = [(0, blocks)]
        """First block and number of each free stretch, in order; no two of them touch."""

    def take(self, count: int) -> int | None:
        """The first block of a stretch of so many that is free no longer; None where there is none."""
        assert count > 0
        for at, (first, length) in enumerate(self._free):
            if length > count:
                self._free[at] = (first + count, length - count)
                return first
            if length == count:
                del self._free[at]
                return first
        return None

    def give_back(self, first: int, count: int) -> None:
        """Free what `take` gave."""
        at = bisect_left(self._free, (first, count))
        if at < len(self._free) and self._free[at][0] == first + count:
            count += self._free.pop(at)[1]
        if at and sum(self._free[at - 1]) == first:
            at -= 1
            before, length = self._free.pop(at)
            first, count = before, length + count
        self._free.insert(at, (first, count))
