"""What every `Telephony` promises of hearing callees: keys, who answered, beeps, and recordings.

The SIP user agent hears the simulated carrier's callees in the sound and the events that they send, through
the real media plane: `…9200` speaks shortly and hangs up, `…9201` presses 1, 2 and # as well, `…9202` is a
machine that beeps.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from engine.ports.amd import AmdParameters, AmdVerdict
from engine.ports.telephony import Answered, Call, CallEnded, Telephony
from sim.call_script import CallScript, press
from sim.profile import Profile, always
from sim.telephony import SimulatedTelephony
from tests.contract.test_telephony import PROMPT_S, request_to, sip_network

pytestmark = pytest.mark.punctual

GREETING_S = 0.4
TALK_S = 2.0
MACHINE_GREETING_S = 3.0
MACHINE_TALK_S = 5.0
PROFILE = Profile(
    talk_s=always(TALK_S),
    human_greeting_s=always(GREETING_S),
    machine_greeting_s=always(MACHINE_GREETING_S),
    machine_talk_s=always(MACHINE_TALK_S),
)
SPOKEN = ((0.0, GREETING_S),)
SCRIPTS = {
    "9200": CallScript(0.0, 0.0, talk_s=TALK_S, speaks_s=SPOKEN),
    "9201": CallScript(0.0, 0.0, talk_s=TALK_S, speaks_s=SPOKEN, keys=press("12#")),
    "9202": CallScript(
        *(0.0, 0.0),
        talk_s=MACHINE_TALK_S,
        verdict=AmdVerdict("machine", "greeting", 2_500),
        beeps_s=(MACHINE_GREETING_S + 0.4,),
        speaks_s=((0.0, MACHINE_GREETING_S),),
    ),
}


@asynccontextmanager
async def simulated(_folder: Path) -> AsyncIterator[Telephony]:
    yield SimulatedTelephony(lambda request, _: SCRIPTS[request.number[-4:]], PROMPT_S)


@asynccontextmanager
async def sip(folder: Path) -> AsyncIterator[Telephony]:
    async with sip_network(folder, PROFILE) as agent:
        yield agent


@pytest.fixture(params=[simulated, sip])
async def telephony(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Telephony]:
    with trio.fail_after(30):
        async with request.param(tmp_path) as network:
            yield network


@asynccontextmanager
async def answered(telephony: Telephony, ending: str) -> AsyncIterator[Call]:
    """A call that was just answered."""
    async with telephony.prepare_call(request_to(ending)) as call:
        call.dial()
        while await call.next_progress() != Answered():
            pass
        yield call


async def test_keys_are_given_in_their_order_and_those_left_after_the_end_as_well(
    telephony: Telephony,
) -> None:
    async with answered(telephony, "9201") as call:
        assert await call.next_digit() == "1"
        await call.wait_ended()
        assert [await call.next_digit(), await call.next_digit()] == ["2", "#"]
        with pytest.raises(CallEnded):
            await call.next_digit()


async def test_keys_that_are_forgotten_are_not_given(telephony: Telephony) -> None:
    async with answered(telephony, "9201") as call:
        await call.wait_ended()
        call.forget_digits()
        with pytest.raises(CallEnded) as caught:
            await call.next_digit()
        assert caught.value.ended.how == "callee_hung_up"


async def test_whoever_waits_for_a_key_hears_that_the_call_is_over(telephony: Telephony) -> None:
    async with answered(telephony, "9200") as call:
        with pytest.raises(CallEnded) as caught:
            await call.next_digit()
        assert caught.value.ended == await call.wait_ended()


@pytest.mark.parametrize(
    ("ending", "answerer", "cause"),
    [("9200", "human", "after_greeting_silence"), ("9202", "machine", "greeting")],
)
async def test_who_answered_is_told(
    telephony: Telephony, ending: str, answerer: str, cause: str
) -> None:
    async with answered(telephony, ending) as call:
        verdict = await call.detect_machine(AmdParameters())
        assert (verdict.answerer, verdict.cause) == (answerer, cause)
        assert 1_000 <= verdict.elapsed_ms <= 4_000


async def test_a_call_that_ends_before_it_is_known_says_so(telephony: Telephony) -> None:
    async with answered(telephony, "9202") as call:
        call.hang_up()
        with pytest.raises(CallEnded) as caught:
            await call.detect_machine()
        assert caught.value.ended.how == "we_hung_up"


async def test_a_beep_is_told_when_it_is_over_and_one_that_never_comes_with_the_calls_end(
    telephony: Telephony,
) -> None:
    async with answered(telephony, "9202") as call:
        began = trio.current_time()
        await call.wait_for_beep()
        waited_s = trio.current_time() - began
        assert MACHINE_GREETING_S + 0.3 <= waited_s <= MACHINE_GREETING_S + 1.5
        with pytest.raises(CallEnded):
            await call.wait_for_beep()


async def test_a_recording_ends_at_its_greatest_length(telephony: Telephony) -> None:
    async with answered(telephony, "9200") as call:
        recorded = await call.record("rec_1", max_s=0.5)
        assert (recorded.recording, recorded.ending) == ("rec_1", "max")
        assert 0.5 <= recorded.duration_s <= 0.6


async def test_a_recording_ends_when_nobody_speaks(telephony: Telephony) -> None:
    async with answered(telephony, "9200") as call:
        recorded = await call.record("rec_1", max_s=30, silence_s=0.6)
        assert recorded.ending == "silence"
        assert 0.9 <= recorded.duration_s <= 1.4


async def test_a_key_ends_a_recording_and_is_not_kept(telephony: Telephony) -> None:
    async with answered(telephony, "9201") as call:
        recorded = await call.record("rec_1", max_s=30, finish_on="#2")
        assert recorded.ending == "key"
        await call.wait_ended()
        assert [await call.next_digit(), await call.next_digit()] == ["1", "#"]


async def test_the_end_of_a_call_ends_its_recording_and_the_next_is_over_at_once(
    telephony: Telephony,
) -> None:
    async with answered(telephony, "9200") as call:
        recorded = await call.record("rec_1", max_s=30)
        assert recorded.ending == "call_ended"
        assert TALK_S - 0.3 <= recorded.duration_s <= TALK_S + 0.5
        await call.wait_ended()
        nothing = await call.record("rec_2", max_s=30)
        assert (nothing.recording, nothing.ending) == ("rec_2", "call_ended")
        assert nothing.duration_s <= 0.1
