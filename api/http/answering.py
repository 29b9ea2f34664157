"""The one way in which requests are answered: who asks, whether they may, the body, and whether it was
answered before. A request is an `Asked` here, however it came in.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from types import MappingProxyType
from typing import Any, Final, Protocol

import msgspec
import trio
from msgspec import structs
from werkzeug.datastructures import Headers, MIMEAccept, MultiDict

from api.http.auth import Caller, read_bearer, require_role, require_scope
from api.http.callers import Sent, find_caller, find_sender
from api.http.exchange import (
    JSON_TYPE,
    KEY_LENGTH_MAX,
    Answer,
    BodyStream,
    Exchange,
    Front,
    Once,
)
from api.http.gate import GatedBody, WholeBody
from api.http.parameters import Parameters
from api.http.problem import PROBLEM_TYPE, Problem, problem_of
from api.http.routes import STREAM_BYTES_MAX, Body, Route
from api.http.seals import seal_of
from api.http.secure_headers import secure_headers
from api.http.shown import answer_change
from api.http.uploads import read_uploaded_file
from engine.control import precondition
from engine.model import audit
from engine.model.audit import AuditEntry

BODY_TIMEOUT_S: Final = 60.0
"""In which a body must have come."""
USUAL_BYTES_MAX: Final = 64 * 1024
"""Of a body that needs no turn of its own."""
TURN_TIMEOUT_S: Final = 10.0
"""How long a larger one, or a stream, waits for its turn."""


class Asked(Protocol):
    """A request, as much as answering it takes. Quart's is one (`GatedRequest`), and `ShortRequest`."""

    @property
    def method(self) -> str:
        """`GET`, `POST`, …"""

    @property
    def path(self) -> str:
        """Without the question mark and what follows."""

    @property
    def query_string(self) -> bytes:
        """What follows the question mark, as it came."""

    @property
    def args(self) -> MultiDict[str, str]:
        """The same, read."""

    @property
    def headers(self) -> Headers:
        """As they came."""

    @property
    def mimetype(self) -> str:
        """Of the body, in lower case; empty where none is said."""

    @property
    def content_length(self) -> int | None:
        """Bytes of the body; None where nobody knows before it has come."""

    @property
    def accept_mimetypes(self) -> MIMEAccept:
        """The media types that the caller wants to have."""

    @property
    def remote_addr(self) -> str | None:
        """The address at the other end of the connection."""

    @property
    def scheme(self) -> str:
        """What is spoken on it."""

    @property
    def body(self) -> GatedBody | WholeBody:
        """Of which nothing is read until somebody opens it. One that is whole is that of a route with a body
        which is not streamed."""


NAMED_IN_LOG: Final = ("account", "flow", "list", "contact", "attempt")
"""Parts of an address that a line of the log about its request carries."""


async def answer_request(
    front: Front,
    route: Route,
    asked: Asked,
    path: dict[str, str],
    limits: dict[str, str],
) -> Answer:
    """The route's answer; `limits` gets the headers that tell of the limit of requests. Whatever it raises is
    for `answer_error`."""
    caller = None
    if route.least is not None:
        caller = await find_caller(front, asked, takes_ticket=route.takes_ticket)
        limits.update(front.rates.count(caller.key, trio.current_time()))
        require_role(caller, route.least)
        require_scope(caller, route.scope)
    parameters = Parameters(asked.args)
    parameters.require_known(route.query)
    _begin_audit(front, route, caller, asked, path)
    _begin_precondition(front, route, asked)
    if route.body is None:
        assert isinstance(asked.body, GatedBody)
        asked.body.discard()
        exchange = Exchange(
            front=front,
            caller=caller,
            path=path,
            parameters=parameters,
            accepted=_accepted_by(asked),
            if_none_match=asked.headers.get("If-None-Match"),
            last_event_id=asked.headers.get("Last-Event-ID"),
            turn=asked.body.turn,
        )
        return await route.handler(exchange)
    media_type = asked.mimetype or route.body.media_types[0]
    if not route.body.is_optional:
        _require_taken(media_type, route.body)
    async with AsyncExitStack() as stack:
        is_stream = media_type in route.body.streamed
        if is_stream or _is_large(asked, route.body):
            await _wait_turn(front, caller, is_stream, stack)
        if is_stream:
            return await _answer_stream(front, route, caller, path, parameters, asked, stack)
        body = await _read_body(asked, route.body)
        if body:  # what is said of nothing does not matter
            _require_taken(media_type, route.body)
        file = None
        if route.body.is_form:
            file = read_uploaded_file(body, asked.headers["Content-Type"])
        exchange = Exchange(
            front=front,
            caller=caller,
            path=path,
            parameters=parameters,
            media_type=media_type,
            body=body,
            file=file,
        )
        if route.shown is not None:
            return await answer_change(route.shown, exchange, route.handler)
        _note_body(exchange)
        return await _answer_once(route, asked, exchange)


async def _read_body(asked: Asked, body: Body) -> bytes:
    """All of it. Raises the problem `body_timeout`, and where there is too much of it the body's own."""
    try:
        asked.body.open(body.bytes_max)
        return await asked.body.read(BODY_TIMEOUT_S)
    except Problem as problem:
        if problem.code != "body_too_large":
            raise
        raise Problem(body.too_large, problem.detail) from None


async def _answer_stream(
    front: Front,
    route: Route,
    caller: Caller | None,
    path: dict[str, str],
    parameters: Parameters,
    asked: Asked,
    turn: AsyncExitStack,
) -> Answer:
    """Let the route read the body as it comes. Whether it was answered before is for the route to say, since
    that shows when all of it has come."""
    assert isinstance(asked.body, GatedBody)
    asked.body.open_stream(STREAM_BYTES_MAX)
    exchange = Exchange(front, caller, path, parameters, _accepted_by(asked))
    key = _read_key(route, asked)
    once = None
    if key is not None:
        assert caller is not None  # nothing is created without a key
        about = _digest_head(asked).digest()
        once = Once(_find_scope(route, caller), key, about, exchange.now)
    stream = BodyStream(asked.body, once, turn)
    return await route.handler(structs.replace(exchange, stream=stream))


async def _answer_once(route: Route, asked: Asked, exchange: Exchange) -> Answer:
    """Let the route answer, unless it has answered the same request before."""
    key = _read_key(route, asked)
    if key is None:
        return await route.handler(exchange)
    assert exchange.caller is not None  # nothing is created without a key
    once = Once(
        account=_find_scope(route, exchange.caller),
        key=key,
        fingerprint=_fingerprint(asked, exchange),
        now=exchange.now,
        seal=seal_of(read_bearer(asked.headers)) if route.gives_secret else None,
    )
    earlier = await exchange.store.get_answer(once.account, key)
    if earlier is not None:
        return once.replay(earlier)
    return await route.handler(structs.replace(exchange, once=once))


def _read_key(route: Route, asked: Asked) -> str | None:
    """The Idempotency-Key of a request that makes something."""
    key = asked.headers.get("Idempotency-Key")
    if key is None or not route.creates:
        return None
    if not 1 <= len(key) <= KEY_LENGTH_MAX or not key.isprintable():
        detail = f"An Idempotency-Key has 1 to {KEY_LENGTH_MAX} characters."
        raise Problem("invalid_parameter", detail)
    return key


def _begin_audit(
    front: Front,
    route: Route,
    caller: Caller | None,
    asked: Asked,
    path: dict[str, str],
) -> None:
    """Let what the request changes be written down with who asked for it."""
    entry = None
    if caller is not None and route.is_audited:
        entry = AuditEntry(
            at=front.engine.clock.now(),
            account=None if route.least == "administrator" else caller.account.id,
            key=caller.key,
            role=caller.role,
            source=find_sender(front, asked).address,
            action=f"{route.method} {route.path}",
            targets=tuple(path.values()),
            detail={"asked": dict(asked.args)} if asked.args else {},
        )
    audit.begin(entry)


def _begin_precondition(front: Front, route: Route, asked: Asked) -> None:
    """Let what the request changes be only what it was when the caller read it, where it says so."""
    condition = None
    if route.edits is not None and route.method != "GET":
        condition = front.tags.read_if_match(asked.headers.get("If-Match"), route.edits)
    precondition.begin(condition)


def _note_body(exchange: Exchange) -> None:
    """What a request brought, for the audit log: a JSON object as it is, and of a file its name and size."""
    auditing = audit.current()
    if auditing is None:
        return
    sent: Any = {"bytes": len(exchange.body)}
    if exchange.file is not None:
        sent = {"file": exchange.file.name, "bytes": len(exchange.file.data)}
    elif exchange.media_type == JSON_TYPE and len(exchange.body) <= audit.DETAIL_BYTES_MAX:
        with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            sent = audit.hide_secrets(msgspec.json.decode(exchange.body))
    auditing.note_sent(sent)


def _find_scope(route: Route, caller: Caller) -> str:
    return "" if route.least == "administrator" else caller.account.id


def _digest_head(asked: Asked) -> hashlib._Hash:
    digest = hashlib.sha256()
    for part in (asked.method, asked.path, asked.query_string.decode("latin1")):
        digest.update(part.encode() + b"\0")
    return digest


def _fingerprint(asked: Asked, exchange: Exchange) -> bytes:
    """What makes a request the same. Of a form it is the file: each client that repeats a form draws a
    new boundary for it."""
    digest = _digest_head(asked)
    if exchange.file is None:
        digest.update(exchange.body)
    else:
        digest.update(exchange.file.name.encode() + b"\0" + exchange.file.data)
    return digest.digest()


def _accepted_by(asked: Asked) -> MIMEAccept:
    """What the caller wants to have, without parameters such as `charset`: nothing comes in several ways."""
    return MIMEAccept([(one.partition(";")[0].strip(), q) for one, q in asked.accept_mimetypes])


def _require_taken(media_type: str, body: Body) -> None:
    """Raises the problem `unsupported_media_type`."""
    if media_type not in body.media_types:
        wanted = " or ".join(body.media_types)
        raise Problem("unsupported_media_type", f"Send {wanted}, not {media_type}.")


def _is_large(asked: Asked, body: Body) -> bool:
    length = asked.content_length
    return body.bytes_max > USUAL_BYTES_MAX and (length is None or length > USUAL_BYTES_MAX)


async def _wait_turn(
    front: Front, caller: Caller | None, is_stream: bool, stack: AsyncExitStack
) -> None:
    """Of large bodies only so many are in memory, and of one account half as many; the others are not
    even read. Of streams there are as few. Raises `busy`."""
    account = "" if caller is None else caller.account.id
    turns, turns_of = front.large_bodies, front.large_bodies_of
    if is_stream:
        turns, turns_of = front.streams, front.streams_of
    with trio.move_on_after(TURN_TIMEOUT_S):
        await stack.enter_async_context(turns_of[account])
        await stack.enter_async_context(turns)
        return
    what = "streams" if is_stream else "large bodies"
    raise Problem("busy", f"Too many {what} come at once.", headers={"Retry-After": "5"})


def answer_error(
    front: Front, error: Exception, path: Mapping[str, str] = MappingProxyType({})
) -> Answer:
    """What is answered where answering raised this. `path` are the parts of the address that was asked."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    names = {part: path[part] for part in NAMED_IN_LOG if part in path}
    problem = problem_of(error, secrets.token_hex(6), names)
    return Answer(
        status=problem.kind.status,
        body=problem.encode(front.settings.public_url),
        content_type=PROBLEM_TYPE,
        headers=problem.headers,
    )


def make_headers(
    front: Front, asked: Sent, answer: Answer, limits: Mapping[str, str]
) -> dict[str, str]:
    """Those of an answer, but for what its body says of itself."""
    is_secure = front.settings.public_url.startswith("https:")
    if not is_secure:
        is_secure = find_sender(front, asked).scheme in ("https", "wss")
    return {**secure_headers(is_secure=is_secure), **limits, **answer.headers}
