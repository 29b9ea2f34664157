"""The shell on real loopback sockets, against a carrier that each test plays itself."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from structlog.contextvars import bound_contextvars, merge_contextvars
from structlog.testing import capture_logs

from adapters.media.types import Remote
from adapters.sip.call.transaction import Timing
from adapters.sip.call.uac import OutboundCall
from adapters.sip.trunk import Trunk
from adapters.sip.user_agent import UserAgent, UserAgentSettings, open_user_agent
from adapters.sip.wire.message import Request, build_response
from engine.ports.clock import Randomness
from engine.ports.telephony import (
    Answered,
    Call,
    CallEnded,
    CallRequest,
    Ended,
    MediaStatistics,
    Ringing,
    TelephonyUnavailable,
    TrunkCondition,
)
from tests.adapters.sip.carrier import Carrier, open_udp_carrier
from tests.adapters.sip.dice import Dice
from tests.adapters.sip.fake_media import FakePlane
from tests.adapters.sip.lineup import SDP_TYPE, answer_sdp

REQUEST = CallRequest("att_1", "+14155550199", "+14155550100", "main")
HUNG_UP = Ended("we_hung_up", 200, "OK")


@asynccontextmanager
async def carrier_and_agent(
    plane: FakePlane, timing: Timing | None = None
) -> AsyncIterator[tuple[Carrier, UserAgent]]:
    async with open_udp_carrier() as carrier:
        settings = UserAgentSettings(
            trunks=(Trunk("main", "127.0.0.1", carrier.port),),
            timing=Timing() if timing is None else timing,
        )
        dice: Randomness = Dice()
        async with open_user_agent(settings, plane, dice) as agent:
            yield carrier, agent


@asynccontextmanager
async def call_is_up(plane: FakePlane) -> AsyncIterator[tuple[Carrier, Call, Request]]:
    async with carrier_and_agent(plane) as (carrier, agent), agent.prepare_call(REQUEST) as call:
        call.dial()
        invite = await carrier.answer()
        assert await call.next_progress() == Answered()
        yield carrier, call, invite


async def test_a_call_rings_is_answered_plays_and_is_hung_up() -> None:
    plane = FakePlane()
    async with carrier_and_agent(plane) as (carrier, agent):
        async with agent.prepare_call(REQUEST) as call:
            call.dial()
            invite = await carrier.receive(b"INVITE")
            assert invite.call_id.decode() == call.call_id
            assert b"m=audio 20000 RTP/AVP 0 8 101" in invite.body
            await carrier.respond(invite, 180)
            assert await call.next_progress() == Ringing()
            here = (b"Contact", b"<sip:callee@127.0.0.1:%d>" % carrier.port)
            await carrier.respond(invite, 200, here, SDP_TYPE, body=answer_sdp())
            assert await call.next_progress() == Answered()
            await carrier.receive(b"ACK")
            await call.play("hello")
            call.hang_up()
            await carrier.take_bye()
            assert await call.next_progress() == HUNG_UP
        assert agent.statistics().datagrams_sent == 3
        assert plane.streams[0].remotes == [Remote("192.0.2.99", 6000, 0)]
        assert plane.streams[0].is_closed


async def test_once_ended_a_call_stays_ended() -> None:
    async with call_is_up(FakePlane()) as (carrier, call, _):
        call.hang_up()
        call.hang_up()
        await carrier.take_bye()
        assert await call.wait_ended() == HUNG_UP
        assert [await call.next_progress() for _ in range(3)] == [HUNG_UP] * 3
        assert call.media_statistics() == MediaStatistics(packets_sent=7)
        with pytest.raises(CallEnded) as caught:
            await call.play("hello")
        assert caught.value.ended == HUNG_UP


async def test_a_prompt_stops_when_the_callee_hangs_up() -> None:
    async with call_is_up(FakePlane()) as (carrier, call, invite), trio.open_nursery() as nursery:
        nursery.start_soon(carrier.hang_up, invite)
        with pytest.raises(CallEnded) as caught:
            await call.play("endless")
        assert caught.value.ended == Ended("callee_hung_up", 200, "OK")


async def test_an_unknown_prompt_is_the_callers_mistake_and_leaves_the_call_up() -> None:
    async with call_is_up(FakePlane()) as (_, call, _):
        with pytest.raises(KeyError):
            await call.play("unknown")
        await call.play("hello")


async def test_nothing_can_be_played_to_nobody() -> None:
    async with (
        carrier_and_agent(FakePlane()) as (_, agent),
        agent.prepare_call(REQUEST) as call,
    ):
        with pytest.raises(RuntimeError):
            await call.play("hello")


async def test_a_lost_stream_ends_the_call_as_lost() -> None:
    plane = FakePlane()
    async with call_is_up(plane) as (carrier, call, _), trio.open_nursery() as nursery:
        nursery.start_soon(carrier.take_bye)
        plane.streams[0].lost.set()
        assert await call.next_progress() == Ended("lost", 200, "OK")


async def test_a_stream_that_was_lost_unheard_is_noticed_by_whoever_waits_next() -> None:
    plane = FakePlane()
    async with call_is_up(plane) as (carrier, call, _), trio.open_nursery() as nursery:
        await call.play("hello")
        plane.streams[0].lost.set()
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(carrier.take_bye)
        assert await call.wait_ended() == Ended("lost", 200, "OK")


async def test_a_stream_that_is_lost_under_a_prompt_ends_the_call_as_lost() -> None:
    plane = FakePlane()
    async with call_is_up(plane) as (carrier, call, _), trio.open_nursery() as nursery:
        nursery.start_soon(carrier.take_bye)
        plane.streams[0].lost.set()
        with pytest.raises(CallEnded) as caught:
            await call.play("endless")
        assert caught.value.ended == Ended("lost", 200, "OK")


async def test_leaving_the_block_hangs_up_and_waits_for_nobody() -> None:
    plane = FakePlane()
    async with carrier_and_agent(plane) as (carrier, agent):
        async with agent.prepare_call(REQUEST) as call:
            call.dial()
            await carrier.answer()
            await call.next_progress()
        assert plane.streams[0].is_closed
        await carrier.take_bye()


async def test_leaving_the_block_before_dialling_sends_nothing() -> None:
    plane = FakePlane()
    async with carrier_and_agent(plane) as (_, agent):
        async with agent.prepare_call(REQUEST):
            pass
        assert (agent.statistics().datagrams_sent, plane.streams[0].is_closed) == (0, True)


async def test_leaving_the_user_agent_hangs_up_every_call() -> None:
    plane = FakePlane()
    async with open_udp_carrier() as carrier:
        settings = UserAgentSettings(trunks=(Trunk("main", "127.0.0.1", carrier.port),))
        ended: list[Ended] = []

        async def attempt(agent: UserAgent, started: trio.Event) -> None:
            async with agent.prepare_call(REQUEST) as call:
                call.dial()
                started.set()
                ended.append(await call.wait_ended())

        async with trio.open_nursery() as nursery:
            async with open_user_agent(settings, plane, Dice()) as agent:
                started = trio.Event()
                nursery.start_soon(attempt, agent, started)
                await started.wait()
                await carrier.answer()
                await trio.testing.wait_all_tasks_blocked()
            await carrier.receive(b"BYE")
        assert ended == [Ended("we_hung_up")]


async def test_a_port_where_nobody_listens_is_unreachable_at_once() -> None:
    """The ICMP error says so: Timer B, 32 virtual seconds away, never runs."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    settings = UserAgentSettings(trunks=(Trunk("main", "127.0.0.1", port),))
    told: list[TrunkCondition] = []
    async with open_user_agent(settings, FakePlane(), Dice()) as agent:
        agent.watch_trunks(told.append)
        with trio.fail_after(5):
            for _ in range(2):
                async with agent.prepare_call(REQUEST) as call:
                    call.dial()
                    assert await call.next_progress() == Ended("unreachable", failure="refused")
        # Twice in a row is enough to leave it alone for a while, and to say so.
        with pytest.raises(TelephonyUnavailable, match="nobody listens there"):
            await agent.prepare_call(REQUEST).__aenter__()
    assert [(condition.trunk, condition.is_usable) for condition in told] == [("main", False)]


async def test_an_icmp_error_of_one_trunk_keeps_no_datagram_from_another() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    async with open_udp_carrier() as carrier:
        # Each is tried twice before it is left alone.
        dead_trunks = [f"dead{number}" for number in range(10)]
        trunks = (
            Trunk("main", "127.0.0.1", carrier.port),
            *(Trunk(name, "127.0.0.1", port) for name in dead_trunks),
        )
        settings = UserAgentSettings(trunks=trunks)
        async with open_user_agent(settings, FakePlane(), Dice()) as agent:
            for name in dead_trunks * 2:
                dead = CallRequest("att_2", "+14155550199", "+14155550100", name)
                async with agent.prepare_call(dead) as lost, agent.prepare_call(REQUEST) as call:
                    lost.dial()
                    call.dial()
                    await carrier.respond(await carrier.receive(b"INVITE"), 486)
                    await carrier.receive(b"ACK")
                    assert await lost.next_progress() == Ended("unreachable", failure="refused")
                    assert await call.next_progress() == Ended("rejected", 486, "Busy Here")
            assert agent.statistics().sip.retransmissions_sent == 0


async def test_without_a_trunk_or_a_port_no_call_can_be_prepared() -> None:
    plane = FakePlane()
    async with carrier_and_agent(plane) as (_, agent):
        with pytest.raises(TelephonyUnavailable):
            async with agent.prepare_call(CallRequest("att", "+1", "+2", "other")):
                raise AssertionError("unreachable")
        plane.is_down = True
        with pytest.raises(TelephonyUnavailable):
            async with agent.prepare_call(REQUEST):
                raise AssertionError("unreachable")


async def test_a_trunk_whose_name_has_no_address_leaves_the_others_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def find_nothing(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(trio.socket, "getaddrinfo", find_nothing)
    settings = UserAgentSettings(trunks=(Trunk("main", "carrier.example"),))
    with capture_logs() as logs:
        async with open_user_agent(settings, FakePlane(), Dice()) as agent:
            with pytest.raises(TelephonyUnavailable):
                async with agent.prepare_call(REQUEST):
                    raise AssertionError("unreachable")
    assert [(entry["event"], entry["trunk"]) for entry in logs] == [
        ("the condition of a trunk", "main")
    ]


async def test_a_call_too_many_cannot_be_prepared_and_frees_its_port(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("adapters.sip.core.CALLS_MAX", 0)
    plane = FakePlane()
    async with carrier_and_agent(plane) as (_, agent):
        with pytest.raises(TelephonyUnavailable):
            async with agent.prepare_call(REQUEST):
                raise AssertionError("unreachable")
    assert plane.streams[0].is_closed


async def test_bound_to_every_address_we_are_reached_under_the_one_that_reaches_the_trunk() -> None:
    async with open_udp_carrier() as carrier:
        settings = UserAgentSettings(
            trunks=(Trunk("main", "127.0.0.1", carrier.port),),
            bind=("0.0.0.0", 0),
        )
        async with (
            open_user_agent(settings, FakePlane(), Dice()) as agent,
            agent.prepare_call(REQUEST) as call,
        ):
            call.dial()
            invite = await carrier.receive(b"INVITE")
            assert invite.contact == b"sip:callwheel@127.0.0.1:%d" % agent.address[1]
            await carrier.respond(invite, 486)
            assert await call.wait_ended() == Ended("rejected", 486, "Busy Here")


@asynccontextmanager
async def prepared_for_a_contact(agent: UserAgent) -> AsyncIterator[Call]:
    """A call, as the attempt of a contact has it."""
    with bound_contextvars(contact="cnt_1"):
        preparing = agent.prepare_call(REQUEST)
        call = await preparing.__aenter__()
    try:
        yield call
    finally:
        await preparing.__aexit__(None, None, None)


async def test_a_watcher_that_fails_is_a_lost_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    plane = FakePlane()
    async with (
        carrier_and_agent(plane) as (carrier, agent),
        prepared_for_a_contact(agent) as call,
    ):
        monkeypatch.setattr(plane.streams[0], "wait_lost", fail)
        call.dial()
        with capture_logs(processors=[merge_contextvars]) as logs:
            await carrier.answer()
            assert await call.next_progress() == Answered()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(carrier.take_bye)
                assert await call.wait_ended() == Ended("lost", 200, "OK")
        told = [(entry["event"], entry["contact"]) for entry in logs]
        assert told == [("watching a media stream failed", "cnt_1")]


async def test_garbage_from_the_network_leaves_a_live_call_untouched() -> None:
    dice = Dice()
    async with call_is_up(FakePlane()) as (carrier, call, _):
        for _ in range(500):
            await carrier.send(dice.getrandbits(128).to_bytes(16, "big"))
        call.hang_up()
        await carrier.take_bye()
        assert await call.wait_ended() == HUNG_UP


async def test_a_fault_ends_its_call_and_is_logged_and_the_next_call_works(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(call: OutboundCall, *_: object) -> None:
        raise ZeroDivisionError

    async with carrier_and_agent(FakePlane()) as (carrier, agent):
        with capture_logs() as logs:
            async with agent.prepare_call(REQUEST) as call:
                call.dial()
                with monkeypatch.context() as patch:
                    patch.setattr(OutboundCall, "_receive_invite_response", fail)
                    await carrier.respond(await carrier.receive(b"INVITE"), 180)
                    assert await call.next_progress() == Ended("lost")
        assert [(entry["event"], entry["call_id"]) for entry in logs] == [
            ("a call was ended by a fault of ours", call.call_id)
        ]
        async with agent.prepare_call(REQUEST) as call:
            call.dial()
            await carrier.answer()
            assert await call.next_progress() == Answered()


async def test_a_media_plane_that_fails_at_the_answer_ends_the_call_as_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plane = FakePlane()
    async with (
        carrier_and_agent(plane) as (carrier, agent),
        prepared_for_a_contact(agent) as call,
    ):
        monkeypatch.setattr(plane.streams[0], "connect", None)
        call.dial()
        with capture_logs(processors=[merge_contextvars]) as logs:
            await carrier.answer()
            await carrier.take_bye()
            assert await call.next_progress() == Ended("lost", 200, "OK")
        told = [(entry["event"], entry["contact"]) for entry in logs]
        assert told == [("a call could not be told", "cnt_1")]


async def test_an_unanswered_invite_is_sent_again_by_the_timer(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Time is virtual: with nobody to answer, nothing but the timers moves it."""
    plane = FakePlane()
    async with carrier_and_agent(plane) as (_, agent), agent.prepare_call(REQUEST) as call:
        began = trio.current_time()
        call.dial()
        assert await call.next_progress() == Ended("unreachable", failure="timed_out")
        assert trio.current_time() - began == pytest.approx(32.0, abs=0.05)
        assert agent.statistics().sip.retransmissions_sent == 6


async def test_a_response_that_waits_in_the_socket_is_heard_before_a_timer_fires(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """The engine was held up for longer than T1 while the answer lay there: that is no reason to
    send the INVITE again. Ten times, because trio runs the two tasks in either order."""
    async with carrier_and_agent(FakePlane()) as (carrier, agent):
        for _ in range(10):
            async with agent.prepare_call(REQUEST) as call:
                call.dial()
                invite = await carrier.receive(b"INVITE")
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
                    # Without a checkpoint between the response and the jump of the clock.
                    plain.sendto(build_response(invite, 180, to_tag=b"callee"), agent.address)
                    autojump_clock.jump(3.0)
                assert await call.next_progress() == Ringing()
                await carrier.respond(invite, 486)
                assert await call.wait_ended() == Ended("rejected", 486, "Busy Here")
                await carrier.receive(b"ACK")
        assert agent.statistics().sip.retransmissions_sent == 0
