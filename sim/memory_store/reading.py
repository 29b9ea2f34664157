"""Questions of outsiders about what became of their calls."""

from __future__ import annotations

from bisect import bisect_left

import trio

from adapters.sqlite.cursors import (
    ID_CURSOR,
    LIST_CURSOR,
    PLACE_CURSOR,
    ROW_CURSOR,
    cursor_of,
    read_cursor,
    rows_of_page,
)
from engine.model import Attempt, BlockerCode, CallList, Contact, ListCounts, RejectedRow
from engine.model.events import StoredEvent, time_of
from engine.ports.read_store import AttemptFilter
from engine.ports.stored import Page
from sim.memory_store.list_entry import ListEntry
from sim.memory_store.paging import page_of
from sim.memory_store.tables import Tables


class MemoryReading:
    """The methods of `engine.ports.read_store.ReadStore`."""

    _tables: Tables

    async def get_list(self, account: str, call_list: str) -> CallList | None:
        """One list of the account."""
        await trio.lowlevel.checkpoint()
        entry = self._tables.list_of(account, call_list)
        return None if entry is None else entry.as_list()

    async def count_list(self, account: str, call_list: str, now: float) -> ListCounts | None:
        """Where its contacts are."""
        await trio.lowlevel.checkpoint()
        entry = self._tables.list_of(account, call_list)
        if entry is None:
            return None
        state = entry.state
        scheduled = self._tables.count_waits(entry, now).get("starttime", 0)
        return ListCounts(
            contacts=state.contacts,
            scheduled=scheduled,
            waiting=state.open - scheduled,
            dialing=state.dialing,
            completed=state.completed,
            dispositions=dict(state.dispositions),
        )

    async def count_waits(self, account: str, call_list: str, now: float) -> dict[BlockerCode, int]:
        """What contacts wait for whose moment is ahead."""
        await trio.lowlevel.checkpoint()
        entry = self._tables.list_of(account, call_list)
        return {} if entry is None else self._tables.count_waits(entry, now)

    async def first_waits(
        self, account: str, call_list: str, now: float
    ) -> dict[BlockerCode, float]:
        """When the first of what waits comes due."""
        await trio.lowlevel.checkpoint()
        entry = self._tables.list_of(account, call_list)
        first = {} if entry is None else self._tables.first_waits(entry, now)
        passing = int(now) // 60
        return {
            code: at if int(at) // 60 == passing else 60.0 * (int(at) // 60)
            for code, at in first.items()
        }

    async def list_lists(
        self, account: str, flow: str | None, limit: int, cursor: str | None
    ) -> Page[CallList]:
        """Newest first, by the moment of making."""
        await trio.lowlevel.checkpoint()
        lists = [
            entry.as_list()
            for entry in self._tables.lists.values()
            if entry.state.account == account
            and flow in (None, entry.state.flow)
            and (not entry.state.standing or entry.state.contacts > 0)
        ]
        lists.sort(key=lambda one: (one.created_at, one.id), reverse=True)
        if cursor is not None:
            before = read_cursor(cursor, LIST_CURSOR)
            lists = [one for one in lists if (one.created_at, one.id) < before]
        return page_of(
            lists, None, limit, lambda one: one.id, lambda one: cursor_of(one.created_at, one.id)
        )

    async def get_contact(self, account: str, contact: str) -> Contact | None:
        """One contact of the account."""
        await trio.lowlevel.checkpoint()
        found = self._tables.contacts.get(contact)
        return found if found is not None and found.account == account else None

    async def list_contacts(
        self, account: str, call_list: str, limit: int, cursor: str | None
    ) -> Page[Contact]:
        """In the order of their rows, and of their ids within one."""
        await trio.lowlevel.checkpoint()
        page = self._page_of_rows(self._tables.list_of(account, call_list), limit, cursor)
        return Page(tuple([self._tables.contacts[contact] for contact in page.items]), page.next)

    async def get_attempt(self, account: str, attempt: str) -> Attempt | None:
        """One attempt of the account."""
        await trio.lowlevel.checkpoint()
        found = self._tables.attempts.get(attempt)
        return found if found is not None and found.account == account else None

    async def list_attempts(
        self, account: str, which: AttemptFilter, limit: int, cursor: str | None
    ) -> Page[Attempt]:
        """In the order of their ids. Looks at every attempt of the account, or of the contact."""
        await trio.lowlevel.checkpoint()
        tables = self._tables
        after = read_cursor(cursor, ID_CURSOR)[0] if cursor is not None else None
        if which.contact is not None:
            ids = tables.attempts_of_contact.get(which.contact, ())
        else:
            ids = tuple(tables.attempts_of_account.get(account, ()))
        attempts = [tables.attempts[attempt] for attempt in ids]
        found = [one for one in attempts if one.account == account and _is_asked_for(one, which)]
        return page_of(found, after, limit, lambda one: one.id, lambda one: cursor_of(one.id))

    async def list_results(
        self, account: str, call_list: str, limit: int, cursor: str | None
    ) -> Page[tuple[Contact, Attempt | None]]:
        """Each contact with its attempt of the highest id."""
        await trio.lowlevel.checkpoint()
        page = self._page_of_rows(self._tables.list_of(account, call_list), limit, cursor)
        return Page(tuple([self._result_of(contact) for contact in page.items]), page.next)

    async def list_rejected(
        self, account: str, call_list: str, limit: int, cursor: str | None
    ) -> Page[RejectedRow]:
        """Rows that were not taken, in the order in which they were handed in."""
        await trio.lowlevel.checkpoint()
        after = read_cursor(cursor, PLACE_CURSOR)[0] if cursor is not None else None
        entry = self._tables.list_of(account, call_list)
        placed = list(enumerate(entry.rejected if entry is not None else ()))
        page = page_of(placed, after, limit, lambda one: one[0], lambda one: cursor_of(one[0]))
        return Page(tuple([rejected for _, rejected in page.items]), page.next)

    async def events_after(self, account: str, seq: int, limit: int) -> list[StoredEvent]:
        """Events of the account with a higher number, as far as they are kept; at most a page of them."""
        await trio.lowlevel.checkpoint()
        kept = self._tables.events.get(account, [])
        start = max(0, seq + 1 - kept[0].seq) if kept else 0
        return kept[start : start + rows_of_page(limit)]

    async def clear_events(self, before: float, limit: int) -> int:
        """Forget the oldest events, of one account."""
        await trio.lowlevel.checkpoint()
        waited_for = {
            (one.account, one.seq)
            for of_flow in self._tables.deliveries.values()
            for one in of_flow.values()
            if one.state == "pending"
        }
        for account, kept in self._tables.events.items():
            old = bisect_left(
                kept, before, hi=min(limit, len(kept)), key=lambda one: time_of(one.body)
            )
            places = range(old)
            old = next((at for at in places if (account, kept[at].seq) in waited_for), old)
            if old:
                del kept[:old]
                return old
        return 0

    async def last_seq(self, account: str) -> int:
        """The number of the account's newest event."""
        await trio.lowlevel.checkpoint()
        return self._tables.seqs.get(account, 0)

    def _page_of_rows(self, entry: ListEntry | None, limit: int, cursor: str | None) -> Page[str]:
        contacts = self._tables.contacts
        after = read_cursor(cursor, ROW_CURSOR) if cursor is not None else None
        return page_of(
            entry.contacts if entry is not None else (),
            after,
            limit,
            lambda one: (contacts[one].row, one),
            lambda one: cursor_of(contacts[one].row, one),
        )

    def _result_of(self, contact: str) -> tuple[Contact, Attempt | None]:
        tables = self._tables
        attempts = tables.attempts_of_contact.get(contact)
        return tables.contacts[contact], tables.attempts[attempts[-1]] if attempts else None


def _is_asked_for(attempt: Attempt, which: AttemptFilter) -> bool:
    return (
        which.flow in (None, attempt.flow)
        and which.list in (None, attempt.list)
        and which.number in (None, attempt.number)
        and (not which.is_open or attempt.ended_at is None)
        and (which.from_at is None or attempt.initiated_at >= which.from_at)
        and (which.to_at is None or attempt.initiated_at < which.to_at)
    )
