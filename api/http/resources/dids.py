"""Caller numbers."""

from __future__ import annotations

from api.http.exchange import NOTHING, Answer, Exchange, answer_page
from api.http.problem import not_found
from api.http.views.dids import DidView, show_did
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


async def get_did(exchange: Exchange) -> Answer:
    """GET /v1/dids/{did}"""
    account, number = _which(exchange)
    if account is None:
        return _answer(exchange, await exchange.store.get_any_did(number))
    found = await exchange.store.find_dids(account, [number])
    return _answer(exchange, found[0] if found else None)


async def change_did(exchange: Exchange) -> Answer:
    """PATCH /v1/dids/{did}"""
    raw = exchange.read_json()
    return _answer(exchange, await exchange.engine.dids.change(*_which(exchange), raw))


async def delete_did(exchange: Exchange) -> Answer:
    """DELETE /v1/dids/{did}"""
    if not await exchange.engine.dids.remove(*_which(exchange)):
        raise not_found("DID", exchange.path["did"])
    return NOTHING


async def rest(exchange: Exchange) -> Answer:
    """POST /v1/dids/{did}/rest"""
    raw = exchange.read_json() if exchange.body else {}
    return _answer(exchange, await exchange.engine.dids.rest(*_which(exchange), raw))


async def resume(exchange: Exchange) -> Answer:
    """POST /v1/dids/{did}/resume"""
    return _answer(exchange, await exchange.engine.dids.resume(*_which(exchange)))


def _account(exchange: Exchange) -> str | None:
    """Whose DIDs are meant; None for an administrator who means those of all."""
    return exchange.account.id if exchange.names_account else None


def _which(exchange: Exchange) -> tuple[str | None, str]:
    """(account, number) of the DID that the address names, with its `+` or without."""
    return _account(exchange), f"+{exchange.path['did'].strip().removeprefix('+')}"


def _answer(exchange: Exchange, did: Did | None) -> Answer:
    if did is None:
        raise not_found("DID", exchange.path["did"])
    return exchange.answer_tagged(did, _show(exchange, did))


def _show(exchange: Exchange, did: Did) -> DidView:
    engine = exchange.engine
    return show_did(did, engine.did_load(did.number), engine.dids.tally_of(did.number))
