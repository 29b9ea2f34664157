"""Every socket of a user agent behind one `send`: UDP, TCP and TLS."""

from __future__ import annotations

import errno
import os
import ssl
from collections import deque
from collections.abc import Callable, Collection

import trio
from msgspec import Struct

from adapters.sip.transport.datagram_socket import DatagramSocket
from adapters.sip.transport.stream_transport import (
    StreamFailure,
    StreamStatistics,
    StreamTransport,
)
from adapters.sip.transport.tls import client_context, unchecked_client_context
from adapters.sip.wire.hop import Hop, Transport
from adapters.sip.wire.uri import Address

Failed = Callable[[Hop, str, str], None]
"""Told of a hop that cannot be reached, and why: `refused`, where nobody listens; `unreachable`, where
there is no way; or one of `StreamFailure`'s reasons. Behind that come a few words of detail, or none."""

RESENT_REASONS = frozenset({"closed", "broken"})
"""Why a connection that was up has ended: what was lost with it goes over another, once."""
RESENT_REMEMBERED = 1024
"""Messages that were sent twice and are not sent a third time."""
PORTS_TRIED_MAX = 8
"""How often a free port is taken for UDP, until one is free for TCP too."""

_SAID_BY_KERNEL = {
    os.strerror(errno.ECONNREFUSED): "refused",
    os.strerror(errno.EHOSTUNREACH): "unreachable",
    os.strerror(errno.ENETUNREACH): "unreachable",
}
"""The details of a failed connect that say more than that it failed."""


class TlsSettings(Struct, frozen=True):
    """Certificates, ours and those that we believe in. Each file is PEM."""

    bind: Address | None = None
    """Where connections are accepted; None accepts none. It needs a certificate."""
    certificate: str | None = None
    """Ours; shown to whoever asks for one."""
    key: str | None = None
    authorities: str | None = None
    """Believed in beside the system's."""


class Sockets:
    """Bound at once; `close` them. What arrives over streams is given to `on_message`; datagrams are
    taken out of `datagrams` by whoever waits for them.

    `unchecked` are the names of peers, as hops have them, whose certificate is not looked at. Raises
    `OSError` when an address cannot be bound or a certificate cannot be used.
    """

    def __init__(
        self,
        bind: Address,
        tls: TlsSettings,
        unchecked: Collection[str],
        nursery: trio.Nursery,
        *,
        is_trunk: Callable[[str], bool],
        on_message: Callable[[bytes, Hop], None],
        on_failed: Failed,
    ) -> None:
        self._on_failed = on_failed
        self._unchecked = unchecked
        self._checking, self._trusting = _client_contexts(tls)
        self._resent: deque[bytes] = deque(maxlen=RESENT_REMEMBERED)
        self.sent = 0
        self.dropped = 0
        """Datagrams that found the kernel's buffer full; their retransmission repairs that."""
        host = bind[0]
        self._streams = StreamTransport(
            nursery,
            on_message=on_message,
            on_failed=self._hear_of_failure,
            is_trunk=is_trunk,
            context_for=self._context_for,
            local_host="" if host in ("0.0.0.0", "::") else host,  # noqa: S104 - compared only
        )
        try:
            self.datagrams, self.tcp = self._bind_both(*bind)
            self.tls: Address | None = None
            if tls.bind is not None and tls.certificate is not None and tls.key is not None:
                try:
                    self.tls = self._streams.listen_tls(*tls.bind, tls.certificate, tls.key)
                except BaseException:
                    self.datagrams.close()
                    raise
        except BaseException:
            self._streams.close()
            raise
        self.ports: dict[Transport, int] = {
            "udp": self.udp[1],
            "tcp": self.tcp[1],
            "tls": (self.tls or self.tcp)[1],
        }
        """Ours over each transport. Where no TLS is accepted it is that of TCP, since there must be one."""

    def _bind_both(self, host: str, port: int) -> tuple[DatagramSocket, Address]:
        """UDP and TCP on the same port."""
        for tries_left in reversed(range(1 if port else PORTS_TRIED_MAX)):
            datagrams = DatagramSocket(host, port)
            try:
                return datagrams, self._streams.listen_tcp(host, datagrams.address[1])
            except OSError:
                datagrams.close()
                if not tries_left:
                    raise
        raise AssertionError("unreachable")

    @property
    def udp(self) -> Address:
        """Where datagrams arrive; TCP has the same port."""
        return self.datagrams.address

    def stream_statistics(self) -> StreamStatistics:
        """Counters of all connections."""
        return self._streams.statistics()

    def send(self, data: bytes, hop: Hop) -> None:
        """Send one message. Never waits; what fails is told, now or later."""
        if hop.transport != "udp":
            self._streams.send(data, hop)
            return
        sent = self.datagrams.send(data, (hop.host, hop.port))
        if sent == "sent":
            self.sent += 1
        elif sent == "full":
            self.dropped += 1
        else:
            self._on_failed(hop, "unreachable", "")

    def close(self) -> None:
        """Close all of them, and tell nobody."""
        self._streams.close()
        self.datagrams.close()

    def _hear_of_failure(self, failure: StreamFailure) -> None:
        self._on_failed(failure.hop, _reason(failure), failure.detail)
        if failure.reason in RESENT_REASONS:
            # A connection may go at any time for no fault of anybody's. An INVITE that went with it has
            # failed by now, and its call with it; a BYE still has its call to end. A response has no
            # other way than the connection that its request came by.
            for data in failure.undelivered:
                if data not in self._resent and not data.startswith((b"INVITE ", b"SIP/2.0 ")):
                    self._resent.append(data)
                    self._streams.send(data, failure.hop)

    def _context_for(self, hop: Hop) -> ssl.SSLContext:
        return self._trusting if hop.name in self._unchecked else self._checking


def _reason(failure: StreamFailure) -> str:
    if failure.reason != "connect":
        return failure.reason
    said = (reason for text, reason in _SAID_BY_KERNEL.items() if failure.detail.endswith(text))
    return next(said, failure.reason)


def _client_contexts(tls: TlsSettings) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    return (
        client_context(authority=tls.authorities, cert=tls.certificate, key=tls.key),
        unchecked_client_context(cert=tls.certificate, key=tls.key),
    )
