"""A flow on a call, under virtual time."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from engine.flow.definition import read_definition
from engine.flow.run import run_flow
from engine.ports.telephony import Answered, Call, CallEnded, CallRequest
from sim.telephony import CallScript, SimulatedTelephony

DEFINITION = read_definition(
    {
        "start": "hello",
        "nodes": {
            "hello": {"type": "play", "play": "prm_1", "next": "pause"},
            "pause": {"type": "wait", "duration_s": 3, "next": "again"},
            "again": {"type": "play", "play": "prm_2", "next": "bye"},
            "bye": {"type": "hangup"},
        },
    }
)
PROMPT_S = 5.0


def network(talk_s: float | None) -> SimulatedTelephony:
    """Everybody answers at once, and hangs up after so long."""
    return SimulatedTelephony(lambda _request, _: CallScript(None, 0.0, talk_s=talk_s), PROMPT_S)


async def answered(call: Call) -> Call:
    call.dial()
    assert await call.next_progress() == Answered()
    return call


REQUEST = CallRequest("att_1", "+14155550123", "+14155550100", "main")


async def test_a_flow_takes_as_long_as_its_nodes_and_leaves_hanging_up_to_its_caller(
    autojump_clock: MockClock,
) -> None:
    async with network(None).prepare_call(REQUEST) as call:
        await answered(call)
        begun = trio.current_time()
        await run_flow(DEFINITION, call)
        assert trio.current_time() - begun == pytest.approx(PROMPT_S + 3 + PROMPT_S)


@pytest.mark.parametrize("talk_s", [1.0, PROMPT_S + 1.0, PROMPT_S + 4.0])
async def test_a_callee_who_hangs_up_ends_the_flow_wherever_it_is(
    talk_s: float, autojump_clock: MockClock
) -> None:
    async with network(talk_s).prepare_call(REQUEST) as call:
        await answered(call)
        begun = trio.current_time()
        with pytest.raises(CallEnded) as caught:
            await run_flow(DEFINITION, call)
        assert caught.value.ended.how == "callee_hung_up"
        assert trio.current_time() - begun == pytest.approx(talk_s)
