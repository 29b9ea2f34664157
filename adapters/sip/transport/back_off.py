"""Which peers are left alone for a while, because connecting to them has just failed; pure."""

from __future__ import annotations

from typing import NamedTuple

from adapters.sip.wire.hop import Hop

HOPS_MAX = 1024
"""Peers that are remembered; beyond it the one that failed longest ago is forgotten."""
DOUBLINGS_MAX = 16
"""Failures in a row that still make the wait longer, where its longest does not come first."""


class _Wait(NamedTuple):
    failures: int
    until: float


class BackOff:
    """The wait starts at `first_s` and doubles with each failure in a row up to `longest_s`."""

    def __init__(self, first_s: float, longest_s: float) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._waits: dict[Hop, _Wait] = {}
        """In the order of their last failure."""

    def is_waiting(self, hop: Hop, now: float) -> bool:
        """Whether a peer is still left alone."""
        wait = self._waits.get(hop)
        return wait is not None and now < wait.until

    def fail(self, hop: Hop, now: float) -> None:
        """A connect has failed."""
        last = self._waits.pop(hop, None)
        if last is None or now >= last.until + self._longest_s:
            # What failed so long ago says nothing about this.
            last = _Wait(0, now)
        while len(self._waits) >= HOPS_MAX:
            del self._waits[next(iter(self._waits))]
        wait_s = min(self._longest_s, self._first_s * 2 ** min(last.failures, DOUBLINGS_MAX))
        self._waits[hop] = _Wait(last.failures + 1, now + wait_s)

    def succeed(self, hop: Hop) -> None:
        """A connect has worked."""
        self._waits.pop(hop, None)
