"""HTTP/1.1 and websockets as they are spoken here. hypercorn 0.18 speaks them, and what is wrong with that is
put right here: each workaround says which fault it is for, and has its regression test.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import h11
import structlog
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData
from hypercorn.logging import Logger
from hypercorn.protocol.events import EndBody, Request, Response
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.h11 import STREAM_ID, H11Protocol, H11WSConnection
from hypercorn.protocol.ws_stream import WSStream
from hypercorn.typing import ConnectionState, H11SendableEvent

from api.http.feed import Push
from api.http.frames import FramedStream
from api.http.secure_headers import HEADERS
from api.http.shortcut import Opening, Shortcut, ShortStream

log = structlog.get_logger()

HEAD_BYTES_MAX: Final = 16 * 1024
"""Of a request's line and headers together."""
WEBSOCKET_BYTES_MAX: Final = 4096
"""Of a message from a client; none has anything to say yet."""
PING_INTERVAL_S: Final = 20.0
"""Between two pings on a websocket, so that nothing on the way takes it for dead."""


class NotSpoken(Exception):
    """The client speaks a protocol that is not spoken here, or speaks out of turn."""


class _Log(Logger):
    """hypercorn's log entries, where ours are."""

    async def exception(self, message: str, *args: Any, **kwargs: Any) -> None:
        """Write down an error that reached hypercorn from the application."""
        log.exception("application_failed", message=message % args if args else message)


class FrontConfig(Config):
    """hypercorn's settings, and one of ours."""

    secure_headers: tuple[tuple[bytes, bytes], ...] = ()
    """Of answers that do not come from the application; names in lower case."""


def make_config(secure_headers: Mapping[str, str] = HEADERS) -> FrontConfig:
    """hypercorn's settings, with the bounds above."""
    config = FrontConfig()
    config.secure_headers = tuple(
        (name.lower().encode(), value.encode()) for name, value in secure_headers.items()
    )
    config.accesslog = None
    config.errorlog = None
    config.logger_class = _Log
    config.include_server_header = False
    config.h11_max_incomplete_size = HEAD_BYTES_MAX
    config.websocket_max_message_size = WEBSOCKET_BYTES_MAX
    config.websocket_ping_interval = PING_INTERVAL_S
    return config


class Http1(H11Protocol):
    """HTTP/1.1 and websockets, and nothing else."""

    config: FrontConfig

    shortcut: Shortcut | None = None
    """Answers what need not go to the application."""
    push_bytes: Push
    """Sends bytes at once, as far as the client takes them; as of `feed.Push`."""
    wait_at_most: Callable[[float], None]
    """Says how long, in seconds, the client may keep the connection waiting from now on."""

    _short_stream: ShortStream | None = None
    _head = b""
    """Of an answer whose body has not begun: both leave together, which saves a system call for each
    answer, the dearest part of a small one."""

    async def _send_h11_event(self, event: H11SendableEvent) -> None:
        try:
            data = self.connection.send(event)
        except h11.LocalProtocolError:
            if self.connection.their_state != h11.ERROR:
                raise
            return
        if isinstance(event, h11.Response):
            self._head = data
            return
        data, self._head = self._head + data, b""
        if data:
            await self.send(RawData(data))

    async def _check_protocol(self, event: h11.Request) -> None:
        """hypercorn would speak HTTP/2 without TLS to whoever asks, which nobody needs and which brings
        that protocol's floods along. An `Upgrade: h2c` is ignored, as RFC 9110 §7.8 allows."""
        if event.http_version != b"1.1" and event.http_version != b"1.0":
            await self._send_error_response(505)
            raise NotSpoken(event.http_version.decode("latin1"))

    async def _create_stream(self, request: h11.Request) -> None:
        if self.shortcut is not None:
            lines = list(request.headers)
            opening = self.shortcut.find(request.method, request.target, lines)
            if opening is not None:
                self._create_short_stream(self.shortcut, opening)
                return
        if not _asks_for_websocket(request):
            await super()._create_stream(request)
            return
        # As hypercorn does, but with a stream of ours, and without compression: it would be done again for
        # each client of the feed.
        stream = self.stream = FramedStream(
            self.app,
            self.config,
            self.context,
            self.task_group,
            self.ssl,
            self.client,
            self.server,
            self.stream_send,
            STREAM_ID,
        )
        stream.push_bytes = self.push_bytes
        assert isinstance(
            self.connection, h11.Connection
        )  # a websocket is a connection's last request
        self.connection = H11WSConnection(self.connection)
        await self.stream.handle(
            Request(
                stream_id=STREAM_ID,
                headers=[
                    item for item in request.headers if item[0] != b"sec-websocket-extensions"
                ],
                http_version=request.http_version.decode(),
                method=request.method.decode("ascii"),
                raw_path=request.target,
                state=ConnectionState(dict(self.connection_state)),
            )
        )
        await self.context.mark_request()
        self._refuse_early(b"")

    def _create_short_stream(self, shortcut: Shortcut, opening: Opening) -> None:
        stream = ShortStream(
            shortcut,
            opening,
            None if self.client is None else self.client[0],
            "https" if self.ssl else "http",
            STREAM_ID,
            self.stream_send,
            self.wait_at_most,
        )
        self.stream = stream  # type: ignore[assignment]
        self._short_stream = stream

    async def expire(self) -> None:
        """The client has kept the connection waiting for longer than it may."""
        if self._short_stream is not None and not self._short_stream.is_over:
            await self._short_stream.give_up()

    async def _send_error_response(self, status_code: int) -> None:
        headers = [(b"content-length", b"0"), (b"connection", b"close")]
        headers += [*self.config.secure_headers, *self.config.response_headers("h11")]
        await self._send_h11_event(h11.Response(status_code=status_code, headers=headers))
        await self._send_h11_event(h11.EndOfMessage())

    async def handle(self, event: Event) -> None:
        """Take what arrived."""
        if isinstance(event, RawData):
            self._refuse_early(event.data)
        await super().handle(event)

    async def stream_send(self, event: StreamEvent) -> None:
        """Pass on what the stream answers. hypercorn leaves a websocket that it refused open for ever; and
        what it refuses by itself has none of the headers that our answers have."""
        if isinstance(event, Response) and event.status_code >= 200:
            said = {name.lower() for name, _ in event.headers}
            missing = [item for item in self.config.secure_headers if item[0] not in said]
            headers = [*event.headers, *missing]
            event = Response(event.stream_id, headers, event.status_code)
        await super().stream_send(event)
        if isinstance(event, EndBody) and isinstance(self.connection, H11WSConnection):
            await self.send(Closed())

    def _refuse_early(self, data: bytes) -> None:
        """A client waits until its websocket is accepted (RFC 6455 §4.1). One that does not gets two
        answers from hypercorn, which is what #225 is about."""
        if not isinstance(self.connection, H11WSConnection) or not isinstance(
            self.stream, WSStream
        ):
            return
        if (data or self.connection.buffer) and not self.stream.handshake.accepted:
            raise NotSpoken("a frame before its websocket was accepted")


def _asks_for_websocket(request: h11.Request) -> bool:
    """As RFC 6455 §4.2.1 has it, and hypercorn reads it; a later header of a name stands for those before."""
    said = {bytes(name): value.decode("latin1").strip().lower() for name, value in request.headers}
    upgrades = [token.strip() for token in said.get(b"connection", "").split(",")]
    is_websocket = "upgrade" in upgrades and said.get(b"upgrade") == "websocket"
    return is_websocket and request.method.upper() == b"GET"
