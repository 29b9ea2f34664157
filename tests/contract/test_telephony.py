"""What every `Telephony` promises: the simulated network, and the SIP user agent against the simulated
carrier over real UDP with the real media plane.

The numbers end in the digits by which docs/simulator.md forces an outcome, so that both networks treat
them alike.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import numpy as np
import pytest
import soundfile
import trio

from adapters.media.client import open_media_plane
from adapters.media.prompts.library import PromptLibrary
from adapters.sip.trunk import Trunk
from adapters.sip.user_agent import UserAgentSettings, open_user_agent
from engine.ports.telephony import (
    Answered,
    Call,
    CallEnded,
    CallRequest,
    Ended,
    Progress,
    Ringing,
    Telephony,
    TelephonyUnavailable,
    TrunkCondition,
)
from sim.carrier import CarrierSettings, run_carrier
from sim.profile import Profile, always
from sim.telephony import CallScript, SimulatedTelephony

pytestmark = pytest.mark.punctual

PROMPT_S = 0.2
TALK_S = 0.6

PROFILE = Profile(talk_s=always(TALK_S), retry_after_s=1)
SCRIPTS = {
    "9200": CallScript(0.0, 0.0, talk_s=TALK_S),
    "9180": CallScript(0.0, 0.5, talk_s=TALK_S),
    "9486": CallScript(None, 0.0, 486, q850=17, reason="Busy Here"),
    "9404": CallScript(None, 0.0, 404, q850=1, reason="Not Found"),
    "9503": CallScript(None, 0.0, 503, retry_after_s=1.0, reason="Service Unavailable"),
    "9480": CallScript(0.0, None),
}


@asynccontextmanager
async def simulated_network(_folder: Path) -> AsyncIterator[Telephony]:
    yield SimulatedTelephony(lambda request, _: SCRIPTS[request.number[-4:]], PROMPT_S)


@asynccontextmanager
async def sip_network(folder: Path, profile: Profile = PROFILE) -> AsyncIterator[Telephony]:
    sound = 0.3 * np.sin(np.arange(int(8000 * PROMPT_S)) / 5)
    wav = folder / "tone.wav"
    soundfile.write(wav, sound, 8000)
    PromptLibrary(folder).add("prm_tone", wav.read_bytes())
    async with trio.open_nursery() as nursery:
        address = await nursery.start(
            run_carrier, CarrierSettings(bind="127.0.0.1:0", profile=profile)
        )
        settings = UserAgentSettings((Trunk("main", *address),))
        async with (
            open_media_plane(
                "127.0.0.1", prompts_folder=folder, recordings_folder=folder, ports=(0, 0)
            ) as plane,
            open_user_agent(settings, plane, Random(1)) as agent,
        ):
            yield agent
        nursery.cancel_scope.cancel()


@pytest.fixture(params=[simulated_network, sip_network], ids=["simulated", "sip"])
async def telephony(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Telephony]:
    with trio.fail_after(30):
        async with request.param(tmp_path) as network:
            yield network


def request_to(ending: str, trunk: str = "main") -> CallRequest:
    return CallRequest("att_1", f"+1415555{ending}", "+14155550100", trunk)


async def follow(telephony: Telephony, ending: str) -> list[Progress]:
    """Everything that happens on a call that is left to itself."""
    seen: list[Progress] = []
    async with telephony.prepare_call(request_to(ending)) as call:
        call.dial()
        while not (seen and isinstance(seen[-1], Ended)):
            progress = await call.next_progress()
            if progress not in seen:
                seen.append(progress)
        assert await call.next_progress() == seen[-1]
        assert await call.wait_ended() == seen[-1]
    return seen


async def play_for_ever(call: Call) -> None:
    while True:
        await call.play("prm_tone")


async def test_an_answered_call_rings_is_answered_and_ends_when_the_callee_hangs_up(
    telephony: Telephony,
) -> None:
    ringing, answered, ended = await follow(telephony, "9180")
    assert (ringing, answered) == (Ringing(), Answered())
    assert isinstance(ended, Ended)
    assert (ended.how, ended.sip_code) == ("callee_hung_up", 200)


@pytest.mark.parametrize(
    ("ending", "expected"),
    [
        ("9486", Ended("rejected", 486, "Busy Here", 17)),
        ("9404", Ended("rejected", 404, "Not Found", 1)),
    ],
)
async def test_a_refusal_ends_the_call_with_everything_that_was_said(
    telephony: Telephony, ending: str, expected: Ended
) -> None:
    assert await follow(telephony, ending) == [expected]


async def test_nothing_is_told_of_trunks_that_can_be_used(telephony: Telephony) -> None:
    told: list[TrunkCondition] = []
    telephony.watch_trunks(told.append)
    await follow(telephony, "9486")
    assert told == []


async def test_a_congested_network_says_when_to_come_again(telephony: Telephony) -> None:
    [ended] = await follow(telephony, "9503")
    assert isinstance(ended, Ended)
    assert (ended.how, ended.sip_code, ended.retry_after_s) == ("rejected", 503, 1.0)


async def test_a_prompt_is_played_to_its_end_and_then_the_caller_may_hang_up(
    telephony: Telephony,
) -> None:
    async with telephony.prepare_call(request_to("9200")) as call:
        call.dial()
        while await call.next_progress() != Answered():
            pass
        begun = trio.current_time()
        await call.play("prm_tone")
        assert trio.current_time() - begun >= PROMPT_S - 0.02
        call.hang_up()
        call.hang_up()
        assert (await call.wait_ended()).how == "we_hung_up"


async def test_a_callee_who_hangs_up_interrupts_what_is_played(telephony: Telephony) -> None:
    async with telephony.prepare_call(request_to("9200")) as call:
        call.dial()
        while await call.next_progress() != Answered():
            pass
        with pytest.raises(CallEnded) as caught:
            await play_for_ever(call)
        assert caught.value.ended.how == "callee_hung_up"


async def test_a_call_that_rings_can_be_hung_up(telephony: Telephony) -> None:
    async with telephony.prepare_call(request_to("9480")) as call:
        call.dial()
        assert await call.next_progress() == Ringing()
        call.hang_up()
        ended = await call.wait_ended()
        assert (ended.how, ended.sip_code) == ("we_hung_up", 487)


async def test_a_call_that_was_never_dialled_can_be_hung_up_and_left(
    telephony: Telephony,
) -> None:
    async with telephony.prepare_call(request_to("9200")) as call:
        call.hang_up()
        assert (await call.wait_ended()).how == "we_hung_up"
    async with telephony.prepare_call(request_to("9200")):
        pass


@asynccontextmanager
async def answered_call(telephony: Telephony, ending: str) -> AsyncIterator[Call]:
    async with telephony.prepare_call(request_to(ending)) as call:
        call.dial()
        while await call.next_progress() != Answered():
            pass
        yield call


async def test_of_two_bridged_calls_the_one_that_ends_comes_back_and_the_other_goes_on(
    telephony: Telephony,
) -> None:
    # The second is answered later, and so ends later.
    async with (
        answered_call(telephony, "9200") as first,
        answered_call(telephony, "9180") as second,
    ):
        assert await second.bridge(first) is first
        assert (await first.wait_ended()).how == "callee_hung_up"
        await second.play("prm_tone")
        second.hang_up()
        assert (await second.wait_ended()).how == "we_hung_up"
        # What has ended comes back at once.
        assert await first.bridge(second) in {first, second}


async def test_calls_that_are_parted_can_play_again(telephony: Telephony) -> None:
    async with (
        answered_call(telephony, "9200") as first,
        answered_call(telephony, "9200") as second,
    ):
        with trio.move_on_after(0.05) as bridged:
            await first.bridge(second)
        assert bridged.cancelled_caught
        await first.play("prm_tone")
        await second.play("prm_tone")


async def test_leaving_a_call_ends_it_and_waits_for_nobody(telephony: Telephony) -> None:
    async with telephony.prepare_call(request_to("9480")) as call:
        call.dial()
        assert await call.next_progress() == Ringing()
    assert call.call_id


async def test_many_calls_at_once_do_not_disturb_each_other(telephony: Telephony) -> None:
    seen: dict[str, list[Progress]] = {}

    async def one(ending: str, serial: int) -> None:
        seen[f"{ending} {serial}"] = await follow(telephony, ending)

    async with trio.open_nursery() as nursery:
        for serial in range(10):
            for ending in ("9180", "9486", "9404"):
                nursery.start_soon(one, ending, serial)
    ends = {name: [type(one).__name__ for one in progress] for name, progress in seen.items()}
    expected = {"9180": ["Ringing", "Answered", "Ended"], "9486": ["Ended"], "9404": ["Ended"]}
    assert ends == {name: expected[name[:4]] for name in ends}
    assert len(ends) == 30


async def test_a_trunks_condition_is_told_as_it_is_and_as_it_changes() -> None:
    """The simulated network's trunks become what a test says; the user agent's need a peer that fails."""
    network = SimulatedTelephony(lambda request, _: SCRIPTS[request.number[-4:]])
    gone = TrunkCondition("main", False, "gone")
    well = TrunkCondition("main", True, "well")
    told: list[TrunkCondition] = []
    late: list[TrunkCondition] = []
    network.set_condition("main", False, "gone")
    network.watch_trunks(told.append)
    network.set_condition("other", True, "well")
    network.set_condition("main", True, "well")
    network.watch_trunks(late.append)
    network.set_condition("main", False, "gone")
    assert (told, late) == ([gone, well, gone], [gone])


async def test_an_unknown_trunk_prepares_no_call(tmp_path: Path) -> None:
    """Only the user agent knows its trunks; the simulated network carries everything."""
    async with sip_network(tmp_path) as agent:
        with pytest.raises(TelephonyUnavailable):
            async with agent.prepare_call(request_to("9200", trunk="elsewhere")):
                pass
