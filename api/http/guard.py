"""Listens for HTTP, and keeps what goes wrong on one connection to that connection.

hypercorn 0.18 speaks the protocol; accepting, reading, sending and closing are done here, because that
is where it falls over (pgjones/hypercorn#225 among others). Each workaround says which fault it is for,
and has its regression test, so that a release that cures it is noticed.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final

import h11
import structlog
import trio
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData
from hypercorn.logging import Logger
from hypercorn.protocol.events import EndBody, Request, Response
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.h11 import STREAM_ID, H11Protocol, H11WSConnection
from hypercorn.protocol.ws_stream import WSStream
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import AppWrapper, ConnectionState, H11SendableEvent
from hypercorn.utils import parse_socket_addr, wrap_app
from msgspec import Struct
from quart_trio import QuartTrio

from api.http.frames import FramedStream
from api.http.problem import PROBLEM_TYPE, Problem
from api.http.secure_headers import HEADERS
from api.http.tls import Certificate

log = structlog.get_logger()

CONNECTIONS_MAX: Final = 2_000
"""Open at once; one more is told to come back."""
BACKLOG: Final = 512
"""Connections that the kernel keeps until they are accepted."""
HEAD_BYTES_MAX: Final = 16 * 1024
"""Of a request's line and headers together."""
HANDSHAKE_TIMEOUT_S: Final = 10.0
"""In which a client has agreed on TLS."""
HEAD_TIMEOUT_S: Final = 15.0
"""From the connection, or the end of the last answer, to the end of the next request's headers."""
SEND_TIMEOUT_S: Final = 120.0
"""In which a client takes `SEND_BYTES_MAX`; one that takes less is cut off. A reader of the feed that
stops for a minute stays, and is told what it missed."""
SEND_BYTES_MAX: Final = 64 * 1024
"""Sent at once."""
RECEIVE_BYTES_MAX: Final = 64 * 1024
"""Received at once."""
LINGER_S: Final = 1.0
"""How long a connection that we end still listens, so that the client gets to read why."""
UNACKNOWLEDGED_MS_MAX: Final = 120_000
"""How long the kernel waits for a client that acknowledges nothing, or has no room (TCP_USER_TIMEOUT,
RFC 5482)."""
WEBSOCKET_BYTES_MAX: Final = 4096
"""Of a message from a client; none has anything to say yet."""
PING_INTERVAL_S: Final = 20.0
"""Between two pings on a websocket, so that nothing on the way takes it for dead."""
DRAIN_S: Final = 5.0
"""How long a stop waits for requests that are being answered."""

BUSY: Final = Problem("busy", "There are too many connections. Try again in a moment.")


class Tally(Struct):
    """What became of the connections, counted since the start."""

    accepted: int = 0
    turned_away: int = 0
    """Because `connections_max` others were open."""
    broken: int = 0
    """Ended by an error that would have ended the process."""
    stalled: int = 0
    """Cut off because the client did not take what it was sent."""


class _NotSpoken(Exception):
    """The client speaks a protocol that is not spoken here, or speaks out of turn."""


class _Log(Logger):
    """hypercorn's log entries, where ours are."""

    async def exception(self, message: str, *args: Any, **kwargs: Any) -> None:
        """Write down an error that reached hypercorn from the application."""
        log.exception("application_failed", message=message % args if args else message)


class _Config(Config):
    """hypercorn's settings, and one of ours."""

    secure_headers: tuple[tuple[bytes, bytes], ...] = ()
    """Of answers that do not come from the application; names in lower case."""


def make_config(secure_headers: Mapping[str, str] = HEADERS) -> _Config:
    """hypercorn's settings, with the bounds above."""
    config = _Config()
    config.secure_headers = tuple(
        (name.lower().encode(), value.encode()) for name, value in secure_headers.items()
    )
    config.accesslog = None
    config.errorlog = None
    config.logger_class = _Log
    config.include_server_header = False
    config.h11_max_incomplete_size = HEAD_BYTES_MAX
    config.keep_alive_timeout = HEAD_TIMEOUT_S
    config.websocket_max_message_size = WEBSOCKET_BYTES_MAX
    config.websocket_ping_interval = PING_INTERVAL_S
    return config


class Http1(H11Protocol):
    """HTTP/1.1 and websockets, and nothing else."""

    config: _Config

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
            raise _NotSpoken(event.http_version.decode("latin1"))

    async def _create_stream(self, request: h11.Request) -> None:
        if not _asks_for_websocket(request):
            await super()._create_stream(request)
            return
        # As hypercorn does, but with a stream of ours, and without compression: it would be done again for
        # each client of the feed.
        self.stream = FramedStream(
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
                state=self.connection_state,
            )
        )
        await self.context.mark_request()
        self._refuse_early(b"")

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
            raise _NotSpoken("a frame before its websocket was accepted")


def _asks_for_websocket(request: h11.Request) -> bool:
    """As RFC 6455 §4.2.1 has it, and hypercorn reads it; a later header of a name stands for those before."""
    said = {bytes(name): value.decode("latin1").strip().lower() for name, value in request.headers}
    upgrades = [token.strip() for token in said.get(b"connection", "").split(",")]
    is_websocket = "upgrade" in upgrades and said.get(b"upgrade") == "websocket"
    return is_websocket and request.method.upper() == b"GET"


class GuardedConnection(TCPServer):
    """One client's connection. Nothing that happens on it is an error anywhere else."""

    def __init__(
        self,
        app: AppWrapper,
        config: Config,
        context: WorkerContext,
        tally: Tally,
        stream: trio.SocketStream,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`tls` is for a connection that is encrypted; None is for one that is not."""
        self._tls = None if tls is None else _encrypt(stream, tls)
        super().__init__(app, config, context, {}, self._tls or stream)  # type: ignore[arg-type]
        self._wire = stream
        self._socket = stream.socket
        self._tally = tally
        self._reading = trio.CancelScope()
        self._leaving = False

    async def run(self) -> None:
        """Serve it to its end. Raises nothing but `Cancelled`.

        hypercorn lets some errors of its protocol end the whole server (#225 is one).
        """
        try:
            await self._serve()
        except* _NotSpoken:
            pass  # It spoke what is not spoken here, or out of turn: its connection ends, nothing else.
        except* OSError:
            pass  # It left before we could ask who it was.
        except* Exception as group:
            self._tally.broken += 1
            causes = [repr(error)[:500] for error in group.exceptions]
            log.info("connection_broke", causes=causes)
        finally:
            self.abort()

    def abort(self) -> None:
        """Close it at once, whatever is being sent. Repeating it does nothing."""
        self._socket.close()

    async def _serve(self) -> None:
        client = parse_socket_addr(self._socket.family, self._socket.getpeername())
        server = parse_socket_addr(self._socket.family, self._socket.getsockname())
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            self._socket.setsockopt(
                socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS_MAX
            )
        if not await self._shake_hands():
            return
        async with TaskGroup() as task_group:
            self._task_group = task_group
            self.protocol = Http1(  # type: ignore[assignment]
                self.app,
                self.config,
                self.context,
                task_group,
                ConnectionState(self.state),
                self._tls is not None,
                client,
                server,
                self.protocol_send,
            )
            await self.idle_task.restart(task_group, self._idle_timeout)
            try:
                await self._read_data()
            finally:
                self.abort()
            # hypercorn would let its timers run to their end first, those of pings and of idleness.
            assert task_group._nursery is not None
            task_group._nursery.cancel_scope.cancel()

    async def _shake_hands(self) -> bool:
        """Agree on TLS, where it is wanted; whether that came about."""
        if self._tls is None:
            return True
        with trio.move_on_after(HANDSHAKE_TIMEOUT_S) as scope, suppress(trio.BrokenResourceError):
            await self._tls.do_handshake()
            return True
        self._tally.stalled += scope.cancelled_caught
        return False

    async def _read_data(self) -> None:
        with self._reading:
            while True:
                try:
                    data = await self.stream.receive_some(RECEIVE_BYTES_MAX)
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    break
                if not self._leaving:
                    await self.protocol.handle(RawData(bytes(data)))
                if not data:
                    break
            if self._leaving and self._tls is not None:
                await self._read_out()
        await self.protocol.handle(Closed())

    async def _read_out(self) -> None:
        """Take what a client still sends that was told the end of TLS, as `_close` says."""
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            while await self._wire.receive_some(RECEIVE_BYTES_MAX):
                pass

    async def protocol_send(self, event: Event) -> None:
        """Do what the protocol asks for. hypercorn itself waits for ever for a client that takes nothing,
        in a shield, so that not even the end of the process ends it."""
        if isinstance(event, RawData):
            data = event.data
            if self._tls is None and not self.send_lock.locked():
                taken = self._send_now(data)
                if taken == len(data):
                    return
                data = data[taken:]
            async with self.send_lock:
                await self._send(data)
        else:
            await super().protocol_send(event)

    def _send_now(self, data: bytes) -> int:
        """How many bytes the kernel takes without a wait. Mostly that is all of them; a scope with a
        deadline, a lock and trio's own send would cost three times what the kernel does."""
        try:
            return os.write(self._socket.fileno(), data)
        except OSError:
            return 0  # it is full, or gone: whoever sends with patience finds out

    async def _send(self, data: bytes) -> None:
        for start in range(0, len(data), SEND_BYTES_MAX):
            try:
                with trio.move_on_after(SEND_TIMEOUT_S, shield=True) as scope:
                    await self.stream.send_all(data[start : start + SEND_BYTES_MAX])
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                await self.protocol.handle(Closed())
                return
            if scope.cancelled_caught:
                self._tally.stalled += 1
                self.abort()
                return

    async def _close(self) -> None:
        """Say that nothing more follows, and listen on for a moment. To close at once, as hypercorn does,
        resets the connection when the client is still sending, and the answer with it."""
        if self._leaving:
            return
        self._leaving = True
        self._reading.deadline = trio.current_time() + LINGER_S
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError):
            if self._tls is not None:
                await self._tls.aclose()  # says so within TLS, and leaves the connection open
            await self._wire.send_eof()


class _LeftOpen(trio.abc.Stream):
    """A connection below TLS, whose end is ours to choose."""

    def __init__(self, wire: trio.SocketStream) -> None:
        self._wire = wire

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """As of the connection."""
        await self._wire.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """As of the connection."""
        await self._wire.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """As of the connection."""
        return await self._wire.receive_some(max_bytes)

    async def aclose(self) -> None:
        """Leave it open."""
        await trio.lowlevel.checkpoint()


def _encrypt(stream: trio.SocketStream, tls: ssl.SSLContext) -> trio.SSLStream[_LeftOpen]:
    return trio.SSLStream(_LeftOpen(stream), tls, server_side=True)


class Front:
    """The connections of one listening server."""

    def __init__(
        self,
        app: QuartTrio,
        tally: Tally,
        connections_max: int = CONNECTIONS_MAX,
        certificate: Certificate | None = None,
        secure_headers: Mapping[str, str] = HEADERS,
    ) -> None:
        self._certificate = certificate
        self._config = make_config(secure_headers)
        self._app = wrap_app(app, self._config.wsgi_max_body_size, "asgi")
        self._context = WorkerContext(None)
        self._tally = tally
        self._connections_max = connections_max
        self._live: set[GuardedConnection] = set()
        self._nobody = trio.Event()

    async def serve(self, stream: trio.SocketStream) -> None:
        """Serve one client to its end."""
        if len(self._live) >= self._connections_max:
            self._tally.turned_away += 1
            if self._certificate is not None:  # to tell it would take a handshake first
                return
            with trio.move_on_after(LINGER_S), suppress(trio.BrokenResourceError):
                await stream.send_all(_encode_busy(self._config))
            return
        self._tally.accepted += 1
        tls = None if self._certificate is None else self._certificate.context
        connection = GuardedConnection(
            self._app, self._config, self._context, self._tally, stream, tls
        )
        self._live.add(connection)
        try:
            await connection.run()
        finally:
            self._live.discard(connection)
            if not self._live:
                self._nobody.set()

    async def end(self, drain_s: float) -> None:
        """Let idle connections go at once, and wait up to `drain_s` for the others."""
        self._nobody = trio.Event()
        await self._context.terminated.set()
        with trio.move_on_after(drain_s):
            if self._live:
                await self._nobody.wait()

    def abort(self) -> None:
        """Close what is still open, whatever it is doing."""
        for connection in list(self._live):
            connection.abort()


def _encode_busy(config: _Config) -> bytes:
    body = BUSY.encode("")
    secure = b"".join(b"%b: %b\r\n" % item for item in config.secure_headers)
    return (
        b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n"
        b"%bContent-Type: %b\r\nContent-Length: %d\r\n\r\n%b"
    ) % (secure, PROBLEM_TYPE.encode(), len(body), body)


async def serve_http(
    app: QuartTrio,
    host: str,
    port: int,
    *,
    shutdown: trio.Event,
    closing: Callable[[], None] = lambda: None,
    tally: Tally | None = None,
    drain_s: float = DRAIN_S,
    connections_max: int = CONNECTIONS_MAX,
    certificate: Certificate | None = None,
    secure_headers: Mapping[str, str] = HEADERS,
    task_status: trio.TaskStatus[tuple[str, int]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve `app` until `shutdown` is set, or until it is cancelled.

    Reports the address it listens on, as (host, port). Raises `OSError` when it cannot listen there.

    Args:
        host: an address or a name to listen on.
        port: 0 takes any that is free.
        shutdown: when set, nobody new is let in and idle connections are closed.
        closing: called then, so that whoever streams (the feed) ends its streams.
        tally: counts what became of the connections.
        drain_s: how long requests that are being answered may then take.
        connections_max: open at once.
        certificate: of the server, which then speaks TLS and nothing else.
        secure_headers: of answers that do not come from the application.
    """
    front = Front(app, tally or Tally(), connections_max, certificate, secure_headers)
    listeners = await trio.open_tcp_listeners(port, host=host, backlog=BACKLOG)
    async with trio.open_nursery() as connections:
        try:
            async with trio.open_nursery() as accepting:
                serve = partial(
                    trio.serve_listeners, front.serve, listeners, handler_nursery=connections
                )
                accepting.start_soon(serve)
                task_status.started(listeners[0].socket.getsockname()[:2])
                await shutdown.wait()
                accepting.cancel_scope.cancel()
            closing()
            await front.end(drain_s)
        finally:
            # Only a closed socket ends a send that is shielded.
            front.abort()
            connections.cancel_scope.cancel()
