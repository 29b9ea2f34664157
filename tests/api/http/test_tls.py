"""TLS of the server's own, over real sockets, with certificates made here."""

from __future__ import annotations

import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio
import trustme

from adapters.sip.transport.tls import BadTlsFile, server_context
from api.http import guard
from api.http import tls as tls_module
from api.http.tls import Certificate
from tests.api.http.serving import Server, read_to_end, serving
from tests.api.http.test_guard import GET, UPGRADE, body_of, make_app


class Office:
    """An authority, and the files of a server that it knows."""

    def __init__(self, folder: Path) -> None:
        self.authority = trustme.CA()
        self.cert, self.key = str(folder / "cert.pem"), str(folder / "key.pem")
        self.issue("calls.example")

    def issue(self, name: str) -> None:
        """A new certificate for this name in the place of the one before."""
        made = self.authority.issue_cert(name)
        self.write(b"".join(pem.bytes() for pem in made.cert_chain_pems), self.cert)
        self.write(made.private_key_pem.bytes(), self.key)

    def write(self, content: bytes, file: str) -> None:
        Path(f"{file}.new").write_bytes(content)
        os.replace(f"{file}.new", file)

    def certificate(self) -> Certificate:
        return Certificate(partial(server_context, self.cert, self.key), (self.cert, self.key))

    def client(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        return context

    async def connect(
        self, server: Server, name: str = "calls.example", context: ssl.SSLContext | None = None
    ) -> trio.SSLStream[trio.SocketStream]:
        """A connection that has shaken hands; raises where the certificate is not for the name."""
        wire = await server.connect()
        stream = trio.SSLStream(wire, context or self.client(), server_hostname=name)
        try:
            await stream.do_handshake()
        except BaseException:
            await trio.aclose_forcefully(wire)
            raise
        return stream


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


@asynccontextmanager
async def serving_tls(office: Office) -> AsyncIterator[Server]:
    async with serving(make_app(), certificate=office.certificate()) as server:
        yield server


async def read_all(stream: trio.SSLStream[trio.SocketStream]) -> bytes:
    """Up to the end of TLS. A connection that only breaks off raises."""
    received = bytearray()
    async for piece in stream:
        received += piece
    return bytes(received)


async def test_a_request_is_answered_and_its_end_is_told_within_tls(office: Office) -> None:
    """An end that anybody on the way could have made up is not one."""
    async with serving_tls(office) as server, await office.connect(server) as stream:
        await stream.send_all(GET)
        assert body_of(await read_all(stream)) == b"hello"


async def test_many_requests_go_over_one_connection(office: Office) -> None:
    async with serving_tls(office) as server, await office.connect(server) as stream:
        for _ in range(3):
            await stream.send_all(GET.replace(b"close", b"keep-alive"))
            assert (await stream.receive_some()).endswith(b"hello")


async def test_a_websocket_goes_over_tls(office: Office) -> None:
    async with serving_tls(office) as server, await office.connect(server) as stream:
        await stream.send_all(UPGRADE)
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 101 ")
        await stream.send_all(b"\x81\x82\x00\x00\x00\x00hi")
        received = b""
        with trio.fail_after(60):
            while b"\x81\x02hi" not in received:  # a ping may come before
                received += await stream.receive_some()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_tls_1_2_and_1_3_are_spoken(office: Office, version: ssl.TLSVersion) -> None:
    context = office.client()
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2", "http/1.1"])
    async with (
        serving_tls(office) as server,
        await office.connect(server, context=context) as stream,
    ):
        assert stream.selected_alpn_protocol() == "http/1.1"
        await stream.send_all(GET)
        assert body_of(await read_all(stream)) == b"hello"


@pytest.mark.filterwarnings("ignore:.*TLSv1_1 is deprecated:DeprecationWarning")
async def test_nothing_older_is_spoken(office: Office) -> None:
    context = office.client()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    async with serving_tls(office) as server:
        with pytest.raises(trio.BrokenResourceError):
            await office.connect(server, context=context)


async def test_whoever_speaks_no_tls_harms_only_itself(office: Office) -> None:
    async with serving_tls(office) as server:
        assert b"hello" not in await server.exchange(GET)
        assert b"hello" not in await server.exchange(bytes(range(256)) * 100)
        async with await server.connect() as wire:
            await wire.send_all(b"\x16\x03\x01")  # the beginning of a handshake, and then an end
        async with await office.connect(server) as stream:
            await stream.send_all(GET)
            assert body_of(await read_all(stream)) == b"hello"
        assert server.tally.broken == 0


async def test_a_handshake_that_does_not_end_is_ended(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "HANDSHAKE_TIMEOUT_S", 0.2)
    async with serving_tls(office) as server, await server.connect() as wire:
        with trio.fail_after(60):
            assert await read_to_end(wire) == b""
        assert server.tally.stalled == 1


async def test_a_client_that_leaves_without_a_goodbye_is_no_error(office: Office) -> None:
    async with serving_tls(office) as server:
        stream = await office.connect(server)
        await stream.send_all(GET.replace(b"close", b"keep-alive"))
        await stream.receive_some()
        await stream.transport_stream.aclose()
        async with await office.connect(server) as other:
            await other.send_all(GET)
            await read_all(other)
        assert (server.tally.accepted, server.tally.broken) == (2, 0)


async def wait_for(office: Office, server: Server, name: str) -> None:
    """Until new connections see the certificate for this name."""
    with trio.fail_after(60):
        while True:
            try:
                (await office.connect(server, name)).transport_stream.socket.close()
            except trio.BrokenResourceError:
                await trio.sleep(0.01)
            else:
                return


async def test_a_new_certificate_is_taken_up_while_connections_go_on(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls_module, "LOOK_S", 0.02)
    certificate = office.certificate()
    async with trio.open_nursery() as nursery:
        await nursery.start(certificate.run)
        async with (
            serving(make_app(), certificate=certificate) as server,
            await office.connect(server) as old,
        ):
            office.issue("renewed.example")
            await wait_for(office, server, "renewed.example")
            await old.send_all(GET)
            assert body_of(await read_all(old)) == b"hello"
        nursery.cancel_scope.cancel()


async def test_a_certificate_that_cannot_be_used_changes_nothing(office: Office) -> None:
    certificate = office.certificate()
    async with serving(make_app(), certificate=certificate) as server:
        office.write(b"no certificate", office.cert)
        assert not await certificate.reload()
        async with await office.connect(server) as stream:
            await stream.send_all(GET)
            assert body_of(await read_all(stream)) == b"hello"
        office.issue("renewed.example")
        assert await certificate.reload()
        await wait_for(office, server, "renewed.example")


def test_without_a_certificate_there_is_no_start(office: Office) -> None:
    office.write(b"no certificate", office.cert)
    with pytest.raises(BadTlsFile):
        office.certificate()
