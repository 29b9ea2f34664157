"""What the engine needs of its store. `tests/contract/test_store.py` is the definition in tests.

Every method that changes something returns after the commit: what it changed survives a crash. Each
is one transaction. Nothing outside the store may assume one process, SQLite's types, or that rows can
be scanned. Every question that an outsider can cause takes the account, so that the store cannot be
asked for another account's rows.

A cursor that no page gave raises `Conflict("invalid_cursor")`. Storing something of an account, flow or list
that does not exist raises `LookupError`, and of a flow that is deleted `Conflict("flow_deleted")`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from engine.model.events import StoredEvent
from engine.ports.activations import ActivationStore
from engine.ports.agent_store import AgentStore
from engine.ports.dial_store import DialStore
from engine.ports.forecast_store import ForecastStore
from engine.ports.intake_store import IntakeStore
from engine.ports.letters import LetterStore
from engine.ports.moving import MovingStore
from engine.ports.pickups import PickupStore
from engine.ports.read_store import ReadStore
from engine.ports.recordings import RecordingStore
from engine.ports.settings_store import AuditStore, InstallationStore, SettingsStore
from engine.ports.webhooks import WebhookStore


class Store(
    SettingsStore,
    InstallationStore,
    AuditStore,
    IntakeStore,
    DialStore,
    MovingStore,
    AgentStore,
    RecordingStore,
    PickupStore,
    LetterStore,
    ActivationStore,
    WebhookStore,
    ReadStore,
    ForecastStore,
    Protocol,
):
    """All of it. An implementation is made with a function that is called, in the engine's thread and
    after each commit, with the events that the commit brought, in their order."""


EventListener = Callable[[Sequence[StoredEvent]], None]
"""Called with what one commit brought; it must not block and must not raise."""
