"""Listens for HTTP, and keeps what goes wrong on one connection to that connection.

hypercorn 0.18 speaks the protocol (`protocol`); accepting, reading, sending and closing are done here,
because that is where it falls over (pgjones/hypercorn#225 among others). Each workaround says which fault it
is for, and has its regression test, so that a release that cures it is noticed.
"""

from __future__ import annotations

import math
import os
import socket
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Final

import structlog
import trio
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import AppWrapper, ConnectionState
from hypercorn.utils import parse_socket_addr, wrap_app
from msgspec import Struct
from quart_trio import QuartTrio

from api.http.problem import PROBLEM_TYPE, Problem
from api.http.protocol import FrontConfig, Http1, NotSpoken, make_config
from api.http.secure_headers import HEADERS
from api.http.shortcut import Shortcut
from api.http.tls import Certificate

log = structlog.get_logger()

CONNECTIONS_MAX: Final = 2_000
"""Open at once; one more is told to come back."""
BACKLOG: Final = 512
"""Connections that the kernel keeps until they are accepted."""
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
        shortcut: Shortcut | None = None,
    ) -> None:
        """`tls` is for a connection that is encrypted; None is for one that is not. `shortcut` as of
        `serve_http`."""
        self._tls = None if tls is None else _encrypt(stream, tls)
        super().__init__(app, config, context, {}, self._tls or stream)  # type: ignore[arg-type]
        self._wire = stream
        self._socket = stream.socket
        self._tally = tally
        self._shortcut = shortcut
        self._reading = trio.CancelScope(deadline=trio.current_time() + HEAD_TIMEOUT_S)
        """Ends when the client has kept us waiting for too long. A deadline of its own for each wait would be
        a task for each request, as hypercorn has it."""
        self._is_idle = True
        """Whether no request is being read or answered."""
        self._leaving = False
        self._rest = b""
        """Of what was pushed."""

    async def run(self) -> None:
        """Serve it to its end. Raises nothing but `Cancelled`.

        hypercorn lets some errors of its protocol end the whole server (#225 is one).
        """
        try:
            await self._serve()
        except* NotSpoken:
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
            self._http = Http1(
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
            self._http.shortcut, self._http.wait_at_most = self._shortcut, self._wait_at_most
            self._http.push_bytes = self._push
            self.protocol = self._http  # type: ignore[assignment]
            try:
                await self._read_data()
            finally:
                self.abort()
            # hypercorn would let its timers run to their end first, those of pings.
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
        if self._reading.cancelled_caught and not self._leaving:
            with trio.move_on_after(LINGER_S):
                await self._http.expire()
                await self._close()
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
            data, self._rest = self._rest + event.data, b""
            if self._tls is None and not self.send_lock.locked():
                taken = self._send_now(data)
                if taken == len(data):
                    return
                data = data[taken:]
            async with self.send_lock:
                await self._send(data)
        elif isinstance(event, Updated):
            self._is_idle = event.idle
            self._wait_at_most(HEAD_TIMEOUT_S if event.idle else math.inf)
        else:
            await super().protocol_send(event)

    def end_idle(self) -> None:
        """Close it as soon as there is nothing to be answered; a request that is under way is the last."""
        if self._is_idle:
            self._reading.cancel()

    def _wait_at_most(self, wait_s: float) -> None:
        if not self._leaving:
            self._reading.deadline = trio.current_time() + wait_s

    def _push(self, data: bytes) -> bytes | None:
        """As of `feed.Push`. What a client takes only a part of goes on with the next that is sent."""
        if self._tls is not None or self._rest or self.send_lock.locked():
            return data
        taken = self._send_now(data)
        if taken == len(data):
            return None
        if taken:
            self._rest = data[taken:]
            return b""
        return data

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
        shortcut: Shortcut | None = None,
    ) -> None:
        self._shortcut = shortcut
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
            self._app, self._config, self._context, self._tally, stream, tls, self._shortcut
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
        for connection in self._live:
            connection.end_idle()
        with trio.move_on_after(drain_s):
            if self._live:
                await self._nobody.wait()

    def abort(self) -> None:
        """Close what is still open, whatever it is doing."""
        for connection in list(self._live):
            connection.abort()


def _encode_busy(config: FrontConfig) -> bytes:
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
    shortcut: Shortcut | None = None,
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
        shortcut: answers what need not go to the application.
    """
    front = Front(app, tally or Tally(), connections_max, certificate, secure_headers, shortcut)
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
