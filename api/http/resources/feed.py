"""The feed's websocket, and tickets to it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final
from urllib.parse import urlsplit

import structlog
import trio
from quart.wrappers import Websocket

from api.http.auth import Caller, require_role, require_scope
from api.http.exchange import Answer, Exchange, Front, answer
from api.http.feed import FeedReader
from api.http.parameters import Parameters
from api.http.problem import Problem
from engine.model import Role

log = structlog.get_logger()

QUERY: Final = ("flow", "list", "since", "ticket")
"""The parameters that the feed takes."""
FRAME_INTERVAL_S: Final = 0.1
"""Between two frames of the live feed: what happens meanwhile travels together."""
GOING_AWAY: Final = 1001
"""Close code of RFC 6455 §7.4.1: the server goes down."""
KEY_ENDED: Final = 1008
"""Close code of RFC 6455 §7.4.1: the key is not good any more."""
FAILED: Final = 1011
"""Close code of RFC 6455 §7.4.1: an error that is ours."""


async def create_ticket(exchange: Exchange) -> Answer:
    """POST /v1/feed/tickets"""
    assert exchange.caller is not None  # the route takes a key
    return answer({"ticket": exchange.front.tickets.issue(exchange.caller)}, 201)


async def serve_feed(front: Front, least: Role, websocket: Websocket) -> None:
    """GET /v1/feed, a websocket: events until the client leaves or the server goes down. Raises problems
    before the websocket is accepted, and none after that."""
    _check_origin(websocket, front.settings.public_url)
    parameters = Parameters(websocket.args)
    parameters.require_known(QUERY)
    caller = await _find_caller(front, parameters, websocket)
    require_role(caller, least)
    require_scope(caller, "feed")
    account = caller.account.id
    store = front.engine.store
    with front.hub.open_ring(account) as ring:
        newest = await store.last_seq(account)
        since = parameters.read_seq("since")
        if since is not None and since > newest:
            detail = f"`since` is beyond the account's newest event, which is {newest}."
            raise Problem("invalid_parameter", detail)
        reader = FeedReader(
            front.hub,
            ring,
            store,
            front.engine.clock,
            account=account,
            since=newest if since is None else since,
            flow=parameters.read_text("flow"),
            call_list=parameters.read_text("list"),
        )
        # Without this the client would hear nothing before the first event.
        await websocket.accept()
        await _run(reader, websocket, partial(front.keyring.check, caller))


async def _run(reader: FeedReader, websocket: Websocket, check: Callable[[], None]) -> None:
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_drop_messages, websocket)
            is_good = await _send_frames(reader, websocket, check)
            nursery.cancel_scope.cancel()
        if is_good:
            await websocket.close(GOING_AWAY, "The server goes down.")
        else:
            await websocket.close(KEY_ENDED, "The key is not good any more.")
    except Exception:
        log.exception("feed_failed")
        await websocket.close(FAILED, "The feed failed; ask again.")


async def _send_frames(reader: FeedReader, websocket: Websocket, check: Callable[[], None]) -> bool:
    """Until the server goes down; False where the key ended before."""
    while (frame := await reader.next_frame()) is not None:
        try:
            check()
        except Problem:
            return False
        # As text: browsers hand binary frames over as blobs.
        await websocket.send(frame.decode())
        if reader.is_live:
            await trio.sleep(FRAME_INTERVAL_S)
    return True


async def _drop_messages(websocket: Websocket) -> None:
    """A client has nothing to say, but who does not listen does not hear it leave either."""
    while True:
        await websocket.receive()


async def _find_caller(front: Front, parameters: Parameters, websocket: Websocket) -> Caller:
    ticket = parameters.read_text("ticket")
    if ticket is not None:
        caller = front.tickets.redeem(ticket)
        front.keyring.check(caller)
        return caller
    return await front.keyring.find_caller(websocket.headers)


def _check_origin(websocket: Websocket, public_url: str) -> None:
    """Pages of other sites may not open the feed with whatever they got hold of. Programs that are no
    browsers send no Origin (RFC 6455 §10.2)."""
    origin = websocket.headers.get("Origin")
    if origin is None:
        return
    host = urlsplit(origin).netloc.lower()
    own = {urlsplit(public_url).netloc.lower(), websocket.headers.get("Host", "").lower()}
    if not host or host not in own:
        raise Problem("origin_not_allowed", f"{origin!r} is not where this server is.")
