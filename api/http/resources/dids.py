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
    account = exchange.account.id if exchange.names_account else None
    page = await exchange.store.list_dids(account, *exchange.parameters.read_page())
    return answer_page(page, lambda did: _show(exchange, did))


def _show(exchange: Exchange, did: Did) -> DidView:
    return show_did(did, exchange.engine.did_load(did.number))
