"""Lists that were picked up from folders, and how the folders stand."""

from __future__ import annotations

import msgspec
import trio

from adapters.sqlite.cursors import ID_CURSOR, cursor_of, read_cursor
from engine.model.drop_settings import Door
from engine.model.events import Event
from engine.model.pickup import DropState, FileMark, Pickup, Place
from engine.ports.stored import Page
from sim.memory_store.paging import page_of
from sim.memory_store.tables import Tables


class MemoryPickups:
    """The methods of `engine.ports.pickups.PickupStore`."""

    _tables: Tables

    async def find_pickup(
        self, account: str, flow: str, place: str, file: FileMark
    ) -> Pickup | None:
        """The pick-up of a file that may be there still."""
        await trio.lowlevel.checkpoint()
        return self._tables.find_pickup(account, flow, place, file)

    async def keep_refusal(self, pickup: Pickup, event: Event) -> Pickup | None:
        """Keep a file of which nothing was taken. Raises LookupError for an unknown flow."""
        await trio.lowlevel.checkpoint()
        tables = self._tables
        tables.know_flow(pickup.account, pickup.flow)
        earlier = tables.find_pickup(pickup.account, pickup.flow, pickup.place, pickup.file)
        if earlier is None:
            tables.pickups[pickup.id] = pickup
            tables.tell((event,))
            tables.commit()
        return earlier

    async def pickups_left(self, account: str, flow: str, door: Door, limit: int) -> list[Pickup]:
        """Those that are not done, the oldest first."""
        await trio.lowlevel.checkpoint()
        left = [one for one in self._of(account, flow) if one.door == door and not one.is_done]
        return left[:limit]

    async def note_pickup_steps(self, pickup: Pickup) -> None:
        """Keep when its steps were done."""
        await trio.lowlevel.checkpoint()
        known = self._tables.pickups.get(pickup.id)
        if known is not None:
            self._tables.pickups[pickup.id] = msgspec.structs.replace(
                known,
                removed_at=pickup.removed_at,
                reported_at=pickup.reported_at,
                told_at=pickup.told_at,
            )

    async def list_pickups(
        self, account: str, flow: str, limit: int, cursor: str | None
    ) -> Page[Pickup]:
        """The newest first."""
        await trio.lowlevel.checkpoint()
        of_flow = self._of(account, flow)
        if cursor is not None:
            (before,) = read_cursor(cursor, ID_CURSOR)
            of_flow = [one for one in of_flow if one.id < before]
        of_flow.reverse()
        return page_of(of_flow, None, limit, lambda one: one.id, lambda one: cursor_of(one.id))

    async def clear_pickups(self, before: float, limit: int) -> int:
        """Forget pick-ups that are done."""
        await trio.lowlevel.checkpoint()
        kept = self._tables.pickups
        old = [one.id for one in kept.values() if one.is_done and one.at < before][:limit]
        for pickup in old:
            del kept[pickup]
        return len(old)

    async def drop_state(self, account: str, flow: str, door: Place) -> DropState | None:
        """How a door stands."""
        await trio.lowlevel.checkpoint()
        found = self._tables.flows.get(flow)
        is_ours = found is not None and found.account == account
        return self._tables.drop_states.get((flow, door)) if is_ours else None

    async def keep_drop_state(
        self, account: str, flow: str, door: Place, state: DropState, event: Event | None
    ) -> None:
        """Keep how a door stands. Raises LookupError for an unknown flow."""
        await trio.lowlevel.checkpoint()
        self._tables.know_flow(account, flow)
        self._tables.drop_states[flow, door] = state
        if event is not None:
            self._tables.tell((event,))
            self._tables.commit()

    def _of(self, account: str, flow: str) -> list[Pickup]:
        """The pick-ups of a flow, the oldest first."""
        found = [
            one
            for one in self._tables.pickups.values()
            if (one.account, one.flow) == (account, flow)
        ]
        return sorted(found, key=lambda one: one.id)
