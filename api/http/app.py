"""The application: each request is checked, read and handed to its handler here, in one way for all."""

from __future__ import annotations

import hashlib
import secrets
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, suppress
from functools import partial
from importlib.metadata import version
from typing import Any, Final

import msgspec
import trio
from msgspec import structs
from quart import Response, has_request_context, request, websocket
from quart_trio import QuartTrio
from quart_trio.wrappers import TrioResponse
from werkzeug.exceptions import HTTPException

from api.http.auth import Caller, Keyring, Tickets, require_role, require_scope
from api.http.callers import find_caller
from api.http.engine_front import EngineFront
from api.http.etags import Tags
from api.http.exchange import (
    JSON_TYPE,
    KEY_LENGTH_MAX,
    Answer,
    BodyStream,
    Exchange,
    Front,
    HttpSettings,
    Once,
)
from api.http.feed import FeedHub
from api.http.forwarded import Sender
from api.http.gate import GatedRequest, set_up_gate
from api.http.openapi.publication import DISTRIBUTION, publish
from api.http.parameters import Parameters
from api.http.problem import PROBLEM_TYPE, Problem, problem_of, problem_of_status
from api.http.rates import Rates
from api.http.resources.feed import serve_feed
from api.http.routes import FEED_LEAST, FEED_PATH, ROUTES, STREAM_BYTES_MAX, Body, Route
from api.http.secure_headers import secure_headers
from api.http.uploads import read_uploaded_file
from engine import audit, precondition
from engine.audit import AuditEntry
from engine.drop.keeper import DropKeeper
from engine.ports.prompts import PromptKeeper
from engine.ports.recordings import RecordingReader
from engine.ports.traces import CallTraces

BODY_TIMEOUT_S: Final = 60.0
"""In which a body must have come."""
USUAL_BYTES_MAX: Final = 64 * 1024
"""Of a body that needs no turn of its own."""
LARGE_BODIES_MAX: Final = 8
"""Larger bodies that are in memory at once."""
STREAMS_MAX: Final = 32
"""Streams that are read at once. They go on for as long as their senders like, and so have turns of their
own: they must not keep others' bodies waiting."""
STREAMS_OF_ONE_MAX: Final = 4
"""The same of one account."""
TURN_TIMEOUT_S: Final = 10.0
"""How long such a request waits for its turn."""


def _wake_nobody(_account: str, _flow: str) -> None:
    """Where nobody sends webhooks."""


def make_app(
    engine: EngineFront,
    settings: HttpSettings,
    hub: FeedHub,
    prompts: PromptKeeper,
    traces: CallTraces | None = None,
    recordings: RecordingReader | None = None,
    wake_hook: Callable[[str, str], None] = _wake_nobody,
    show_metrics: Callable[[], bytes] | None = None,
    doors: DropKeeper | None = None,
) -> QuartTrio:
    """The application over an engine.

    Args:
        engine: what the requests are about.
        settings: what the operator configured.
        hub: what the engine's store publishes its events to.
        prompts: where prompts are kept.
        traces: where calls' messages are kept; None where they are not.
        recordings: where what callees said is kept; None where it is not.
        wake_hook: see `Front`.
        show_metrics: see `Front`.
        doors: see `Front`.
    """
    front = Front(
        engine=engine,
        settings=settings,
        hub=hub,
        prompts=prompts,
        traces=traces,
        recordings=recordings,
        wake_hook=wake_hook,
        show_metrics=show_metrics,
        doors=doors,
        keyring=Keyring(engine.store, settings.admin_sha256, engine.clock),
        describe=partial(publish, settings.public_url),
        tickets=Tickets(),
        rates=Rates(settings.requests_per_s),
        tags=Tags(settings.admin_sha256, version(DISTRIBUTION), settings.public_url),
        large_bodies=trio.CapacityLimiter(LARGE_BODIES_MAX),
        large_bodies_of=defaultdict(lambda: trio.CapacityLimiter(LARGE_BODIES_MAX // 2)),
        streams=trio.CapacityLimiter(STREAMS_MAX),
        streams_of=defaultdict(lambda: trio.CapacityLimiter(STREAMS_OF_ONE_MAX)),
    )
    app = QuartTrio("callwheel", static_folder=None, root_path="/")
    set_up_gate(app)
    app.url_map.merge_slashes = False
    for route in ROUTES:
        _add_route(app, front, route)
    app.add_websocket(FEED_PATH, "feed", view_func=_make_feed_view(front))
    app.register_error_handler(HTTPException, _make_refusal(front))
    return app


def _add_route(app: QuartTrio, front: Front, route: Route) -> None:
    rule = route.path.replace("{", "<").replace("}", ">")
    endpoint = f"{route.method} {route.path}".replace(".", "_")
    app.add_url_rule(rule, endpoint, _make_view(front, route), methods=[route.method])


def _make_view(front: Front, route: Route) -> Callable[..., Awaitable[Response]]:
    async def view(**path: str) -> Response:
        current: GatedRequest = request._get_current_object()  # type: ignore[attr-defined]
        limits: dict[str, str] = {}
        try:
            answer = await _answer(front, route, current, path, limits)
        except Exception as error:
            answer = _answer_error(front, error)
        return _make_response(front, answer, limits)

    return view


def _make_feed_view(front: Front) -> Callable[[], Awaitable[Response | None]]:
    async def view() -> Response | None:
        try:
            await serve_feed(front, FEED_LEAST, websocket._get_current_object())  # type: ignore[attr-defined]
        except Exception as error:
            return _make_response(front, _answer_error(front, error))
        return None

    return view


def _make_refusal(front: Front) -> Callable[[HTTPException], Awaitable[Response]]:
    """What the framework refuses by itself (no such address, no such method), as a problem."""

    async def refuse(error: HTTPException) -> Response:
        problem = problem_of_status(error.code or 500, error.description or "")
        kept = {name: value for name, value in error.get_headers() if name == "Allow"}
        problem.headers.update(kept)
        return _make_response(front, _answer_error(front, problem))

    return refuse


async def _answer(
    front: Front,
    route: Route,
    request: GatedRequest,
    path: dict[str, str],
    limits: dict[str, str],
) -> Answer:
    """The route's answer; `limits` gets the headers that tell of the limit of requests."""
    caller = None
    if route.least is not None:
        caller = await find_caller(front, request, takes_ticket=route.takes_ticket)
        limits.update(front.rates.count(caller.key, trio.current_time()))
        require_role(caller, route.least)
        require_scope(caller, route.scope)
    parameters = Parameters(request.args)
    parameters.require_known(route.query)
    _begin_audit(front, route, caller, request, path)
    _begin_precondition(front, route, request)
    if route.body is None:
        request.body.discard()
        exchange = Exchange(
            front=front,
            caller=caller,
            path=path,
            parameters=parameters,
            accepted=request.accept_mimetypes,
            if_none_match=request.headers.get("If-None-Match"),
            last_event_id=request.headers.get("Last-Event-ID"),
            turn=request.body.turn,
        )
        return await route.handler(exchange)
    media_type = _choose_media_type(request, route.body)
    async with AsyncExitStack() as stack:
        is_stream = media_type in route.body.streamed
        if is_stream or _is_large(request, route.body):
            await _wait_turn(front, caller, is_stream, stack)
        if is_stream:
            return await _answer_stream(front, route, caller, path, parameters, request, stack)
        request.body.open(route.body.bytes_max)
        body = await request.body.read(BODY_TIMEOUT_S)
        file = None
        if route.body.is_form:
            file = read_uploaded_file(body, request.headers["Content-Type"])
        exchange = Exchange(
            front=front,
            caller=caller,
            path=path,
            parameters=parameters,
            media_type=media_type,
            body=body,
            file=file,
        )
        _note_body(exchange)
        return await _answer_once(route, request, exchange)


async def _answer_stream(
    front: Front,
    route: Route,
    caller: Caller | None,
    path: dict[str, str],
    parameters: Parameters,
    request: GatedRequest,
    turn: AsyncExitStack,
) -> Answer:
    """Let the route read the body as it comes. Whether it was answered before is for the route to say, since
    that shows when all of it has come."""
    request.body.open_stream(STREAM_BYTES_MAX)
    exchange = Exchange(front, caller, path, parameters, request.accept_mimetypes)
    key = _read_key(route, request)
    once = None
    if key is not None:
        assert caller is not None  # nothing is created without a key
        about = _digest_head(request).digest()
        once = Once(_find_scope(route, caller), key, about, exchange.now)
    stream = BodyStream(request.body, once, turn)
    return await route.handler(structs.replace(exchange, stream=stream))


async def _answer_once(route: Route, request: GatedRequest, exchange: Exchange) -> Answer:
    """Let the route answer, unless it has answered the same request before."""
    key = _read_key(route, request)
    if key is None:
        return await route.handler(exchange)
    assert exchange.caller is not None  # nothing is created without a key
    once = Once(
        account=_find_scope(route, exchange.caller),
        key=key,
        fingerprint=_fingerprint(request, exchange),
        now=exchange.now,
    )
    earlier = await exchange.store.get_answer(once.account, key)
    if earlier is not None:
        return once.replay(earlier)
    return await route.handler(structs.replace(exchange, once=once))


def _read_key(route: Route, request: GatedRequest) -> str | None:
    """The Idempotency-Key of a request that makes something."""
    key = request.headers.get("Idempotency-Key")
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
    request: GatedRequest,
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
            source=_find_sender(front).address,
            action=f"{route.method} {route.path}",
            targets=tuple(path.values()),
            detail={"asked": dict(request.args)} if request.args else {},
        )
    audit.begin(entry)


def _begin_precondition(front: Front, route: Route, request: GatedRequest) -> None:
    """Let what the request changes be only what it was when the caller read it, where it says so."""
    condition = None
    if route.edits is not None and route.method != "GET":
        condition = front.tags.read_if_match(request.headers.get("If-Match"), route.edits)
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


def _digest_head(request: GatedRequest) -> hashlib._Hash:
    digest = hashlib.sha256()
    for part in (request.method, request.path, request.query_string.decode("latin1")):
        digest.update(part.encode() + b"\0")
    return digest


def _fingerprint(request: GatedRequest, exchange: Exchange) -> bytes:
    """What makes a request the same. Of a form it is the file: each client that repeats a form draws a
    new boundary for it."""
    digest = _digest_head(request)
    if exchange.file is None:
        digest.update(exchange.body)
    else:
        digest.update(exchange.file.name.encode() + b"\0" + exchange.file.data)
    return digest.digest()


def _choose_media_type(request: GatedRequest, body: Body) -> str:
    """The body's type. Raises the problem `unsupported_media_type`."""
    said = request.mimetype or body.media_types[0]
    if said not in body.media_types:
        wanted = " or ".join(body.media_types)
        raise Problem("unsupported_media_type", f"Send {wanted}, not {said}.")
    return said


def _is_large(request: GatedRequest, body: Body) -> bool:
    length = request.content_length
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


def _answer_error(front: Front, error: Exception) -> Answer:
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    problem = problem_of(error, incident=secrets.token_hex(6))
    return Answer(
        status=problem.kind.status,
        body=problem.encode(front.settings.public_url),
        content_type=PROBLEM_TYPE,
        headers=problem.headers,
    )


def _find_sender(front: Front) -> Sender:
    """Who sent the request that is being answered."""
    current = request if has_request_context() else websocket
    return front.settings.proxies.find_sender(current.remote_addr, current.scheme, current.headers)


def _make_response(
    front: Front, answer: Answer, limits: Mapping[str, str] | None = None
) -> Response:
    is_secure = front.settings.public_url.startswith("https:")
    if not is_secure:
        is_secure = _find_sender(front).scheme in ("https", "wss")
    headers = {**secure_headers(is_secure=is_secure), **(limits or {}), **answer.headers}
    return TrioResponse(answer.body, answer.status, headers, content_type=answer.content_type)
