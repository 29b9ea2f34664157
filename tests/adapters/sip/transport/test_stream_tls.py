from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from math import inf
from pathlib import Path

import pytest
import trio
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from adapters.sip.transport.connection import Terms
from adapters.sip.transport.framing import PING, PONG
from adapters.sip.transport.keep_alive import Patience
from adapters.sip.transport.stream_transport import StreamFailure, StreamLimits
from adapters.sip.transport.tls import (
    BadTlsFile,
    Part,
    TlsLayer,
    client_context,
    find_bad_files,
    server_context,
    unchecked_client_context,
)
from adapters.sip.wire.hop import Hop
from tests.adapters.sip.transport.stream_lineup import (
    HOSTS,
    NAME,
    Desk,
    Papers,
    Peer,
    all_are_strangers,
    call_up,
    message,
    open_desk,
    open_peer,
    read_exactly,
    read_to_end,
)

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
HOP = Hop("127.0.0.1", 5061, "tls", NAME)


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    return Papers(trustme.CA(), tmp_path_factory.mktemp("papers"))


def listen(desk: Desk, papers: Papers, host: str = "127.0.0.1") -> Hop:
    """A TLS listener of ours, as others see it."""
    cert, key = papers.files_for(NAME)
    return Hop(*desk.transport.listen_tls(host, 0, cert, key), "tls", NAME)


async def refuse_to_shake(peer: Peer, context: ssl.SSLContext) -> None:
    """Stand by while we refuse a peer, which must not hear a word."""
    async with trio.SSLStream(await peer.accept(), context, server_side=True) as stream:
        with pytest.raises(trio.BrokenResourceError):
            await read_exactly(stream, 1)


async def expect_refusal(peer: Peer, papers: Papers, context: ssl.SSLContext, why: str) -> None:
    async with open_desk(context_for=papers.trust) as desk, trio.open_nursery() as nursery:
        nursery.start_soon(refuse_to_shake, peer, context)
        desk.transport.send(message(1), peer.hop)
        failure = await desk.failure()
        assert (failure.hop, failure.reason, failure.undelivered) == (
            peer.hop, "tls", (message(1),),
        )  # fmt: skip
        assert failure.detail.startswith(f"certificate refused: {why}")
        desk.transport.send(message(2), peer.hop)
        assert [failure.reason for failure in desk.failures_so_far()] == ["back_off"]


async def test_a_peer_with_a_certificate_for_its_name_is_spoken_to(papers: Papers) -> None:
    async with open_desk(context_for=papers.trust) as desk, open_peer("::1", "tls", NAME) as peer:
        desk.transport.send(message(1), peer.hop)
        async with await peer.accept_tls(papers.server_side(NAME)) as stream:
            assert await read_exactly(stream, len(message(1))) == message(1)
            await stream.send_all(message(2))
            assert await desk.message() == (message(2), peer.hop)


@pytest.mark.parametrize("host", HOSTS)
async def test_without_a_name_the_certificate_is_for_the_ip_address(
    papers: Papers, host: str
) -> None:
    async with open_desk(context_for=papers.trust) as desk, open_peer(host, "tls") as peer:
        desk.transport.send(message(1), peer.hop)
        async with await peer.accept_tls(papers.server_side(host)) as stream:
            assert await read_exactly(stream, len(message(1))) == message(1)


@pytest.mark.parametrize("names", [("other.example",), ("127.0.0.1",), (f"x.{NAME}",)])
async def test_a_peer_of_another_name_is_refused(papers: Papers, names: tuple[str, ...]) -> None:
    async with open_peer(transport="tls", name=NAME) as peer:
        await expect_refusal(peer, papers, papers.server_side(*names), "Hostname mismatch")


async def test_a_peer_of_another_ip_address_is_refused(papers: Papers) -> None:
    async with open_peer(transport="tls") as peer:
        context = papers.server_side(NAME, "127.0.0.2")
        await expect_refusal(peer, papers, context, "IP address mismatch")


async def test_a_peer_whose_authority_nobody_knows_is_refused(
    papers: Papers, tmp_path: Path
) -> None:
    impostor = Papers(trustme.CA(), tmp_path)
    async with open_peer(transport="tls", name=NAME) as peer:
        context = impostor.server_side(NAME)
        await expect_refusal(peer, papers, context, "unable to get local issuer certificate")


async def test_a_peer_whose_certificate_has_expired_is_refused(papers: Papers) -> None:
    async with open_peer(transport="tls", name=NAME) as peer:
        context = papers.server_side(NAME, not_after=LONG_AGO)
        await expect_refusal(peer, papers, context, "certificate has expired")


async def test_a_name_that_is_none_fails_at_once(papers: Papers) -> None:
    async with open_desk(context_for=papers.trust) as desk:
        for number, name in enumerate((".", ".example", "a" * 64 + ".example", "a\0b", "\ud800")):
            hop = HOP._replace(name=name, port=5061 + number)
            desk.transport.send(message(1), hop)
            (failure,) = desk.failures_so_far()
            assert (failure.hop, failure.reason) == (hop, "tls")


async def test_checking_can_be_switched_off_for_one_hop_alone(
    papers: Papers, tmp_path: Path
) -> None:
    stranger = Papers(trustme.CA(), tmp_path)
    async with open_peer(transport="tls", name=NAME) as lax, open_peer(transport="tls") as strict:

        def context_for(hop: Hop) -> ssl.SSLContext:
            return unchecked_client_context() if hop == lax.hop else papers.trust(hop)

        async with open_desk(context_for=context_for) as desk, trio.open_nursery() as nursery:
            desk.transport.send(message(1), lax.hop)
            async with await lax.accept_tls(stranger.server_side("other.example")) as stream:
                assert await read_exactly(stream, len(message(1))) == message(1)
            nursery.start_soon(refuse_to_shake, strict, stranger.server_side("127.0.0.1"))
            desk.transport.send(message(2), strict.hop)
            reasons = {(await desk.failure()).reason for _ in range(2)}
            assert reasons == {"closed", "tls"}


def test_nothing_older_than_tls_1_2_is_spoken(papers: Papers) -> None:
    cert, key = papers.files_for(NAME)
    contexts = (client_context(), unchecked_client_context(), server_context(cert, key))
    assert {context.minimum_version for context in contexts} == {ssl.TLSVersion.TLSv1_2}


def encrypted(key: str) -> str:
    """The file of the same key behind a pass phrase."""
    own = load_pem_private_key(Path(key).read_bytes(), None)
    file = Path(key).with_suffix(".encrypted")
    lock = BestAvailableEncryption(b"secret")
    file.write_bytes(own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock))
    return str(file)


def test_files_that_cannot_be_used_are_told_by_what_they_are_for(
    papers: Papers, tmp_path: Path
) -> None:
    cert, key = papers.files_for(NAME)
    _, other_key = papers.files_for("other.example")
    nothing, pipe = str(tmp_path / "nothing.pem"), str(tmp_path / "pipe")
    os.mkfifo(pipe)
    locked = encrypted(key)
    cases: tuple[tuple[Callable[[], ssl.SSLContext], Part, str], ...] = (
        (
            lambda: server_context(cert, other_key),
            "key",
            f"The key in {other_key} does not belong to the certificate in {cert}.",
        ),
        (
            lambda: server_context(nothing, key),
            "certificate",
            f"There is no certificate file {nothing}.",
        ),
        (lambda: server_context(pipe, key), "certificate", f"{pipe} is not a regular file."),
        (lambda: server_context(cert, pipe), "key", f"{pipe} is not a regular file."),
        (lambda: server_context(cert, "/dev/zero"), "key", "/dev/zero is not a regular file."),
        (
            lambda: server_context(cert, locked),
            "key",
            f"The key in {locked} is encrypted; nobody is there to type its pass phrase.",
        ),
        (lambda: server_context(key, key), "certificate", f"{key} holds no certificate in PEM."),
        (lambda: server_context(cert, cert), "key", f"{cert} holds no private key in PEM."),
        (
            lambda: client_context(authority=nothing),
            "authorities",
            f"There is no authorities file {nothing}.",
        ),
        (
            lambda: client_context(authority=key),
            "authorities",
            f"{key} holds no certificate in PEM.",
        ),
        (lambda: client_context(authority=pipe), "authorities", f"{pipe} is not a regular file."),
    )
    told = []
    for make, _, _ in cases:
        with pytest.raises(BadTlsFile) as caught:
            make()
        told.append((caught.value.part, str(caught.value)))
    assert told == [(part, detail) for _, part, detail in cases]


def test_all_bad_files_are_told_at_once(papers: Papers, tmp_path: Path) -> None:
    cert, key = papers.files_for(NAME)
    none = str(tmp_path / "none.pem")
    bad = find_bad_files(cert=none, key=none, authority=none)
    assert [fault.part for fault in bad] == ["certificate", "key", "authorities"]
    bad = find_bad_files(cert=cert, key=cert, authority=key)
    assert [(fault.part, fault.code) for fault in bad] == [
        ("key", "not_a_key"),
        ("authorities", "not_a_certificate"),
    ]
    assert find_bad_files(cert=cert, key=key, authority=papers.authority_file) == []


def test_authorities_may_have_comments_in_any_language(papers: Papers, tmp_path: Path) -> None:
    file = tmp_path / "authorities.pem"
    file.write_bytes("# Főtanúsítvány\n".encode() + Path(papers.authority_file).read_bytes())
    assert len(client_context(authority=str(file)).get_ca_certs()) > 0


async def test_a_certificate_of_our_own_is_shown_to_who_asks(papers: Papers) -> None:
    cert, key = papers.files_for("callwheel.example")
    own = client_context(authority=papers.authority_file, cert=cert, key=key)
    asking = papers.server_side(NAME)
    asking.verify_mode = ssl.CERT_REQUIRED
    papers.authority.configure_trust(asking)
    async with (
        open_desk(context_for=lambda hop: own) as desk,
        open_peer(transport="tls", name=NAME) as peer,
    ):
        desk.transport.send(message(1), peer.hop)
        async with await peer.accept_tls(asking) as stream:
            assert await read_exactly(stream, len(message(1))) == message(1)
            shown = stream._ssl_object.getpeercert()
            assert shown is not None
            assert shown["subjectAltName"] == (("DNS", "callwheel.example"),)


async def test_who_asks_for_a_certificate_that_we_have_not_says_so(papers: Papers) -> None:
    cert, key = papers.files_for(NAME)
    authority = papers.authority_file
    async with open_desk(context_for=papers.trust) as here, open_desk() as there:
        address = there.transport.listen_tls("127.0.0.1", 0, cert, key, authority=authority)
        hop = Hop(*address, "tls", NAME)
        here.transport.send(message(1), hop)
        # By the rules of TLS 1.3 we may speak before we are refused.
        expected = StreamFailure(hop, "tls", "tlsv13 alert certificate required", ())
        assert await here.failure() == expected
        assert there.count_messages_so_far() == 0


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("host", HOSTS)
async def test_others_come_in_over_tls_and_are_answered_there(
    papers: Papers, host: str, version: ssl.TLSVersion
) -> None:
    context = papers.client_side()
    context.maximum_version = version
    async with open_desk(all_are_strangers) as desk:
        hop = listen(desk, papers, host)
        stream = trio.SSLStream(await call_up((hop.host, hop.port)), context, server_hostname=NAME)
        async with stream:
            await stream.send_all(message(1) + PING)
            data, source = await desk.message()
            port = stream.transport_stream.socket.getsockname()[1]
            assert (data, source) == (message(1), Hop(host, port, "tls"))
            desk.transport.send(message(2), source)
            answer = await read_exactly(stream, len(PONG + message(2)))
            assert answer == PONG + message(2)
            desk.transport.close()
            # Not cut off: the end was said.
            assert await stream.receive_some() == b""


async def test_an_authority_for_those_who_come_in_keeps_others_out(papers: Papers) -> None:
    cert, key = papers.files_for(NAME)
    own_cert, own_key = papers.files_for("pbx.example")
    async with open_desk() as desk:
        address = desk.transport.listen_tls(
            "127.0.0.1", 0, cert, key, authority=papers.authority_file
        )
        context = papers.client_side()
        stream = trio.SSLStream(await call_up(address), context, server_hostname=NAME)
        await stream.send_all(message(1))
        with pytest.raises(trio.BrokenResourceError):
            await read_exactly(stream, 1)
        await stream.transport_stream.aclose()
        context.load_cert_chain(own_cert, own_key)
        stream = trio.SSLStream(await call_up(address), context, server_hostname=NAME)
        async with stream:
            await stream.send_all(message(2))
            assert await desk.messages(1) == [message(2)]


async def test_a_body_larger_than_a_record_passes_both_ways(papers: Papers) -> None:
    large = message(1, b"x" * 60_000)
    async with open_desk(context_for=papers.trust) as here, open_desk() as there:
        hop = listen(there, papers)
        here.transport.send(large, hop)
        data, source = await there.message()
        assert data == large
        there.transport.send(large, source)
        assert await here.message() == (large, hop)


async def test_many_messages_at_once_keep_their_order(papers: Papers) -> None:
    sent = [message(number, b"x" * 2000) for number in range(1000)]
    async with open_desk(context_for=papers.trust) as here, open_desk() as there:
        hop = listen(there, papers)
        for data in sent:
            here.transport.send(data, hop)
        assert await there.messages(len(sent)) == sent


async def shake_hands(stream: trio.SocketStream, papers: Papers) -> tuple[TlsLayer, bytes]:
    """A client's side of TLS up to its last flight, which is still to be sent."""
    tls = TlsLayer.to_server(papers.client_side(), NAME)
    while not tls.shake_hands():
        await stream.send_all(tls.take_outgoing())
        tls.put(await stream.receive_some())
    return tls, tls.take_outgoing()


async def test_a_message_right_behind_the_handshake_is_heard(papers: Papers) -> None:
    async with open_desk() as desk:
        hop = listen(desk, papers)
        async with await call_up((hop.host, hop.port)) as stream:
            tls, flight = await shake_hands(stream, papers)
            await stream.send_all(flight + tls.encrypt(message(1)))
            assert await desk.messages(1) == [message(1)]


async def test_records_that_come_byte_by_byte_are_whole(papers: Papers) -> None:
    async with open_desk() as desk:
        hop = listen(desk, papers)
        async with await call_up((hop.host, hop.port)) as stream:
            tls, flight = await shake_hands(stream, papers)
            for byte in flight + tls.encrypt(message(1)) + tls.encrypt(message(2)):
                await stream.send_all(bytes((byte,)))
            assert await desk.messages(2) == [message(1), message(2)]


async def test_a_record_that_was_tampered_with_ends_the_connection(papers: Papers) -> None:
    async with open_desk() as desk:
        hop = listen(desk, papers)
        async with await call_up((hop.host, hop.port)) as stream:
            tls, flight = await shake_hands(stream, papers)
            sound, tampered = tls.encrypt(message(1)), bytearray(tls.encrypt(message(2)))
            tampered[-1] ^= 1
            await stream.send_all(flight + sound + tampered)
            assert await desk.messages(1) == [message(1)]
            failure = await desk.failure()
            assert failure.reason == "tls"
            assert failure.detail == "decryption failed or bad record mac"


async def test_who_leaves_without_saying_so_has_closed(papers: Papers) -> None:
    async with open_desk() as desk:
        hop = listen(desk, papers)
        async with await call_up((hop.host, hop.port)) as stream:
            tls, flight = await shake_hands(stream, papers)
            await stream.send_all(flight + tls.encrypt(message(1) + b"OPTIONS"))
            await stream.send_eof()
            _, source = await desk.message()
            detail = "in the middle of a message"
            assert await desk.failure() == StreamFailure(source, "closed", detail, ())


@pytest.mark.parametrize(
    "greeting", [message(1), b"\x16\x03\x01\xff\xff" + b"\0" * 99, b"\x80" * 9]
)
async def test_a_tls_listener_outlives_those_who_speak_no_tls(
    papers: Papers, greeting: bytes
) -> None:
    async with open_desk() as desk:
        hop = listen(desk, papers)
        async with await call_up((hop.host, hop.port)) as stream:
            await stream.send_all(greeting)
            await stream.send_eof()
            await read_to_end(stream)
        stream_of_tls = trio.SSLStream(
            await call_up((hop.host, hop.port)), papers.client_side(), server_hostname=NAME
        )
        async with stream_of_tls:
            await stream_of_tls.send_all(message(2))
            assert await desk.messages(1) == [message(2)]
        assert desk.transport.statistics().accepted == 2


@pytest.mark.parametrize(
    "greeting", [b"SIP/2.0 200 OK\r\n\r\n", b"\x15\x03\x03\x00\x02\x02\x28", b""]
)
async def test_a_peer_that_speaks_no_tls_fails(papers: Papers, greeting: bytes) -> None:
    async with open_desk(context_for=papers.trust) as desk, open_peer(transport="tls") as peer:
        desk.transport.send(message(1), peer.hop)
        async with await peer.accept() as stream:
            await stream.send_all(greeting)
            await stream.send_eof()
            failure = await desk.failure()
        assert (failure.reason, failure.undelivered) == ("tls", (message(1),))


async def test_a_peer_that_accepts_and_never_shakes_hands_is_timed_out(
    papers: Papers, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_desk(context_for=papers.trust) as desk, open_peer(transport="tls") as peer:
        begin = trio.current_time()
        desk.transport.send(message(1), peer.hop)
        async with await peer.accept():
            expected = StreamFailure(peer.hop, "tls", "timed out", (message(1),))
            assert await desk.failure() == expected
            assert trio.current_time() - begin == 5.0


async def test_a_caller_that_never_shakes_hands_is_timed_out(
    papers: Papers, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_desk() as desk:
        hop = listen(desk, papers)
        begin = trio.current_time()
        async with await call_up((hop.host, hop.port)) as stream:
            assert await read_to_end(stream) == b""
            assert trio.current_time() - begin == 5.0
        assert desk.failures_so_far() == []


async def test_a_trunk_is_pinged_over_tls(
    papers: Papers, autojump_clock: trio.testing.MockClock
) -> None:
    async with (
        open_desk(context_for=papers.trust) as desk,
        open_peer(transport="tls", name=NAME) as peer,
    ):
        desk.transport.send(message(1), peer.hop)
        async with await peer.accept_tls(papers.server_side(NAME)) as stream:
            assert await read_exactly(stream, len(message(1))) == message(1)
            with trio.fail_after(40):
                assert await stream.receive_some() == PING


async def test_a_peer_that_never_reads_tls_costs_a_bounded_queue_and_then_its_connection(
    papers: Papers,
) -> None:
    limits = StreamLimits(to_trunk=Terms(100_000, Patience(inf)))
    async with (
        open_desk(context_for=papers.trust, limits=limits) as desk,
        open_peer(transport="tls", name=NAME) as peer,
    ):
        desk.transport.send(message(0), peer.hop)
        stream = await peer.accept_tls(papers.server_side(NAME))
        assert await read_exactly(stream, len(message(0))) == message(0)
        sent = [message(0)]
        while not (failures := desk.failures_so_far()):
            sent.append(message(len(sent), b"x" * 1000))
            desk.transport.send(sent[-1], peer.hop)
        (failure,) = failures
        assert failure.reason == "overflow"
        undelivered = list(failure.undelivered)
        assert undelivered == sent[-len(undelivered) :]
        assert desk.transport.statistics().messages_sent == len(sent) - len(undelivered)
        assert sum(map(len, undelivered)) <= 100_000 + len(sent[-1])
        await stream.transport_stream.aclose()
