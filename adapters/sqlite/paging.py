"""Pages of what is read in the order of its ids, of one account or of all."""

from __future__ import annotations

from typing import Final

from adapters.sqlite.cursors import ID_CURSOR, read_cursor
from adapters.sqlite.rows import Row

IN_ACCOUNT: Final = "JOIN accounts a ON a.n = "


def id_after(cursor: str | None) -> str:
    """The id that a page begins after. Raises `Conflict("invalid_cursor")`."""
    key: tuple[str] = read_cursor(cursor, ID_CURSOR) if cursor is not None else ("",)
    return key[0]


def of_account(sql: str, account: str, order: str, cursor: str | None) -> tuple[str, Row]:
    """A page's statement and its parameters but for the limit, given one that asks for what comes after
    an id, in every account."""
    return f"{sql} AND a.id = ? ORDER BY {order} LIMIT ?", (id_after(cursor), account)


def of_all(sql: str, order: str, cursor: str | None) -> tuple[str, Row]:
    """As `of_account`, over all accounts."""
    return f"{sql} ORDER BY {order} LIMIT ?", (id_after(cursor),)
