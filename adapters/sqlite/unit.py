"""What the operations of one commit read and write through.

Lists and accounts that operations touch are kept here between commits: only this connection writes, so
what was read or written stays true until a rollback, which forgets all of it. Their counters, and the
events, are written once for the whole group, when it is about to commit.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, Final

from msgspec import Struct

from adapters.sqlite.hooks import DELIVERY_INSERT, FIND_HOOK, delivery_row, read_hook
from adapters.sqlite.rows import (
    COUNTS_SET,
    EVENT_INSERT,
    STATE_COLUMNS,
    STATUS_SET,
    Row,
    counts_row,
    status_row,
    to_state,
)
from adapters.sqlite.rules import ListState
from engine.model.events import Event, StoredEvent, number_event
from engine.model.webhook import Webhook

NO_LIST: Final = 0
"""Of events that are of no list."""
REMEMBERED_MAX: Final = 1024
"""Lists that are kept between commits, and as many accounts; with more, all are read anew."""

_FIND_LIST: Final = (
    f"SELECT l.n, l.account, l.flow, {STATE_COLUMNS} FROM lists l "  # noqa: S608, a constant
    "JOIN accounts a ON a.n = l.account JOIN flows f ON f.n = l.flow WHERE l."
)
_FIND_LIST_BY_ID: Final = _FIND_LIST + "id = ?"
_FIND_LIST_BY_N: Final = _FIND_LIST + "n = ?"
_WRITE_COUNTS: Final = f"UPDATE lists SET {COUNTS_SET} WHERE n = ?"  # noqa: S608, as above
_WRITE_STATUS: Final = f"UPDATE lists SET {STATUS_SET} WHERE n = ?"  # noqa: S608, as above


class AccountRow(Struct):
    """An account, as far as the writer counts on it."""

    n: int
    last_seq: int


class ListRow(Struct):
    """A list with the numbers that its rows refer to it by."""

    n: int
    account_n: int
    flow_n: int
    state: ListState
    status_written: Row
    """What of the state is in the table and seldom changes."""


class Unit:
    """One group of operations, and what is remembered from the groups before it. Lives in the writer's
    thread."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._cursor = connection.cursor()
        self.execute = self._cursor.execute
        """Run one statement on the cursor that all operations share."""
        self.executemany = self._cursor.executemany
        self._accounts: dict[str, AccountRow] = {}
        self._lists: dict[str, ListRow] = {}
        self._lists_by_n: dict[int, ListRow] = {}
        self.countries: dict[str, set[str]] = {}
        """By account: countries that are known to have been called."""
        self._changed_accounts: dict[int, AccountRow] = {}
        self._changed_lists: dict[int, ListRow] = {}
        self._changes = 0
        self._rows_aside = 0
        self._event_rows: list[Row] = []
        self._delivery_rows: list[Row] = []
        self._hooks: dict[int, Webhook | None] = {}
        self._told: list[StoredEvent] = []
        self.epoch = 0
        """Rises with each change of what is remembered outside; see `recalled`."""
        self._is_new_epoch = False

    @property
    def rowcount(self) -> int:
        """Rows that the last statement changed."""
        return self._cursor.rowcount

    def row(self, sql: str, parameters: Sequence[Any]) -> Row | None:
        """The first row of an answer."""
        answer: Row | None = self.execute(sql, parameters).fetchone()
        return answer

    def rows(self, sql: str, parameters: Sequence[Any]) -> list[Row]:
        """All rows of an answer."""
        return self.execute(sql, parameters).fetchall()

    def account_n(self, account: str) -> int:
        """The number of an account. Raises LookupError when there is none with this id."""
        return self._account(account).n

    def find_list(self, call_list: str) -> ListRow | None:
        """A list by its id."""
        found = self._lists.get(call_list)
        return found or self._remember(self.row(_FIND_LIST_BY_ID, (call_list,)))

    def list_of(self, n: int) -> ListRow:
        """A list by its number, which must be of a list that was taken in."""
        found = self._lists_by_n.get(n) or self._remember(self.row(_FIND_LIST_BY_N, (n,)))
        assert found is not None
        return found

    def the_list(self, call_list: str) -> ListRow:
        """A list by its id. Raises LookupError when there is none."""
        found = self.find_list(call_list)
        if found is None:
            raise LookupError(f"there is no list {call_list}")
        return found

    def change(self, row: ListRow) -> ListState:
        """The state of a list, to be changed; it is written when the group commits."""
        self._changes += 1
        self._changed_lists[row.n] = row
        return row.state

    def tell(self, events: Iterable[Event]) -> None:
        """Number these events and keep them. Raises LookupError for an unknown account or list."""
        for event in events:
            account = self._account(event.account)
            row = self.the_list(event.list) if event.list else None
            account.last_seq += 1
            self._changes += 1
            self._changed_accounts[account.n] = account
            hook = None if row is None else self._hook_of(row.flow_n)
            is_wanted = hook is not None and hook.wants(event.type)
            stored = number_event(event, account.last_seq, is_wanted)
            self._told.append(stored)
            list_n = NO_LIST if row is None else row.n
            self._event_rows.append((account.n, stored.seq, list_n, stored.type, stored.body))
            if is_wanted and row is not None:
                subject = event.contact or event.list
                self._delivery_rows.append(
                    delivery_row(account.n, stored.seq, row.flow_n, subject, event.time)
                )

    def forget_hooks(self) -> None:
        """The hook of a flow is another now."""
        self._hooks.clear()

    def begin_epoch(self) -> None:
        """Something changes that may be remembered outside. Called before the change."""
        self.epoch += 1
        self._is_new_epoch = True

    def mark(self) -> tuple[int, int]:
        """Equal to an earlier mark as long as nothing was changed in between."""
        return self._connection.total_changes, self._changes

    def mark_of_things(self) -> tuple[int, int]:
        """As `mark`, but blind to what was written with `execute_aside`."""
        return self._connection.total_changes - self._rows_aside, self._changes

    def execute_aside(self, sql: str, parameters: Sequence[Any]) -> None:
        """Run a statement that changes no thing that anybody asks for."""
        before = self._connection.total_changes
        self.execute(sql, parameters)
        self._rows_aside += self._connection.total_changes - before

    def begin(self) -> None:
        """Start a group; it has the right to write from here on."""
        kept = (self._lists, self._accounts, self._hooks)
        if any(len(one) > REMEMBERED_MAX for one in kept):
            self._forget()
        self.execute("BEGIN IMMEDIATE")

    def commit(self) -> list[StoredEvent]:
        """Make the group durable; the events that it brought, in the order of their numbers."""
        self.write_out()
        self.execute("COMMIT")
        self.epoch += self._is_new_epoch
        self._is_new_epoch = False
        told, self._told = self._told, []
        return told

    def write_out(self) -> None:
        """Write what is counted here into the tables, where a statement may then read it."""
        if self._event_rows:
            rows, self._event_rows = self._event_rows, []
            self.executemany(EVENT_INSERT, rows)
        if self._delivery_rows:
            rows, self._delivery_rows = self._delivery_rows, []
            self.executemany(DELIVERY_INSERT, rows)
        if self._changed_accounts:
            self.executemany(
                "UPDATE accounts SET last_seq = ? WHERE n = ?",
                [(one.last_seq, n) for n, one in self._changed_accounts.items()],
            )
            self._changed_accounts.clear()
        for n, one in self._changed_lists.items():
            self.execute(_WRITE_COUNTS, (*counts_row(one.state), n))
            status = status_row(one.state)
            if status != one.status_written:
                self.execute(_WRITE_STATUS, (*status, n))
                one.status_written = status
        self._changed_lists.clear()

    def roll_back(self) -> None:
        """Undo the group, here and in the database. Does nothing when none is open there."""
        self._forget()
        if self._connection.in_transaction:
            self.execute("ROLLBACK")

    def _forget(self) -> None:
        for kept in (self._accounts, self._lists, self._lists_by_n, self.countries):
            kept.clear()
        self._changed_accounts.clear()
        self._changed_lists.clear()
        self._event_rows.clear()
        self._delivery_rows.clear()
        self._hooks.clear()
        self._told.clear()

    def _account(self, account: str) -> AccountRow:
        found = self._accounts.get(account)
        if found is None:
            row = self.row("SELECT n, last_seq FROM accounts WHERE id = ?", (account,))
            if row is None:
                raise LookupError(f"there is no account {account}")
            found = self._accounts[account] = AccountRow(*row)
        return found

    def _hook_of(self, flow_n: int) -> Webhook | None:
        """Where events of a flow are sent; None where nowhere."""
        if flow_n not in self._hooks:
            self._hooks[flow_n] = read_hook(self.row(FIND_HOOK, (flow_n,)))
        return self._hooks[flow_n]

    def _remember(self, row: Row | None) -> ListRow | None:
        if row is None:
            return None
        state = to_state(row[3:])
        found = ListRow(row[0], row[1], row[2], state, status_row(state))
        self._lists[found.state.id] = self._lists_by_n[found.n] = found
        return found
