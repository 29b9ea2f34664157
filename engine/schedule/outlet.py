"""What the scheduler and whoever takes contacts from it say to each other."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from engine.model import BlockerCode
from engine.schedule.feed import Work


class Hold(Struct, frozen=True):
    """The outlet's no: nothing more of this flow can be taken."""

    until: float | None
    """When to offer again, seconds since the epoch; None when `ReadyQueues.offer` will be called."""


class Aside(Struct, frozen=True):
    """The outlet's no to one contact: others of the flow may be taken."""

    due_at: float
    """When to offer it again, seconds since the epoch."""
    code: BlockerCode
    """Why."""


Outlet = Callable[[Work], Hold | Aside | None]
"""Takes a contact that is due, at once and without blocking (None), or says to hold its flow or the
contact alone."""
