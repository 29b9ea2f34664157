"""Who sends a request or opens a websocket."""

from __future__ import annotations

from typing import Final

from quart.wrappers.base import BaseRequestWebsocket

from api.http.auth import Caller
from api.http.exchange import Front

TICKET: Final = "ticket"
"""The parameter with which a browser, which can send no key along with a feed, says who it is."""


async def find_caller(front: Front, asked: BaseRequestWebsocket, *, takes_ticket: bool) -> Caller:
    """Who asks. Raises the problems of `Keyring.find_caller`."""
    sender = front.settings.proxies.find_sender(asked.remote_addr, asked.scheme, asked.headers)
    ticket = asked.args.get(TICKET) if takes_ticket else None
    if ticket:
        return front.keyring.redeem(front.tickets, ticket, sender.address)
    return await front.keyring.find_caller(asked.headers, sender.address)
