"""From which addresses a call may be asked for something, on real sockets: each is a loopback one."""

from __future__ import annotations

from adapters.sip.trunk import Trunk
from adapters.sip.user_agent import UserAgentSettings, open_user_agent
from adapters.sip.wire.message import Request, build_response
from engine.ports.telephony import Answered, CallRequest, Ended
from tests.adapters.sip.carrier import Carrier, open_udp_carrier
from tests.adapters.sip.dice import Dice
from tests.adapters.sip.fake_media import FakePlane
from tests.adapters.sip.lineup import SDP_TYPE, answer_sdp

TRUNK, CALLEE, STRANGER = "127.0.0.1", "127.0.0.2", "127.0.0.3"
REQUEST = CallRequest("att_1", "+14155550199", "+14155550100", "main")
LEFT = Ended("callee_hung_up", 200, "OK")


async def ask_to_end(who: Carrier, invite: Request, agent_address: tuple[str, int]) -> int:
    """Send a BYE into a call; what it is answered with."""
    await who.send_to(who.ask(invite, b"BYE"), agent_address)
    return (await who.response()).status


async def test_a_call_is_ended_from_its_contact_and_by_no_stranger() -> None:
    async with (
        open_udp_carrier(TRUNK) as carrier,
        open_udp_carrier(CALLEE) as callee,
        open_udp_carrier(STRANGER) as stranger,
    ):
        settings = UserAgentSettings(trunks=(Trunk("main", TRUNK, carrier.port),))
        async with (
            open_user_agent(settings, FakePlane(), Dice()) as agent,
            agent.prepare_call(REQUEST) as call,
        ):
            call.dial()
            invite = await carrier.receive(b"INVITE")
            await carrier.accept(invite, callee.contact)
            await callee.receive(b"ACK")
            assert await call.next_progress() == Answered()
            assert await ask_to_end(stranger, invite, agent.address) == 481
            await call.play("hello")
            assert await ask_to_end(callee, invite, agent.address) == 200
            assert await call.next_progress() == LEFT
            assert agent.statistics().sip.strangers_refused == 1


async def test_a_call_whose_contact_is_a_name_is_ended_from_where_it_was_answered() -> None:
    async with (
        open_udp_carrier(TRUNK) as carrier,
        open_udp_carrier(CALLEE) as callee,
        open_udp_carrier(STRANGER) as stranger,
    ):
        settings = UserAgentSettings(trunks=(Trunk("main", TRUNK, carrier.port),))
        async with (
            open_user_agent(settings, FakePlane(), Dice()) as agent,
            agent.prepare_call(REQUEST) as call,
        ):
            call.dial()
            invite = await carrier.receive(b"INVITE")
            answer = build_response(
                invite,
                200,
                to_tag=b"callee",
                headers=((b"Contact", b"<sip:callee@edge.carrier.example>"), SDP_TYPE),
                body=answer_sdp(),
            )
            await callee.send_to(answer, agent.address)
            await carrier.receive(b"ACK")
            assert await call.next_progress() == Answered()
            assert await ask_to_end(stranger, invite, agent.address) == 481
            assert await ask_to_end(callee, invite, agent.address) == 200
            assert await call.next_progress() == LEFT


async def test_an_answer_that_a_stranger_made_up_does_not_keep_the_callee_from_ending_the_call() -> (
    None
):
    async with (
        open_udp_carrier(TRUNK) as carrier,
        open_udp_carrier(CALLEE) as callee,
        open_udp_carrier(STRANGER) as stranger,
    ):
        settings = UserAgentSettings(trunks=(Trunk("main", TRUNK, carrier.port),))
        async with (
            open_user_agent(settings, FakePlane(), Dice()) as agent,
            agent.prepare_call(REQUEST) as call,
        ):
            call.dial()
            invite = await carrier.receive(b"INVITE")
            answer = build_response(
                invite,
                200,
                to_tag=b"callee",
                headers=((b"Contact", b"<sip:callee@edge.carrier.example>"), SDP_TYPE),
                body=answer_sdp(),
            )
            # Who has learned the Call-ID does not know the branch.
            made_up = answer.replace(b"branch=z9hG4bK", b"branch=z9hG4bKguessed", 1)
            await stranger.send_to(made_up, agent.address)
            await callee.send_to(answer, agent.address)
            await carrier.receive(b"ACK")
            assert await call.next_progress() == Answered()
            assert await ask_to_end(stranger, invite, agent.address) == 481
            assert await ask_to_end(callee, invite, agent.address) == 200
            assert await call.next_progress() == LEFT


async def test_a_contact_that_is_ourselves_is_not_followed() -> None:
    async with open_udp_carrier(TRUNK) as carrier:
        trunks = (Trunk("main", TRUNK, carrier.port),)
        for bind in (TRUNK, "0.0.0.0"):
            settings = UserAgentSettings(trunks=trunks, bind=(bind, 0))
            async with (
                open_user_agent(settings, FakePlane(), Dice()) as agent,
                agent.prepare_call(REQUEST) as call,
            ):
                call.dial()
                invite = await carrier.receive(b"INVITE")
                await carrier.accept(invite, b"<sip:us@127.0.0.1:%d>" % agent.address[1])
                ack = await carrier.receive(b"ACK")
                assert ack.uri == b"sip:us@127.0.0.1:%d" % agent.address[1]
                call.hang_up()
                await carrier.receive(b"BYE")
                names = (invite.call_id, invite.from_tag, invite.branch)
                assert not any(
                    one and other and one is not other and one in other
                    for one in names
                    for other in names
                )
