"""Hooks and deliveries as rows."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Struct

from adapters.sqlite.rows import Row
from engine.model.webhook import Delivery, Try, Webhook

FIND_HOOK: Final = (
    "SELECT f.settings, d.url FROM flows f LEFT JOIN disabled_hooks d ON d.flow = f.n WHERE f.n = ?"
)
DELIVERY_INSERT: Final = (
    "INSERT INTO deliveries (account, seq, flow, subject, state, created_at, begun_at, due_at) "
    "VALUES (?1, ?2, ?3, ?4, 'pending', ?5, ?5, CASE WHEN EXISTS (SELECT 1 FROM deliveries d "
    "WHERE d.flow = ?3 AND d.subject = ?4 AND d.state = 'pending') THEN NULL ELSE ?5 END)"
)
DELIVERY_COLUMNS: Final = (
    "a.id, f.id, d.seq, e.type, d.subject, d.state, d.created_at, d.begun_at, d.due_at, d.tries, "
    "d.last"
)
DELIVERY_TABLES: Final = (
    "deliveries d JOIN accounts a ON a.n = d.account JOIN flows f ON f.n = d.flow "
    "JOIN events e ON e.account = d.account AND e.seq = d.seq"
)


class _Settings(Struct):
    """What is asked of a flow's settings here."""

    webhook: Webhook | None = None


_read_settings = msgspec.json.Decoder(_Settings).decode
_read_try = msgspec.json.Decoder(Try).decode


def read_hook(row: Row | None) -> Webhook | None:
    """The hook that events go to, from `FIND_HOOK`; None where there is none, or it is disabled."""
    if row is None:
        return None
    hook = _read_settings(row[0]).webhook
    return None if hook is None or hook.url == row[1] else hook


def delivery_row(account_n: int, seq: int, flow_n: int, subject: str, at: float) -> Row:
    """Values for `DELIVERY_INSERT`."""
    return (account_n, seq, flow_n, subject, at)


def to_delivery(row: Row) -> Delivery:
    """A delivery, from `DELIVERY_COLUMNS`."""
    values: Row = (*row[:10], None if row[10] is None else _read_try(row[10]))
    return Delivery(*values)


def try_text(one: Try) -> str:
    """The column `last`."""
    encoded: Any = msgspec.json.encode(one)
    return str(encoded, "utf-8")
