"""Questions of outsiders. Each names the account in its statement, and each page starts at a key."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any, Final, TypeVar

from adapters.sqlite.blocks import find_contact, merge_by_row
from adapters.sqlite.connected import Connected
from adapters.sqlite.cursors import (
    ID_CURSOR,
    LIST_CURSOR,
    PLACE_CURSOR,
    ROW_CURSOR,
    cursor_of,
    read_cursor,
    rows_of_page,
)
from adapters.sqlite.rows import (
    ATTEMPT_COLUMNS,
    CONTACT_COLUMNS,
    CONTACT_WIDTH,
    EVENT_COLUMNS,
    LIST_COLUMNS,
    REJECTED_COLUMNS,
    Row,
    to_attempt,
    to_contact,
    to_counts,
    to_event,
    to_list,
    to_rejected,
)
from engine.model import Attempt, BlockerCode, CallList, Contact, ListCounts, RejectedRow
from engine.model.events import StoredEvent
from engine.ports.read_store import AttemptFilter
from engine.ports.stored import Page

T = TypeVar("T")

# ruff: noqa: S608 (statements are put together from constants only; values are parameters)

ORDER_SLACK: Final = 1000
"""Attempts whose ids may be out of step with their moments of making, as when the clock was set back:
so many are looked at to find where a span of time begins and ends among the ids."""

_ACCOUNT: Final = "(SELECT n FROM accounts WHERE id = ?)"
_OF_LIST: Final = "JOIN accounts a ON a.n = l.account JOIN flows f ON f.n = l.flow"
_SELECT_LIST: Final = f"SELECT {LIST_COLUMNS} FROM lists l {_OF_LIST}"
_SELECT_ATTEMPT: Final = (
    f"SELECT {ATTEMPT_COLUMNS} FROM attempts t JOIN accounts a ON a.n = t.account "
    "JOIN lists l ON l.n = t.list JOIN flows f ON f.n = t.flow"
)

GET_LIST: Final = f"{_SELECT_LIST} WHERE l.id = ? AND a.id = ?"
COUNT_LIST: Final = (
    "SELECT l.contacts, l.open, l.dialing, l.completed, l.dispositions, "
    "(SELECT total(w.contacts) FROM contact_waits w WHERE w.list = l.n AND w.code = 'starttime' "
    "AND w.minute > ?1), "
    "(SELECT count(*) FROM contacts c WHERE c.list = l.n AND c.state = 'open' "
    "AND c.due_at > ?2 AND c.due_at < ?3 AND c.wait_code = 'starttime') + "
    "(SELECT total(b.contacts) FROM contact_blocks b WHERE b.list = l.n "
    "AND b.due_at > ?2 AND b.due_at < ?3) "
    "FROM lists l JOIN accounts a ON a.n = l.account WHERE l.id = ?4 AND a.id = ?5"
)
COUNT_WAITS: Final = (
    "SELECT w.code, w.contacts FROM lists l JOIN accounts a ON a.n = l.account "
    "JOIN contact_waits w ON w.list = l.n AND w.minute > ? WHERE l.id = ? AND a.id = ?"
)
_OF_MINUTE: Final = (
    "SELECT code, {together}(value) FROM (SELECT c.wait_code AS code, {of_rows} AS value "
    "FROM lists l JOIN accounts a ON a.n = l.account "
    "JOIN contacts c ON c.list = l.n AND c.state = 'open' AND c.due_at > ?1 AND c.due_at < ?2 "
    "WHERE l.id = ?3 AND a.id = ?4 GROUP BY c.wait_code "
    "UNION ALL SELECT 'starttime', {of_block} FROM lists l JOIN accounts a ON a.n = l.account "
    "JOIN contact_blocks b ON b.list = l.n AND b.due_at > ?1 AND b.due_at < ?2 "
    "WHERE l.id = ?3 AND a.id = ?4) GROUP BY code"
)
WAITS_OF_MINUTE: Final = _OF_MINUTE.format(
    together="sum", of_rows="count(*)", of_block="b.contacts"
)
"""What the minute that is passing still has in store; whole minutes are counted."""
FIRST_WAITS: Final = (
    "SELECT w.code, 60 * min(w.minute) FROM lists l JOIN accounts a ON a.n = l.account "
    "JOIN contact_waits w ON w.list = l.n AND w.minute > ? WHERE l.id = ? AND a.id = ? "
    "GROUP BY w.code"
)
FIRST_OF_MINUTE: Final = _OF_MINUTE.format(
    together="min", of_rows="min(c.due_at)", of_block="b.due_at"
)
LIST_LISTS: Final = (
    f"{_SELECT_LIST} WHERE {{of}} AND (NOT l.standing OR l.contacts > 0) {{after}} "
    "ORDER BY l.created_at DESC, l.id DESC LIMIT ?"
)
GET_CONTACT: Final = (
    f"SELECT {CONTACT_COLUMNS} FROM contacts c JOIN lists l ON l.n = c.list {_OF_LIST} "
    "WHERE c.id = ? AND a.id = ?"
)
_ROWS: Final = (
    f"FROM lists l {_OF_LIST} JOIN contacts c ON c.list = l.n {{more}} "
    "WHERE l.id = ? AND a.id = ? AND (c.row, c.id) > (?, ?) ORDER BY c.row, c.id LIMIT ?"
)
LIST_CONTACTS: Final = f"SELECT {CONTACT_COLUMNS} {_ROWS.format(more='')}"
LAST_ATTEMPT: Final = (
    "LEFT JOIN attempts t ON t.account = l.account "
    "AND t.id = (SELECT max(x.id) FROM attempts x WHERE x.contact = c.id)"
)
LIST_RESULTS: Final = (
    f"SELECT {CONTACT_COLUMNS}, {ATTEMPT_COLUMNS} {_ROWS.format(more=LAST_ATTEMPT)}"
)
LIST_REJECTED: Final = (
    f"SELECT {REJECTED_COLUMNS} FROM lists l JOIN accounts a ON a.n = l.account "
    "JOIN rejected r ON r.list = l.n "
    "WHERE l.id = ? AND a.id = ? AND r.place > ? ORDER BY r.place LIMIT ?"
)
GET_ATTEMPT: Final = f"{_SELECT_ATTEMPT} WHERE t.account = {_ACCOUNT} AND t.id = ?"
_FIRST_SINCE: Final = (
    "t.id >= (SELECT min(id) FROM (SELECT x.id FROM attempts x "
    f"WHERE x.account = {_ACCOUNT} AND x.initiated_at >= ? "
    f"ORDER BY x.initiated_at LIMIT {ORDER_SLACK}))"
)
_LAST_BEFORE: Final = (
    "t.id <= (SELECT max(id) FROM (SELECT x.id FROM attempts x "
    f"WHERE x.account = {_ACCOUNT} AND x.initiated_at < ? "
    f"ORDER BY x.initiated_at DESC LIMIT {ORDER_SLACK}))"
)
EVENTS_AFTER: Final = (
    f"SELECT {EVENT_COLUMNS} FROM accounts a JOIN events e ON e.account = a.n "
    "LEFT JOIN lists l ON l.n = e.list LEFT JOIN flows f ON f.n = l.flow "
    "WHERE a.id = ? AND e.seq > ? ORDER BY e.seq LIMIT ?"
)


class SqliteReading(Connected):
    """The methods of `engine.ports.read_store.ReadStore`."""

    async def get_list(self, account: str, call_list: str) -> CallList | None:
        """One list of the account."""
        return await self._readers.row(GET_LIST, (call_list, account), to_list)

    async def count_list(self, account: str, call_list: str, now: float) -> ListCounts | None:
        """Where its contacts are: from the list's counters, and `scheduled` from the counted minutes."""
        minute = int(now) // 60
        return await self._readers.row(
            COUNT_LIST, (minute, now, 60 * (minute + 1), call_list, account), _to_counts
        )

    async def count_waits(self, account: str, call_list: str, now: float) -> dict[BlockerCode, int]:
        """What contacts wait for whose moment is ahead."""
        minute = int(now) // 60
        later = await self._readers.rows(COUNT_WAITS, (minute, call_list, account), _to_wait)
        soon = await self._readers.rows(
            WAITS_OF_MINUTE, (now, 60 * (minute + 1), call_list, account), _to_wait
        )
        found: dict[BlockerCode, int] = {}
        for code, contacts in (*later, *soon):
            found[code] = found.get(code, 0) + contacts
        return found

    async def first_waits(
        self, account: str, call_list: str, now: float
    ) -> dict[BlockerCode, float]:
        """When the first of what waits comes due."""
        minute = int(now) // 60
        later = await self._readers.rows(FIRST_WAITS, (minute, call_list, account), _to_moment)
        soon = await self._readers.rows(
            FIRST_OF_MINUTE, (now, 60 * (minute + 1), call_list, account), _to_moment
        )
        return dict([*later, *soon])

    async def list_lists(
        self, account: str, flow: str | None, limit: int, cursor: str | None
    ) -> Page[CallList]:
        """Newest first, by the moment of making."""
        sql, parameters = lists_question(account, flow, cursor)
        return await self._readers.page(
            sql, parameters, limit, to_list, lambda one: cursor_of(one.created_at, one.id)
        )

    async def get_contact(self, account: str, contact: str) -> Contact | None:
        """One contact of the account."""

        def find(connection: sqlite3.Connection) -> Contact | None:
            row = connection.execute(GET_CONTACT, (contact, account)).fetchone()
            return to_contact(row) if row else find_contact(connection, account, contact)

        return await self._readers.ask(find)

    async def list_contacts(
        self, account: str, call_list: str, limit: int, cursor: str | None
    ) -> Page[Contact]:
        """In the order of their rows, and of their ids within one."""
        return await self._page_by_row(
            LIST_CONTACTS, account, call_list, limit, cursor, _to_itself, lambda one: one
        )

    async def get_attempt(self, account: str, attempt: str) -> Attempt | None:
        """One attempt of the account."""
        return await self._readers.row(GET_ATTEMPT, (account, attempt), to_attempt)

    async def list_attempts(
        self, account: str, which: AttemptFilter, limit: int, cursor: str | None
    ) -> Page[Attempt]:
        """In the order of their ids."""
        sql, parameters = attempts_question(account, which, cursor)
        return await self._readers.page(
            sql, parameters, limit, to_attempt, lambda one: cursor_of(one.id)
        )

    async def list_results(
        self, account: str, call_list: str, limit: int, cursor: str | None
    ) -> Page[tuple[Contact, Attempt | None]]:
        """Each contact with its attempt of the highest id."""
        return await self._page_by_row(
            LIST_RESULTS, account, call_list, limit, cursor, _to_result, lambda one: (one, None)
        )

    async def _page_by_row(
        self,
        sql: str,
        account: str,
        call_list: str,
        limit: int,
        cursor: str | None,
        item: Callable[[Row], tuple[Contact, T]],
        untouched: Callable[[Contact], T],
    ) -> Page[T]:
        """A page of the contacts of a list, each as what `item` makes of its row, or `untouched` of one that
        is in a block."""
        after, size = _row_after(cursor), rows_of_page(limit)

        def find(connection: sqlite3.Connection) -> list[tuple[Contact, T]]:
            rows = connection.execute(sql, (call_list, account, *after, size + 1)).fetchall()
            wide = [item(row) for row in rows]
            return merge_by_row(connection, account, call_list, after, size + 1, wide, untouched)

        found = await self._readers.ask(find)
        last = found[size - 1][0] if len(found) > size else None
        following = None if last is None else cursor_of(last.row, last.id)
        return Page(tuple([one for _, one in found[:size]]), following)

    async def list_rejected(
        self, account: str, call_list: str, limit: int, cursor: str | None
    ) -> Page[RejectedRow]:
        """Rows that were not taken, in the order in which they were handed in."""
        after: tuple[int] = read_cursor(cursor, PLACE_CURSOR) if cursor is not None else (-1,)
        page = await self._readers.page(
            LIST_REJECTED,
            (call_list, account, *after),
            limit,
            lambda row: (row[0], to_rejected(row)),
            lambda one: cursor_of(one[0]),
        )
        return Page(tuple([rejected for _, rejected in page.items]), page.next)

    async def events_after(self, account: str, seq: int, limit: int) -> list[StoredEvent]:
        """Events of the account with a higher number; at most a page of them."""
        return await self._readers.rows(EVENTS_AFTER, (account, seq, rows_of_page(limit)), to_event)

    async def last_seq(self, account: str) -> int:
        """The number of the account's newest event."""
        sql = "SELECT last_seq FROM accounts WHERE id = ?"
        return await self._readers.row(sql, (account,), lambda row: int(row[0])) or 0


def lists_question(account: str, flow: str | None, cursor: str | None) -> tuple[str, Row]:
    """The statement of a page of lists and its parameters but for the limit."""
    of, parameters = f"l.account = {_ACCOUNT}", [account]
    if flow is not None:
        of = f"l.flow = (SELECT n FROM flows WHERE id = ? AND account = {_ACCOUNT})"
        parameters.insert(0, flow)
    after: Row = ()
    if cursor is not None:
        after = read_cursor(cursor, LIST_CURSOR)
    more = "AND (l.created_at, l.id) < (?, ?)" if after else ""
    return LIST_LISTS.format(of=of, after=more), (*parameters, *after)


def attempts_question(account: str, which: AttemptFilter, cursor: str | None) -> tuple[str, Row]:
    """The statement of a page of attempts and its parameters but for the limit."""
    terms: list[str] = []
    parameters: list[Any] = []

    def ask_for(term: str, *values: Any) -> None:
        terms.append(term)
        parameters.extend(values)

    # The narrowest comes first and is what the index is chosen by; a plus keeps the others from that.
    if which.contact is not None:
        ask_for("t.contact = ?", which.contact)
        if which.is_open:
            ask_for("+t.ended_at IS NULL")
    elif which.is_open:
        ask_for(f"t.account = {_ACCOUNT} AND t.ended_at IS NULL", account)
    if which.number is not None and terms:
        ask_for("+t.number = ?", which.number)
    elif which.number is not None:
        ask_for(f"t.account = {_ACCOUNT} AND t.number = ?", account, which.number)
    for column, table, value in (("list", "lists", which.list), ("flow", "flows", which.flow)):
        if value is not None:
            plus = "+" if terms else ""
            number = f"(SELECT n FROM {table} WHERE id = ? AND account = {_ACCOUNT})"
            ask_for(f"{plus}t.{column} = {number}", value, account)
    ask_for(f"{'+' if terms else ''}t.account = {_ACCOUNT}", account)
    # Only one of these bounds may be there, because SQLite would search by one of them and scan for the
    # other. After the first page the cursor is the tighter one.
    if cursor is not None:
        ask_for("t.id > ?", *read_cursor(cursor, ID_CURSOR))
    elif which.from_at is not None:
        ask_for(_FIRST_SINCE, account, which.from_at)
    if which.from_at is not None:
        ask_for("t.initiated_at >= ?", which.from_at)
    if which.to_at is not None:
        ask_for(_LAST_BEFORE, account, which.to_at)
        ask_for("t.initiated_at < ?", which.to_at)
    select = _SELECT_ATTEMPT
    # Left to itself SQLite goes by the primary key: over all that have ended, or all other numbers.
    if which.is_open and which.contact is None:
        select = select.replace("attempts t", "attempts t INDEXED BY attempts_open")
    elif which.number is not None and which.contact is None:
        select = select.replace("attempts t", "attempts t INDEXED BY attempts_by_number")
    return f"{select} WHERE {' AND '.join(terms)} ORDER BY t.id LIMIT ?", tuple(parameters)


def _row_after(cursor: str | None) -> tuple[int, str]:
    if cursor is None:
        return (-1, "")
    after: tuple[int, str] = read_cursor(cursor, ROW_CURSOR)
    return after


def _to_counts(row: Row) -> ListCounts:
    contacts, open_, dialing, completed, dispositions, later, soon = row
    scheduled = int(later) + int(soon)
    return ListCounts(
        contacts=contacts,
        scheduled=scheduled,
        waiting=open_ - scheduled,
        dialing=dialing,
        completed=completed,
        dispositions=to_counts(dispositions),
    )


def _to_wait(row: Row) -> tuple[BlockerCode, int]:
    return row[0], row[1]


def _to_moment(row: Row) -> tuple[BlockerCode, float]:
    return row[0], float(row[1])


def _to_itself(row: Row) -> tuple[Contact, Contact]:
    contact = to_contact(row)
    return contact, contact


def _to_result(row: Row) -> tuple[Contact, tuple[Contact, Attempt | None]]:
    contact, attempt = to_contact(row[:CONTACT_WIDTH]), row[CONTACT_WIDTH:]
    # An outer join that found nothing gives the names of the contact's own list, and no attempt's id.
    return contact, (contact, to_attempt(attempt) if attempt[0] is not None else None)
