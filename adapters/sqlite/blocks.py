"""Contacts that came in as a batch and that nobody has touched: kept as the block of bytes that they came in.

A row of its own costs a contact some thirty times as much. It gets one, its block being widened, when it is
about to be called or to be changed: then the store finds it as it finds all others. Until then whoever reads
looks at blocks too. All contacts of a block are open, wait for one start time, and have ids that follow one
another; of two blocks of a list none reaches into the other, by rows as by ids.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Final, TypeVar

from msgspec import structs

from adapters.sqlite.rows import CONTACT_INSERT, Row, contact_row
from adapters.sqlite.unit import Unit
from engine.drafts import Batch, Drafts
from engine.ids import id_after
from engine.model import Contact

# ruff: noqa: S608 (statements are put together from constants only; values are parameters)

T = TypeVar("T")

BLOCK_CONTACTS_MIN: Final = 2
"""Contacts of a batch that is kept as a block."""
BLOCK_ROWS: Final = 20
"""Rows of other tables that writing a block takes as long as."""
DROPPED_AT_ONCE: Final = 50
"""Blocks that one operation deletes."""
MOVED_AT_ONCE: Final = 200
"""Blocks that one operation gives another start time."""


def _count(sign: str, row: str) -> str:
    """Counts the contacts of a block among those that wait for a minute, as `waits` does for each contact."""
    minute = f"CAST({row}.due_at AS INTEGER) / 60"
    if sign == "+":
        return (
            "INSERT INTO contact_waits (list, code, minute, contacts) "
            f"VALUES ({row}.list, 'starttime', {minute}, {row}.contacts) "
            "ON CONFLICT (list, code, minute) DO UPDATE SET contacts = contacts + excluded.contacts;"
        )
    where = f"WHERE list = {row}.list AND code = 'starttime' AND minute = {minute}"
    return (
        f"UPDATE contact_waits SET contacts = contacts - {row}.contacts {where}; "
        f"DELETE FROM contact_waits {where} AND contacts = 0;"
    )


BLOCKS: Final = (
    """
    CREATE TABLE contact_blocks (
        n INTEGER PRIMARY KEY,
        list INTEGER NOT NULL REFERENCES lists (n),
        contacts INTEGER NOT NULL,
        first_id TEXT NOT NULL UNIQUE,
        last_id TEXT NOT NULL,
        first_row INTEGER NOT NULL,
        last_row INTEGER NOT NULL,
        due_at REAL NOT NULL,  -- and the start time
        flow_version INTEGER NOT NULL
    )
    """,
    # Apart from what is searched and changed, because it is large.
    "CREATE TABLE contact_block_data (n INTEGER PRIMARY KEY, data BLOB NOT NULL)",
    "CREATE INDEX contact_blocks_due ON contact_blocks (list, due_at, first_id, contacts)",
    "CREATE INDEX contact_blocks_by_row ON contact_blocks (list, last_row)",
    "CREATE TRIGGER contact_block_comes AFTER INSERT ON contact_blocks "
    f"BEGIN {_count('+', 'new')} END",
    "CREATE TRIGGER contact_block_moves AFTER UPDATE OF due_at ON contact_blocks "
    f"BEGIN {_count('-', 'old')} {_count('+', 'new')} END",
    "CREATE TRIGGER contact_block_goes AFTER DELETE ON contact_blocks "
    f"BEGIN {_count('-', 'old')} DELETE FROM contact_block_data WHERE n = old.n; END",
)

_OF_LIST: Final = "JOIN accounts a ON a.n = l.account JOIN flows f ON f.n = l.flow"
_COLUMNS: Final = (
    "b.list, b.n, a.id, f.id, l.id, b.first_id, b.contacts, b.first_row, b.last_row, b.due_at, "
    "b.flow_version, l.priority, d.data"
)
FIRST_DUE: Final = (
    f"SELECT {_COLUMNS} FROM lists l {_OF_LIST} JOIN contact_blocks b ON b.list = l.n "
    "JOIN contact_block_data d ON d.n = b.n "
    "WHERE l.id = ? AND b.due_at <= ? ORDER BY b.due_at, b.first_id LIMIT 1"
)
WHERE_FIRST_DUE: Final = (
    "SELECT l.n, b.due_at, b.first_id FROM lists l JOIN contact_blocks b ON b.list = l.n "
    "WHERE l.id = ? AND b.due_at <= ? ORDER BY b.due_at, b.first_id LIMIT 1"
)
COUNT_BEFORE: Final = (
    "SELECT count(*) FROM (SELECT 1 FROM contacts WHERE list = ? AND state = 'open' "
    "AND (due_at, id) < (?, ?) LIMIT ?)"
)
BLOCK_NEAR: Final = (
    f"SELECT {_COLUMNS}, b.last_id FROM contact_blocks b JOIN lists l ON l.n = b.list {_OF_LIST} "
    "JOIN contact_block_data d ON d.n = b.n "
    "WHERE b.first_id = (SELECT max(x.first_id) FROM contact_blocks x WHERE x.first_id <= ?)"
)
BY_ROW: Final = (
    f"SELECT {_COLUMNS} FROM lists l {_OF_LIST} JOIN contact_blocks b ON b.list = l.n "
    "JOIN contact_block_data d ON d.n = b.n "
    "WHERE l.id = ? AND a.id = ? AND b.last_row >= ? ORDER BY b.last_row"
)
BLOCK: Final = (
    f"SELECT {_COLUMNS} FROM contact_blocks b JOIN lists l ON l.n = b.list {_OF_LIST} "
    "JOIN contact_block_data d ON d.n = b.n WHERE b.n = ?"
)
BY_DUE: Final = (
    "SELECT n, due_at, contacts FROM contact_blocks WHERE list = ? ORDER BY due_at, first_id"
)
COUNT_CONTACTS: Final = (
    "SELECT (SELECT count(*) FROM contacts WHERE list = ?1) "
    "+ (SELECT total(contacts) FROM contact_blocks WHERE list = ?1)"
)
"""Of a list, in blocks or not."""
_INSERT: Final = (
    "INSERT INTO contact_blocks (list, contacts, first_id, last_id, first_row, last_row, due_at, "
    "flow_version) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_MOVE: Final = (
    "UPDATE contact_blocks SET due_at = ?1 WHERE n IN "
    f"(SELECT n FROM contact_blocks WHERE list = ?2 AND due_at <> ?1 LIMIT {MOVED_AT_ONCE})"
)
_DROP: Final = (
    "DELETE FROM contact_blocks WHERE n IN "
    f"(SELECT n FROM contact_blocks WHERE list = ? LIMIT {DROPPED_AT_ONCE})"
)


def add_batch(unit: Unit, list_n: int, batch: Batch) -> None:
    """Keep a batch as a block; as rows where it is small, and where its contacts start at several times."""
    drafts = batch.drafts
    if not _makes_block(batch):
        _add_rows(unit, list_n, batch)
        return
    last_id = id_after(batch.first_id, drafts.count - 1)
    n = unit.execute(
        _INSERT,
        (
            list_n,
            drafts.count,
            batch.first_id,
            last_id,
            drafts.first_row,
            drafts.last_row,
            drafts.earliest_at,
            batch.flow_version,
        ),
    ).lastrowid
    unit.execute("INSERT INTO contact_block_data (n, data) VALUES (?, ?)", (n, drafts.data))


def rows_of(batch: Batch) -> int:
    """How many rows writing a batch takes as long as."""
    return BLOCK_ROWS if _makes_block(batch) else batch.drafts.count


def _makes_block(batch: Batch) -> bool:
    drafts = batch.drafts
    return drafts.count >= BLOCK_CONTACTS_MIN and drafts.earliest_at == drafts.latest_at


def widen_first(unit: Unit, call_list: str, until: float) -> int:
    """Give the contacts of a list's block that is due first rows of their own; how many there were, none
    where no block is due by then."""
    return _widen(unit, unit.row(FIRST_DUE, (call_list, until)))


def widen_block_of(unit: Unit, contact: str) -> bool:
    """Widen the block that a contact is in; whether it is in one."""
    near = unit.row(BLOCK_NEAR, (contact,))
    if near is None or contact > near[-1]:
        return False
    return _widen(unit, near) > 0


def move_blocks(unit: Unit, list_n: int, starttime: float) -> bool:
    """Give some blocks of a list another start time; whether any had one that is not that."""
    unit.execute(_MOVE, (starttime, list_n))
    return unit.rowcount > 0


def drop_blocks(unit: Unit, list_n: int) -> bool:
    """Delete some blocks of a list; whether there were any."""
    unit.execute(_DROP, (list_n,))
    return unit.rowcount > 0


def first_are_wide(
    connection: sqlite3.Connection, call_list: str, until: float, limit: int
) -> bool:
    """Whether the first contacts of a list that are due, up to `limit`, all have rows of their own."""
    found = connection.execute(WHERE_FIRST_DUE, (call_list, until)).fetchone()
    if found is None:
        return True
    (before,) = connection.execute(COUNT_BEFORE, (*found, limit)).fetchone()
    return int(before) >= limit


def find_contact(connection: sqlite3.Connection, account: str, contact: str) -> Contact | None:
    """A contact of the account that is in a block."""
    near = connection.execute(BLOCK_NEAR, (contact,)).fetchone()
    batch = None if near is None or contact > near[-1] else _to_batch(near)
    if batch is None or batch.account != account:
        return None
    return next((one for one in batch.contacts() if one.id == contact), None)


def merge_by_row(
    connection: sqlite3.Connection,
    account: str,
    call_list: str,
    after: tuple[int, str],
    size: int,
    wide: list[tuple[Contact, T]],
    make: Callable[[Contact], T],
) -> list[tuple[Contact, T]]:
    """The first contacts of a list after a row, those with rows of their own and those in blocks; as many as
    `size`, if there are.

    Args:
        wide: of the former, the first `size`, with what is told of each.
        make: what is told of one of the latter.
    """
    found: list[tuple[Contact, T]] = []
    rows = connection.execute(BY_ROW, (call_list, account, after[0]))
    while len(found) < size and (row := rows.fetchone()) is not None:
        found += [(one, make(one)) for one in _to_batch(row).contacts() if _place(one) > after]
    rows.close()
    if not found:
        return wide
    return sorted([*wide, *found], key=lambda one: _place(one[0]))[:size]


def sample_blocks(
    connection: sqlite3.Connection, list_n: int, every: int
) -> Iterator[tuple[Batch, int]]:
    """Some blocks of a list with how many contacts each stands for, itself included: of those that are due
    together, as many as hold one of `every` contacts, and at least the first. A block takes a while to be
    unpacked, and holds the engine up meanwhile."""
    chosen: list[tuple[int, int]] = []
    heads = connection.execute(BY_DUE, (list_n,)).fetchall()
    for _, together in groupby(heads, key=lambda head: head[1]):
        seen = looked_at = 0
        for n, _, contacts in together:
            if looked_at * every <= seen:
                chosen.append((n, contacts))
                looked_at += contacts
            else:
                n, before = chosen[-1]
                chosen[-1] = (n, before + contacts)
            seen += contacts
    for n, stands_for in chosen:
        yield _to_batch(connection.execute(BLOCK, (n,)).fetchone()), stands_for


def _widen(unit: Unit, row: Row | None) -> int:
    if row is None:
        return 0
    # Their priority is that of the list, which may change.
    _add_rows(unit, row[0], structs.replace(_to_batch(row), priority=None))
    unit.execute("DELETE FROM contact_blocks WHERE n = ?", (row[1],))
    return int(row[6])


def _add_rows(unit: Unit, list_n: int, batch: Batch) -> None:
    rows = [contact_row(one, list_n, one.row) for one in batch.contacts()]
    unit.executemany(CONTACT_INSERT, rows)


def _to_batch(row: Row) -> Batch:
    account, flow, call_list, first_id, contacts, first_row, last_row, due_at = row[2:10]
    drafts = Drafts(contacts, row[12], first_row, last_row, due_at, due_at)
    return Batch(account, flow, call_list, first_id, drafts, row[10], row[11], due_at)


def _place(contact: Contact) -> tuple[int, str]:
    return contact.row, contact.id


def change_open(unit: Unit, contact: str, sql: str, parameters: Row) -> bool:
    """Run a statement that changes a contact if it is open, wherever it is; whether it did."""
    unit.execute(sql, parameters)
    if unit.rowcount:
        return True
    if not widen_block_of(unit, contact):
        return False
    unit.execute(sql, parameters)
    return unit.rowcount > 0
