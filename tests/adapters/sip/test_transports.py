"""Whole calls over UDP, TCP and TLS, IPv4 and IPv6, on real sockets of loopback."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import pytest
import trio
import trustme
from msgspec import structs
from trio.testing import MockClock

from adapters.sip.transport.framing import PING, PONG
from adapters.sip.transport.keep_alive import PING_AFTER_S
from adapters.sip.transport.sockets import TlsSettings
from adapters.sip.trunk import Trunk
from adapters.sip.user_agent import UserAgent, UserAgentSettings, open_user_agent
from adapters.sip.wire.hop import Transport
from adapters.sip.wire.message import Request
from adapters.sip.wire.uri import host_port
from engine.ports.telephony import (
    Answered,
    Call,
    CallRequest,
    Ended,
    Presentation,
    Ringing,
    TelephonyUnavailable,
    TrunkCondition,
)
from tests.adapters.sip.carrier import (
    Carrier,
    StreamWire,
    open_carrier,
    open_stream_carrier,
    open_udp_carrier,
)
from tests.adapters.sip.dice import Dice
from tests.adapters.sip.errand.desk import CREDENTIALS
from tests.adapters.sip.fake_media import FakePlane
from tests.adapters.sip.lineup import SDP_TYPE, answer_sdp
from tests.adapters.sip.transport.stream_lineup import Papers, nobody

HOST = "127.0.0.1"
REQUEST = CallRequest("att_1", "+14155550199", "+14155550100", "main")
LONG = structs.replace(REQUEST, presentation=Presentation(headers=(("X-Story", "x" * 1000),)))
HUNG_UP = Ended("we_hung_up", 200, "OK")
CALL_S_MAX = 100.0


class Way(NamedTuple):
    transport: Transport
    host: str


WAYS = {
    "udp": Way("udp", HOST),
    "tcp": Way("tcp", HOST),
    "tls": Way("tls", HOST),
    "udp over IPv6": Way("udp", "::1"),
    "tcp over IPv6": Way("tcp", "::1"),
    "tls over IPv6": Way("tls", "::1"),
}
every_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    return Papers(trustme.CA(), tmp_path_factory.mktemp("papers"))


@asynccontextmanager
async def agent_of(*trunks: Trunk, host: str = HOST, ca: str = "") -> AsyncIterator[UserAgent]:
    """A user agent with these trunks. Whoever uses it has `CALL_S_MAX`."""
    settings = UserAgentSettings(
        trunks=trunks, bind=(host, 0), tls=TlsSettings(authorities=ca or None)
    )
    with trio.fail_after(CALL_S_MAX):
        async with open_user_agent(settings, FakePlane(), Dice()) as agent:
            yield agent


@asynccontextmanager
async def carrier_and_agent(way: Way, papers: Papers) -> AsyncIterator[tuple[Carrier, UserAgent]]:
    """A carrier with a good certificate, and us."""
    context = papers.server_side(way.host) if way.transport == "tls" else None
    async with open_carrier(way.transport, way.host, context) as carrier:
        trunk = Trunk("main", way.host, carrier.port, transport=way.transport)
        async with agent_of(trunk, host=way.host, ca=papers.authority_file) as agent:
            yield carrier, agent


@asynccontextmanager
async def call_over_tcp() -> AsyncIterator[tuple[StreamWire, Carrier, Call, Request]]:
    """A call that is up; its INVITE."""
    async with open_stream_carrier() as (carrier, wire):
        trunk = Trunk("main", HOST, carrier.port, transport="tcp")
        async with agent_of(trunk) as agent, agent.prepare_call(REQUEST) as call:
            call.dial()
            invite = await carrier.answer()
            assert await call.next_progress() == Answered()
            yield wire, carrier, call, invite


async def outcome(agent: UserAgent, request: CallRequest = REQUEST) -> Ended:
    """How a call ends that nobody hangs up."""
    async with agent.prepare_call(request) as call:
        call.dial()
        return await call.wait_ended()


def count_connections(carrier: Carrier) -> int:
    return carrier.wire.accepted if isinstance(carrier.wire, StreamWire) else 1


# A call, whatever carries it.


@every_way
async def test_a_call_rings_is_answered_and_is_hung_up(way: Way, papers: Papers) -> None:
    async with (
        carrier_and_agent(way, papers) as (carrier, agent),
        agent.prepare_call(REQUEST) as call,
    ):
        call.dial()
        invite = await carrier.receive(b"INVITE")
        here = host_port((way.host, agent.address[1]))
        assert invite.raw(b"via")[0].startswith(
            b"SIP/2.0/%b %b;rport;" % (way.transport.upper().encode(), here)
        )
        suffix = b"" if way.transport == "udp" else b";transport=" + way.transport.encode()
        assert invite.contact == b"sip:callwheel@%b%b" % (here, suffix)
        await carrier.respond(invite, 180)
        assert await call.next_progress() == Ringing()
        await carrier.accept(invite)
        assert await call.next_progress() == Answered()
        await carrier.receive(b"ACK")
        call.hang_up()
        await carrier.take_bye()
        assert await call.next_progress() == HUNG_UP
        assert count_connections(carrier) == 1
        assert agent.statistics().sip.retransmissions_sent == 0


@every_way
async def test_the_callee_asks_and_hangs_up_the_way_it_was_called(way: Way, papers: Papers) -> None:
    async with (
        carrier_and_agent(way, papers) as (carrier, agent),
        agent.prepare_call(REQUEST) as call,
    ):
        call.dial()
        invite = await carrier.answer()
        assert await call.next_progress() == Answered()
        offer = answer_sdp(port=6002, host=HOST)
        await carrier.send(
            carrier.ask(invite, b"INVITE", (b"Contact", carrier.contact), SDP_TYPE, body=offer)
        )
        answer = await carrier.response()
        assert (answer.status, answer.cseq.method) == (200, b"INVITE")
        await carrier.send(carrier.ask(invite, b"ACK").replace(b"2 ACK", b"1 ACK"))
        await carrier.hang_up(invite)
        goodbye = await carrier.response()
        assert (goodbye.status, goodbye.cseq.method) == (200, b"BYE")
        assert await call.next_progress() == Ended("callee_hung_up", 200, "OK")
        assert count_connections(carrier) == 1


async def test_nothing_is_sent_twice_over_tcp(autojump_clock: MockClock) -> None:
    """Time is virtual: Timer B is all that ends this call."""
    async with open_stream_carrier() as (carrier, _):
        trunk = Trunk("main", HOST, carrier.port, transport="tcp")
        settings = UserAgentSettings(trunks=(trunk,))
        async with (
            open_user_agent(settings, FakePlane(), Dice()) as agent,
            agent.prepare_call(REQUEST) as call,
        ):
            began = trio.current_time()
            call.dial()
            await carrier.receive(b"INVITE")
            assert await call.wait_ended() == Ended("unreachable", failure="timed_out")
            assert trio.current_time() - began == pytest.approx(32.0, abs=0.05)
            statistics = agent.statistics()
            assert statistics.sip.retransmissions_sent == 0
            assert (statistics.streams.messages_sent, statistics.datagrams_sent) == (1, 0)


async def test_calls_share_a_connection() -> None:
    async with open_stream_carrier() as (carrier, wire):
        trunk = Trunk("main", HOST, carrier.port, transport="tcp")
        async with agent_of(trunk) as agent:
            for _ in range(3):
                async with agent.prepare_call(REQUEST) as call:
                    call.dial()
                    await carrier.refuse(486)
                    assert await call.wait_ended() == Ended("rejected", 486, "Busy Here")
            assert wire.accepted == 1


# Connections that break.


@pytest.mark.parametrize("transport", ["tcp", "tls"])
async def test_a_connection_that_breaks_before_any_response_makes_the_call_unreachable(
    transport: Transport, papers: Papers
) -> None:
    async with (
        carrier_and_agent(Way(transport, HOST), papers) as (carrier, agent),
        agent.prepare_call(REQUEST) as call,
    ):
        call.dial()
        await carrier.receive(b"INVITE")
        assert isinstance(carrier.wire, StreamWire)
        await carrier.wire.cut()
        assert await call.wait_ended() == Ended("unreachable", failure="broken")


async def test_a_connection_that_breaks_while_it_rings_does_not_end_the_call() -> None:
    async with open_stream_carrier() as (carrier, wire):
        trunk = Trunk("main", HOST, carrier.port, transport="tcp")
        async with agent_of(trunk) as agent, agent.prepare_call(REQUEST) as call:
            call.dial()
            invite = await carrier.receive(b"INVITE")
            await carrier.respond(invite, 180)
            assert await call.next_progress() == Ringing()
            await wire.cut()
            # It rings on, and the answer comes over a connection that the carrier opens.
            async with await trio.open_tcp_stream(*agent.address) as theirs:
                wire.take(theirs)
                await carrier.accept(invite)
                assert await call.next_progress() == Answered()
                await wire.accept()
                await carrier.receive(b"ACK")


async def test_a_connection_that_breaks_after_the_answer_does_not_end_the_call() -> None:
    async with call_over_tcp() as (wire, carrier, call, _):
        await wire.cut()
        await call.play("hello")
        call.hang_up()
        await carrier.take_bye()
        assert await call.next_progress() == HUNG_UP
        assert wire.accepted == 2


async def test_a_call_that_was_cut_off_is_ended_by_its_callee_over_another_connection() -> None:
    async with open_stream_carrier() as (carrier, wire):
        trunk = Trunk("main", HOST, carrier.port, transport="tcp")
        async with agent_of(trunk) as agent, agent.prepare_call(REQUEST) as call:
            call.dial()
            invite = await carrier.answer()
            assert await call.next_progress() == Answered()
            await wire.cut()
            async with await trio.open_tcp_stream(*agent.address) as theirs:
                wire.take(theirs)
                await carrier.hang_up(invite)
                assert (await carrier.response()).status == 200
                assert await call.next_progress() == Ended("callee_hung_up", 200, "OK")


async def test_a_silent_connection_is_kept_alive(autojump_clock: MockClock) -> None:
    async with call_over_tcp() as (wire, carrier, call, _):
        began = trio.current_time()
        assert await wire.stream.receive_some() == PING
        assert trio.current_time() - began == pytest.approx(PING_AFTER_S, abs=0.1)
        await wire.stream.send_all(PONG)
        assert await wire.stream.receive_some() == PING
        # Who has answered one ping and does not answer the next is gone.
        assert await wire.stream.receive_some() == b""
        await wire.cut()
        call.hang_up()
        await carrier.take_bye()
        assert await call.next_progress() == HUNG_UP
        assert wire.accepted == 2


async def test_a_ping_of_the_carriers_is_answered() -> None:
    async with call_over_tcp() as (wire, _, _, _):
        await wire.stream.send_all(PING)
        assert await wire.stream.receive_some() == PONG


async def test_nobody_who_accepts_is_unreachable_and_the_condition_says_so() -> None:
    told: list[TrunkCondition] = []
    port = nobody().port
    async with agent_of(Trunk("main", HOST, port, transport="tcp")) as agent:
        agent.watch_trunks(told.append)
        assert [await outcome(agent) for _ in range(2)] == [
            Ended("unreachable", failure="refused")
        ] * 2
    assert told[0] == TrunkCondition(
        "main",
        False,
        f"0 of 1 servers are well; 127.0.0.1:{port} over tcp is down (nobody listens there)"
        " and is tried again in 2 s. The transport says: Connection refused.",
    )


# Certificates.


@asynccontextmanager
async def carrier_with(context: ssl.SSLContext) -> AsyncIterator[int]:
    """A carrier over TLS that answers 486 to whoever gets through; its port."""
    async with (
        open_stream_carrier(HOST, context) as (carrier, wire),
        trio.open_nursery() as nursery,
    ):

        async def serve() -> None:
            while True:
                try:
                    await carrier.refuse(486)
                except trio.BrokenResourceError:
                    await wire.cut()

        nursery.start_soon(serve)
        yield carrier.port
        nursery.cancel_scope.cancel()


REASONS = {
    "for another": "IP address mismatch, certificate is not valid for '127.0.0.1'",
    "by nobody we know": "unable to get local issuer certificate",
}


@pytest.mark.parametrize("wrong", REASONS)
async def test_a_wrong_certificate_is_unreachable_and_the_condition_says_why(
    wrong: str, papers: Papers
) -> None:
    told: list[TrunkCondition] = []
    shown = "127.0.0.9" if wrong == "for another" else HOST
    ca = papers.authority_file if wrong == "for another" else ""
    async with (
        carrier_with(papers.server_side(shown)) as port,
        agent_of(Trunk("main", HOST, port, transport="tls"), ca=ca) as agent,
    ):
        agent.watch_trunks(told.append)
        assert [await outcome(agent) for _ in range(3)] == [
            Ended("unreachable", failure="broken")
        ] * 3
        with pytest.raises(TelephonyUnavailable, match="certificate refused"):
            await outcome(agent)
    assert told[0] == TrunkCondition(
        "main",
        False,
        f"0 of 1 servers are well; 127.0.0.1:{port} over tls is down (the connection breaks)"
        f" and is tried again in 2 s. The transport says: certificate refused: {REASONS[wrong]}.",
    )


async def test_a_certificate_that_is_not_to_be_checked_may_be_any(papers: Papers) -> None:
    async with carrier_with(papers.server_side("127.0.0.9")) as port:
        trunk = Trunk("main", HOST, port, transport="tls", tls_check=False)
        async with agent_of(trunk) as agent:
            assert await outcome(agent) == Ended("rejected", 486, "Busy Here")


async def test_a_trunk_that_checks_is_not_overruled_by_another_of_the_same_name(
    papers: Papers,
) -> None:
    async with carrier_with(papers.server_side("127.0.0.9")) as port:
        checking = Trunk("main", HOST, port, transport="tls")
        trusting = Trunk("other", HOST, port, transport="tls", tls_check=False)
        async with agent_of(checking, trusting) as agent:
            assert await outcome(agent) == Ended("unreachable", failure="broken")


# Requests that could break into fragments.


async def test_a_long_invite_goes_over_tcp_where_the_trunk_allows_it() -> None:
    async with open_stream_carrier() as (carrier, _):
        trunk = Trunk("main", HOST, carrier.port, large_over_tcp=True)
        async with agent_of(trunk) as agent, agent.prepare_call(LONG) as call:
            call.dial()
            invite = await carrier.receive(b"INVITE")
            assert invite.raw(b"via")[0].startswith(b"SIP/2.0/TCP ")
            assert invite.first(b"x-story") == b"x" * 1000
            await carrier.accept(invite)
            await carrier.receive(b"ACK")
            assert await call.next_progress() == Answered()
            call.hang_up()
            await carrier.take_bye()
            assert await call.next_progress() == HUNG_UP
        assert agent.statistics().datagrams_sent == 0


async def test_a_long_invite_goes_over_udp_where_nobody_accepts_tcp() -> None:
    async with open_udp_carrier() as carrier:
        trunk = Trunk("main", HOST, carrier.port, large_over_tcp=True)
        async with agent_of(trunk) as agent:
            # The second one is not even tried over TCP.
            for _ in range(2):
                async with agent.prepare_call(LONG) as call:
                    call.dial()
                    invite = await carrier.refuse(486)
                    assert invite.raw(b"via")[0].startswith(b"SIP/2.0/UDP ")
                    assert await call.wait_ended() == Ended("rejected", 486, "Busy Here")
            assert agent.statistics().streams.opened == 1


@pytest.mark.parametrize(
    ("large_over_tcp", "request_"), [(False, LONG), (True, REQUEST)], ids=["unwanted", "short"]
)
async def test_udp_carries_what_is_short_or_what_the_trunk_does_not_want_over_tcp(
    request_: CallRequest, *, large_over_tcp: bool
) -> None:
    async with open_udp_carrier() as carrier:
        trunk = Trunk("main", HOST, carrier.port, large_over_tcp=large_over_tcp)
        async with agent_of(trunk) as agent, agent.prepare_call(request_) as call:
            call.dial()
            await carrier.refuse(486)
            assert await call.wait_ended() == Ended("rejected", 486, "Busy Here")
            assert agent.statistics().streams.opened == 0


# The end of everything.


async def test_calls_and_registrations_are_ended_when_everything_around_is_cancelled() -> None:
    async with open_stream_carrier() as (carrier, _):
        trunk = Trunk(
            "main", HOST, carrier.port, transport="tcp", credentials=CREDENTIALS, registers=True
        )
        settings = UserAgentSettings(trunks=(trunk,))

        async def operate(up: trio.Event) -> None:
            async with (
                open_user_agent(settings, FakePlane(), Dice()) as agent,
                call_when_registered(agent) as call,
            ):
                call.dial()
                assert await call.next_progress() == Answered()
                up.set()
                await trio.sleep_forever()

        with trio.fail_after(CALL_S_MAX):
            async with trio.open_nursery() as nursery:
                up = trio.Event()
                nursery.start_soon(operate, up)
                register = await carrier.receive(b"REGISTER")
                await carrier.respond(register, 200)
                await carrier.answer()
                await up.wait()
                nursery.cancel_scope.cancel()
                with trio.CancelScope(shield=True):
                    await carrier.take_bye()
                    farewell = await carrier.receive(b"REGISTER")
                    assert farewell.first(b"expires") == b"0"
                    await carrier.respond(farewell, 200)


@asynccontextmanager
async def call_when_registered(agent: UserAgent) -> AsyncIterator[Call]:
    registered = trio.Event()

    def hear(condition: TrunkCondition) -> None:
        if condition.is_usable:
            registered.set()

    agent.watch_trunks(hear)
    await registered.wait()
    async with agent.prepare_call(REQUEST) as call:
        yield call
