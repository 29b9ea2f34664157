"""Caller numbers."""

from __future__ import annotations

from api.http.exchange import Answer, Exchange, answer_page
from api.http.views import DidView, show_did
from engine.model import Did


async def create_did(exchange: Exchange) -> Answer:
    """POST /v1/dids"""
    administration, raw = exchange.engine.administration, exchange.read_json()
    return await exchange.make(
        201,
        lambda did: _show(exchange, did),
        lambda remember: administration.create_did(raw, remember),
    )


async def list_dids(exchange: Exchange) -> Answer:
    """GET /v1/dids: an administrator who names no account sees those of all."""
    limit, cursor = exchange.parameters.read_page()
    if exchange.names_account:
        page = await exchange.store.list_dids(exchange.account.id, limit, cursor)
    else:
        page = await exchange.store.list_all_dids(limit, cursor)
    return answer_page(page, lambda did: _show(exchange, did))


def _show(exchange: Exchange, did: Did) -> DidView:
    return show_did(did, exchange.engine.did_load(did.number))
