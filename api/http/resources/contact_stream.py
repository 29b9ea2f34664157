"""Contacts as NDJSON: read as they come, and acknowledged in durable pieces to whoever wants that.

Who sends `Accept: application/x-ndjson` is answered while the stream goes on, with a line for each block that
is durable; all others hear in the end, and of a stream that breaks off nothing is kept.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager
from functools import partial
from hashlib import sha256
from typing import Final

import msgspec
from msgspec import Struct

from api.http.exchange import Answer, BodyStream, Exchange, Once, answer
from api.http.gate import GatedBody
from api.http.problem import Problem, problem_of
from api.http.views.encoding import encode
from api.http.views.lists import show_multicast
from engine.intake.receipt import Receipt
from engine.intake.stream import NOTHING_BEFORE, ContactStream, Progress, Resumption
from engine.intake.taking import Taking
from engine.model import Flow, Priority
from engine.ports.stored import PARTIAL, IdempotentAnswer

MEDIA_TYPES: Final = ("application/x-ndjson", "application/ndjson")


class Acknowledgement(Struct, frozen=True):
    """One line of the answer to a stream: so much of it is durable."""

    list: str
    lines: int
    """Of the whole stream; whoever has to begin anew may leave them out."""
    accepted: int
    rejected: int


class _Taken(Struct, frozen=True):
    """What is kept under an Idempotency-Key of a stream that is not over."""

    lines: int
    bytes_taken: int


class _Failed(Struct, frozen=True):
    """The last line of an answer to a stream that could not be taken to its end."""

    error: msgspec.Raw
    """A problem (RFC 9457)."""


class _Watched:
    """A stream that ends where the key ends that it came with: it may go on for days."""

    def __init__(self, exchange: Exchange, source: GatedBody) -> None:
        assert exchange.caller is not None  # the route takes a key
        self._check = partial(exchange.front.keyring.check, exchange.caller)
        self._source = source

    async def receive(self) -> bytes:
        """As of `GatedBody`. Raises `unauthenticated`, too."""
        data = await self._source.receive()
        self._check()
        return data

    def receive_nowait(self) -> bytes:
        """As `receive`, of what is there."""
        self._check()
        return self._source.receive_nowait()


async def take_stream(
    exchange: Exchange,
    stream: BodyStream,
    flow: Flow,
    taking: Taking,
    priority: Priority | None = None,
) -> Answer:
    """Take a stream for a flow."""
    # JSON first: most clients say `Accept: */*` of themselves, and expect one document.
    wants_pieces = exchange.accepted.best_match(["application/json", *MEDIA_TYPES]) in MEDIA_TYPES
    name = exchange.parameters.read_text("name") or ""
    incoming = exchange.engine.intake.open_stream(
        flow, _Watched(exchange, stream.source), name=name, taking=taking, priority=priority
    )
    if stream.once is None:
        earlier = None
    else:
        earlier = await exchange.store.get_answer(stream.once.account, stream.once.key)
        if earlier is not None and earlier.status != PARTIAL:
            return await _replay(stream, stream.once, earlier)
    stream.turn.enter_context(_alone(exchange, stream.once))
    if wants_pieces:
        if taking == "all_or_nothing":
            detail = "What is acknowledged in pieces cannot be all or nothing (`strict`)."
            raise Problem("invalid_parameter", detail)
        before = NOTHING_BEFORE
        if earlier is not None and stream.once is not None:
            before = await _skip(stream, stream.once, earlier, incoming)
        stream.source.turn.push_async_exit(stream.turn.pop_all())
        return Answer(202, _acknowledge(exchange, stream, incoming, before), MEDIA_TYPES[0])
    if earlier is not None:
        detail = "This key's stream was acknowledged in pieces; go on with it in that way."
        raise Problem("idempotency_mismatch", detail)
    made = await incoming.take_whole(_answer_maker(stream.once))
    if isinstance(made, IdempotentAnswer):
        assert stream.once is not None
        return stream.once.replay(made)
    return answer(show_multicast(made), 202)


@contextmanager
def _alone(exchange: Exchange, once: Once | None) -> Iterator[None]:
    """Of two connections with one key at once, each would take what the other takes. Raises `busy` for the
    second; the first may be one of which only the sender knows that it is broken."""
    if once is None:
        yield
        return
    name = (once.account, once.key)
    if name in exchange.front.open_streams:
        detail = "Another stream with this Idempotency-Key has not ended yet."
        raise Problem("busy", detail, headers={"Retry-After": "5"})
    exchange.front.open_streams.add(name)
    try:
        yield
    finally:
        exchange.front.open_streams.discard(name)


def _answer_maker(once: Once | None) -> Callable[[Receipt, bytes], IdempotentAnswer] | None:
    if once is None:
        return None

    def make(receipt: Receipt, digest: bytes) -> IdempotentAnswer:
        body = encode(show_multicast(receipt))
        fingerprint = _fingerprint(once, digest)
        return IdempotentAnswer(once.account, once.key, fingerprint, 202, body, once.now)

    return make


def _fingerprint(once: Once, digest: bytes) -> bytes:
    """What makes a request the same: its head and its body."""
    return sha256(once.fingerprint + digest).digest()


async def _replay(stream: BodyStream, once: Once, earlier: IdempotentAnswer) -> Answer:
    """The first answer again, once all has come that it was the answer to."""
    digest = sha256()
    while data := await stream.source.receive():
        digest.update(data)
    same = msgspec.structs.replace(once, fingerprint=_fingerprint(once, digest.digest()))
    return same.replay(earlier)


async def _skip(
    stream: BodyStream, once: Once, earlier: IdempotentAnswer, incoming: ContactStream
) -> Resumption:
    """Pass over what an earlier connection brought. Raises the problem `idempotency_mismatch` where it was
    something else."""
    taken = msgspec.json.decode(earlier.body, type=_Taken)
    digest = sha256()
    left = taken.bytes_taken
    while left and (data := await stream.source.receive()):
        digest.update(data[:left])
        incoming.skip(data[:left])
        stream.source.put_back(data[left:])
        left -= min(left, len(data))
    if _fingerprint(once, digest.digest()) != earlier.fingerprint:
        detail = "The stream does not begin as the one that this Idempotency-Key was used for."
        raise Problem("idempotency_mismatch", detail)
    return Resumption(taken.lines, taken.bytes_taken)


async def _acknowledge(
    exchange: Exchange,
    stream: BodyStream,
    incoming: ContactStream,
    before: Resumption,
) -> AsyncGenerator[bytes, None]:
    """A line for each block, and one for the end."""
    once = stream.once

    def make_partial(progress: Progress) -> IdempotentAnswer:
        assert once is not None
        body = encode(_Taken(progress.lines, progress.bytes_taken))
        fingerprint = _fingerprint(once, progress.sha256)
        return IdempotentAnswer(once.account, once.key, fingerprint, PARTIAL, body, once.now)

    pieces = incoming.take_in_pieces(
        before, None if once is None else make_partial, _answer_maker(once)
    )
    async with aclosing(pieces):
        try:
            async for one in pieces:
                yield _write(one) + b"\n"
        except Exception as error:
            problem = problem_of(error, "stream")
            body = problem.encode(exchange.front.settings.public_url)
            yield encode(_Failed(msgspec.Raw(body))) + b"\n"


def _write(one: Progress | Receipt | IdempotentAnswer) -> bytes:
    if isinstance(one, Progress):
        return encode(Acknowledgement(one.list, one.lines, one.accepted, one.rejected))
    return one.body if isinstance(one, IdempotentAnswer) else encode(show_multicast(one))
