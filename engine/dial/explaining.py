"""Explains why contacts are not dialled, by the same functions that let calls go."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from itertools import islice
from typing import Final

import trio

from engine.dial.blockers import (
    DETAILS,
    Case,
    Ways,
    describe,
    find_hold,
    find_own_blocker,
    find_way_blocker,
)
from engine.dial.dids.did import DidActor
from engine.dial.dids.parking import Parking
from engine.dial.flow_desk import FlowDesk
from engine.dial.limits.party import Block, Limits, limits_of_did
from engine.model import Blocker, BlockerCode, Contact
from engine.ports.clock import WallClock

DIDS_ASKED_MAX: Final = 200
"""DIDs of one flow that are asked what holds them, first those that may have room. Where there are more, the
reason is a true one all the same, though another DID may be free sooner."""
UNKNOWN_FLOW: Final = Block("flow_paused", math.inf)
"""Of a flow that is not in operation."""
STOPPING: Final = Block(
    "engine_limit",
    math.inf,
    detail="The engine is being stopped; contacts are called when it has been started again.",
)


class Explainer:
    """Why each contact is not dialled now."""

    def __init__(
        self,
        clock: WallClock,
        engine: Limits,
        desks: Mapping[str, FlowDesk],
        actors: Mapping[str, DidActor],
        parking: Parking,
        is_stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        """`desks` and `actors` are those in operation at any time; `is_stopping` tells whether no call begins
        any more, while others come to their ends."""
        self._clock = clock
        self._engine = engine
        self._desks = desks
        self._actors = actors
        self._parking = parking
        self._is_stopping = is_stopping

    def explain(self, contacts: Iterable[Contact], paused: Container[str]) -> list[Blocker]:
        """Why each of these open contacts is not dialled now: what holds it at the DID that is free soonest.

        Args:
            paused: lists that are.
        """
        now, wall_now = trio.current_time(), self._clock.now()
        lines: dict[tuple[str, bool], Block] = {}
        """What holds a flow's DIDs back is the same for all its contacts that may be called from them."""
        return [
            describe(self._find_block(one, one.list in paused, lines, now, wall_now), now, wall_now)
            for one in contacts
        ]

    def find_hold(self, flow: str, list_paused: bool) -> BlockerCode | None:
        """What somebody has stopped, so that no contact of a list is dialled, whatever else holds it."""
        desk = self._desks.get(flow)
        held = UNKNOWN_FLOW if desk is None else find_hold(self._case_of(desk, list_paused))
        return None if held is None else held.code

    def _find_block(
        self,
        contact: Contact,
        is_paused: bool,
        lines: dict[tuple[str, bool], Block],
        now: float,
        wall_now: float,
    ) -> Block:
        desk = self._desks.get(contact.flow)
        if desk is None:
            return UNKNOWN_FLOW
        agents = STOPPING if self._is_stopping() else desk.floor.blocked_by(contact)
        case = self._case_of(desk, is_paused, agents)
        own = find_own_blocker(contact, case, now, wall_now)
        # Whether there is a DID for it may have changed since it was set aside for want of one. That none is
        # for its agent is true now.
        if own is not None and (own.code != "no_trunk" or own is case.agents):
            return own
        known = self._parking.did_of(contact.id)
        if known is not None and known in self._actors:
            return self._find_wait(known, desk, contact, now)
        way = contact.flow, desk.callers.rule.binds(contact.number)
        if way not in lines:
            lines[way] = self._find_line(desk, contact.number, now)
        return lines[way]

    def _find_wait(self, known: str, desk: FlowDesk, contact: Contact, now: float) -> Block:
        """What holds a contact that waits for one DID."""
        case = self._actors[known].case_of(False, desk)
        block = find_way_blocker(contact.number, case, now) or Block("did_cps", now)
        reason = block.detail or DETAILS[block.code]
        detail = f"It waits for {known}, which called this number before. {reason}"
        return Block(block.code, block.until, detail=detail)

    def _case_of(self, desk: FlowDesk, list_paused: bool, agents: Block | None = None) -> Case:
        """The case of a flow at any of its DIDs."""
        for number in desk.flow.dids:
            if number in self._actors:
                return self._actors[number].case_of(list_paused, desk, agents)
        return _case_without_did(desk, self._engine, list_paused, agents)

    def _find_line(self, desk: FlowDesk, callee: str, now: float) -> Block:
        """What holds a flow's contacts back that nothing of their own does: all those that this callee's
        may be called from."""
        ways = Ways((desk.limits, desk.account.limits, self._engine), now)
        soonest: Block | None = None
        for actor in islice(self._callers_of(desk, callee), DIDS_ASKED_MAX):
            block = ways.find_blocker(callee, actor.as_way(desk))
            if block is None:
                # A DID is free this very moment: the contact is next, behind those that were due before.
                return Block("did_cps", now)
            if soonest is None or _order(block) < _order(soonest):
                soonest = block
        return soonest or Block("no_trunk", math.inf)

    def _callers_of(self, desk: FlowDesk, callee: str) -> Iterator[DidActor]:
        pool = desk.callers.pool_for(callee)
        if not pool.numbers:
            pool = desk.callers.all
        return (self._actors[number] for number in pool.by_room() if number in self._actors)


def _order(block: Block) -> tuple[float, bool]:
    """Of two that end with something else's end, the one that other calls end comes first."""
    return block.until, block.line is None


def _case_without_did(
    desk: FlowDesk, engine: Limits, list_paused: bool, agents: Block | None = None
) -> Case:
    """The case of a flow none of whose DIDs is in operation: it has no trunk to go by."""
    nobody = limits_of_did(1, 1, ())
    return Case(
        account_stopped=desk.account.is_stopped,
        account_paused=desk.account.is_paused,
        list_paused=list_paused,
        flow_active=desk.is_active,
        hours=desk.hours,
        route=None,
        flow=desk.limits,
        account=desk.account.limits,
        engine=engine,
        did=nobody,
        agents=agents,
        day_budget=desk.day_budget,
        day_caps=desk.account.day_caps,
        callees=desk.callees,
    )
