"""The user agent against sipp, which nobody here wrote."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from adapters.sip.call.transaction import Timing
from adapters.sip.trunk import Trunk
from adapters.sip.user_agent import UserAgent, UserAgentSettings, open_user_agent
from bench.free_ports import free_port, is_taken
from engine.ports.telephony import Answered, CallRequest, Ended, Progress, Ringing
from tests.adapters.sip.dice import Dice
from tests.adapters.sip.fake_media import FakePlane
from tests.peers import require

pytestmark = pytest.mark.peer

CALLS = 50
GUARD_S = 60
HEARD_S = 20
"""Long before Timer B gives up (32 s), which ends a call in the same way."""


@pytest.fixture
def sipp() -> str:
    return require("sipp", "sip-tester")


@asynccontextmanager
async def sipp_uas(sipp: str, folder: Path) -> AsyncIterator[int]:
    """A running `sipp -sn uas`, which repeats nothing where it hears nothing; its port."""
    port = free_port()
    command = [sipp, "-sn", "uas", "-i", "127.0.0.1", "-p", str(port), "-mp", str(free_port())]
    process = await trio.lowlevel.open_process(
        [*command, "-nr", "-nostdin"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=folder,
    )
    try:
        with trio.fail_after(GUARD_S):
            await wait_until_bound(port, process)
        yield port
    finally:
        process.kill()
        await process.wait()


async def wait_until_bound(port: int, process: trio.Process) -> None:
    """Return when somebody else holds the UDP port."""
    while not is_taken(port):
        assert process.poll() is None, "sipp ended"
        await trio.sleep(0.02)


async def attempt(agent: UserAgent, number: int, histories: list[list[Progress]]) -> None:
    request = CallRequest(f"att_{number}", f"+1415555{number:04}", "+14155550100", "main")
    history: list[Progress] = []
    async with agent.prepare_call(request) as call:
        call.dial()
        while not history or not isinstance(history[-1], Ended):
            history.append(await call.next_progress())
            if isinstance(history[-1], Answered):
                await call.play("hello")
                call.hang_up()
    histories.append(history)


async def test_sipp_answers_every_call_and_nothing_is_sent_twice(sipp: str, tmp_path: Path) -> None:
    async with sipp_uas(sipp, tmp_path) as port:
        # Nor do we, where the machine stands still for a moment.
        trunk, timing = Trunk("main", "127.0.0.1", port), Timing(t1=2.0)
        settings = UserAgentSettings(trunks=(trunk,), timing=timing)
        histories: list[list[Progress]] = []
        async with open_user_agent(settings, FakePlane(), Dice()) as agent:
            with trio.fail_after(GUARD_S):
                async with trio.open_nursery() as nursery:
                    for number in range(CALLS):
                        nursery.start_soon(attempt, agent, number, histories)
            statistics = agent.statistics()
    complete = [Ringing(), Answered(), Ended("we_hung_up", 200, "OK")]
    assert histories == [complete] * CALLS
    assert statistics.sip.retransmissions_sent == 0
    assert statistics.datagrams_sent == 3 * CALLS


async def test_sipp_that_is_gone_is_unreachable(sipp: str, tmp_path: Path) -> None:
    async with sipp_uas(sipp, tmp_path) as port:
        pass
    settings = UserAgentSettings(trunks=(Trunk("main", "127.0.0.1", port),))
    histories: list[list[Progress]] = []
    async with open_user_agent(settings, FakePlane(), Dice()) as agent:
        with trio.fail_after(HEARD_S):
            await attempt(agent, 1, histories)
    assert histories == [[Ended("unreachable", failure="refused")]]
    assert os.listdir(tmp_path) == []
