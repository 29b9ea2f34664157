"""A carrier that a test plays itself, message by message, over real sockets of loopback."""

from __future__ import annotations

import socket
import ssl
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

import trio

from adapters.sip.transport.framing import StreamFramer
from adapters.sip.wire.hop import Hop, Transport
from adapters.sip.wire.message import (
    Message,
    Request,
    Response,
    build_request,
    build_response,
    parse,
)
from adapters.sip.wire.uri import Address, host_port
from tests.adapters.sip.lineup import SDP_TYPE, Headers, answer_sdp

RECEIVE_BYTES = 65_536


class Wire(Protocol):
    """How a carrier's messages come and go. What is sent goes where the last one came from."""

    hop: Hop

    async def receive(self) -> bytes: ...

    async def send(self, data: bytes) -> None: ...


class UdpWire:
    """One socket."""

    def __init__(self, udp: trio.socket.SocketType) -> None:
        self._socket = udp
        host, port = udp.getsockname()[:2]
        self.hop = Hop(host, port)
        self.peer: Address = ("", 0)

    async def receive(self) -> bytes:
        data, source = await self._socket.recvfrom(RECEIVE_BYTES)
        self.peer = source[:2]
        return data

    async def send(self, data: bytes) -> None:
        await self.send_to(data, self.peer)

    async def send_to(self, data: bytes, address: Address) -> None:
        await self._socket.sendto(data, address)


class StreamWire:
    """One connection at a time; the next one is accepted where there is none."""

    def __init__(self, listener: trio.SocketListener, context: ssl.SSLContext | None) -> None:
        self._listener = listener
        self._context = context
        self._stream: trio.abc.Stream | None = None
        self._framer = StreamFramer()
        self._messages: deque[bytes] = deque()
        host, port = listener.socket.getsockname()[:2]
        self.hop = Hop(host, port, "tcp" if context is None else "tls")
        self.accepted = 0

    @property
    def stream(self) -> trio.abc.Stream:
        """The connection that is there."""
        assert self._stream is not None
        return self._stream

    async def accept(self) -> trio.abc.Stream:
        """The next connection, which takes the place of the one before."""
        plain = await self._listener.accept()
        await self.cut()
        self.accepted += 1
        self.take(plain)
        if self._context is not None:
            secure = trio.SSLStream(plain, self._context, server_side=True)
            self.take(secure)
            await secure.do_handshake()
        return self.stream

    def take(self, stream: trio.abc.Stream) -> None:
        """Go on with a connection that was made otherwise."""
        self._framer = StreamFramer()
        self._stream = stream

    async def receive(self) -> bytes:
        stream = self._stream
        while not self._messages:
            if stream is None:
                stream = await self.accept()
            data = await stream.receive_some()
            if not data:
                raise trio.BrokenResourceError("closed by the other side")
            self._messages += self._framer.feed(bytes(data))
        return self._messages.popleft()

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def cut(self) -> None:
        """End the connection, if there is one, without a word."""
        stream, self._stream = self._stream, None
        if stream is not None:
            await trio.aclose_forcefully(stream)


class Carrier:
    """Plays the trunk. Its callee's tag is always the same."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.hop = wire.hop
        self._cseq = 0

    @property
    def port(self) -> int:
        return self.hop.port

    @property
    def contact(self) -> bytes:
        """The callee's URI, in brackets."""
        transport = self.hop.transport.encode()
        address = host_port((self.hop.host, self.hop.port))
        return b"<sip:callee@%b;transport=%b>" % (address, transport)

    async def request(self) -> Request:
        """The next message, which must be a request."""
        request = await self._receive()
        assert isinstance(request, Request)
        return request

    async def receive(self, method: bytes) -> Request:
        """The next message, which must be such a request."""
        request = await self.request()
        assert request.method == method
        return request

    async def response(self) -> Response:
        """The next message, which must be a response."""
        response = await self._receive()
        assert isinstance(response, Response)
        return response

    async def _receive(self) -> Message:
        return parse(await self.wire.receive())

    async def send(self, data: bytes) -> None:
        await self.wire.send(data)

    async def send_to(self, data: bytes, address: Address) -> None:
        """Send a datagram to somebody who has not spoken yet."""
        assert isinstance(self.wire, UdpWire)
        await self.wire.send_to(data, address)

    async def respond(
        self, request: Request, status: int, *headers: tuple[bytes, bytes], body: bytes = b""
    ) -> None:
        await self.send(
            build_response(request, status, to_tag=b"callee", headers=headers, body=body)
        )

    async def accept(self, invite: Request, contact: bytes | None = None) -> None:
        """Say 200 to an INVITE."""
        here = (b"Contact", self.contact if contact is None else contact)
        await self.respond(invite, 200, here, SDP_TYPE, body=answer_sdp(host="127.0.0.1"))

    async def answer(self, contact: bytes | None = None) -> Request:
        """Take an INVITE and its ACK."""
        invite = await self.receive(b"INVITE")
        await self.accept(invite, contact)
        await self.receive(b"ACK")
        return invite

    async def refuse(self, status: int, *headers: tuple[bytes, bytes]) -> Request:
        """Refuse an INVITE, and take its ACK."""
        invite = await self.receive(b"INVITE")
        await self.respond(invite, status, *headers)
        await self.receive(b"ACK")
        return invite

    async def take_bye(self) -> None:
        await self.respond(await self.receive(b"BYE"), 200)

    def ask(
        self, invite: Request, method: bytes, *headers: tuple[bytes, bytes], body: bytes = b""
    ) -> bytes:
        """A request of the callee's in the dialog that an INVITE made."""
        self._cseq += 1
        uri = invite.contact
        assert uri is not None
        lines: Headers = (
            (
                b"Via",
                b"SIP/2.0/%b %b;branch=z9hG4bKc%d;rport"
                % (
                    self.hop.transport.upper().encode(),
                    host_port((self.hop.host, self.hop.port)),
                    self._cseq,
                ),
            ),
            (b"From", invite.fields[b"to"][0] + b";tag=callee"),
            (b"To", invite.fields[b"from"][0]),
            (b"Call-ID", invite.call_id),
            (b"CSeq", b"%d %b" % (self._cseq, method)),
            *headers,
        )
        return build_request(method, uri, lines, body)

    async def hang_up(self, invite: Request) -> None:
        await self.send(self.ask(invite, b"BYE"))


@asynccontextmanager
async def open_udp_carrier(host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Carrier]:
    """A carrier over UDP until the block is left."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with trio.socket.socket(family, socket.SOCK_DGRAM) as udp:
        await udp.bind((host, port))
        yield Carrier(UdpWire(udp))


@asynccontextmanager
async def open_stream_carrier(
    host: str = "127.0.0.1", context: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[Carrier, StreamWire]]:
    """A carrier over TCP, or TLS where there is a context, until the block is left."""
    (listener,) = await trio.open_tcp_listeners(0, host=host)
    async with listener:
        wire = StreamWire(listener, context)
        try:
            yield Carrier(wire), wire
        finally:
            await wire.cut()


@asynccontextmanager
async def open_carrier(
    transport: Transport, host: str, context: ssl.SSLContext | None = None
) -> AsyncIterator[Carrier]:
    """A carrier over any transport."""
    if transport == "udp":
        async with open_udp_carrier(host) as carrier:
            yield carrier
    else:
        async with open_stream_carrier(host, context) as (carrier, _):
            yield carrier
