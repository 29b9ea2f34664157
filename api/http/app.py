"""The application: which address leads where. How a request is answered is in `answering`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from http import HTTPStatus
from importlib.metadata import version
from typing import Final

import trio
from quart import Response, has_request_context, request, websocket
from quart_trio import QuartTrio
from quart_trio.wrappers import TrioResponse
from werkzeug.exceptions import HTTPException
from werkzeug.routing import WebsocketMismatch

from api.http.answering import answer_error, answer_request, make_headers
from api.http.auth import Keyring, Tickets
from api.http.callers import Sent
from api.http.engine_front import EngineFront
from api.http.etags import Tags
from api.http.exchange import (
    Answer,
    Front,
    HttpSettings,
)
from api.http.feed import FeedHub
from api.http.gate import GatedRequest, set_up_gate
from api.http.openapi.publication import DISTRIBUTION, publish
from api.http.problem import problem_of_status
from api.http.rates import Rates
from api.http.resources.feed import serve_feed
from api.http.routes import FEED_LEAST, FEED_PATH, ROUTES, Route
from api.http.shortcut import Shortcut
from engine.control.activating import Activations
from engine.drop.keeper import DropKeeper
from engine.ports.prompts import PromptKeeper
from engine.ports.recordings import RecordingReader
from engine.ports.traces import CallTraces

LARGE_BODIES_MAX: Final = 8
"""Larger bodies that are in memory at once."""
STREAMS_MAX: Final = 32
"""Streams that are read at once. They go on for as long as their senders like, and so have turns of their
own: they must not keep others' bodies waiting."""
STREAMS_OF_ONE_MAX: Final = 4
"""The same of one account."""
NO_WEBSOCKET: Final = f"{FEED_PATH} is a websocket; GET /v1/events has the same events without one."


class Application(QuartTrio):
    """What answers requests, with the framework and without."""

    def __init__(self, front: Front) -> None:
        super().__init__("callwheel", static_folder=None, root_path="/")
        self.shortcut = Shortcut(front, ROUTES)
        """Answers small requests that come by the thousand."""


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
    find_problems: Callable[[], list[str]] = list,
    activations: Activations | None = None,
) -> Application:
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
        find_problems: see `Front`.
        activations: see `Front`.
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
        find_problems=find_problems,
        activations=activations,
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
    app = Application(front)
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
            answer = await answer_request(front, route, current, path, limits)
        except Exception as error:
            answer = answer_error(front, error, path)
        return _make_response(front, current, answer, limits)

    return view


def _make_feed_view(front: Front) -> Callable[[], Awaitable[Response | None]]:
    async def view() -> Response | None:
        current = websocket._get_current_object()  # type: ignore[attr-defined]
        try:
            await serve_feed(front, FEED_LEAST, current)
        except Exception as error:
            return _make_response(front, current, answer_error(front, error))
        return None

    return view


def _make_refusal(front: Front) -> Callable[[HTTPException], Awaitable[Response]]:
    """What the framework refuses by itself (no such address, no such method), as a problem."""

    async def refuse(error: HTTPException) -> Response:
        detail = NO_WEBSOCKET if isinstance(error, WebsocketMismatch) else error.description
        problem = problem_of_status(error.code or 500, detail or "")
        kept = {name: value for name, value in error.get_headers() if name == "Allow"}
        problem.headers.update(kept)
        current = request if has_request_context() else websocket
        return _make_response(front, current, answer_error(front, problem))

    return refuse


def _make_response(
    front: Front, asked: Sent, answer: Answer, limits: Mapping[str, str] | None = None
) -> Response:
    headers = make_headers(front, asked, answer, limits or {})
    response = TrioResponse(answer.body, answer.status, headers, content_type=answer.content_type)
    if answer.status == HTTPStatus.NOT_MODIFIED:
        # It would be that of what is not sent again (RFC 9110 §8.6).
        del response.headers["Content-Length"]
    return response
