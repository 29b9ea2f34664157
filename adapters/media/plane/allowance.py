"""How much each callee may send: who floods harms only itself.

Every packet costs the plane some time before it is known what it is worth: SRTP is opened, sound is decoded,
translated and written. A callee that sends what its codec allows never comes near the bound; of one that
floods what is beyond it is thrown away at one look at an array, before anything else looks at it.

A packet costs a turn, and turns come with the clock. Those that were not used are kept for a while, so
that what a network held back and then delivers at once is still heard. A packet that holds much sound costs
more where each packet is decoded by itself: sound may come twice as fast as it is spoken, and no faster.
Each row's turns come at another moment, so that many who flood do not all have theirs in one tick.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from adapters.media.codecs.g711 import SAMPLE_RATE_HZ

TURN_NS: Final = 8_000_000
"""On the average a callee has a packet in this time: the shortest in use is 10 ms, and keys come between."""
SAVED_NS: Final = 25 * TURN_NS
"""Turns that are kept: more than the packets that wait in a stream's socket at most."""
PACE: Final = 2
"""So many times as fast as the clock sound may come that is decoded packet by packet."""
_NS_PER_SAMPLE: Final = 1_000_000_000 // SAMPLE_RATE_HZ
_SPREAD: Final = (5**0.5 - 1) / 2
"""Multiples of the golden ratio's fraction lie evenly between 0 and 1, however many there are."""


class Allowance:
    """What each of up to `capacity` rows may send, on its port for RTP and on that for RTCP."""

    def __init__(self, capacity: int) -> None:
        self.packets_flooded = 0
        """Packets of all rows that were thrown away."""
        self._capacity = capacity
        slots = 2 * capacity
        spread = np.arange(capacity) * _SPREAD % 1 * TURN_NS
        self._turns_at = np.tile(spread.astype(np.int64), 2)
        """By how much earlier than whole turns of the clock each slot's come."""
        self._spent_ns = np.full(slots, -SAVED_NS, np.int64)
        """Until when the turns are used up."""
        self._cost_ns = np.full(slots, TURN_NS, np.int64)
        """Of a packet."""
        self._flooded = np.zeros(slots, np.int64)

    def clear(self, row: int) -> None:
        """Make a row a new stream's, which has all its turns."""
        for slot in (row, self._capacity + row):
            self._spent_ns[slot] = -SAVED_NS
            self._cost_ns[slot] = TURN_NS
            self._flooded[slot] = 0

    def take(self, slots: NDArray[np.intp], now_ns: int) -> NDArray[np.bool_] | None:
        """Which packets are taken, one of each of these slots, of which those above `capacity` are RTCP's;
        None where all are. The others are counted."""
        earned_ns = (self._turns_at[slots] + now_ns) // TURN_NS * TURN_NS
        spent_ns = np.maximum(self._spent_ns[slots], earned_ns - SAVED_NS)
        good: NDArray[np.bool_] = spent_ns < earned_ns
        self._spent_ns[slots] = spent_ns + self._cost_ns[slots] * good
        if good.all():
            return None
        beyond = slots[~good]
        self._flooded[beyond] += 1
        self.packets_flooded += len(beyond)
        return good

    def note_length(self, row: int, samples: int) -> None:
        """A row's packets are decoded one by one, and the latest held so much sound at 8 kHz."""
        self._cost_ns[row] = max(TURN_NS, samples * _NS_PER_SAMPLE // PACE)

    def read_flooded(self, row: int) -> int:
        """Packets of a row that were thrown away."""
        return int(self._flooded[row] + self._flooded[self._capacity + row])
