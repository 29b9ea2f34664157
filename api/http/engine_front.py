"""The engine, and what stands beside it, as the HTTP layer sees them. `engine.runtime.Engine` is an
`EngineFront`; tests bring a smaller one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from engine.control.administration import Administration
from engine.control.blocked import BlockedList
from engine.control.holding import Holding
from engine.control.rescheduling import Rescheduling
from engine.control.staffing import Staffing
from engine.dial.did_keeper import DidKeeper
from engine.forecast.forecaster import Forecaster
from engine.intake.submission import Intake
from engine.model import Blocker, CallList, Contact, ListCounts
from engine.ports.clock import WallClock
from engine.ports.store import Store


class DidLoad(Protocol):
    """How busy a DID is."""

    @property
    def channels_in_use(self) -> int:
        """Calls that go on."""

    @property
    def calls_last_s(self) -> int:
        """Calls that left within the last second."""


class EngineFront(Protocol):
    """What the routes ask for. Whatever names an id takes the account that it must belong to."""

    @property
    def store(self) -> Store:
        """For questions; what changes goes through the engine's own methods."""

    @property
    def intake(self) -> Intake:
        """Where triggers go in."""

    @property
    def administration(self) -> Administration:
        """Where accounts, DIDs, flows and prompts are made and changed."""

    @property
    def dids(self) -> DidKeeper:
        """Where DIDs are changed while they are called from."""

    @property
    def staffing(self) -> Staffing:
        """Where agents are made and changed, and ask for what they need."""

    @property
    def holding(self) -> Holding:
        """Where flows and accounts are paused, resumed and canceled."""

    @property
    def rescheduling(self) -> Rescheduling:
        """Where lists and contacts are given other start times."""

    @property
    def forecaster(self) -> Forecaster:
        """Tells when lists will end."""

    @property
    def clock(self) -> WallClock:
        """The time of day."""

    async def pause_list(self, account: str, call_list: str) -> CallList | None:
        """No call of the list begins after this returns. None when there is no such list; raises
        `Conflict`."""

    async def resume_list(self, account: str, call_list: str) -> CallList | None:
        """Go on with it; as `pause_list`."""

    async def cancel_list(self, account: str, call_list: str) -> CallList | None:
        """Complete what is open of it as `canceled`; as `pause_list`."""

    async def cancel_contact(self, account: str, contact: str) -> Contact | None:
        """Complete a contact as `canceled`. None when there is no such contact; raises `Conflict`
        (`contact_finished`, `contact_dialing`)."""

    async def explain(self, contacts: Sequence[Contact]) -> list[Blocker | None]:
        """Why each is not dialled now; None for those that are being dialled or completed."""

    async def sum_blockers(self, call_list: CallList, counts: ListCounts) -> BlockedList:
        """What the contacts of a list wait for that `counts` has as scheduled or waiting."""

    def did_load(self, number: str) -> DidLoad:
        """How busy a DID is now."""

    def problems(self) -> list[str]:
        """Why no call can be made, a sentence each; empty when calls can be made."""
