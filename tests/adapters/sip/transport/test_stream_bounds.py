"""What connections cost at most: in bytes, in number and in time."""

from __future__ import annotations

import socket
from math import inf

import trio

from adapters.sip.transport.admission import AdmissionLimits
from adapters.sip.transport.connection import READ_BYTES_MAX, Terms
from adapters.sip.transport.framing import PING, PONG
from adapters.sip.transport.keep_alive import Patience
from adapters.sip.transport.stream_transport import (
    StreamFailure,
    StreamLimits,
)
from adapters.sip.wire.hop import Hop
from tests.adapters.sip.transport.stream_lineup import (
    all_are_strangers,
    call_up,
    message,
    nobody,
    open_desk,
    open_peer,
    read_exactly,
    read_to_end,
)

FEW_BYTES = Terms(100_000, Patience(inf))
MANY_BYTES = Terms(32_000_000, Patience(inf), stall_s=inf)


async def test_connecting_has_a_time_out(autojump_clock: trio.testing.MockClock) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        address = deaf.getsockname()
        # The kernel answers no more than a full queue holds.
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(address)
        async with open_desk() as desk:
            begin = trio.current_time()
            hop = Hop(address[0], address[1], "tcp")
            desk.transport.send(message(1), hop)
            expected = StreamFailure(hop, "connect", "timed out", (message(1),))
            assert await desk.failure() == expected
            assert trio.current_time() - begin == 5.0
        for filler in fillers:
            filler.close()


async def test_a_peer_that_never_reads_costs_a_bounded_queue_and_then_its_connection() -> None:
    async with open_desk(limits=StreamLimits(to_trunk=FEW_BYTES)) as desk, open_peer() as peer:
        desk.transport.send(message(0), peer.hop)
        async with await peer.accept() as stream:
            await read_exactly(stream, len(message(0)))
            sent = [message(0)]
            while not (failures := desk.failures_so_far()):
                sent.append(message(len(sent), b"x" * 1000))
                desk.transport.send(sent[-1], peer.hop)
            (failure,) = failures
            assert (failure.hop, failure.reason) == (peer.hop, "overflow")
            # Bounded, in order, and nothing between what left and what did not.
            undelivered = list(failure.undelivered)
            assert sum(map(len, undelivered)) <= FEW_BYTES.queue_bytes_max + len(sent[-1])
            assert undelivered == sent[-len(undelivered) :]
            delivered = len(sent) - len(undelivered)
            assert desk.transport.statistics().messages_sent == delivered
            received = await read_to_end(stream)
            assert received.startswith(b"".join(sent[1:delivered]))


async def test_a_peer_that_takes_nothing_for_too_long_is_dropped(
    autojump_clock: trio.testing.MockClock,
) -> None:
    terms = Terms(MANY_BYTES.queue_bytes_max, Patience(inf), stall_s=10.0)
    async with open_desk(limits=StreamLimits(to_trunk=terms)) as desk, open_peer() as peer:
        desk.transport.send(message(0), peer.hop)
        async with await peer.accept() as stream:
            await read_exactly(stream, len(message(0)))
            for number in range(1, 301):
                desk.transport.send(message(number, b"x" * 60_000), peer.hop)
            failure = await desk.failure()
            assert (failure.reason, failure.detail) == ("overflow", "the peer does not read")
            assert failure.undelivered[-1] == message(300, b"x" * 60_000)


async def test_a_slow_peer_gets_everything_in_order() -> None:
    sent = [message(number, b"x" * 60_000) for number in range(300)]
    async with open_desk(limits=StreamLimits(to_trunk=MANY_BYTES)) as desk, open_peer() as peer:
        for data in sent:
            desk.transport.send(data, peer.hop)
        async with await peer.accept() as stream:
            # More than the kernel holds waits in the queue by now, and more comes behind it.
            await trio.testing.wait_all_tasks_blocked()
            assert 0 < desk.transport.statistics().messages_sent < len(sent)
            sent.append(message(999))
            desk.transport.send(sent[-1], peer.hop)
            expected = b"".join(sent)
            assert await read_exactly(stream, len(expected)) == expected
            assert desk.transport.statistics().messages_sent == len(sent)


async def test_a_peer_that_floods_does_not_keep_others_waiting() -> None:
    async with open_desk() as desk:
        address = desk.transport.listen_tcp("127.0.0.1", 0)
        with socket.create_connection(address) as loud, socket.create_connection(address) as quiet:
            flood = message(1) * 500
            assert len(flood) > 5 * READ_BYTES_MAX
            loud.sendall(flood)
            quiet.sendall(message(2))
            heard = await desk.messages(501)
            assert heard.index(message(2)) <= 2 * READ_BYTES_MAX // len(message(1))


async def test_a_stranger_may_have_a_few_connections_and_no_more() -> None:
    limits = StreamLimits(inbound=AdmissionLimits(strangers_per_source=2))
    async with open_desk(all_are_strangers, limits=limits) as desk:
        address = desk.transport.listen_tcp("127.0.0.1", 0)
        first, second = await call_up(address), await call_up(address)
        async with second:
            async with first:
                async with await call_up(address) as third:
                    assert await read_to_end(third) == b""
                for stream in (first, second):
                    await stream.send_all(message(1))
                    assert await desk.messages(1) == [message(1)]
            await desk.failure()
            async with await call_up(address) as fourth:
                await fourth.send_all(message(4))
                assert await desk.messages(1) == [message(4)]
        statistics = desk.transport.statistics()
        assert (statistics.accepted, statistics.refused) == (3, 1)


async def test_trunks_come_in_while_strangers_hold_all_of_theirs() -> None:
    limits = StreamLimits(inbound=AdmissionLimits(strangers=1))
    trunks = {"::1"}
    async with open_desk(trunks.__contains__, limits=limits) as desk:
        _, port = desk.transport.listen_tcp("::", 0)
        async with await call_up(("127.0.0.1", port)), await call_up(("::1", port)) as trunk:
            await trunk.send_all(message(1))
            assert await desk.messages(1) == [message(1)]


async def test_what_would_open_one_connection_too_many_fails() -> None:
    async with open_desk(limits=StreamLimits(outbound_max=1)) as desk, open_peer() as peer:
        other = nobody()
        desk.transport.send(message(1), peer.hop)
        desk.transport.send(message(2), other)
        expected = StreamFailure(other, "limit", "too many connections", (message(2),))
        assert desk.failures_so_far() == [expected]


async def test_a_stranger_is_dropped_when_no_message_comes_whatever_else_does(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with open_desk(all_are_strangers) as desk:
        begin = trio.current_time()
        async with await call_up(desk.transport.listen_tcp("127.0.0.1", 0)) as stream:
            await trio.sleep(20)
            await stream.send_all(message(1))
            await desk.message()
            await trio.sleep(20)
            await stream.send_all(PING + b"OPTIONS")
            assert await read_to_end(stream) == PONG
            assert trio.current_time() - begin == 50.0
        # Nobody has lost anything by it.
        assert desk.failures_so_far() == []
        assert desk.transport.statistics().open == 0


async def test_a_trunk_is_pinged_in_silence_and_kept_without_a_pong(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with open_desk() as desk, open_peer() as peer:
        begin = trio.current_time()
        desk.transport.send(message(1), peer.hop)
        async with await peer.accept() as stream:
            expected = message(1) + PING * 5
            with trio.fail_after(200):
                received = b""
                while len(received) < len(expected):
                    received += await stream.receive_some()
            assert received == expected
            assert trio.current_time() - begin == 150.0
            assert desk.failures_so_far() == []
            # Nobody counts a ping as a message.
            assert desk.transport.statistics().messages_sent == 1


async def test_a_trunk_that_has_ponged_is_broken_when_it_goes_mute(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with open_desk() as desk, open_peer() as peer:
        begin = trio.current_time()
        desk.transport.send(message(1), peer.hop)
        async with await peer.accept() as stream:
            await read_exactly(stream, len(message(1)))
            with trio.fail_after(40):
                assert await stream.receive_some() == PING
            await stream.send_all(PONG)
            with trio.fail_after(99):
                expected = StreamFailure(peer.hop, "broken", "no pong", ())
                assert await desk._failures.receive() == expected
            assert trio.current_time() - begin == 70.0
