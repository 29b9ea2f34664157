"""Who sends a request or opens a websocket."""

from __future__ import annotations

from typing import Final, Protocol

from werkzeug.datastructures import Headers, MultiDict

from api.http.auth import Caller
from api.http.exchange import Front
from api.http.forwarded import Sender

TICKET: Final = "ticket"
"""The parameter with which a browser, which can send no key along with a feed, says who it is."""


class Sent(Protocol):
    """What somebody sent, as much as it takes to say who it was: a request, or a websocket's first words."""

    @property
    def remote_addr(self) -> str | None:
        """The address at the other end of the connection."""

    @property
    def scheme(self) -> str:
        """What is spoken on it."""

    @property
    def headers(self) -> Headers:
        """As they came."""

    @property
    def args(self) -> MultiDict[str, str]:
        """What follows the question mark."""


def find_sender(front: Front, sent: Sent) -> Sender:
    """Where it came from, proxies apart."""
    return front.settings.proxies.find_sender(sent.remote_addr, sent.scheme, sent.headers)


async def find_caller(front: Front, sent: Sent, *, takes_ticket: bool) -> Caller:
    """Who asks. Raises the problems of `Keyring.find_caller`."""
    address = find_sender(front, sent).address
    ticket = sent.args.get(TICKET) if takes_ticket else None
    if ticket:
        return front.keyring.redeem(front.tickets, ticket, address)
    return await front.keyring.find_caller(sent.headers, address)
