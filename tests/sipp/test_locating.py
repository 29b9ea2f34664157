"""Item 2: a trunk of two servers by SRV, and which of them gets the next call.

A call is never sent twice here: what follows a refusal is the next call.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
import trio

from adapters.sip.trunk import Trunk
from adapters.sip.user_agent import UserAgent, UserAgentSettings, open_user_agent
from bench.free_ports import free_port
from engine.ports.telephony import Answered, CallRequest, Ended, Progress
from tests.adapters.sip.dice import Dice
from tests.adapters.sip.fake_media import FakePlane
from tests.adapters.sip.locate.dnsmasq import running_dnsmasq
from tests.peers import require
from tests.sipp.carrier import Carrier, Place, Verdict, open_carrier
from tests.sipp.scenario import CALL_S_MAX, HUNG_UP, PATIENT

pytestmark = pytest.mark.peer

OTHER_SCENARIOS: Final = ("server_without_room", "server_in_reserve", "server_with_a_busy_callee")
TRUNK: Final = Trunk("main", "carrier.test")
HERE: Final = "--host-record=edge.carrier.test,127.0.0.1"


@pytest.fixture
def dnsmasq() -> str:
    return require("dnsmasq", "dnsmasq-base")


def server(port: int, priority: int) -> str:
    """One server of the trunk, as dnsmasq is told of it."""
    return f"--srv-host=_sip._udp.carrier.test,edge.carrier.test,{port},{priority},0"


async def place(agent: UserAgent) -> list[Progress]:
    """One call, hung up when it is answered."""
    request = CallRequest("att_1", "+14155550199", "+14155550100", "main")
    history: list[Progress] = []
    with trio.fail_after(CALL_S_MAX):
        async with agent.prepare_call(request) as call:
            call.dial()
            while not history or not isinstance(history[-1], Ended):
                history.append(await call.next_progress())
                if isinstance(history[-1], Answered):
                    call.hang_up()
    return history


async def verdict_of(carrier: Carrier) -> Verdict:
    with trio.fail_after(CALL_S_MAX):
        await carrier.wait_exit()
    return carrier.verdict()


def folder(parent: Path, name: str) -> Path:
    made = parent / name
    made.mkdir()
    return made


async def test_a_server_without_room_is_left_alone_and_the_next_call_goes_to_the_other(
    sipp: str, dnsmasq: str, tmp_path: Path
) -> None:
    async with (
        open_carrier(sipp, "server_without_room", folder(tmp_path, "1"), Place()) as first,
        open_carrier(sipp, "server_in_reserve", folder(tmp_path, "2"), Place()) as second,
        running_dnsmasq(dnsmasq, HERE, server(first.port, 10), server(second.port, 20)) as name,
    ):
        settings = UserAgentSettings(trunks=(TRUNK,), nameservers=(name,), timing=PATIENT)
        async with open_user_agent(settings, FakePlane(), Dice()) as agent:
            histories = [await place(agent), await place(agent)]
            verdicts = [await verdict_of(first), await verdict_of(second)]
    # Its Retry-After is the server's own: the trunk as a whole need not rest.
    refused = Ended("rejected", 503, "Service Unavailable", has_other_way=True)
    assert histories == [[refused], [Answered(), HUNG_UP]]
    assert verdicts == [Verdict(), Verdict()]


async def test_a_busy_callee_says_nothing_against_the_server_before_him(
    sipp: str, dnsmasq: str, tmp_path: Path
) -> None:
    async with (
        open_carrier(
            sipp, "server_with_a_busy_callee", folder(tmp_path, "1"), Place(), calls=3
        ) as first,
        open_carrier(sipp, "server_in_reserve", folder(tmp_path, "2"), Place()) as second,
        running_dnsmasq(dnsmasq, HERE, server(first.port, 10), server(second.port, 20)) as name,
    ):
        settings = UserAgentSettings(trunks=(TRUNK,), nameservers=(name,), timing=PATIENT)
        async with open_user_agent(settings, FakePlane(), Dice()) as agent:
            histories = [await place(agent) for _ in range(3)]
            verdict = await verdict_of(first)
        await second.stop()
    assert histories == [[Ended("rejected", 486, "Busy Here")]] * 3
    assert verdict == Verdict(successful_calls=3)
    assert second.verdict() == Verdict(exit_code=-9, successful_calls=0)


async def test_the_call_after_one_to_where_nobody_listens_goes_to_the_other_server(
    sipp: str, dnsmasq: str, tmp_path: Path
) -> None:
    nobody = free_port()
    async with (
        open_carrier(sipp, "server_in_reserve", tmp_path, Place()) as second,
        running_dnsmasq(dnsmasq, HERE, server(nobody, 10), server(second.port, 20)) as name,
    ):
        settings = UserAgentSettings(trunks=(TRUNK,), nameservers=(name,), timing=PATIENT)
        async with open_user_agent(settings, FakePlane(), Dice()) as agent:
            histories = [await place(agent), await place(agent)]
            verdict = await verdict_of(second)
    assert histories == [
        [Ended("unreachable", has_other_way=True, failure="refused")],
        [Answered(), HUNG_UP],
    ]
    assert verdict == Verdict()
