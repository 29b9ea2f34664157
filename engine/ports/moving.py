"""Other start times and priorities: what the engine needs of its store for them. Part of
`engine.ports.store.Store`.
"""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from engine.model import CallList, Contact, Priority


class ListEdit(Struct, frozen=True):
    """What is to be changed for all contacts of a list; None leaves it as it is."""

    starttime: float | None = None
    """Seconds since the epoch."""
    priority: Priority | None = None


class Moved(Struct, frozen=True):
    """A piece of a list whose contacts were given another start time."""

    account: str
    flow: str
    list: str
    is_done: bool
    """Whether that was the last piece of the list."""


class MovingStore(Protocol):
    """What is said in `engine.ports.store` of transactions and accounts holds here."""

    async def edit_list(
        self, account: str, call_list: str, edit: ListEdit, at: float
    ) -> CallList | None:
        """Give a list another priority, and begin to give its contacts another start time, with an event;
        `move_contacts` does that. From its return on no attempt of the list begins before that time. None
        when the account has no such list; raises `Conflict("list_finished")` and
        `Conflict("list_standing")`."""

    async def move_contacts(self, limit: int) -> Moved | None:
        """Give up to `limit` contacts of one list their other start time; None when no list waits for it.
        A contact that was not tried yet is due then, one that was tried not before then."""

    async def reschedule_contact(
        self, account: str, contact: str, starttime: float
    ) -> Contact | None:
        """The contact with another start time; None when the account has no such contact. Raises
        `Conflict("contact_dialing")` and `Conflict("contact_finished")`."""
