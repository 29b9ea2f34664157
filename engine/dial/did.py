"""A DID's actor: takes contacts from its mailbox one by one, and lets each go when every limit allows."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import msgspec
import structlog
import trio

from engine.dial.attempt import Assignment, AttemptServices, run_attempt
from engine.dial.blockers import Block, Case, find_blocker
from engine.dial.limits import Limits, Permit, limits_of_did
from engine.dial.trunk import Trunk
from engine.flow.definition import Definition
from engine.model import Did, Flow
from engine.schedule.feed import Work

log = structlog.get_logger(__name__)

MAILBOX_S: Final = 1.0
"""Seconds of a DID's pace that its mailbox holds."""
MAILBOX_MIN: Final = 2
MAILBOX_MAX: Final = 500
TRUNK_CHECK_S: Final = 1.0
"""How often a DID without a trunk, or before one that is down, looks again at the least."""


class FlowDesk:
    """A flow in operation: its present version, read, with its limits."""

    def __init__(self, flow: Flow, definition: Definition, limits: Limits) -> None:
        self.flow = flow
        self.definition = definition
        self.limits = limits
        self.posted = 0
        """Contacts of the flow that lie in mailboxes."""

    @property
    def is_full(self) -> bool:
        """Whether calls that are up and contacts in mailboxes take all of the flow's channels."""
        channels = self.limits.channels
        return channels is not None and self.limits.in_use + self.posted >= channels


class DidActor:
    """Owns one DID's limits and channels. `run` is its only task; `post` is how work reaches it."""

    def __init__(
        self,
        did: Did,
        trunk: Trunk | None,
        engine: Limits,
        desk_of: Callable[[str], FlowDesk | None],
    ) -> None:
        self.did = did
        self.trunk = trunk
        self.limits = limits_of_did(did.cps, did.channels, did.caps)
        self.hungry: dict[str, None] = {}
        """Flows that had work for this DID when its mailbox was full, in the order of asking."""
        self._engine = engine
        self._desk_of = desk_of
        size = min(MAILBOX_MAX, max(MAILBOX_MIN, math.ceil(did.cps * MAILBOX_S)))
        self._inbox, self._outbox = trio.open_memory_channel[Work](size)
        self._size = size

    @property
    def backlog_s(self) -> float:
        """Seconds that the mailbox's work takes at the DID's pace."""
        return self._inbox.statistics().current_buffer_used / self.did.cps

    @property
    def has_room(self) -> bool:
        """Whether the mailbox takes one more."""
        return self._inbox.statistics().current_buffer_used < self._size

    def post(self, work: Work, desk: FlowDesk) -> None:
        """Put a contact into the mailbox, which must have room."""
        self._inbox.send_nowait(work)
        desk.posted += 1

    def case_of(self, list_paused: bool, desk: FlowDesk) -> Case:
        """What decides whether a contact of this flow may go by this DID."""
        return Case(
            list_paused=list_paused,
            flow_active=desk.flow.listener_active and self.did.number in desk.flow.dids,
            trunk=self.trunk,
            flow=desk.limits,
            engine=self._engine,
            did=self.limits,
        )

    async def run(
        self,
        attempts: trio.Nursery,
        services: AttemptServices,
        on_room: Callable[[DidActor], None],
        on_flow_free: Callable[[str], None],
    ) -> None:
        """Let contacts go until cancelled.

        Args:
            attempts: where attempts run; it outlives this actor.
            on_room: told each time that the mailbox has room for one more.
            on_flow_free: told when a flow may have a channel of its own free again.
        """

        async def attempt(assignment: Assignment) -> None:
            await run_attempt(services, assignment)
            on_flow_free(assignment.flow.id)

        async for work in self._outbox:
            on_room(self)
            assignment = await self._await_turn(work, services)
            desk = self._desk_of(work.feed.flow)
            if desk is not None:
                desk.posted -= 1
            if assignment is not None:
                attempts.start_soon(attempt, assignment)
            else:
                on_flow_free(work.feed.flow)

    async def _await_turn(self, work: Work, services: AttemptServices) -> Assignment | None:
        """Wait until this contact may go; None when it goes back to the scheduler instead."""
        while True:
            desk = self._desk_of(work.feed.flow)
            if desk is None or work.feed.closed:
                services.finish(work)
                return None
            case = self.case_of(work.feed.paused, desk)
            now = trio.current_time()
            block = find_blocker(work.contact, case, now, services.clock.now())
            if block is None:
                return self._assign(work, desk, case, services, now)
            if block.limits is not None and block.limits is not desk.limits:
                await block.limits.wait_turn()
            elif block.code in ("no_trunk", "trunk_down"):
                await trio.sleep(min(TRUNK_CHECK_S, max(0.0, block.until - now)))
            else:
                self._put_back(work, block, services, now)
                return None

    def _assign(
        self, work: Work, desk: FlowDesk, case: Case, services: AttemptServices, now: float
    ) -> Assignment:
        trunk = case.trunk
        assert trunk is not None
        parties = (self.limits, desk.limits, trunk.limits, self._engine)
        moment = max(now, *(limits.earliest() for limits in parties))
        assert moment - now < 1.0, "a slot is reserved only when it is near"

        def recheck() -> Block | None:
            """The limits were taken with the permit; everything else is asked again."""
            if work.feed.paused or work.feed.closed:
                return Block("list_paused", math.inf)
            present = self._desk_of(work.feed.flow)
            if present is None or not self.case_of(False, present).flow_active:
                return Block("flow_paused", math.inf)
            return None

        return Assignment(
            work=work,
            flow=desk.flow,
            definition=desk.definition,
            did=self.did,
            trunk=trunk,
            permit=Permit(parties, moment),
            recheck=recheck,
        )

    def _put_back(self, work: Work, block: Block, services: AttemptServices, now: float) -> None:
        """Only this contact, or its flow, is held back: the DID goes on with others."""
        wait_s = TRUNK_CHECK_S if math.isinf(block.until) else block.until - now
        due_at = max(work.contact.due_at, services.clock.now() + max(0.0, wait_s))
        held = msgspec.structs.replace(work.contact, due_at=due_at)
        services.put_back(work, held)
