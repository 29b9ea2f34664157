"""UDP, TCP and TLS behind one `send`, on real sockets of loopback."""

from __future__ import annotations

import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trustme

from adapters.sip.transport.sockets import PORTS_TRIED_MAX, Sockets, TlsSettings
from adapters.sip.transport.stream_transport import StreamTransport
from adapters.sip.wire.hop import Hop, Transport
from adapters.sip.wire.message import build_request
from tests.adapters.sip.transport.stream_lineup import (
    NAME,
    PATIENCE_S,
    Papers,
    call_up,
    message,
    nobody,
    open_peer,
    read_exactly,
)

HOST = "127.0.0.1"
FILLER_BYTES = 3_000_000
"""More than a connection's kernel takes from us while its peer reads nothing."""


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    return Papers(trustme.CA(), tmp_path_factory.mktemp("papers"))


class Desk:
    """Sockets, and what they have told."""

    def __init__(
        self,
        nursery: trio.Nursery,
        bind: tuple[str, int],
        tls: TlsSettings,
        unchecked: frozenset[str],
    ) -> None:
        self._put_message, self._messages = trio.open_memory_channel[tuple[bytes, Hop]](1000)
        self._put_failure, self._failures = trio.open_memory_channel[tuple[Hop, str, str]](1000)
        self.sockets = Sockets(
            bind,
            tls,
            unchecked,
            nursery,
            is_trunk=lambda _: True,
            on_message=lambda data, source: self._put_message.send_nowait((data, source)),
            on_failed=lambda hop, reason, detail: self._put_failure.send_nowait(
                (hop, reason, detail)
            ),
        )

    async def message(self) -> tuple[bytes, Hop]:
        with trio.fail_after(PATIENCE_S):
            return await self._messages.receive()

    async def failure(self) -> tuple[Hop, str, str]:
        with trio.fail_after(PATIENCE_S):
            return await self._failures.receive()

    def count_failures_so_far(self) -> int:
        return self._failures.statistics().current_buffer_used


@asynccontextmanager
async def open_desk(
    bind: tuple[str, int] = (HOST, 0),
    tls: TlsSettings | None = None,
    unchecked: frozenset[str] = frozenset(),
) -> AsyncIterator[Desk]:
    async with trio.open_nursery() as nursery:
        desk = Desk(nursery, bind, TlsSettings() if tls is None else tls, unchecked)
        try:
            yield desk
        finally:
            desk.sockets.close()
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def open_udp(host: str = HOST) -> AsyncIterator[trio.socket.SocketType]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with trio.socket.socket(family, socket.SOCK_DGRAM) as udp:
        await udp.bind((host, 0))
        yield udp


def hop_of(peer: socket.socket | trio.socket.SocketType, transport: Transport) -> Hop:
    """Where a socket is to be found."""
    host, port = peer.getsockname()[:2]
    return Hop(host, port, transport)


def request(method: bytes, number: int, body: bytes = b"") -> bytes:
    return build_request(
        method,
        b"sip:b@192.0.2.2",
        (
            (b"Via", b"SIP/2.0/TCP 192.0.2.1:5062;branch=z9hG4bK%d" % number),
            (b"From", b"<sip:a@192.0.2.1>;tag=f"),
            (b"To", b"<sip:b@192.0.2.2>"),
            (b"Call-ID", b"call"),
            (b"CSeq", b"%d %b" % (number, method)),
        ),
        body,
    )


# Binding.


@pytest.mark.parametrize("host", [HOST, "::1"])
async def test_udp_and_tcp_listen_at_the_same_port(host: str) -> None:
    async with open_desk((host, 0)) as desk, open_udp(host) as udp:
        sockets = desk.sockets
        assert sockets.udp == sockets.tcp
        assert sockets.udp[0] == host
        assert sockets.udp[1] != 0
        port = sockets.udp[1]
        assert (sockets.tls, sockets.ports) == (None, {"udp": port, "tcp": port, "tls": port})
        stream = await call_up(sockets.tcp)
        async with stream:
            await stream.send_all(message(1))
            assert await desk.message() == (
                message(1),
                hop_of(stream.socket, "tcp"),
            )
        await udp.sendto(message(2), sockets.udp)
        with trio.fail_after(PATIENCE_S):
            await trio.lowlevel.wait_readable(sockets.datagrams.socket)
        assert sockets.datagrams.receive() == (message(2), udp.getsockname()[:2])


async def test_a_port_that_is_named_is_the_one_that_is_bound() -> None:
    async with open_desk() as desk:
        bind = desk.sockets.udp
    async with open_desk(bind) as desk:
        assert (desk.sockets.udp, desk.sockets.tcp) == (bind, bind)


async def test_a_port_that_tcp_does_not_get_is_left_for_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried: list[int] = []
    listen_tcp = StreamTransport.listen_tcp

    def listen(transport: StreamTransport, host: str, port: int) -> tuple[str, int]:
        tried.append(port)
        if len(tried) < PORTS_TRIED_MAX:
            raise OSError("Address already in use")
        return listen_tcp(transport, host, port)

    monkeypatch.setattr(StreamTransport, "listen_tcp", listen)
    async with open_desk() as desk:
        assert desk.sockets.udp == desk.sockets.tcp == (HOST, tried[-1])
    assert len(tried) == PORTS_TRIED_MAX


async def test_a_free_port_is_looked_for_a_bounded_number_of_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried: list[int] = []

    def listen(transport: StreamTransport, host: str, port: int) -> tuple[str, int]:
        tried.append(port)
        raise OSError("Address already in use")

    monkeypatch.setattr(StreamTransport, "listen_tcp", listen)
    async with trio.open_nursery() as nursery:
        with pytest.raises(OSError, match="Address already in use"):
            Desk(nursery, (HOST, 0), TlsSettings(), frozenset())
    assert len(tried) == PORTS_TRIED_MAX
    with socket.socket(type=socket.SOCK_DGRAM) as again:
        again.bind((HOST, tried[-1]))


async def test_a_port_that_somebody_has_is_an_error_and_nothing_stays_bound() -> None:
    with socket.socket() as holder:
        holder.bind((HOST, 0))
        holder.listen()
        port = holder.getsockname()[1]
        async with trio.open_nursery() as nursery:
            with pytest.raises(OSError, match="Address already in use"):
                Desk(nursery, (HOST, port), TlsSettings(), frozenset())
        with socket.socket(type=socket.SOCK_DGRAM) as again:
            again.bind((HOST, port))


async def test_a_certificate_that_cannot_be_used_is_an_error_and_nothing_stays_bound(
    tmp_path: Path,
) -> None:
    async with open_desk() as desk:
        bind = desk.sockets.udp
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("nonsense")
    tls = TlsSettings((HOST, 0), str(nonsense), str(nonsense))
    async with trio.open_nursery() as nursery:
        with pytest.raises(OSError, match="PEM"):
            Desk(nursery, bind, tls, frozenset())
    async with open_desk(bind):
        pass


# TLS.


async def test_tls_is_accepted_where_it_is_wanted(papers: Papers) -> None:
    cert, key = papers.files_for(NAME)
    async with open_desk(tls=TlsSettings((HOST, 0), cert, key)) as desk:
        assert desk.sockets.tls is not None
        assert desk.sockets.tls[1] == desk.sockets.ports["tls"] != desk.sockets.ports["tcp"]
        plain = await call_up(desk.sockets.tls)
        async with trio.SSLStream(plain, papers.client_side(), server_hostname=NAME) as stream:
            await stream.send_all(message(1))
            data, source = await desk.message()
            assert (data, source) == (message(1), hop_of(plain.socket, "tls"))
            desk.sockets.send(message(2), source)
            assert await read_exactly(stream, len(message(2))) == message(2)


@pytest.mark.parametrize(("name", "is_taken"), [("other.example", True), (NAME, False)])
async def test_only_a_name_that_is_unchecked_may_show_any_certificate(
    name: str, papers: Papers, *, is_taken: bool
) -> None:
    unchecked = frozenset({"other.example"})
    tls = TlsSettings(authorities=papers.authority_file)
    async with (
        open_desk(tls=tls, unchecked=unchecked) as desk,
        open_peer(HOST, "tls", name) as peer,
    ):
        desk.sockets.send(message(1), peer.hop)
        stream = trio.SSLStream(
            await peer.accept(), papers.server_side("wrong.example"), server_side=True
        )
        with trio.fail_after(PATIENCE_S):
            if is_taken:
                assert await read_exactly(stream, len(message(1))) == message(1)
            else:
                with pytest.raises(trio.BrokenResourceError):
                    await stream.do_handshake()
                assert await desk.failure() == (
                    peer.hop,
                    "tls",
                    "certificate refused: Hostname mismatch, certificate is not valid for"
                    f" '{NAME}'.",
                )
        await trio.aclose_forcefully(stream)


# Sending.


async def test_a_message_goes_over_the_transport_of_its_hop() -> None:
    async with open_desk() as desk, open_peer() as peer, open_udp() as udp:
        desk.sockets.send(message(1), hop_of(udp, "udp"))
        desk.sockets.send(message(2), peer.hop)
        with trio.fail_after(PATIENCE_S):
            assert await udp.recvfrom(10_000) == (message(1), desk.sockets.udp)
        async with await peer.accept() as stream:
            assert await read_exactly(stream, len(message(2))) == message(2)
        assert (desk.sockets.sent, desk.sockets.dropped) == (1, 0)
        assert desk.sockets.stream_statistics().messages_sent == 1


async def test_what_the_system_does_not_send_is_unreachable() -> None:
    async with open_desk() as desk:
        hop = Hop("::1", 5060)
        desk.sockets.send(message(1), hop)
        assert await desk.failure() == (hop, "unreachable", "")


async def test_a_connection_that_nobody_accepts_is_refused_and_then_left_alone() -> None:
    async with open_desk() as desk:
        hop = nobody()
        desk.sockets.send(message(1), hop)
        assert await desk.failure() == (hop, "refused", "Connection refused")
        desk.sockets.send(message(1), hop)
        assert await desk.failure() == (hop, "back_off", "connecting has just failed")


async def test_a_network_without_a_way_is_unreachable() -> None:
    async with open_desk() as desk:
        # A broadcast address is nobody's, so that the system says so by itself.
        hop = Hop("255.255.255.255", 5060, "tcp")
        desk.sockets.send(message(1), hop)
        assert (await desk.failure())[:2] == (hop, "unreachable")


# What is lost with a connection.


async def accept_and_be_heard(peer_listener: trio.SocketListener) -> trio.SocketStream:
    """A connection from us that is up, and whose peer then reads nothing."""
    with trio.fail_after(PATIENCE_S):
        stream = await peer_listener.accept()
        await stream.send_all(b"\r\n")
    return stream


async def break_off(stream: trio.SocketStream) -> None:
    """Break a connection, whatever is under way on it."""
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await trio.aclose_forcefully(stream)


@asynccontextmanager
async def open_deaf_peer() -> AsyncIterator[tuple[trio.SocketListener, Hop]]:
    """A peer whose kernel takes little."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    listener.bind((HOST, 0))
    listener.listen()
    async with trio.SocketListener(trio.socket.from_stdlib_socket(listener)) as deaf:
        yield deaf, hop_of(listener, "tcp")


async def test_a_bye_that_was_lost_with_its_connection_goes_over_another_and_an_invite_does_not() -> (
    None
):
    async with open_desk() as desk, open_deaf_peer() as (listener, hop):
        desk.sockets.send(request(b"INVITE", 1, b"x" * FILLER_BYTES), hop)
        stream = await accept_and_be_heard(listener)
        await trio.testing.wait_all_tasks_blocked()
        lost = (
            request(b"INVITE", 2),
            request(b"BYE", 3),
            b"SIP/2.0 200 OK\r\n\r\n",
            request(b"CANCEL", 4),
        )
        for data in lost:
            desk.sockets.send(data, hop)
        await break_off(stream)
        assert (await desk.failure())[:2] == (hop, "broken")
        expected = request(b"BYE", 3) + request(b"CANCEL", 4) + message(5)
        async with await accept_and_be_heard(listener) as second:
            desk.sockets.send(message(5), hop)
            assert await read_exactly(second, len(expected)) == expected


async def test_what_is_lost_twice_is_not_sent_a_third_time() -> None:
    async with open_desk() as desk, open_deaf_peer() as (listener, hop):
        desk.sockets.send(request(b"INFO", 1, b"x" * FILLER_BYTES), hop)
        desk.sockets.send(request(b"BYE", 2), hop)
        for _ in range(2):
            stream = await accept_and_be_heard(listener)
            await trio.testing.wait_all_tasks_blocked()
            await break_off(stream)
            assert (await desk.failure())[:2] == (hop, "broken")
        desk.sockets.send(message(3), hop)
        async with await accept_and_be_heard(listener) as third:
            assert await read_exactly(third, len(message(3))) == message(3)
        assert desk.sockets.stream_statistics().opened == 3


async def test_what_could_not_be_sent_for_want_of_a_connection_is_not_sent_again() -> None:
    async with open_desk() as desk:
        hop = nobody()
        desk.sockets.send(request(b"BYE", 1), hop)
        await desk.failure()
        await trio.testing.wait_all_tasks_blocked()
        assert desk.count_failures_so_far() == 0
        assert desk.sockets.stream_statistics().opened == 1


# Closing.


async def test_closing_ends_everything_and_tells_nobody(papers: Papers) -> None:
    cert, key = papers.files_for(NAME)
    async with (
        open_desk(tls=TlsSettings((HOST, 0), cert, key)) as desk,
        open_peer() as peer,
    ):
        sockets = desk.sockets
        udp, tls = sockets.udp, sockets.tls
        assert tls is not None
        sockets.send(message(1), peer.hop)
        async with await peer.accept() as stream, await call_up(sockets.tcp) as caller:
            await read_exactly(stream, len(message(1)))
            await caller.send_all(message(2))
            await desk.message()
            sockets.close()
            with trio.fail_after(PATIENCE_S):
                assert [await stream.receive_some(), await caller.receive_some()] == [b"", b""]
        assert desk.count_failures_so_far() == 0
        for address in (udp, tls):
            with pytest.raises(OSError, match="all attempts to connect"):
                await call_up(address)
        with socket.socket(type=socket.SOCK_DGRAM) as again:
            again.bind(udp)
        sockets.close()
