"""Numbers that must not be called, for an account or for one of its flows."""

from __future__ import annotations

from collections.abc import Sequence

from adapters.sqlite.connected import Connected
from adapters.sqlite.rules import DO_NOT_CALL_CURSOR, cursor_of, read_cursor
from adapters.sqlite.unit import Unit
from engine.ports.store import Page


class SqliteDoNotCall(Connected):
    """The methods of `engine.ports.store.SettingsStore` that are about do-not-call."""

    async def add_do_not_call(
        self, account: str, numbers: Sequence[str], flow: str | None, at: float
    ) -> int:
        """List numbers. Raises LookupError for an unknown account."""
        return await self._writer.submit(
            lambda unit: add_do_not_call(unit, account, numbers, flow, at), len(numbers)
        )

    async def remove_do_not_call(self, account: str, number: str) -> bool:
        """Strike a number off, for the account and each of its flows."""
        sql = (
            "DELETE FROM do_not_call WHERE account = (SELECT n FROM accounts WHERE id = ?) "
            "AND number = ?"
        )
        return await self._writer.submit(
            lambda unit: unit.execute(sql, (account, number)).rowcount > 0
        )

    async def list_do_not_call(
        self, account: str, limit: int, cursor: str | None
    ) -> Page[tuple[str, str | None]]:
        """In the order of the numbers, and for one number that of the flows, the whole account first."""
        after = read_cursor(cursor, DO_NOT_CALL_CURSOR) if cursor is not None else ("", None)
        return await self._readers.page(
            "SELECT number, nullif(flow, '') FROM do_not_call "
            "WHERE account = (SELECT n FROM accounts WHERE id = ?) AND (number, flow) > (?, ?) "
            "ORDER BY number, flow LIMIT ?",
            (account, after[0], after[1] or ""),
            limit,
            lambda row: (row[0], row[1]),
            lambda one: cursor_of(*one),
        )


def add_do_not_call(
    unit: Unit, account: str, numbers: Sequence[str], flow: str | None, at: float
) -> int:
    """List numbers; how many were new. Raises LookupError for an unknown account."""
    account_n = unit.account_n(account)
    before = unit.mark()[0]
    unit.executemany(
        "INSERT OR IGNORE INTO do_not_call (account, number, flow, added_at) VALUES (?, ?, ?, ?)",
        [(account_n, number, flow or "", at) for number in numbers],
    )
    return unit.mark()[0] - before
