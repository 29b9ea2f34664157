"""Agents of single calls who were rung in vain: they answered, and their customer could not be called.

Whoever is rung is taken to be so until the customer's call has been made: a contact comes back from a DID in
the very step in which the DID finds no room for it, and its agent must not be rung again for that.
"""

from __future__ import annotations

import math
from typing import Final

from msgspec import Struct

RINGS_MAX: Final = 3
"""How often an agent may be rung in vain for one contact; then the contact ends."""
WAITS_S: Final = (60.0, 300.0)
"""How long the contact waits after the first such ring, and after each further one."""
KEPT: Final = 10_000
"""Contacts of which that is counted; beyond, the one that was counted first is forgotten."""


class VainRing(Struct):
    """What is known of one contact."""

    count: int = 0
    until: float = -math.inf
    """Its agent is not rung again before; `trio.current_time()`."""

    @property
    def is_last(self) -> bool:
        """Whether the agent is not to be rung again for it."""
        return self.count >= RINGS_MAX


class VainRings:
    """By contact. A restart forgets it."""

    def __init__(self) -> None:
        self._rings: dict[str, VainRing] = {}

    def find(self, contact: str) -> VainRing:
        """What is known of a contact."""
        return self._rings.get(contact) or VainRing()

    def count(self, contact: str, now: float) -> VainRing:
        """The agent of a contact has answered."""
        ring = self._rings.pop(contact, None) or VainRing()
        ring.count += 1
        ring.until = now + WAITS_S[min(ring.count, len(WAITS_S)) - 1]
        self._rings[contact] = ring
        if len(self._rings) > KEPT:
            del self._rings[next(iter(self._rings))]
        return ring

    def forget(self, contact: str) -> None:
        """The contact was called, or is done with."""
        self._rings.pop(contact, None)
