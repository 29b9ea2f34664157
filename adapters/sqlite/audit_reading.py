"""The audit log, as it is asked for."""

from __future__ import annotations

from typing import Final

import msgspec

from adapters.sqlite.connected import Connected
from adapters.sqlite.cursors import PLACE_CURSOR, cursor_of, read_cursor
from adapters.sqlite.rows import Row
from engine.model.audit import AuditEntry
from engine.ports.stored import Page

# ruff: noqa: S608 (statements are put together from constants only; values are parameters)

_COLUMNS: Final = "u.n, u.at, a.id, u.key, u.role, u.source, u.action, u.targets, u.detail"
_AFTER: Final = (
    f"SELECT {_COLUMNS} FROM audit u {{join}} accounts a ON a.n = u.account "
    "WHERE u.n > ? {of} ORDER BY u.n LIMIT ?"
)
OF_ACCOUNT: Final = _AFTER.format(join="JOIN", of="AND a.id = ?")
OF_ALL: Final = _AFTER.format(join="LEFT JOIN", of="")


class SqliteAudit(Connected):
    """The methods of `engine.ports.settings_store.AuditStore`, and the one for all accounts."""

    async def list_audit(self, account: str, limit: int, cursor: str | None) -> Page[AuditEntry]:
        """In the order of the changes."""
        return await self._list(OF_ACCOUNT, (_place_of(cursor), account), limit)

    async def list_all_audit(self, limit: int, cursor: str | None) -> Page[AuditEntry]:
        """In the order of the changes."""
        return await self._list(OF_ALL, (_place_of(cursor),), limit)

    async def _list(self, sql: str, parameters: Row, limit: int) -> Page[AuditEntry]:
        page = await self._readers.page(
            sql,
            parameters,
            limit,
            lambda row: (row[0], _to_entry(row)),
            lambda one: cursor_of(one[0]),
        )
        return Page(tuple([entry for _, entry in page.items]), page.next)


def _place_of(cursor: str | None) -> int:
    if cursor is None:
        return 0
    (place,) = read_cursor(cursor, PLACE_CURSOR)
    return int(place)


def _to_entry(row: Row) -> AuditEntry:
    _, at, account, key, role, source, action, targets, detail = row
    return AuditEntry(
        at=at,
        account=account,
        key=key,
        role=role,
        source=source,
        action=action,
        targets=tuple(msgspec.json.decode(targets)),
        detail=msgspec.json.decode(detail),
    )
