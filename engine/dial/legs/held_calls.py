"""Contacts whose agents are not called, as limits or rules of ours keep those calls from leaving.

They wait here without their agents, for a while, and are looked at again and again by what lets the agents'
calls go: what it says is what they wait for. As soon as it lets one go, the contact is offered anew.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import trio
from msgspec import Struct

from engine.dial.agents.floor import Floor
from engine.dial.attempts.assignment import AttemptServices
from engine.dial.legs.leg import PATIENCE_S, LegWays
from engine.dial.limits.party import Block
from engine.dial.operation import Operation
from engine.schedule.feed import Work

LOOK_S: Final = 1.0
"""How often they are looked at."""
OFFERED_LEAST: Final = 10
"""So many of a flow are offered anew at one look, or as many as its DIDs let go in `OFFERED_S`: each of them
then stands before the DIDs by itself, and a thousand that stand there cost more than they can win."""
OFFERED_S: Final = 2 * LOOK_S
HELD_MIN_S: Final = 5.0
"""How long a contact waits at the least before its agent's call is tried again that limits still hold …"""
HELD_MAX_S: Final = 60.0
"""… and at the most."""

UNSEEN: Final = "engine_limit"
"""What holds a call that could not be prepared, or not be written down."""


class HeldCall(Struct):
    """A contact whose agent's call is held."""

    work: Work
    number: str
    """Of the agent."""
    floor: Floor
    until: float
    """It is offered anew then at the latest; `trio.current_time()`."""
    unseen_until: float
    """It is not looked at before."""


class _Look(Struct):
    """At the contacts of one flow."""

    ways: LegWays
    """What its DIDs say is the same for many of them."""
    room: int
    """So many more of them may be offered anew."""


Settle = Callable[[Work, Block], bool]
"""Has a contact wait elsewhere that waits for what this says; whether it does."""


class HeldCalls:
    """They are bounded by what the scheduler has in hand."""

    def __init__(self, services: AttemptServices, operation: Operation, settle: Settle) -> None:
        self._services = services
        self._operation = operation
        self._settle = settle
        self._held: dict[str, HeldCall] = {}
        """By contact."""
        self._has_come = trio.Event()
        self.is_over = False
        """Whether `run` has ended: the engine is being stopped, and calls nobody any more."""

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._held)

    def add(self, work: Work, number: str, floor: Floor, block: Block) -> None:
        """The call of a contact's agent may not leave for now."""
        now = trio.current_time()
        is_unseen = block.code == UNSEEN and block.line is None
        held = HeldCall(work, number, floor, _end_of(block, now), now)
        if is_unseen:
            held.unseen_until = now + HELD_MIN_S
        before = self._held.pop(work.contact.id, None)
        if before is not None:
            self._services.finish(before.work)  # the contact is in hand anew
        self._held[work.contact.id] = held
        floor.held[work.contact.id] = block
        self._services.note_waiting(work)
        self._has_come.set()

    async def run(self) -> None:
        """Look at them, until cancelled."""
        try:
            while True:
                await self._has_come.wait()
                while self._held:
                    await trio.sleep(LOOK_S)
                    self._look_at_all()
                self._has_come = trio.Event()
        finally:
            self.is_over = True

    def _look_at_all(self) -> None:
        now, wall_now = trio.current_time(), self._services.clock.now()
        looks: dict[str, _Look] = {}
        for held in list(self._held.values()):
            flow = held.work.contact.flow
            if flow not in looks:
                dids = self._operation.ways_of(flow, None)
                pace = sum(actor.did.cps for actor, _ in dids)
                looks[flow] = _Look(
                    LegWays(dids, now, wall_now, now + PATIENCE_S),
                    max(OFFERED_LEAST, math.ceil(pace * OFFERED_S)),
                )
            self._look_at(held, looks[flow], now)

    def _look_at(self, held: HeldCall, look: _Look, now: float) -> None:
        work, services = held.work, self._services
        if work.is_void or self._operation.floor_of(work.contact.flow) is not held.floor:
            self._let_go(held)
            services.finish(work)
            return
        found = look.ways.find(held.number) if now >= held.unseen_until else None
        is_free = isinstance(found, tuple)
        if isinstance(found, Block):
            held.floor.held[work.contact.id] = found
            held.until = min(held.until, _end_of(found, now))
        elif is_free:
            held.floor.held[work.contact.id] = Block("did_cps", now)  # it is next, or soon
        is_over = (is_free or now >= held.until) and look.room > 0
        if work.feed.paused or is_over:
            look.room -= is_over
            self._let_go(held)
            services.put_back(work, work.contact)
        elif isinstance(found, Block) and self._settle(work, found):
            self._let_go(held)

    def _let_go(self, held: HeldCall) -> None:
        contact = held.work.contact.id
        del self._held[contact]
        held.floor.held.pop(contact, None)


def _end_of(block: Block, now: float) -> float:
    """Until when a call waits here that this keeps from leaving. For what other calls end it has to stand in
    line, and what cannot be seen is found out by trying."""
    if math.isinf(block.until) and (block.line is not None or block.code == UNSEEN):
        return now + HELD_MIN_S
    return now + min(max(block.until - now, HELD_MIN_S), HELD_MAX_S)
