"""Which DID of its flow a contact goes by: the one that can take it soonest, and another where that one turns
out to be full for as long as other calls last."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from itertools import islice
from typing import Final
from weakref import WeakKeyDictionary

from engine.dial.blockers import Ways, find_unfit
from engine.dial.callers import CallerPool
from engine.dial.dids.did import DidActor
from engine.dial.dids.elsewhere import NOWHERE, PATIENCE_S, Elsewhere
from engine.dial.flow_desk import FlowDesk
from engine.dial.limits.party import Block, Limits
from engine.dial.trunks.route import Route
from engine.schedule.feed import Work
from engine.schedule.turns import URGENT

DIDS_LOOKED_AT_MAX: Final = 200
"""DIDs of one flow that are looked at for a contact that lies before another, first those that may have room:
as many as are asked to explain why it is not dialled."""
GLANCE_S: Final = 1.0
"""How long a look at a flow's DIDs that found none of them free is good for: many may wait that would each
look."""
SOON_S: Final = 60.0
"""A DID that lets a call go within this time works."""
NO_END_S: Final = 1e6
"""How long a wait is taken to be that other calls end; it is shorter than that for a trunk that is down."""


class DidChoice:
    """Chooses DIDs. All times are `trio.current_time()`."""

    def __init__(
        self, engine: Limits, desks: Mapping[str, FlowDesk], actors: Mapping[str, DidActor]
    ) -> None:
        """`desks` and `actors` are those in operation at any time."""
        self._engine = engine
        self._desks = desks
        self._actors = actors
        self._glances: WeakKeyDictionary[CallerPool, tuple[float, Elsewhere]] = WeakKeyDictionary()
        """What the latest look at some DIDs found that found none free, and when."""

    def choose(self, pool: CallerPool, callee: str, rank: int, now: float) -> str | None:
        """The DID whose mailbox takes a contact of this rank now; None where none does."""
        has_room = partial(self.has_room, rank)
        wait_of = partial(self._expected_wait_s, now, {})
        return (pool.for_urgent if rank == URGENT else pool).choose(callee, has_room, wait_of)

    def has_room(self, rank: int, number: str) -> bool:
        """Whether a DID is in operation, and takes a contact of this rank now."""
        actor = self._actors.get(number)
        return actor is not None and actor.has_room(rank)

    def look(self, work: Work, rank: int, now: float) -> Elsewhere:
        """As `engine.dial.dids.elsewhere.OtherDids` has it."""
        desk = self._desks.get(work.feed.flow)
        if desk is None:
            return NOWHERE
        pool = desk.callers.pool_for(work.contact.number)
        glance = self._glances.get(pool)
        if glance is not None and now < glance[0] + GLANCE_S:
            return glance[1]
        found = self._find(pool, desk, work.contact.number, rank, now)
        if found.free is None:
            self._glances[pool] = now, found
        return found

    def _find(
        self, pool: CallerPool, desk: FlowDesk, callee: str, rank: int, now: float
    ) -> Elsewhere:
        ways = Ways((desk.limits, desk.account.limits, self._engine), now)
        works = False
        for number in islice(pool.by_room(callee), DIDS_LOOKED_AT_MAX):
            other = self._actors.get(number)
            if other is None or find_unfit(callee, other.as_way(desk)) is not None:
                continue
            block = ways.find_line_blocker(other.route, other.limits)
            if _ends_within(PATIENCE_S, block, now) and other.has_room(rank):
                return Elsewhere(other)
            works = works or _ends_within(SOON_S, block, now)
        return Elsewhere(None, works)

    def _expected_wait_s(
        self, now: float, of_routes: dict[Route, Block | None], number: str
    ) -> float:
        actor = self._actors[number]
        route = actor.route
        if route is None:
            return math.inf
        if route not in of_routes:
            of_routes[route] = route.blocked_by(now)
        of_route, of_did = of_routes[route], actor.limits.blocked_by(now)
        if of_route is not None and of_route.line is None:
            return math.inf
        standing = [block.until for block in (of_route, of_did) if block is not None]
        held_s = min(max(standing) - now, NO_END_S) if standing else 0.0
        return actor.backlog_s + held_s


def _ends_within(wait_s: float, block: Block | None, now: float) -> bool:
    return block is None or (block.line is not None and block.until <= now + wait_s)
