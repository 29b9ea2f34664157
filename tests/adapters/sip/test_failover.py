"""A trunk of two servers by SRV, looked up in a real nameserver, and which of them gets the next call.

A call is never sent twice: what follows a failure is the next call. Time runs faster than on the wall,
since some of it has to pass.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import trio
from msgspec import Struct, field
from trio.testing import MockClock

from adapters.sip.call.transaction import Timing
from adapters.sip.trunk import Trunk
from adapters.sip.user_agent import UserAgent, UserAgentSettings, open_user_agent
from bench.free_ports import free_port
from engine.ports.telephony import CallRequest, Ended
from tests.adapters.sip.carrier import Carrier, open_udp_carrier
from tests.adapters.sip.dice import Dice
from tests.adapters.sip.fake_media import FakePlane
from tests.adapters.sip.locate.dnsmasq import running_dnsmasq
from tests.peers import require

pytestmark = [pytest.mark.peer, pytest.mark.punctual]

REQUEST = CallRequest("att_1", "+14155550199", "+14155550100", "main")
IMPATIENT = Timing(t1=0.05)
"""Timer B is over in 3.2 s."""
ADDRESS = "--host-record=edge.carrier.test,127.0.0.1"
TEST_S_MAX = 300.0
"""Virtual, as all seconds here."""
CALLS_MAX = 1000
REFUSED = Ended("unreachable", failure="refused")
LEFT = Ended("unreachable", has_other_way=True, failure="refused")
SILENT = Ended("unreachable", has_other_way=True, failure="timed_out")
BUSY = Ended("rejected", 486, "Busy Here")
ROOMLESS = Ended("rejected", 503, "Service Unavailable", has_other_way=True)
"""Without a Retry-After: while the other server has room, the trunk as a whole need not rest."""

Taken = tuple[str, Ended]
"""Which server got a call, and how it ended."""


@pytest.fixture
def fast_clock() -> MockClock:
    return MockClock(rate=5.0)


@pytest.fixture
def dnsmasq() -> str:
    return require("dnsmasq", "dnsmasq-base")


class Server(Struct):
    """Answers INVITEs with a status, None with nothing."""

    status: int | None
    headers: tuple[tuple[bytes, bytes], ...] = ()
    got: list[bytes] = field(default_factory=list)
    """The Call-IDs of the INVITEs that came."""

    async def serve(self, carrier: Carrier) -> None:
        """Run until cancelled."""
        while True:
            request = await carrier.request()
            if request.method != b"INVITE":
                continue
            if request.call_id not in self.got:
                self.got.append(request.call_id)
            if self.status is not None:
                await carrier.respond(request, self.status, *self.headers)


class Pair:
    """Two servers, an agent, and the calls between them."""

    def __init__(self, agent: UserAgent, first: Server, second: Server) -> None:
        self.agent = agent
        self.first = first
        self.second = second

    async def place(self) -> Taken:
        async with self.agent.prepare_call(REQUEST) as call:
            call.dial()
            ended = await call.wait_ended()
            call_id = call.call_id.encode()
        if call_id in self.first.got:
            assert call_id not in self.second.got
            return "first", ended
        return "second" if call_id in self.second.got else "nobody", ended

    async def place_many(self, count: int) -> list[Taken]:
        return [await self.place() for _ in range(count)]

    async def place_together(self, count: int) -> list[Ended]:
        """Calls that all are under way before the first of them ends."""
        async with AsyncExitStack() as stack:
            calls = [
                await stack.enter_async_context(self.agent.prepare_call(REQUEST))
                for _ in range(count)
            ]
            for call in calls:
                call.dial()
            return [await call.wait_ended() for call in calls]

    async def wait_for_first(self) -> None:
        """Return when the first server gets calls again, one after the other; the other gets them
        meanwhile."""
        in_a_row = 0
        for _ in range(CALLS_MAX):
            taken = await self.place()
            assert taken in (("first", BUSY), ("second", BUSY))
            in_a_row = in_a_row + 1 if taken[0] == "first" else 0
            if in_a_row == 3:
                return
            # So that time can pass between two calls.
            await trio.sleep(0.1)
        raise AssertionError("never")


@asynccontextmanager
async def open_pair(
    dnsmasq: str, first: Server, *, first_port: int | None = None
) -> AsyncIterator[Pair]:
    """A second server that says 486, and a first one, at a port where nobody listens if one is given."""
    second = Server(486)
    async with (
        open_udp_carrier() as there,
        open_udp_carrier() as reserve,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(first.serve, there)
        nursery.start_soon(second.serve, reserve)
        ports = (there.port if first_port is None else first_port, reserve.port)
        records = [
            f"--srv-host=_sip._udp.carrier.test,edge.carrier.test,{port},{priority},0"
            for priority, port in enumerate(ports)
        ]
        with trio.fail_after(TEST_S_MAX):
            async with running_dnsmasq(dnsmasq, ADDRESS, *records) as name:
                settings = UserAgentSettings(
                    trunks=(Trunk("main", "carrier.test"),), nameservers=(name,), timing=IMPATIENT
                )
                async with open_user_agent(settings, FakePlane(), Dice()) as agent:
                    yield Pair(agent, first, second)
        nursery.cancel_scope.cancel()


async def test_a_server_where_nobody_listens_is_left_for_the_other_until_it_is_back(
    dnsmasq: str, fast_clock: MockClock
) -> None:
    port = free_port()
    back = Server(486)
    async with open_pair(dnsmasq, back, first_port=port) as pair:
        assert await pair.place_together(2) == [LEFT] * 2
        assert await pair.place() == ("second", BUSY)
        async with (
            open_udp_carrier(port=port) as carrier,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(back.serve, carrier)
            await pair.wait_for_first()
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize("headers", [(), ((b"Retry-After", b"5"),)])
async def test_a_server_without_room_is_left_for_the_other_until_it_has_some(
    headers: tuple[tuple[bytes, bytes], ...], dnsmasq: str, fast_clock: MockClock
) -> None:
    first = Server(503, headers)
    async with open_pair(dnsmasq, first) as pair:
        assert await pair.place_many(2) == [("first", ROOMLESS), ("second", BUSY)]
        first.status, first.headers = 486, ()
        await pair.wait_for_first()


async def test_a_silent_server_is_left_for_the_other_until_it_speaks(
    dnsmasq: str, fast_clock: MockClock
) -> None:
    first = Server(None)
    async with open_pair(dnsmasq, first) as pair:
        assert await pair.place_together(3) == [SILENT] * 3
        assert await pair.place() == ("second", BUSY)
        first.status = 486
        await pair.wait_for_first()


async def test_the_call_after_one_failure_goes_to_the_other_server(
    dnsmasq: str, fast_clock: MockClock
) -> None:
    async with open_pair(dnsmasq, Server(486), first_port=free_port()) as pair:
        taken = await pair.place_many(4)
        assert taken == [("nobody", LEFT)] + [("second", BUSY)] * 3


async def test_the_call_after_one_that_got_no_answer_goes_to_the_other_server(
    dnsmasq: str, fast_clock: MockClock
) -> None:
    async with open_pair(dnsmasq, Server(None)) as pair:
        taken = await pair.place_many(4)
        assert taken == [("first", SILENT)] + [("second", BUSY)] * 3


async def test_an_only_server_has_no_other_beside_it() -> None:
    trunk = Trunk("main", "127.0.0.1", free_port())
    settings = UserAgentSettings(trunks=(trunk,), timing=IMPATIENT)
    with trio.fail_after(TEST_S_MAX):
        async with (
            open_user_agent(settings, FakePlane(), Dice()) as agent,
            agent.prepare_call(REQUEST) as call,
        ):
            call.dial()
            assert await call.wait_ended() == REFUSED


async def test_what_a_callee_says_leaves_the_calls_where_they_are(
    dnsmasq: str, fast_clock: MockClock
) -> None:
    async with open_pair(dnsmasq, Server(486)) as pair:
        assert await pair.place_many(10) == [("first", BUSY)] * 10
        assert pair.second.got == []
