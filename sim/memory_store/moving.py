"""Other start times and priorities for lists and contacts."""

from __future__ import annotations

import trio

from adapters.sqlite import moving_rules
from engine.control import precondition
from engine.model import CallList, Contact
from engine.ports.moving import ListEdit, Moved
from sim.memory_store.list_entry import ListEntry
from sim.memory_store.tables import Tables


class MemoryMoving:
    """The methods of `engine.ports.moving.MovingStore`."""

    _tables: Tables

    async def edit_list(
        self, account: str, call_list: str, edit: ListEdit, at: float
    ) -> CallList | None:
        """Begin to give a list another start time, and give it another priority."""
        await trio.lowlevel.checkpoint()
        tables = self._tables
        entry = tables.list_of(account, call_list)
        if entry is None:
            return None
        precondition.checking(CallList)(entry.as_list())
        tables.tell(moving_rules.edit(entry.state, edit, at))
        if edit.priority is not None:
            tables.rank(entry)
        if edit.starttime is not None:
            tables.moving_lists[call_list] = entry
        tables.commit()
        return entry.as_list()

    async def move_contacts(self, limit: int) -> Moved | None:
        """Give some contacts their other start time."""
        await trio.lowlevel.checkpoint()
        tables = self._tables
        for entry in tables.moving_lists.values():
            return self._move_some(entry, limit)
        return None

    async def reschedule_contact(
        self, account: str, contact: str, starttime: float
    ) -> Contact | None:
        """Give one contact another start time."""
        await trio.lowlevel.checkpoint()
        found = self._tables.contacts.get(contact)
        if found is None or found.account != account:
            return None
        moving_rules.check_movable(found)
        return self._move(self._tables.lists[found.list], found, starttime)

    def _move_some(self, entry: ListEntry, limit: int) -> Moved:
        state = entry.state
        assert state.moving_to is not None
        some = entry.contacts[state.moved_row : state.moved_row + limit]
        for contact in some:
            self._move(entry, self._tables.contacts[contact], state.moving_to)
        state.moved_row += len(some)
        is_done = len(some) < limit
        if is_done:
            moving_rules.end_move(state)
            del self._tables.moving_lists[state.id]
        return Moved(state.account, state.flow, state.id, is_done)

    def _move(self, entry: ListEntry, contact: Contact, starttime: float) -> Contact:
        if contact.state == "completed":
            return contact
        moved = moving_rules.moved(contact, starttime)
        self._tables.contacts[contact.id] = moved
        if moved.state == "open":
            self._tables.push_due(entry, moved)
        return moved
