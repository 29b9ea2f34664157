"""The part of the store that answers what has become of a trigger."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from engine.model import Attempt, BlockerCode, CallList, Contact, ListCounts, RejectedRow
from engine.model.events import StoredEvent
from engine.ports.stored import Page


class AttemptFilter(Struct, frozen=True):
    """Which call detail records are asked for; None means any."""

    flow: str | None = None
    list: str | None = None
    contact: str | None = None
    number: str | None = None
    """E.164, as it was called."""
    from_at: float | None = None
    """Initiated at or after, seconds since the epoch."""
    to_at: float | None = None
    """Initiated before."""
    is_open: bool = False
    """Only those that go on."""


class ReadStore(Protocol):
    """Questions of outsiders about what became of their calls."""

    async def get_list(self, account: str, call_list: str) -> CallList | None:
        """One list of the account."""

    async def count_list(self, account: str, call_list: str, now: float) -> ListCounts | None:
        """Where its contacts are. As quick for a million as for one."""

    async def count_waits(self, account: str, call_list: str, now: float) -> dict[BlockerCode, int]:
        """How many open contacts of a list have their `due_at` after `now`, by `wait_code`; nothing for a
        list that the account does not have. As quick as `count_list`."""

    async def first_waits(
        self, account: str, call_list: str, now: float
    ) -> dict[BlockerCode, float]:
        """When the first of those that `count_waits` counts comes due, by `wait_code`: seconds since the
        epoch; beyond the minute that is passing, the minute's beginning."""

    async def list_lists(
        self, account: str, flow: str | None, limit: int, cursor: str | None
    ) -> Page[CallList]:
        """Newest first. A standing list shows once it has a contact."""

    async def get_contact(self, account: str, contact: str) -> Contact | None:
        """One contact of the account."""

    async def list_contacts(
        self, account: str, call_list: str, limit: int, cursor: str | None
    ) -> Page[Contact]:
        """In the order of their rows."""

    async def get_attempt(self, account: str, attempt: str) -> Attempt | None:
        """One attempt of the account."""

    async def list_attempts(
        self, account: str, which: AttemptFilter, limit: int, cursor: str | None
    ) -> Page[Attempt]:
        """In the order of their ids, which is that of their making."""

    async def list_results(
        self, account: str, call_list: str, limit: int, cursor: str | None
    ) -> Page[tuple[Contact, Attempt | None]]:
        """Each contact with its last attempt, in the order of the rows."""

    async def list_rejected(
        self, account: str, call_list: str, limit: int, cursor: str | None
    ) -> Page[RejectedRow]:
        """Rows that were not taken, in their order."""

    async def events_after(self, account: str, seq: int, limit: int) -> list[StoredEvent]:
        """Events of the account with a higher number, in order."""

    async def last_seq(self, account: str) -> int:
        """The number of the account's newest event; 0 when there is none."""
