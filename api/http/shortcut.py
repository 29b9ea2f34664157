"""Answers small requests that come by the thousand without the framework, which takes as long for one as all
the rest does.

Which ones: those of a route that says so (`Route.is_short`), with a JSON body that says its length, and
nothing else to be read. Whatever is out of the ordinary goes the long way. Both ways lead to
`answering.answer_request`, so that an answer is the same on either (`tests/api/http/test_shortcut.py`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

import trio
from hypercorn.protocol.events import Body, EndBody, Event, Response, StreamClosed
from msgspec import Struct
from werkzeug.datastructures import Headers, MIMEAccept, MultiDict

from api.http.answering import BODY_TIMEOUT_S, answer_error, answer_request, make_headers
from api.http.exchange import JSON_TYPE, Answer, Front
from api.http.gate import WholeBody
from api.http.routes import Route

BYTES_MAX: Final = 16 * 1024
"""Of a body, which is in memory before anybody knows whose it is."""
NAME: Final = re.compile(r"\\{(\w+)\\}")
"""A name in braces, as `re.escape` leaves it."""
PART: Final = r"(?P<\1>[A-Za-z0-9_~.-]+)"
"""What may stand for it; what has escapes in it is read on the long way."""
JSON_TYPES: Final = frozenset({b"application/json", b"application/json; charset=utf-8"})
ODD: Final = frozenset({b"expect", b"transfer-encoding", b"upgrade"})
"""Headers with which a request goes the long way."""

Line = tuple[bytes, bytes]


class ShortRequest(Struct, frozen=True):
    """A request that came whole; an `answering.Asked`."""

    method: str
    path: str
    headers: Headers
    body: WholeBody
    content_length: int
    remote_addr: str | None
    scheme: str
    mimetype: str = JSON_TYPE
    query_string: bytes = b""
    args: MultiDict[str, str] = MultiDict()
    accept_mimetypes: MIMEAccept = MIMEAccept()


class Opening(Struct, frozen=True):
    """A request whose body is still to come."""

    route: Route
    path: dict[str, str]
    """What the route's braces stand for."""
    target: str
    lines: Sequence[Line]
    """Its headers."""


class Shortcut:
    """Knows which requests go the short way, and answers them."""

    def __init__(self, front: Front, routes: Iterable[Route]) -> None:
        self._front = front
        self._ways = [
            (route.method.encode(), _compile(route.path), route)
            for route in routes
            if route.is_short
        ]

    def find(self, method: bytes, target: bytes, lines: Sequence[Line]) -> Opening | None:
        """The request that begins like this, where it goes the short way. Names of headers are in lower
        case."""
        for wanted, pattern, route in self._ways:
            if method == wanted and (match := pattern.fullmatch(target)):
                if not _is_plain(lines):
                    return None
                path = {name: part.decode() for name, part in match.groupdict().items()}
                return Opening(route, path, target.decode(), lines)
        return None

    async def answer(
        self, opening: Opening, body: bytes | None, remote_addr: str | None, scheme: str
    ) -> tuple[Answer, dict[str, str]]:
        """The answer, and its headers. Raises nothing but `Cancelled`. The body is None where it did not come
        in its time."""
        asked = ShortRequest(
            method=opening.route.method,
            path=opening.target,
            headers=Headers(
                [(name.decode(), value.decode("latin1")) for name, value in opening.lines]
            ),
            body=WholeBody(body),
            content_length=len(body or b""),
            remote_addr=remote_addr,
            scheme=scheme,
        )
        limits: dict[str, str] = {}
        try:
            answer = await answer_request(self._front, opening.route, asked, opening.path, limits)
        except Exception as error:
            answer = answer_error(self._front, error, opening.path)
            # Whoever is refused before the store was asked would keep all others waiting, with as many
            # requests as come at once.
            await trio.lowlevel.checkpoint()
        return answer, make_headers(self._front, asked, answer, limits)


class ShortStream:
    """One such request on its connection, in the place of hypercorn's stream. It is answered in the
    connection's own task, which reads on after that: so a client that leaves meanwhile is noticed then."""

    def __init__(
        self,
        shortcut: Shortcut,
        opening: Opening,
        remote_addr: str | None,
        scheme: str,
        stream_id: int,
        send: Callable[[Event], Awaitable[None]],
        wait_at_most: Callable[[float], None],
    ) -> None:
        self._shortcut = shortcut
        self._opening = opening
        self._remote_addr = remote_addr
        self._scheme = scheme
        self._stream_id = stream_id
        self._send = send
        self._wait_at_most = wait_at_most
        self._body = b""
        self.is_over = False
        """Whether it was answered, or is to be answered no more."""
        wait_at_most(BODY_TIMEOUT_S)

    async def handle(self, event: Event) -> None:
        """Take what the connection's protocol has read."""
        if self.is_over:
            return
        if isinstance(event, Body):
            self._body += event.data  # at most BYTES_MAX: the protocol holds it to its length
        elif isinstance(event, EndBody):
            self._wait_at_most(math.inf)
            await self._answer(self._body)
        elif isinstance(event, StreamClosed):
            self.is_over = True

    async def give_up(self) -> None:
        """The body does not come."""
        await self._answer(None)

    async def _answer(self, whole: bytes | None) -> None:
        answer, headers = await self._shortcut.answer(
            self._opening, whole, self._remote_addr, self._scheme
        )
        body = answer.body
        assert isinstance(body, bytes)  # what is short is answered in one piece
        lines = [(name.lower().encode(), value.encode("latin1")) for name, value in headers.items()]
        lines += [
            (b"content-type", answer.content_type.encode()),
            (b"content-length", b"%d" % len(body)),
        ]
        await self._send(Response(self._stream_id, lines, answer.status))
        await self._send(Body(self._stream_id, body))
        await self._send(EndBody(self._stream_id))
        await self._send(StreamClosed(self._stream_id))


def _compile(path: str) -> re.Pattern[bytes]:
    return re.compile(NAME.sub(PART, re.escape(path)).encode())


def _is_plain(lines: Sequence[Line]) -> bool:
    """Whether these are the headers of a small JSON body, and nothing is odd about them."""
    length = b""
    for name, value in lines:
        if name == b"content-length":
            length = value
        elif name == b"content-type":
            if value.lower() not in JSON_TYPES:
                return False
        elif name in ODD:
            return False
    return length.isdigit() and int(length) <= BYTES_MAX
