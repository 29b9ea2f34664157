"""SIP over TCP and TLS: a table of connections, opened by whoever sends, accepted from whoever calls
(RFC 3261 §18, RFC 5922, RFC 5626).

How it works. `send` looks a hop up in the table and connects when it is not there; it never waits.
Whatever comes is told through `on_message` together with the hop that answers go back to, which for
a connection that was opened to us is the peer's address and its port of the moment (§18.2.2). What
cannot be sent, and every connection that ends against our will, is told through `on_failed`.

A connection that has ended is opened again by the next `send`, unless connecting has just failed:
then what is sent fails at once for a while.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from math import inf

import trio
from msgspec import Struct, field

from adapters.sip.transport.admission import Admission, AdmissionLimits
from adapters.sip.transport.back_off import BackOff
from adapters.sip.transport.connection import (
    Connection,
    Ending,
    Reason,
    Terms,
    Traffic,
)
from adapters.sip.transport.keep_alive import PING_AFTER_S, Patience
from adapters.sip.transport.stream_socket import connect, listen, prepare_socket
from adapters.sip.transport.tls import TlsLayer, server_context
from adapters.sip.wire.hop import Hop, Transport
from adapters.sip.wire.uri import Address

ACCEPTS_PER_TURN_MAX = 32
"""Connections that are accepted before others get a turn."""
ACCEPT_PAUSE_S = 0.1
"""What is waited when the system has no more descriptors; the listener stays readable meanwhile."""
IPV4_IN_IPV6 = "::ffff:"
"""How a listener on `::` writes the addresses of IPv4 peers."""


class StreamLimits(Struct, frozen=True):
    """The bounds of one transport. `Terms` are those of each connection."""

    outbound_max: int = 1024
    """Connections that we have opened."""
    inbound: AdmissionLimits = AdmissionLimits()
    back_off_s: float = 0.5
    """How long a hop is left alone after one failed connect; it doubles with each further one."""
    back_off_s_max: float = 16.0
    to_trunk: Terms = Terms(4 * 1024 * 1024, Patience(inf, PING_AFTER_S))
    """Kept up for as long as the peer likes, and pinged."""
    to_other: Terms = Terms(256 * 1024, Patience(300.0))
    """To whom a trunk has sent us: a callee's Contact without a Record-Route."""
    from_trunk: Terms = Terms(1024 * 1024, Patience(3600.0))
    from_stranger: Terms = Terms(64 * 1024, Patience(30.0, pings_count=False))


class StreamFailure(Struct, frozen=True):
    """Something could not be sent, or a connection has ended against our will."""

    hop: Hop
    reason: Reason
    detail: str
    """For logs."""
    undelivered: tuple[bytes, ...]
    """Messages that did not leave. Those sent over the connection before may have arrived or not."""


class StreamStatistics(Struct, frozen=True):
    """Counters since the start, but for the first."""

    open: int
    """Connections at this moment, those that are connecting included."""
    opened: int
    """By us."""
    accepted: int
    refused: int
    """Connections of others that were one too many."""
    failed: int
    """Connections that ended against our will, or never came to be."""
    messages_received: int
    messages_sent: int
    messages_undelivered: int
    bytes_refused: int
    """Of streams that were no SIP."""


class _NoWayError(Exception):
    """There is no connection to be had."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


class _Counters(Struct):
    opened: int = 0
    accepted: int = 0
    refused: int = 0
    failed: int = 0
    messages_undelivered: int = 0
    traffic: Traffic = field(default_factory=Traffic)


class StreamTransport:
    """All TCP and TLS connections of one user agent. Its tasks live in `nursery`: `close` it before that
    ends.

    `on_message(data, source)` gets each message that arrives, `on_failed(failure)` what went wrong; both
    are called synchronously, `on_failed` also from inside `send`, and must not raise. Whoever answers a
    failure by sending to the same hop again may fail again at once, and must stop at that. `is_trunk`
    says of an IP address whether a trunk lives there, `context_for` with which TLS context a hop is
    connected to (see `tls`). `local_host` is the IP address that connections leave from, empty for
    whatever the system takes.
    """

    def __init__(
        self,
        nursery: trio.Nursery,
        *,
        on_message: Callable[[bytes, Hop], None],
        on_failed: Callable[[StreamFailure], None],
        is_trunk: Callable[[str], bool],
        context_for: Callable[[Hop], ssl.SSLContext],
        local_host: str = "",
        limits: StreamLimits | None = None,
    ) -> None:
        self._nursery = nursery
        self._on_message = on_message
        self._on_failed = on_failed
        self._is_trunk = is_trunk
        self._context_for = context_for
        self._local_host = local_host
        self._limits = StreamLimits() if limits is None else limits
        self._outbound: set[Connection] = set()
        self._inbound: dict[Connection, bool] = {}
        """With whether a trunk is behind it."""
        self._connections: dict[Hop, Connection] = {}
        self._listeners: list[tuple[socket.socket, trio.CancelScope]] = []
        self._admission = Admission(self._limits.inbound)
        self._back_off = BackOff(self._limits.back_off_s, self._limits.back_off_s_max)
        self._counters = _Counters()
        self._is_closed = False

    def statistics(self) -> StreamStatistics:
        """What has happened so far."""
        counters = self._counters
        return StreamStatistics(
            open=len(self._outbound) + len(self._inbound),
            opened=counters.opened,
            accepted=counters.accepted,
            refused=counters.refused,
            failed=counters.failed,
            messages_received=counters.traffic.messages_received,
            messages_sent=counters.traffic.messages_sent,
            messages_undelivered=counters.messages_undelivered,
            bytes_refused=counters.traffic.bytes_refused,
        )

    def has_connection(self, hop: Hop) -> bool:
        """Whether `send` to this hop would use a connection that is there already, or coming up."""
        return hop in self._connections

    def send(self, data: bytes, hop: Hop) -> None:
        """Send one message, over a new connection where there is none. Never waits and never raises:
        what fails is told through `on_failed`, now or later."""
        connection = self._connections.get(hop)
        if connection is None:
            try:
                connection = self._open(hop)
            except _NoWayError as error:
                self._report(hop, Ending(error.reason, error.detail, (data,)))
                return
        connection.send(data)

    def listen_tcp(self, host: str, port: int) -> Address:
        """Accept TCP connections; returns where, which port 0 leaves to the system.

        Raises `OSError` when it cannot be bound.
        """
        return self._listen(host, port, None)

    def listen_tls(
        self, host: str, port: int, cert: str, key: str, *, authority: str | None = None
    ) -> Address:
        """Accept TLS connections with the certificate and key of two PEM files, from peers that show a
        certificate of the PEM file `authority` where there is one.

        Raises `OSError` when it cannot be bound or a file cannot be used.
        """
        return self._listen(host, port, server_context(cert, key, authority=authority))

    def close(self) -> None:
        """Close every connection and listener, without telling anybody. What is sent after this fails."""
        self._is_closed = True
        for listener, scope in self._listeners:
            scope.cancel()
            listener.close()
        self._listeners.clear()
        for connection in (*self._outbound, *self._inbound):
            connection.end("left")

    # Connections of ours.

    def _open(self, hop: Hop) -> Connection:
        """A connection that is coming up. Raises `_NoWayError`."""
        if self._is_closed:
            raise _NoWayError("left", "the transport is closed")
        now = trio.current_time()
        if self._back_off.is_waiting(hop, now):
            raise _NoWayError("back_off", "connecting has just failed")
        if len(self._outbound) >= self._limits.outbound_max:
            raise _NoWayError("limit", "too many connections")
        reason: Reason = "tls"
        try:
            tls = self._client_layer(hop)
            reason = "connect"
            stream = connect((hop.host, hop.port), self._local_host)
        except (OSError, ValueError) as error:
            self._back_off.fail(hop, now)
            raise _NoWayError(reason, str(error)) from error
        limits = self._limits
        terms = limits.to_trunk if self._is_trunk(hop.host) else limits.to_other
        connection = self._start(hop, terms, stream, tls, self._end_outbound)
        self._outbound.add(connection)
        self._counters.opened += 1
        return connection

    def _client_layer(self, hop: Hop) -> TlsLayer | None:
        if hop.transport != "tls":
            return None
        return TlsLayer.to_server(self._context_for(hop), hop.name or hop.host)

    def _end_outbound(self, connection: Connection, ending: Ending) -> None:
        self._outbound.discard(connection)
        self._forget(connection)
        if ending.reason in ("idle", "left"):
            return
        if connection.has_heard:
            self._back_off.succeed(connection.hop)
        else:
            # Who hangs up without a word would otherwise be connected to at each send.
            self._back_off.fail(connection.hop, trio.current_time())
        self._report(connection.hop, ending)

    # Connections of others.

    def _listen(self, host: str, port: int, context: ssl.SSLContext | None) -> Address:
        listener = listen(host, port)
        scope = trio.CancelScope()
        self._listeners.append((listener, scope))
        self._nursery.start_soon(self._accept_all, listener, scope, context)
        bound_host, bound_port = listener.getsockname()[:2]
        return bound_host, bound_port

    async def _accept_all(
        self, listener: socket.socket, scope: trio.CancelScope, context: ssl.SSLContext | None
    ) -> None:
        with listener, scope:
            while not self._is_closed:
                await trio.lowlevel.wait_readable(listener)
                for _ in range(ACCEPTS_PER_TURN_MAX):
                    try:
                        stream, peer = listener.accept()
                    except BlockingIOError:
                        break
                    except OSError:
                        await trio.sleep(ACCEPT_PAUSE_S)
                        break
                    self._accept(stream, peer[0].removeprefix(IPV4_IN_IPV6), peer[1], context)

    def _accept(
        self, stream: socket.socket, host: str, port: int, context: ssl.SSLContext | None
    ) -> None:
        try:
            prepare_socket(stream)
        except OSError:
            # It is gone already.
            stream.close()
            return
        is_trunk = self._is_trunk(host)
        is_admitted = (
            self._admission.admit_trunk()
            if is_trunk
            else self._admission.admit_stranger(host, trio.current_time())
        )
        if not is_admitted:
            self._counters.refused += 1
            stream.close()
            return
        transport: Transport = "tcp" if context is None else "tls"
        tls = None if context is None else TlsLayer.to_client(context)
        limits = self._limits
        terms = limits.from_trunk if is_trunk else limits.from_stranger
        hop = Hop(host, port, transport)
        connection = self._start(hop, terms, stream, tls, self._end_inbound)
        self._inbound[connection] = is_trunk
        self._counters.accepted += 1

    def _end_inbound(self, connection: Connection, ending: Ending) -> None:
        self._forget(connection)
        if self._inbound.pop(connection):
            self._admission.release_trunk()
        else:
            self._admission.release_stranger(connection.hop.host)
        if ending.reason in ("idle", "left"):
            return
        if connection.has_taken_message:
            self._report(connection.hop, ending)
        else:
            # Nobody has ever been told of this hop.
            self._counters.failed += 1

    # Both.

    def _start(
        self,
        hop: Hop,
        terms: Terms,
        stream: socket.socket,
        tls: TlsLayer | None,
        on_end: Callable[[Connection, Ending], None],
    ) -> Connection:
        connection = Connection(
            hop,
            terms,
            self._counters.traffic,
            stream=stream,
            tls=tls,
            on_message=self._on_message,
            on_end=on_end,
        )
        # Where we have connected to the very port that a peer calls from, ours is the one to use.
        self._connections.setdefault(hop, connection)
        self._nursery.start_soon(connection.run)
        return connection

    def _forget(self, connection: Connection) -> None:
        if self._connections.get(connection.hop) is connection:
            del self._connections[connection.hop]

    def _report(self, hop: Hop, ending: Ending) -> None:
        self._counters.failed += 1
        self._counters.messages_undelivered += len(ending.undelivered)
        self._on_failed(StreamFailure(hop, ending.reason, ending.detail, ending.undelivered))
