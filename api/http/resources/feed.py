"""The feed's websocket, and tickets to it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, get_args
from urllib.parse import urlsplit

import structlog
import trio
from quart.wrappers import Websocket

from api.http.auth import require_role, require_scope
from api.http.callers import TICKET, find_caller
from api.http.exchange import Answer, Exchange, Front, answer
from api.http.feed import EventFilter, FeedReader, Push
from api.http.frames import PUSH, encode_frame
from api.http.parameters import Parameters
from api.http.problem import Problem
from engine.model import Role
from engine.model.events import EventType

log = structlog.get_logger()

QUERY: Final = ("flow", "list", "contact", "type", "since", TICKET)
"""The parameters that the feed takes."""
TYPES: Final[tuple[str, ...]] = get_args(EventType)
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
    caller = await find_caller(front, websocket, takes_ticket=True)
    front.rates.count(caller.key, trio.current_time())
    require_role(caller, least)
    require_scope(caller, "feed")
    account = caller.account.id
    wanted = read_filter(parameters)
    since = await find_since(front, account, parameters.read_seq("since"))
    check = partial(front.keyring.check, caller)
    with front.hub.open_ring(account) as ring:
        reader = FeedReader(
            front.hub,
            ring,
            front.engine.store,
            front.engine.clock,
            account=account,
            since=since,
            encode=encode_frame,
            wanted=wanted,
            push=_make_push(websocket, check),
        )
        # Without this the client would hear nothing before the first event.
        await websocket.accept()
        await _run(reader, websocket, check)


def read_filter(parameters: Parameters) -> EventFilter:
    """Which events are asked for. Raises the problem `invalid_parameter`."""
    types = parameters.read_words("type", TYPES)
    return EventFilter(
        flow=parameters.read_text("flow"),
        list=parameters.read_text("list"),
        contact=parameters.read_text("contact"),
        types=None if types is None else frozenset(types),
    )


async def find_since(front: Front, account: str, asked: int | None) -> int:
    """The number after which events are wanted: what was asked for, or the account's newest. Raises the
    problem `invalid_parameter` for one that is not there yet."""
    newest = await front.engine.store.last_seq(account)
    if asked is not None and asked > newest:
        detail = f"`since` is beyond the account's newest event, which is {newest}."
        raise Problem("invalid_parameter", detail)
    return newest if asked is None else asked


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


def _make_push(websocket: Websocket, check: Callable[[], None]) -> Push | None:
    """What sends a frame at once as long as the key is good; None where the connection has no such way."""
    push: Push | None = websocket.scope.get("state", {}).get(PUSH)
    if push is None:
        return None

    def push_checked(frame: bytes) -> bytes | None:
        try:
            check()
        except Problem:
            return frame  # to whom it is left checks it again, and ends
        return push(frame)

    return push_checked


async def _send_frames(reader: FeedReader, websocket: Websocket, check: Callable[[], None]) -> bool:
    """Until the server goes down; False where the key ended before."""
    while (frame := await reader.next_batch()) is not None:
        try:
            check()
        except Problem:
            return False
        await websocket.send(frame)
    return True


async def _drop_messages(websocket: Websocket) -> None:
    """A client has nothing to say, but who does not listen does not hear it leave either."""
    while True:
        await websocket.receive()


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
