"""Accounts."""

from __future__ import annotations

from api.http.exchange import Answer, Exchange, answer_page
from api.http.problem import not_found
from api.http.views.accounts import show_account
from engine.model import Account


async def create_account(exchange: Exchange) -> Answer:
    """POST /v1/accounts"""
    administration, raw = exchange.engine.administration, exchange.read_json()
    return await exchange.make(
        201, show_account, lambda remember: administration.create_account(raw, remember)
    )


async def get_account(exchange: Exchange) -> Answer:
    """GET /v1/accounts/{account}"""
    return _answer(exchange, await exchange.store.get_account(exchange.path["account"]))


async def change_account(exchange: Exchange) -> Answer:
    """PATCH /v1/accounts/{account}"""
    changed = await exchange.engine.administration.change_account(
        exchange.path["account"], exchange.read_json()
    )
    return _answer(exchange, changed)


async def stop_account(exchange: Exchange) -> Answer:
    """POST /v1/accounts/{account}/stop"""
    return _answer(exchange, await exchange.engine.holding.stop_account(exchange.path["account"]))


async def start_account(exchange: Exchange) -> Answer:
    """POST /v1/accounts/{account}/start"""
    return _answer(exchange, await exchange.engine.holding.start_account(exchange.path["account"]))


async def pause(exchange: Exchange) -> Answer:
    """POST /v1/accounts/{account}/pause"""
    return _answer(exchange, await exchange.engine.holding.pause_account(exchange.path["account"]))


async def resume(exchange: Exchange) -> Answer:
    """POST /v1/accounts/{account}/resume"""
    return _answer(exchange, await exchange.engine.holding.resume_account(exchange.path["account"]))


async def cancel(exchange: Exchange) -> Answer:
    """POST /v1/accounts/{account}/cancel"""
    return _answer(exchange, await exchange.engine.holding.cancel_account(exchange.path["account"]))


async def list_accounts(exchange: Exchange) -> Answer:
    """GET /v1/accounts"""
    page = await exchange.store.list_accounts(*exchange.parameters.read_page())
    return answer_page(page, show_account)


def _answer(exchange: Exchange, account: Account | None) -> Answer:
    if account is None:
        raise not_found("account", exchange.path["account"])
    return exchange.answer_tagged(account, show_account(account))
