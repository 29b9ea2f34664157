"""The feed as Server-Sent Events (WHATWG HTML §9.2), for those who cannot do websockets."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Final

import trio

from api.http.auth import Caller
from api.http.exchange import Answer, Exchange, Front
from api.http.feed import Entry, EventFilter, FeedReader
from api.http.parameters import Parameters
from api.http.problem import Problem
from api.http.resources.feed import find_since, read_filter

EVENT_STREAM_TYPE: Final = "text/event-stream"
RETRY_MS: Final = 2_000
"""After which a browser comes back when its stream broke."""
HEARTBEAT_S: Final = 15.0
"""Of silence after which a comment is sent, so that nothing on the way takes the stream for dead."""
BEGINNING: Final = b"retry: %d\n\n" % RETRY_MS
HEARTBEAT: Final = b":\n\n"


async def get_events(exchange: Exchange) -> Answer:
    """GET /v1/events"""
    assert exchange.caller is not None  # the route takes a key
    asked = _read_last_event_id(exchange)
    since = await find_since(exchange.front, exchange.account.id, asked)
    wanted = read_filter(exchange.parameters)
    stream = _stream(exchange.front, exchange.caller, since, wanted)
    await exchange.turn.enter_async_context(aclosing(stream))
    # Proxies of the nginx kind hold back what they are not told to pass on.
    return Answer(200, stream, EVENT_STREAM_TYPE, {"X-Accel-Buffering": "no"})


def encode_event_stream(entries: Sequence[Entry]) -> bytes:
    """Each entry with its number as its id. Its type is in its data, so that `onmessage` gets them all."""
    return b"".join([b"id: %d\ndata: %b\n\n" % (entry.seq, entry.body) for entry in entries])


def _read_last_event_id(exchange: Exchange) -> int | None:
    """A browser that comes back by itself says in the header how far it got; its address says the same as at
    first."""
    if exchange.last_event_id:
        return Parameters({"since": exchange.last_event_id}).read_seq("since")
    return exchange.parameters.read_seq("since")


async def _stream(
    front: Front, caller: Caller, since: int, wanted: EventFilter
) -> AsyncGenerator[bytes, None]:
    account = caller.account.id
    yield BEGINNING
    with front.hub.open_ring(account) as ring:
        reader = FeedReader(
            front.hub,
            ring,
            front.engine.store,
            front.engine.clock,
            account=account,
            since=since,
            encode=encode_event_stream,
            wanted=wanted,
        )
        while True:
            batch: bytes | None = HEARTBEAT
            with trio.move_on_after(HEARTBEAT_S):
                batch = await reader.next_batch()
            if batch is None:
                return
            try:
                front.keyring.check(caller)
            except Problem:
                return
            yield batch
