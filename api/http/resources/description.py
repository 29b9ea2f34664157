"""The API's description, for programs and for people."""

from __future__ import annotations

from api.http.exchange import Answer, Exchange
from api.http.resources.pages import HTML_TYPE, PAGE_HEADERS


async def get_openapi(exchange: Exchange) -> Answer:
    """GET /openapi.json"""
    return Answer(200, exchange.front.describe().document)


async def get_docs(exchange: Exchange) -> Answer:
    """GET /docs"""
    return Answer(200, exchange.front.describe().page, HTML_TYPE, dict(PAGE_HEADERS))
