"""Numbers that must not be called, for an account or for one of its flows, and who listed them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from adapters.sqlite.answers import earlier_answer, keep_answer
from adapters.sqlite.connected import Connected
from adapters.sqlite.cursors import DO_NOT_CALL_CURSOR, PLACE_CURSOR, cursor_of, read_cursor
from adapters.sqlite.refusals import too_many_prefixes
from adapters.sqlite.rows import Row
from adapters.sqlite.unit import Unit
from engine.model.do_not_call import (
    PREFIX_LENGTH_MAX,
    PREFIXES_MAX,
    DoNotCall,
    DoNotCallChange,
    added,
    entries_of,
    is_prefix,
    is_weaker,
    names_of,
    removed,
)
from engine.ports.stored import IdempotentAnswer, Page

# ruff: noqa: S608 (statements are put together from constants only; values are parameters)

_IN_FORCE: Final = "d.flow IN ('', ?) AND (d.expires_at IS NULL OR d.expires_at > ?)"
_STEMS: Final = range(2, PREFIX_LENGTH_MAX + 1)
"""Lengths of what may stand before the `*` of a range, with its `+`."""
RANGES_OF: Final = ", ".join(f"substr({{number}}, 1, {length}) || '*'" for length in _STEMS)
"""Every range that a number may be in, as an expression over the number."""
_STANDS: Final = "(d.flow = '' OR d.flow = ?4) AND (d.expires_at IS NULL OR d.expires_at > ?5)"
LISTED: Final = (
    "(EXISTS (SELECT 1 FROM do_not_call d "
    f"WHERE d.account = ?1 AND d.number = ?2 AND {_STANDS}) "
    "OR (?3 <> ?2 AND EXISTS (SELECT 1 FROM do_not_call d "
    f"WHERE d.account = ?1 AND d.number = ?3 AND {_STANDS})) "
    "OR (EXISTS (SELECT 1 FROM do_not_call r INDEXED BY do_not_call_prefixes "
    "WHERE r.account = ?1 AND r.is_prefix) "
    "AND EXISTS (SELECT 1 FROM do_not_call d INDEXED BY do_not_call_prefixes "
    "WHERE d.account = ?1 AND d.is_prefix "
    f"AND d.number IN ({RANGES_OF.format(number='?2')}, {RANGES_OF.format(number='?3')}) "
    f"AND {_STANDS})))"
)
"""Whether one of two numbers must not be called; asked of attempts and of legs alike, with the values of
`listed_row` before any others. Left to itself, SQLite looks for the few ranges of an account among all its
numbers; and most accounts have none. To look for one number after the other takes half as long as to look for
one of two: SQLite sorts what stands behind IN for each time that it asks."""
_COLUMNS: Final = (
    "d.number, nullif(d.flow, ''), d.added_at, d.expires_at, d.note, d.source, d.added_by"
)
_CHANGE_COLUMNS: Final = (
    "d.at, d.action, d.number, nullif(d.flow, ''), d.source, d.by, d.expires_at, d.note"
)
_ACCOUNT: Final = "(SELECT n FROM accounts WHERE id = ?)"
_FIND: Final = (
    f"SELECT {_COLUMNS} FROM do_not_call d WHERE d.account = ? AND d.number = ? AND d.flow = ?"
)
_FIND_LISTED: Final = (
    "SELECT d.number FROM do_not_call d "
    f"WHERE d.account = {_ACCOUNT} AND d.number IN (SELECT value FROM json_each(?)) AND {_IN_FORCE} "
    "UNION ALL SELECT d.number FROM do_not_call d INDEXED BY do_not_call_prefixes "
    f"WHERE d.account = {_ACCOUNT} AND d.is_prefix AND {_IN_FORCE}"
)
"""Those of some numbers that are listed, and all ranges."""
HAS_ANY: Final = f"SELECT 1 FROM do_not_call d WHERE d.account = {_ACCOUNT} LIMIT 1"
HAS_LISTED: Final = (
    f"SELECT 1 FROM do_not_call d WHERE d.account = {_ACCOUNT} AND {_IN_FORCE} LIMIT 1"
)
_PUT: Final = (
    "INSERT OR REPLACE INTO do_not_call (account, number, flow, added_at, expires_at, note, source, "
    "added_by, is_prefix) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_NOTE: Final = (
    "INSERT INTO do_not_call_changes (account, at, action, number, flow, source, by, expires_at, note) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


def listed_row(account_n: int, number: str, other: str, flow: str, at: float) -> Row:
    """Values for `LISTED`: its parameters 1 to 5."""
    return (account_n, number, other, flow, at)


class SqliteDoNotCall(Connected):
    """The methods of `engine.ports.settings_store.SettingsStore` that are about do-not-call."""

    async def add_do_not_call(
        self, account: str, numbers: Sequence[str], flow: str | None, at: float
    ) -> int:
        """List numbers for good. Raises LookupError for an unknown account."""
        return await self.put_do_not_call(account, entries_of(numbers, flow, at))

    async def put_do_not_call(self, account: str, entries: Sequence[DoNotCall]) -> int:
        """List numbers and ranges. Raises LookupError for an unknown account."""
        return await self._writer.submit(
            lambda unit: put_do_not_call(unit, account, entries), 2 * len(entries) + 1
        )

    async def put_do_not_call_once(
        self,
        account: str,
        entries: Sequence[DoNotCall],
        answer_for: Callable[[int], IdempotentAnswer],
    ) -> int | IdempotentAnswer:
        """List numbers and ranges, unless that was answered before. Raises LookupError for an unknown
        account."""
        return await self._writer.submit(
            lambda unit: _put_once(unit, account, entries, answer_for), 2 * len(entries) + 2
        )

    async def remove_do_not_call(
        self, account: str, number: str, at: float, by: str | None = None
    ) -> bool:
        """Strike a number off, for the account and each of its flows."""
        return await self._writer.submit(lambda unit: _remove(unit, account, number, at, by))

    async def list_do_not_call(
        self, account: str, limit: int, cursor: str | None, number: str | None = None
    ) -> Page[DoNotCall]:
        """In the order of the numbers, and for one number that of the flows, the whole account first."""
        after = read_cursor(cursor, DO_NOT_CALL_CURSOR) if cursor is not None else ("", None)
        names = () if number is None else names_of(number)
        return await self._readers.page(
            do_not_call_question(names),
            (account, *names, after[0], after[1] or ""),
            limit,
            _to_entry,
            lambda one: cursor_of(one.number, one.flow),
        )

    async def list_do_not_call_changes(
        self, account: str, limit: int, cursor: str | None
    ) -> Page[DoNotCallChange]:
        """In the order in which they were made."""
        after: tuple[int] = read_cursor(cursor, PLACE_CURSOR) if cursor is not None else (0,)
        page = await self._readers.page(
            f"SELECT d.n, {_CHANGE_COLUMNS} FROM do_not_call_changes d "
            f"WHERE d.account = {_ACCOUNT} AND d.n > ? ORDER BY d.n LIMIT ?",
            (account, *after),
            limit,
            lambda row: (row[0], DoNotCallChange(*row[1:])),
            lambda one: cursor_of(one[0]),
        )
        return Page(tuple([change for _, change in page.items]), page.next)

    async def has_listed(self, account: str, flow: str, at: float) -> bool:
        """Whether there is anything that the flow must not call at a moment."""

        async def is_nobody_listed() -> bool:
            return await self._readers.row(HAS_ANY, (account,), bool) is None

        if await self._unlisted.ask((account,), is_nobody_listed):
            return False
        return await self._readers.row(HAS_LISTED, (account, flow, at), bool) is not None

    async def find_listed(
        self, account: str, flow: str, numbers: Sequence[str], at: float
    ) -> frozenset[str]:
        """Those of some numbers that the flow must not call at a moment."""
        asked = msgspec.json.encode(numbers).decode()
        found = await self._readers.rows(
            _FIND_LISTED, (account, asked, flow, at, account, flow, at), lambda row: str(row[0])
        )
        ranges = tuple(one[:-1] for one in found if is_prefix(one))
        listed = frozenset(found)
        if ranges:
            listed |= {number for number in numbers if number.startswith(ranges)}
        return listed.intersection(numbers)


def _put_once(
    unit: Unit,
    account: str,
    entries: Sequence[DoNotCall],
    answer_for: Callable[[int], IdempotentAnswer],
) -> int | IdempotentAnswer:
    earlier = earlier_answer(unit, answer_for(0))
    if earlier is not None:
        return earlier
    new = put_do_not_call(unit, account, entries)
    keep_answer(unit, answer_for(new))
    return new


def do_not_call_question(names: Sequence[str]) -> str:
    """The statement of a page of what is listed, of all or by one of these names."""
    if not names:
        which = "(d.number, d.flow) > (?, ?)"
    else:  # a plus keeps the cursor from being searched by, over all numbers behind it
        which = f"d.number IN ({', '.join('?' * len(names))}) AND (+d.number, d.flow) > (?, ?)"
    return (
        f"SELECT {_COLUMNS} FROM do_not_call d WHERE d.account = {_ACCOUNT} AND {which} "
        "ORDER BY d.number, d.flow LIMIT ?"
    )


def put_do_not_call(unit: Unit, account: str, entries: Sequence[DoNotCall]) -> int:
    """List numbers and ranges; how many were not listed so before. Raises LookupError for an unknown
    account, and `Conflict("too_many_prefixes")`."""
    account_n = unit.account_n(account)
    new = 0
    for entry in entries:
        row = unit.row(_FIND, (account_n, entry.number, entry.flow or ""))
        if is_weaker(entry, _to_entry(row) if row is not None else None):
            continue
        if not new:
            unit.begin_epoch()
        new += 1
        unit.execute(_PUT, _row_of(entry, account_n))
        _note(unit, account_n, added(entry))
    if new and any(is_prefix(entry.number) for entry in entries):
        sql = "SELECT count(*) FROM do_not_call WHERE account = ? AND is_prefix"
        counted = unit.row(sql, (account_n,))
        if counted is not None and counted[0] > PREFIXES_MAX:
            raise too_many_prefixes()
    return new


def _remove(unit: Unit, account: str, number: str, at: float, by: str | None) -> bool:
    row = unit.row("SELECT n FROM accounts WHERE id = ?", (account,))
    if row is None:
        return False
    found = unit.rows(
        f"SELECT {_COLUMNS} FROM do_not_call d WHERE d.account = ? AND d.number = ? ORDER BY d.flow",
        (*row, number),
    )
    unit.execute("DELETE FROM do_not_call WHERE account = ? AND number = ?", (*row, number))
    for one in found:
        _note(unit, row[0], removed(_to_entry(one), at, by))
    return bool(found)


def _note(unit: Unit, account_n: int, change: DoNotCallChange) -> None:
    unit.execute(
        _NOTE,
        (
            account_n,
            change.at,
            change.action,
            change.number,
            change.flow or "",
            change.source,
            change.by,
            change.expires_at,
            change.note,
        ),
    )


def _row_of(entry: DoNotCall, account_n: int) -> Row:
    return (
        account_n,
        entry.number,
        entry.flow or "",
        entry.added_at,
        entry.expires_at,
        entry.note,
        entry.source,
        entry.added_by,
        is_prefix(entry.number),
    )


def _to_entry(row: Row) -> DoNotCall:
    return DoNotCall(*row)
