"""A stream transport and whoever listens to it, peers without one, and an authority for certificates."""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import trio
import trustme
from msgspec import Struct

from adapters.sip.transport.stream_transport import StreamFailure, StreamLimits, StreamTransport
from adapters.sip.transport.tls import client_context
from adapters.sip.wire.hop import Hop, Transport
from adapters.sip.wire.message import build_request
from adapters.sip.wire.uri import Address

HOSTS = ("127.0.0.1", "::1")
NAME = "edge.carrier.example"
PATIENCE_S = 20.0
"""How long a test waits for what must come."""
HEARD_MAX = 100_000


def message(number: int = 1, body: bytes = b"") -> bytes:
    """A message whose CSeq is the number."""
    return build_request(
        b"OPTIONS",
        b"sip:b@192.0.2.2",
        (
            (b"Via", b"SIP/2.0/TCP 192.0.2.1:5062;branch=z9hG4bK%d" % number),
            (b"From", b"<sip:a@192.0.2.1>;tag=f"),
            (b"To", b"<sip:b@192.0.2.2>"),
            (b"Call-ID", b"call"),
            (b"CSeq", b"%d OPTIONS" % number),
        ),
        body,
    )


def check_nothing(hop: Hop) -> ssl.SSLContext:
    """For transports that have nothing to do with TLS."""
    raise AssertionError(hop)


def all_are_trunks(host: str) -> bool:
    return True


def all_are_strangers(host: str) -> bool:
    return False


class Desk:
    """A transport, and what it has told."""

    def __init__(
        self,
        nursery: trio.Nursery,
        is_trunk: Callable[[str], bool],
        context_for: Callable[[Hop], ssl.SSLContext],
        limits: StreamLimits | None = None,
        local_host: str = "",
    ) -> None:
        self._put_message, self._messages = trio.open_memory_channel[tuple[bytes, Hop]](HEARD_MAX)
        self._put_failure, self._failures = trio.open_memory_channel[StreamFailure](HEARD_MAX)
        self.transport = StreamTransport(
            nursery,
            on_message=lambda data, source: self.hear(data, source),
            on_failed=lambda failure: self.fail(failure),
            is_trunk=is_trunk,
            context_for=context_for,
            local_host=local_host,
            limits=limits,
        )

    def hear(self, data: bytes, source: Hop) -> None:
        """Stands in for the core; tests put another in its place."""
        self._put_message.send_nowait((data, source))

    def fail(self, failure: StreamFailure) -> None:
        """As `hear`."""
        self._put_failure.send_nowait(failure)

    async def message(self) -> tuple[bytes, Hop]:
        """The next message, and where it came from."""
        with trio.fail_after(PATIENCE_S):
            return await self._messages.receive()

    async def messages(self, count: int) -> list[bytes]:
        """The next messages."""
        return [(await self.message())[0] for _ in range(count)]

    async def failure(self) -> StreamFailure:
        """The next failure."""
        with trio.fail_after(PATIENCE_S):
            return await self._failures.receive()

    def failures_so_far(self) -> list[StreamFailure]:
        """Those that nobody has taken."""
        found = []
        while True:
            try:
                found.append(self._failures.receive_nowait())
            except trio.WouldBlock:
                return found

    def count_messages_so_far(self) -> int:
        """Those that nobody has taken."""
        return self._messages.statistics().current_buffer_used


@asynccontextmanager
async def open_desk(
    is_trunk: Callable[[str], bool] = all_are_trunks,
    context_for: Callable[[Hop], ssl.SSLContext] = check_nothing,
    limits: StreamLimits | None = None,
    local_host: str = "",
) -> AsyncIterator[Desk]:
    """A transport until the end of the block."""
    async with trio.open_nursery() as nursery:
        desk = Desk(nursery, is_trunk, context_for, limits, local_host)
        try:
            yield desk
        finally:
            desk.transport.close()
            nursery.cancel_scope.cancel()


class Peer:
    """Accepts connections without a transport of ours."""

    def __init__(self, listener: trio.SocketListener, transport: Transport, name: str) -> None:
        self._listener = listener
        host, port = listener.socket.getsockname()[:2]
        self.hop = Hop(host, port, transport, name)

    async def accept(self) -> trio.SocketStream:
        """The next connection."""
        with trio.fail_after(PATIENCE_S):
            return await self._listener.accept()

    async def accept_tls(self, context: ssl.SSLContext) -> trio.SSLStream[trio.SocketStream]:
        """The next connection, behind its handshake."""
        stream = trio.SSLStream(await self.accept(), context, server_side=True)
        with trio.fail_after(PATIENCE_S):
            await stream.do_handshake()
        return stream


@asynccontextmanager
async def open_peer(
    host: str = "127.0.0.1", transport: Transport = "tcp", name: str = ""
) -> AsyncIterator[Peer]:
    """A peer that listens until the end of the block."""
    (listener,) = await trio.open_tcp_listeners(0, host=host)
    async with listener:
        yield Peer(listener, transport, name)


async def read_exactly(stream: trio.abc.ReceiveStream, length: int) -> bytes:
    """So many bytes, or fewer when the stream ends."""
    data = b""
    with trio.fail_after(PATIENCE_S):
        while len(data) < length:
            chunk = await stream.receive_some(length - len(data))
            if not chunk:
                break
            data += chunk
    return data


async def read_to_end(stream: trio.abc.ReceiveStream) -> bytes:
    """What comes before the end; a reset is an end too."""
    data = b""
    with trio.fail_after(PATIENCE_S):
        try:
            while chunk := await stream.receive_some():
                data += chunk
        except trio.BrokenResourceError:
            pass
    return data


async def call_up(address: Address) -> trio.SocketStream:
    """A connection to a listener."""
    return await trio.open_tcp_stream(*address)


def nobody(host: str = "127.0.0.1", transport: Transport = "tcp") -> Hop:
    """Where nobody listens."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as closed:
        closed.bind((host, 0))
        return Hop(host, closed.getsockname()[1], transport)


class Papers(Struct):
    """An authority that signs for whoever asks."""

    authority: trustme.CA
    folder: Path

    @property
    def authority_file(self) -> str:
        path = self.folder / "authority.pem"
        self.authority.cert_pem.write_to_path(str(path))
        return str(path)

    def files_for(self, *names: str, not_after: datetime | None = None) -> tuple[str, str]:
        """The files of a certificate and its key."""
        leaf = self.authority.issue_cert(*names, not_after=not_after)
        cert, key = self.folder / f"{names[0]}.pem", self.folder / f"{names[0]}.key"
        cert.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
        leaf.private_key_pem.write_to_path(str(key))
        return str(cert), str(key)

    def server_side(self, *names: str, not_after: datetime | None = None) -> ssl.SSLContext:
        """What a peer with such a certificate uses."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(*names, not_after=not_after).configure_cert(context)
        return context

    def client_side(self) -> ssl.SSLContext:
        """What a peer that trusts the authority uses."""
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        return context

    def trust(self, hop: Hop) -> ssl.SSLContext:
        """What a transport of ours uses."""
        return client_context(authority=self.authority_file)
