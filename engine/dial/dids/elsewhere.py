"""Where a contact goes that lies before a DID which is full for as long as other calls last.

Those calls may last for hours, as those of agents at work do, or those of a trunk that was slowed down to a
few. So whoever waits for them looks now and then at the other DIDs of the flow: it goes to one that has room
for it and lets calls go. Where all others are busy, and here nobody has gone for long, all that lie here go
back to the scheduler, which offers them in their turn to whichever DID has room, but for those for whom an
agent is kept, and may be on the telephone. A contact that knows this DID waits for it first, for as long as
its flow promises.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Protocol

from msgspec import Struct

from engine.dial.dids.parking import STICKY_WAIT_S
from engine.dial.flow_desk import FlowDesk
from engine.dial.limits.party import Line
from engine.schedule.feed import Work

PATIENCE_S: Final = 2.0
"""How long contacts wait in a mailbox for the DID. Before a longer wait they go back to the scheduler, as
another DID of their flow may be free sooner."""
STUCK_S: Final = 60.0
"""A DID at which no call has been let go for so long, as others keep it or its trunks full, is left by all
that lie before it where other DIDs of their flow work."""


class Taker(Protocol):
    """A DID that may take a contact."""

    def post(self, work: Work, desk: FlowDesk) -> None:
        """Put a contact into the mailbox, which must have room."""


class Elsewhere(Struct, frozen=True):
    """What the other DIDs of a flow are to a contact that lies before one which is full."""

    free: Taker | None
    """One that has room for it, and would let it go at once, or within a moment."""
    works: bool = True
    """Whether any of them lets calls go, now or soon."""


NOWHERE: Final = Elsewhere(None, False)


class OtherDids(Protocol):
    """The DIDs of each flow."""

    def look(self, work: Work, rank: int, now: float) -> Elsewhere:
        """What they are to a contact of this rank, from now on and for a moment."""


class Place(Struct, frozen=True):
    """Where a contact lies before a DID that is full."""

    work: Work
    rank: int
    desk: FlowDesk
    caller: str
    """The DID's number."""
    line: Line
    """What it waits for."""
    behind: Iterable[Work]
    """Who else lies there."""


def look_elsewhere(place: Place, others: OtherDids, now: float) -> Elsewhere:
    """Where a contact goes at this moment (`trio.current_time()`), or else those who lie behind it, where an
    agent is kept for it; `NOWHERE` where all go on waiting."""
    waited_s = now - place.work.waits_since
    if waited_s < (STICKY_WAIT_S if _is_known(place) else PATIENCE_S):
        return NOWHERE
    found = others.look(place.work, place.rank, now)
    if found.free is not None:
        return found
    is_stuck = waited_s >= STUCK_S and now - place.line.taken_at >= STUCK_S
    may_leave = [place.work]
    if is_kept(place.work):
        may_leave = [one for one in place.behind if not is_kept(one)]
    works = is_stuck and any(others.look(one, place.rank, now).works for one in may_leave)
    return Elsewhere(None) if works else NOWHERE


def is_kept(work: Work) -> bool:
    """Whether an agent is kept for a contact: given back, it loses them."""
    return work.claim is not None and work.claim.is_held


def _is_known(place: Place) -> bool:
    """Whether the contact waits for this very DID, as it called its number before."""
    work, flow = place.work, place.desk.flow
    if flow.settings.caller_numbers != "sticky" or flow.kind == "dialer" or work.has_waited:
        return False
    return work.callers is not None and place.caller in work.callers.get(work.contact.number, ())
