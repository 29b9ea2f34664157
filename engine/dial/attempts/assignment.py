"""What an attempt works with, and what it is told to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import Struct

from engine.dial.attempts.conversation import ConversationServices
from engine.dial.attempts.live import LiveAttempts
from engine.dial.attempts.progress import ProgressDesk
from engine.dial.attempts.versions import FlowVersions
from engine.dial.limits.party import Block, Permit
from engine.dial.trunks.route import Route
from engine.dial.trunks.trunk import TrunkCall
from engine.flow.definition import Definition
from engine.flow.presentation import FlowPresentation
from engine.ids import IdSource
from engine.model import Attempt, BlockerCode, Contact, Did, Flow
from engine.ports.clock import Randomness, WallClock
from engine.ports.store import Store
from engine.ports.telephony import Telephony
from engine.schedule.feed import Work

UNAVAILABLE_WAIT_S: Final = 1.0
"""How long a contact is put back when no call can be prepared or no intent can be written down."""
NUMBER_BUSY_WAIT_S: Final = 30.0
"""How long a contact is set aside whose number is on a call for another contact of its list."""


class AttemptServices(Struct):
    """What every attempt works with. Nothing of it changes but `destinations`."""

    live: LiveAttempts
    store: Store
    telephony: Telephony
    clock: WallClock
    ids: IdSource
    randomness: Randomness
    destinations: tuple[str, ...]
    """Prefixes that may be called; none refuses every number."""
    conversations: ConversationServices
    versions: FlowVersions
    progress: ProgressDesk
    put_back: Callable[[Work, Contact], None]
    """Tells the scheduler that the contact waits again."""
    set_aside: Callable[[Work, float, BlockerCode], None]
    """Has a contact wait in the store until a moment, seconds since the epoch."""
    pause_list: Callable[[str], None]
    """Tells the scheduler that the store has a list as paused."""
    finish: Callable[[Work], None]
    """Tells the scheduler that the contact is done with."""
    note_calling: Callable[[Work], None] = lambda work: None
    """Tells the scheduler that the contact's call is let go."""
    note_waiting: Callable[[Work], None] = lambda work: None
    """Tells the scheduler that a contact in hand waits for something else than a turn."""
    note_ended: Callable[[Attempt], None] = lambda attempt: None
    """Told of each attempt whose end is written down."""


class Assignment(Struct, frozen=True):
    """One attempt's task: whom to call, from which number, by which rules."""

    attempt: str
    """The id that it is to have."""
    work: Work
    flow: Flow
    definition: Definition
    """Of the flow as it is now; the contact's own may be an earlier one."""
    presentation: FlowPresentation
    did: Did
    route: Route
    call: TrunkCall
    """The trunk of the route that the call goes by, as far as this call concerns it."""
    permit: Permit
    recheck: Callable[[], Block | None]
    """Asked once more when everything is ready, directly before the INVITE leaves."""
