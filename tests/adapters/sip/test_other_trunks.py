"""Other trunks while calls are up, on real loopback sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import msgspec
import pytest
import trio

from adapters.sip.identity.passport import CannotSign
from adapters.sip.trunk import Stir, Trunk
from adapters.sip.user_agent import UserAgent, UserAgentSettings, open_user_agent
from adapters.sip.wire.digest import Credentials
from adapters.sip.wire.message import Request
from engine.ports.telephony import Answered, Ended, TelephonyUnavailable, TrunkCondition
from tests.adapters.sip.carrier import Carrier, open_udp_carrier
from tests.adapters.sip.dice import Dice
from tests.adapters.sip.fake_media import FakePlane
from tests.adapters.sip.test_user_agent import REQUEST
from tests.contract.store_samples import FixedClock


def trunk_at(carrier: Carrier, name: str = "main") -> Trunk:
    return Trunk(name, "127.0.0.1", carrier.port)


def registered_at(carrier: Carrier) -> Trunk:
    return msgspec.structs.replace(
        trunk_at(carrier), registers=True, credentials=Credentials(b"u", b"p")
    )


@asynccontextmanager
async def agent_at(*trunks: Trunk) -> AsyncIterator[UserAgent]:
    settings = UserAgentSettings(trunks=trunks)
    async with open_user_agent(settings, FakePlane(), Dice(), clock=FixedClock()) as agent:
        yield agent


async def wait_usable(agent: UserAgent) -> None:
    """Until each trunk can be used."""
    while True:  # a gateway tells of changes, not of how it is
        now = trio.current_time()
        if all(one.condition(now).is_usable for one in agent.gateways.values()):
            return
        await trio.sleep(0.005)


async def take_register(carrier: Carrier, expires: int = 3600) -> Request:
    """Take a REGISTER, with what it asked for."""
    request = await carrier.receive(b"REGISTER")
    contact = request.fields[b"contact"][0]
    bound = (b"Contact", contact.partition(b">")[0] + b">;expires=%d" % expires)
    await carrier.respond(request, 200, bound)
    return request


async def test_a_call_goes_on_whose_trunk_goes_and_new_ones_go_elsewhere() -> None:
    async with (
        open_udp_carrier() as old,
        open_udp_carrier() as new,
        agent_at(trunk_at(old)) as agent,
        agent.prepare_call(REQUEST) as call,
    ):
        call.dial()
        invite = await old.answer()
        assert await call.next_progress() == Answered()
        agent.set_trunks((trunk_at(new),))
        await wait_usable(agent)
        async with agent.prepare_call(REQUEST) as other:
            other.dial()
            await new.answer()
            assert await other.next_progress() == Answered()
            await old.hang_up(invite)
            assert await call.wait_ended() == Ended("callee_hung_up", 200, "OK")
            assert (await old.response()).status == 200
            agent.set_trunks(())
            with pytest.raises(TelephonyUnavailable):
                async with agent.prepare_call(REQUEST):
                    raise AssertionError("unreachable")
            other.hang_up()
            await new.take_bye()
            await other.wait_ended()


async def test_a_trunk_that_is_as_it_was_is_not_touched() -> None:
    async with (
        open_udp_carrier() as one,
        open_udp_carrier() as two,
        agent_at(trunk_at(one)) as agent,
    ):
        before, told = agent.gateways["main"], list[TrunkCondition]()
        agent.watch_trunks(told.append)
        agent.set_trunks((trunk_at(one), trunk_at(two, "other")))
        assert agent.gateways["main"] is before
        await wait_usable(agent)
        assert {one.trunk for one in told} == {"other"}


async def test_a_registration_outlasts_a_change_and_ends_with_its_trunk() -> None:
    async with open_udp_carrier() as carrier, trio.open_nursery() as nursery:
        nursery.start_soon(partial(take_register, carrier))
        async with agent_at(registered_at(carrier)) as agent:
            await wait_usable(agent)
            changed = msgspec.structs.replace(registered_at(carrier), session_expires_s=0)
            agent.set_trunks((changed,))
            request = await take_register(carrier)
            assert b"expires=0" not in request.fields[b"contact"][0]
            await wait_usable(agent)
            agent.set_trunks(())
            request = await take_register(carrier, 0)
            ended = (request.fields[b"contact"][0], request.fields.get(b"expires"))
            assert b"expires=0" in ended[0] or ended[1] == [b"0"]
            with trio.move_on_after(0.2) as scope:  # and nobody registers any more
                await carrier.request()
            assert scope.cancelled_caught


async def test_a_trunk_that_cannot_be_changes_nothing() -> None:
    async with open_udp_carrier() as carrier, agent_at(trunk_at(carrier)) as agent:
        before = dict(agent.gateways)
        stir = Stir("/does/not/exist.pem", "https://cert.example/p.pem", "A")
        bad = msgspec.structs.replace(trunk_at(carrier, "bad"), stir=stir)
        with pytest.raises(CannotSign):
            agent.set_trunks((bad,))
        assert agent.gateways == before
        async with agent.prepare_call(REQUEST) as call:
            call.dial()
            await carrier.answer()
            assert await call.next_progress() == Answered()
            call.hang_up()
            await carrier.take_bye()
            await call.wait_ended()
