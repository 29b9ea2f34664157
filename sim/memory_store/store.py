"""The store put together."""

from __future__ import annotations

from engine.ports.clock import WallClock
from engine.ports.store import EventListener
from sim.memory_store.activations import MemoryActivations
from sim.memory_store.agents import MemoryAgents
from sim.memory_store.audit import MemoryAudit, audited
from sim.memory_store.deliveries import MemoryDeliveries
from sim.memory_store.dialing import MemoryDialing
from sim.memory_store.forecasts import MemoryForecasts
from sim.memory_store.intake import MemoryIntake
from sim.memory_store.keys import MemoryKeys
from sim.memory_store.letters import MemoryLetters
from sim.memory_store.moving import MemoryMoving
from sim.memory_store.past_calls import MemoryPastCalls
from sim.memory_store.pickups import MemoryPickups
from sim.memory_store.reading import MemoryReading
from sim.memory_store.recordings import MemoryRecordings
from sim.memory_store.settings import MemorySettings
from sim.memory_store.tables import EVENTS_KEPT_MAX, Tables


@audited
class MemoryStore(
    MemorySettings,
    MemoryKeys,
    MemoryAudit,
    MemoryIntake,
    MemoryDialing,
    MemoryPastCalls,
    MemoryMoving,
    MemoryAgents,
    MemoryRecordings,
    MemoryDeliveries,
    MemoryPickups,
    MemoryLetters,
    MemoryActivations,
    MemoryReading,
    MemoryForecasts,
):
    """The port `engine.ports.store.Store` in dicts and heaps, without threads, and so at home under a
    virtual clock.

    Each method yields to trio once and then does its work in one go: a caller that is cancelled has
    changed nothing. `on_events` is called before the method returns. Of an account's events the last
    `events_kept_max` at least can be asked for.
    """

    def __init__(
        self,
        on_events: EventListener,
        clock: WallClock,
        *,
        events_kept_max: int = EVENTS_KEPT_MAX,
    ) -> None:
        self._tables = Tables(on_events, clock, events_kept_max)

    @property
    def tables(self) -> Tables:
        """What it holds, for whoever looks on from outside: to be read between two checkpoints, and not to be
        changed."""
        return self._tables
