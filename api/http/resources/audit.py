"""The audit log: who changed what."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Final

import msgspec

from api.http.csv_stream import PAGE_ROWS, Row, stream_pages, stream_rows
from api.http.exchange import Answer, Exchange, answer_page
from api.http.views.accounts import AuditView, show_audit
from api.http.views.encoding import encode
from engine.intake.answer import guard_cell
from engine.model.audit import AuditEntry
from engine.ports.stored import Page

COLUMNS: Final = ("at", "account", "key", "role", "source", "action", "targets", "detail")
NDJSON_TYPE: Final = "application/x-ndjson"


async def list_entries(exchange: Exchange) -> Answer:
    """GET /v1/audit: an administrator who names no account sees those of all, and the installation's."""
    page = await _read(exchange, *exchange.parameters.read_page())
    return answer_page(page, show_audit)


async def get_csv(exchange: Exchange) -> Answer:
    """GET /v1/audit.csv"""
    pages = stream_pages(lambda limit, cursor: _read(exchange, limit, cursor), _make_row)
    return stream_rows("audit.csv", COLUMNS, pages)


async def get_ndjson(exchange: Exchange) -> Answer:
    """GET /v1/audit.ndjson"""
    headers = {"Content-Disposition": 'attachment; filename="audit.ndjson"'}
    return Answer(200, _stream_lines(exchange), NDJSON_TYPE, headers)


async def _stream_lines(exchange: Exchange) -> AsyncGenerator[bytes, None]:
    cursor: str | None = None
    while True:
        page = await _read(exchange, PAGE_ROWS, cursor)
        yield b"".join([encode(show_audit(entry)) + b"\n" for entry in page.items])
        cursor = page.next
        if cursor is None:
            return


async def _read(exchange: Exchange, limit: int, cursor: str | None) -> Page[AuditEntry]:
    if exchange.names_account:
        return await exchange.store.list_audit(exchange.account.id, limit, cursor)
    return await exchange.store.list_all_audit(limit, cursor)


def _make_row(entry: AuditEntry) -> Row:
    view: AuditView = show_audit(entry)
    return [
        view.at,
        view.account,
        view.key,
        view.role,
        view.source,
        view.action,
        guard_cell(" ".join(view.targets)),
        msgspec.json.encode(view.detail).decode(),
    ]
