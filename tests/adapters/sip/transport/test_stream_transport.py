from __future__ import annotations

import errno
import os
import socket
from math import inf

import pytest
import trio

from adapters.sip.transport.connection import Terms
from adapters.sip.transport.framing import PING, PONG
from adapters.sip.transport.keep_alive import Patience
from adapters.sip.transport.stream_transport import (
    StreamFailure,
    StreamLimits,
    StreamStatistics,
)
from adapters.sip.wire.hop import Hop
from tests.adapters.sip.transport.stream_lineup import (
    HOSTS,
    Desk,
    all_are_strangers,
    call_up,
    check_nothing,
    message,
    nobody,
    open_desk,
    open_peer,
    read_exactly,
    read_to_end,
)

FEW_BYTES = Terms(100_000, Patience(inf))
REFUSED = os.strerror(errno.ECONNREFUSED)


@pytest.mark.parametrize("host", HOSTS)
async def test_a_message_goes_out_and_its_answer_comes_from_the_same_hop(host: str) -> None:
    async with open_desk() as desk, open_peer(host) as peer:
        assert not desk.transport.has_connection(peer.hop)
        desk.transport.send(message(1), peer.hop)
        assert desk.transport.has_connection(peer.hop)
        async with await peer.accept() as stream:
            assert await read_exactly(stream, len(message(1))) == message(1)
            await stream.send_all(message(2))
            assert await desk.message() == (message(2), peer.hop)


@pytest.mark.parametrize("host", HOSTS)
async def test_a_response_goes_back_on_the_connection_that_the_request_came_on(host: str) -> None:
    async with open_desk(all_are_strangers) as desk:
        address = desk.transport.listen_tcp(host, 0)
        async with await call_up(address) as stream:
            await stream.send_all(message(1))
            data, source = await desk.message()
            assert data == message(1)
            assert source == Hop(host, stream.socket.getsockname()[1], "tcp")
            assert desk.transport.has_connection(source)
            desk.transport.send(message(2), source)
            assert await read_exactly(stream, len(message(2))) == message(2)


async def test_an_ipv4_peer_of_an_ipv6_listener_goes_by_its_ipv4_address() -> None:
    async with open_desk(all_are_strangers) as desk:
        _, port = desk.transport.listen_tcp("::", 0)
        async with await call_up(("127.0.0.1", port)) as stream:
            await stream.send_all(message(1))
            _, source = await desk.message()
            assert source == Hop("127.0.0.1", stream.socket.getsockname()[1], "tcp")


async def test_what_is_sent_while_connecting_goes_in_order_over_one_connection() -> None:
    sent = [message(number) for number in range(200)]
    async with open_desk() as desk, open_peer() as peer:
        for data in sent:
            desk.transport.send(data, peer.hop)
        async with await peer.accept() as stream:
            expected = b"".join(sent)
            assert await read_exactly(stream, len(expected)) == expected
            assert desk.transport.statistics() == StreamStatistics(
                open=1, opened=1, accepted=0, refused=0, failed=0, messages_received=0,
                messages_sent=200, messages_undelivered=0, bytes_refused=0,
            )  # fmt: skip


async def test_messages_that_come_byte_by_byte_are_whole() -> None:
    async with open_desk() as desk:
        address = desk.transport.listen_tcp("127.0.0.1", 0)
        async with await call_up(address) as stream:
            for byte in message(1) + message(2, b"body"):
                await stream.send_all(bytes((byte,)))
            assert await desk.messages(2) == [message(1), message(2, b"body")]


async def test_each_ping_is_answered_with_a_pong() -> None:
    async with open_desk(all_are_strangers) as desk:
        address = desk.transport.listen_tcp("127.0.0.1", 0)
        async with await call_up(address) as stream:
            await stream.send_all(PING)
            assert await read_exactly(stream, len(PONG)) == PONG
            await stream.send_all(PING + message(1) + PING)
            assert await read_exactly(stream, 2 * len(PONG)) == 2 * PONG
            assert await desk.messages(1) == [message(1)]


async def test_garbage_ends_the_connection_and_what_came_before_it_is_heard() -> None:
    garbage = b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n"
    async with open_desk(all_are_strangers) as desk:
        address = desk.transport.listen_tcp("127.0.0.1", 0)
        async with await call_up(address) as stream, await call_up(address) as other:
            await stream.send_all(message(1) + garbage)
            assert await read_to_end(stream) == b""
            data, source = await desk.message()
            assert data == message(1)
            assert await desk.failure() == StreamFailure(source, "framing", "no Content-Length", ())
            assert not desk.transport.has_connection(source)
            await other.send_all(message(2))
            assert await desk.messages(1) == [message(2)]
            assert desk.transport.statistics().bytes_refused == len(garbage)


async def test_a_stranger_who_never_said_anything_fails_unheard() -> None:
    async with open_desk(all_are_strangers) as desk:
        async with await call_up(desk.transport.listen_tcp("127.0.0.1", 0)) as stream:
            await stream.send_all(b"\0" * 20_000)
            await read_to_end(stream)
        assert desk.failures_so_far() == []
        assert desk.transport.statistics().failed == 1


@pytest.mark.parametrize("host", HOSTS)
async def test_where_nobody_listens_what_was_sent_has_failed(host: str) -> None:
    hop = nobody(host)
    async with open_desk() as desk:
        desk.transport.send(message(1), hop)
        desk.transport.send(message(2), hop)
        expected = StreamFailure(hop, "connect", REFUSED, (message(1), message(2)))
        assert await desk.failure() == expected
        assert not desk.transport.has_connection(hop)
        assert desk.transport.statistics().messages_undelivered == 2


async def test_within_the_back_off_sending_fails_at_once_and_behind_it_works(
    autojump_clock: trio.testing.MockClock,
) -> None:
    hop = nobody()
    async with open_desk() as desk:
        desk.transport.send(message(1), hop)
        await desk.failure()
        desk.transport.send(message(2), hop)
        detail = "connecting has just failed"
        assert desk.failures_so_far() == [StreamFailure(hop, "back_off", detail, (message(2),))]
        await trio.sleep(0.5)
        (listener,) = await trio.open_tcp_listeners(hop.port, host=hop.host)
        async with listener:
            desk.transport.send(message(3), hop)
            async with await listener.accept() as stream:
                assert await read_exactly(stream, len(message(3))) == message(3)


async def test_who_hangs_up_without_a_word_is_left_alone_too() -> None:
    async with open_desk() as desk, open_peer() as peer:
        desk.transport.send(message(1), peer.hop)
        await (await peer.accept()).aclose()
        assert (await desk.failure()).hop == peer.hop
        desk.transport.send(message(2), peer.hop)
        assert [failure.reason for failure in desk.failures_so_far()] == ["back_off"]


@pytest.mark.parametrize("host", ["", "localhost", "2130706433", "[::1]", "x" * 300, "\ud800"])
async def test_a_host_that_is_no_ip_address_is_not_looked_up(host: str) -> None:
    async with open_desk() as desk:
        desk.transport.send(message(1), Hop(host, 5060, "tcp"))
        (failure,) = desk.failures_so_far()
        assert (failure.reason, failure.undelivered) == ("connect", (message(1),))


@pytest.mark.parametrize("port", [0, -1, 65536, 70_000])
async def test_a_port_that_is_none_is_not_another(port: int) -> None:
    async with open_desk() as desk:
        desk.transport.send(message(1), Hop("127.0.0.1", port, "tcp"))
        (failure,) = desk.failures_so_far()
        assert failure.detail == f"{port} is no port"


async def test_a_peer_that_closes_in_the_middle_of_a_message_has_not_sent_it() -> None:
    async with open_desk() as desk, open_peer() as peer:
        desk.transport.send(message(1), peer.hop)
        async with await peer.accept() as stream:
            await read_exactly(stream, len(message(1)))
            await stream.send_all(message(2) + message(3)[:-1])
        assert await desk.messages(1) == [message(2)]
        detail = "in the middle of a message"
        assert await desk.failure() == StreamFailure(peer.hop, "closed", detail, ())
        assert desk.count_messages_so_far() == 0


async def test_a_connection_that_was_closed_is_opened_again_by_the_next_message() -> None:
    async with open_desk() as desk, open_peer() as peer:
        for number in (1, 2, 3):
            desk.transport.send(message(number), peer.hop)
            async with await peer.accept() as stream:
                assert await read_exactly(stream, len(message(number))) == message(number)
                await stream.send_all(message(number))
            assert await desk.messages(1) == [message(number)]
            assert await desk.failure() == StreamFailure(peer.hop, "closed", "", ())
        assert desk.transport.statistics().opened == 3


async def test_a_reset_connection_is_broken() -> None:
    async with open_desk() as desk, open_peer() as peer:
        desk.transport.send(message(1), peer.hop)
        stream = await peer.accept()
        await stream.send_all(message(2))
        await desk.message()
        stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        await stream.aclose()
        detail = os.strerror(errno.ECONNRESET)
        assert await desk.failure() == StreamFailure(peer.hop, "broken", detail, ())


async def test_closing_ends_everything_and_tells_nobody() -> None:
    async with open_desk() as desk, open_peer() as peer:
        address = desk.transport.listen_tcp("127.0.0.1", 0)
        desk.transport.send(message(1), peer.hop)
        async with await peer.accept() as outbound, await call_up(address) as inbound:
            await inbound.send_all(message(2))
            await desk.message()
            desk.transport.close()
            assert await read_to_end(outbound) == message(1)
            assert await read_to_end(inbound) == b""
            with pytest.raises(OSError, match="onnect"):
                await call_up(address)
        assert desk.transport.statistics().open == 0
        assert desk.failures_so_far() == []
        desk.transport.send(message(3), peer.hop)
        expected = StreamFailure(peer.hop, "left", "the transport is closed", (message(3),))
        assert desk.failures_so_far() == [expected]


async def test_closing_before_any_task_has_run_is_safe() -> None:
    async with open_peer() as peer, open_desk() as desk:
        desk.transport.listen_tcp("127.0.0.1", 0)
        desk.transport.send(message(1), peer.hop)
        desk.transport.close()
        await trio.testing.wait_all_tasks_blocked()
        assert desk.transport.statistics().open == 0
        assert desk.failures_so_far() == []


async def test_leaving_the_nursery_closes_everything() -> None:
    async with open_peer() as peer, trio.open_nursery() as nursery:
        desk = Desk(nursery, all_are_strangers, check_nothing)
        address = desk.transport.listen_tcp("127.0.0.1", 0)
        desk.transport.send(message(1), peer.hop)
        async with await peer.accept() as outbound, await call_up(address) as inbound:
            await inbound.send_all(message(2))
            await desk.message()
            nursery.cancel_scope.cancel()
            with trio.CancelScope(shield=True):
                assert await read_to_end(outbound) == message(1)
                assert await read_to_end(inbound) == b""
    assert desk.transport.statistics().open == 0


async def test_a_port_that_is_taken_raises() -> None:
    async with open_desk() as desk, open_peer() as peer:
        with pytest.raises(OSError, match="in use"):
            desk.transport.listen_tcp(peer.hop.host, peer.hop.port)


async def test_connections_leave_from_the_address_that_was_said() -> None:
    async with (
        open_peer() as peer,
        open_peer("::1") as other,
        open_desk(local_host="127.0.0.9") as desk,
    ):
        desk.transport.send(message(1), peer.hop)
        # The address of another family says nothing.
        desk.transport.send(message(2), other.hop)
        async with await peer.accept() as stream, await other.accept() as other_stream:
            assert stream.socket.getpeername()[0] == "127.0.0.9"
            assert other_stream.socket.getpeername()[0] == "::1"


async def test_connections_leave_from_an_ipv6_address_too() -> None:
    async with open_peer("::1") as peer, open_desk(local_host="::1") as desk:
        desk.transport.send(message(1), peer.hop)
        async with await peer.accept() as stream:
            assert await read_exactly(stream, len(message(1))) == message(1)


async def test_a_mistake_of_ours_over_one_message_harms_its_connection_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with open_desk() as desk:
        hear = desk.hear

        def stumble(data: bytes, source: Hop) -> None:
            assert data != message(13)
            hear(data, source)

        monkeypatch.setattr(desk, "hear", stumble)
        address = desk.transport.listen_tcp("127.0.0.1", 0)
        async with await call_up(address) as stream, await call_up(address) as other:
            await stream.send_all(message(1))
            assert await desk.messages(1) == [message(1)]
            await stream.send_all(message(13))
            await read_to_end(stream)
            assert (await desk.failure()).reason == "fault"
            await other.send_all(message(1))
            assert await desk.messages(1) == [message(1)]


async def test_answering_from_inside_a_message_and_sending_from_inside_a_failure_are_safe(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limits = StreamLimits(to_trunk=FEW_BYTES)
    async with open_desk(limits=limits) as desk, open_peer() as peer:
        told: list[StreamFailure] = []

        def answer(data: bytes, source: Hop) -> None:
            desk.transport.send(message(2), source)
            while not told:
                desk.transport.send(message(3, b"x" * 60_000), source)

        def turn_again(failure: StreamFailure) -> None:
            told.append(failure)
            if len(told) == 1:
                desk.transport.send(message(4), failure.hop)

        monkeypatch.setattr(desk, "hear", answer)
        monkeypatch.setattr(desk, "fail", turn_again)
        desk.transport.send(message(0), peer.hop)
        async with await peer.accept() as stream:
            await stream.send_all(message(1))
            async with await peer.accept() as again:
                assert await read_exactly(again, len(message(4))) == message(4)
                assert told[0].reason == "overflow"
                assert (await read_to_end(stream)).startswith(message(0) + message(2))
