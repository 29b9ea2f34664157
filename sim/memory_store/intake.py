"""Lists and calls coming in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import msgspec
import trio

from engine.drafts import Batch
from engine.model import (
    CallList,
    Contact,
    RejectedRow,
)
from engine.ports.intake_store import IntakeStore, NewList, Promise
from engine.ports.stored import IdempotentAnswer
from sim.memory_store.tables import Tables


class MemoryListTaking:
    """What came of a list so far. See `engine.ports.intake_store.ListTaking`."""

    def __init__(
        self, store: IntakeStore, keep: Callable[[IdempotentAnswer | None], None] = lambda _: None
    ) -> None:
        self._store = store
        self._keep = keep
        self._contacts: list[Contact] = []
        self._rejected: list[RejectedRow] = []

    async def add(
        self,
        contacts: Sequence[Contact],
        rejected: Sequence[RejectedRow],
        promise: Promise | None = None,
    ) -> None:
        """Keep a piece. A promise binds nobody here: this store is never opened again."""
        await trio.lowlevel.checkpoint()
        if promise is not None:
            self._keep(promise.answer)
        self._contacts += contacts
        self._rejected += rejected

    async def add_batch(
        self, batch: Batch, rejected: Sequence[RejectedRow], promise: Promise | None = None
    ) -> None:
        """Keep a piece."""
        await self.add(batch.contacts(), rejected, promise)

    async def drop_contacts(self) -> None:
        """Forget the contacts."""
        await trio.lowlevel.checkpoint()
        self._contacts.clear()

    async def publish(
        self, new: NewList, answer: IdempotentAnswer | None = None
    ) -> IdempotentAnswer | None:
        """Make the list."""
        whole = msgspec.structs.replace(new, contacts=self._contacts, rejected=self._rejected)
        return await self._store.accept_list(whole, answer)


class MemoryIntake:
    """The methods of `engine.ports.intake_store.IntakeStore`."""

    _tables: Tables

    async def accept_list(
        self, new: NewList, answer: IdempotentAnswer | None = None
    ) -> IdempotentAnswer | None:
        """Make a list with all that belongs to it. Raises `DuplicateList`, `Conflict("flow_deleted")`, and
        LookupError for an unknown flow."""
        await trio.lowlevel.checkpoint()
        tables = self._tables
        earlier = tables.earlier_answer(answer)
        if earlier is not None:
            return earlier
        tables.check_flow(new.call_list.account, new.call_list.flow)
        tables.check_pickup(new)
        tables.check_repeat(new)
        tables.accept(new)
        tables.keep_answer(answer)
        tables.commit()
        return None

    @asynccontextmanager
    async def take_list(self, account: str, flow: str) -> AsyncIterator[MemoryListTaking]:
        """Take a list in piece by piece."""
        await trio.lowlevel.checkpoint()
        self._tables.check_flow(account, flow)
        yield MemoryListTaking(self, self._tables.keep_answer)

    async def has_listed(self, account: str, flow: str, at: float) -> bool:
        """Whether there is anything that the flow must not call at a moment."""
        await trio.lowlevel.checkpoint()
        listed = self._tables.do_not_call.get(account, {}).values()
        return any(one.binds(flow, at) for one in listed)

    async def find_listed(
        self, account: str, flow: str, numbers: Sequence[str], at: float
    ) -> frozenset[str]:
        """Those of some numbers that the flow must not call at a moment."""
        await trio.lowlevel.checkpoint()
        is_listed = self._tables.is_listed
        return frozenset(one for one in numbers if is_listed(account, one, flow, at))

    async def find_list_of_content(
        self, account: str, flow: str, content_sha256: bytes, since: float
    ) -> CallList | None:
        """The newest list of the flow that this file made."""
        await trio.lowlevel.checkpoint()
        return self._tables.list_of_content(account, flow, content_sha256, since)

    async def accept_call(
        self, contact: Contact, answer: IdempotentAnswer | None = None
    ) -> IdempotentAnswer | None:
        """Add a contact to its flow's standing list, as the last row of it: its `row` is given here.
        Raises `Conflict("flow_deleted")`, and LookupError for an unknown list."""
        await trio.lowlevel.checkpoint()
        tables = self._tables
        earlier = tables.earlier_answer(answer)
        if earlier is not None:
            return earlier
        entry = tables.lists.get(contact.list)
        if entry is None or not entry.state.standing:
            raise LookupError(f"{contact.list} is not the standing list of a flow")
        tables.check_flow(contact.account, contact.flow)
        tables.add_call(contact)
        tables.keep_answer(answer)
        return None
