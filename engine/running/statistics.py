"""What the engine is doing at one moment, and why it can make no call."""

from __future__ import annotations

from msgspec import Struct

from engine.dial.attempts.live import LiveAttempts
from engine.dial.operation import Operation
from engine.schedule.scheduler import Scheduler


class TrunkStatistics(Struct, frozen=True):
    """What a trunk is doing at one moment."""

    name: str
    in_use: int
    """Calls that it carries."""
    channels: int
    """Calls that it takes just now: fewer than configured where it is full."""
    is_up: bool


class EngineStatistics(Struct, frozen=True):
    """What the engine is doing at one moment."""

    calls: int
    """Attempts that go on."""
    dids: int
    """DID actors that run."""
    trunks: tuple[TrunkStatistics, ...] = ()
    in_use: int = 0
    """Calls that count against the engine's own limit."""
    channels: int = 0
    """That limit; 0 where there is none."""
    dids_full: int = 0
    """DIDs that carry as many calls as they may."""
    ready: int = 0
    """Contacts that are due and not taken yet, as a limit is reached."""
    in_hand: int = 0
    """Contacts that are in memory, wherever they are on their way to a call."""
    late: tuple[int, ...] = ()
    """Contacts by how late they were brought forward, by place of `engine.schedule.lateness.BOUNDS_S`."""
    late_s: float = 0.0
    """Seconds by which all of them together were."""


class DidLoad(Struct, frozen=True):
    """How busy a DID is."""

    channels_in_use: int
    calls_last_s: int
    """Calls that left within the last second."""


def count_engine(
    operation: Operation, scheduler: Scheduler, live: LiveAttempts, now: float
) -> EngineStatistics:
    """What these do at `now`, on trio's clock."""
    trunks = tuple(
        TrunkStatistics(
            name, trunk.limits.in_use, trunk.limits.channels or 0, trunk.down_by(now) is None
        )
        for name, trunk in operation.trunks.items()
    )
    limits, lateness = operation.engine_limits, scheduler.lateness
    return EngineStatistics(
        len(live),
        operation.did_count,
        trunks,
        in_use=limits.in_use,
        channels=limits.channels or 0,
        dids_full=operation.dids_full,
        ready=scheduler.queues.count,
        in_hand=scheduler.in_hand,
        late=tuple(lateness.counts),
        late_s=lateness.sum_s,
    )


def find_problems(is_running: bool, operation: Operation, can_call: bool, now: float) -> list[str]:
    """Why no call can be made, a sentence each; empty when all is ready.

    Args:
        can_call: whether any destination is allowed.
        now: on trio's clock.
    """
    found = []
    if not is_running:
        found.append("The engine is starting or stopping.")
    if not operation.trunks:
        found.append("No trunk is configured.")
    trunks = operation.trunks.values()
    if trunks and all(trunk.down_by(now) is not None for trunk in trunks):
        found.append("No trunk answers.")
    if not can_call:
        found.append("`limits.destinations` is empty, which refuses every number.")
    return found
