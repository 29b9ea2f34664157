"""Recordings that flows play."""

from __future__ import annotations

from api.http.exchange import Answer, Exchange, answer_page
from api.http.views.flows import show_prompt


async def create_prompt(exchange: Exchange) -> Answer:
    """POST /v1/prompts"""
    file = exchange.file
    assert file is not None  # the route's body is a form with a file
    return await exchange.make(
        201,
        show_prompt,
        lambda remember: exchange.engine.administration.add_prompt(
            exchange.account, file.name, file.data, exchange.front.prompts, remember
        ),
    )


async def list_prompts(exchange: Exchange) -> Answer:
    """GET /v1/prompts"""
    page = await exchange.store.list_prompts(exchange.account.id, *exchange.parameters.read_page())
    return answer_page(page, show_prompt)
