"""Lists that were picked up from folders: what the store keeps of them."""

from __future__ import annotations

from typing import Protocol

from engine.model.drop_settings import Door
from engine.model.events import Event
from engine.model.pickup import DropState, FileMark, Pickup, Place
from engine.ports.stored import Page


class PickupStore(Protocol):
    """Part of `engine.ports.store.Store`; what is said there of transactions, accounts and cursors holds.

    `accept_list` keeps the pick-up of a list in its own transaction.
    """

    async def find_pickup(
        self, account: str, flow: str, place: str, file: FileMark
    ) -> Pickup | None:
        """The pick-up of a file with this mark that was not removed yet as far as is known."""

    async def keep_refusal(self, pickup: Pickup, event: Event) -> Pickup | None:
        """Keep a file of which nothing was taken, with its event. Where its mark is known already, nothing is
        kept and that pick-up comes back."""

    async def pickups_left(self, account: str, flow: str, door: Door, limit: int) -> list[Pickup]:
        """Those that are not done, the oldest first."""

    async def note_pickup_steps(self, pickup: Pickup) -> None:
        """Keep when its steps were done (`removed_at`, `reported_at`, `told_at`)."""

    async def list_pickups(
        self, account: str, flow: str, limit: int, cursor: str | None
    ) -> Page[Pickup]:
        """The flow's, the newest first."""

    async def clear_pickups(self, before: float, limit: int) -> int:
        """Forget up to `limit` pick-ups from before a moment that are done; how many."""

    async def drop_state(self, account: str, flow: str, door: Place) -> DropState | None:
        """How a door stood when that last changed; None where it was never looked at."""

    async def keep_drop_state(
        self, account: str, flow: str, door: Place, state: DropState, event: Event | None
    ) -> None:
        """Keep how a door stands, with the event that tells of it."""
