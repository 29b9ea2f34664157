"""Item 9: sipp calls us, as the trunk or as a stranger, and both sides are looked at.

The trunk is 127.0.0.1, strangers come from 127.0.0.2.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
import trio
from msgspec import Struct

from adapters.sip.trunk import Trunk
from adapters.sip.user_agent import UserAgent, UserAgentSettings, open_user_agent
from engine.ports.telephony import Answered, CallRequest, Ringing
from tests.adapters.sip.dice import Dice
from tests.adapters.sip.fake_media import FakePlane
from tests.sipp.carrier import Carrier, Place, Verdict, open_caller, open_carrier
from tests.sipp.scenario import HUNG_UP, PATIENT

pytestmark = pytest.mark.peer

STRANGER: Final = Place("127.0.0.2")
SIPP_S_MAX: Final = 60.0
COUNTERS: Final = (
    "calls_kept",
    "retransmissions_sent",
    "parse_errors",
    "strays",
    "strangers_refused",
    "strangers_ignored",
    "faults",
)


class Accosted(Struct, frozen=True):
    """Who calls us, and what is to be counted of it; what is not named stays 0."""

    place: Place
    counted: tuple[tuple[str, int], ...] = ()


SCENARIOS: Final[dict[str, Accosted]] = {
    "stranger_calls_us": Accosted(STRANGER, (("strangers_refused", 1), ("strangers_ignored", 1))),
    "stranger_scans_us": Accosted(STRANGER, (("strangers_refused", 1), ("strangers_ignored", 1))),
    "carrier_asks_options": Accosted(Place()),
    "carrier_calls_us": Accosted(Place()),
    "carrier_hangs_up_a_call_that_is_gone": Accosted(Place()),
    "carrier_sends_what_cannot_be_read": Accosted(Place(), (("parse_errors", 1),)),
    "carrier_speaks_another_version": Accosted(Place(), (("parse_errors", 1),)),
    "carrier_sends_stray_responses": Accosted(Place(), (("strays", 2),)),
}
OTHER_SCENARIOS: Final = ("stranger_floods_us", "stranger_hangs_up_our_call")

TRUNK: Final = Trunk("main", "127.0.0.1", 9)


def counted(agent: UserAgent) -> dict[str, int]:
    statistics = agent.statistics().sip
    found = {name: int(getattr(statistics, name)) for name in COUNTERS}
    return {name: count for name, count in found.items() if count}


async def verdict_of(caller: Carrier) -> Verdict:
    with trio.fail_after(SIPP_S_MAX):
        await caller.wait_exit()
    return caller.verdict()


@pytest.mark.parametrize("name", SCENARIOS)
async def test_who_calls_us_hears_what_the_scenario_says(
    name: str, sipp: str, tmp_path: Path
) -> None:
    accosted = SCENARIOS[name]
    settings = UserAgentSettings(trunks=(TRUNK,), timing=PATIENT)
    async with (
        open_user_agent(settings, FakePlane(), Dice()) as agent,
        open_caller(sipp, name, tmp_path, accosted.place, agent.address) as caller,
    ):
        verdict = await verdict_of(caller)
        seen = counted(agent)
    assert (verdict, seen) == (Verdict(), dict(accosted.counted))


async def test_a_stranger_who_floods_us_is_answered_a_few_times_and_then_not(
    sipp: str, tmp_path: Path
) -> None:
    flood = 60
    async with (
        open_user_agent(
            UserAgentSettings(trunks=(TRUNK,), timing=PATIENT), FakePlane(), Dice()
        ) as agent,
        open_caller(
            sipp,
            "stranger_floods_us",
            tmp_path,
            STRANGER,
            agent.address,
            options=("-m", str(flood), "-r", "1000", "-l", str(flood)),
        ) as caller,
    ):
        verdict = await verdict_of(caller)
        seen = counted(agent)
    assert verdict == Verdict(successful_calls=flood)
    refused = seen["strangers_refused"]
    assert seen == {"strangers_refused": refused, "strangers_ignored": flood - refused}
    assert 10 <= refused < flood / 2


async def test_a_stranger_who_knows_the_call_id_cannot_end_a_call(
    sipp: str, tmp_path: Path
) -> None:
    request = CallRequest("att_1", "+14155550199", "+14155550100", "main")
    for name in ("carrier", "stranger"):
        (tmp_path / name).mkdir()
    async with open_carrier(sipp, "answers", tmp_path / "carrier", Place()) as carrier:
        settings = UserAgentSettings(
            trunks=(Trunk("main", "127.0.0.1", carrier.port),), timing=PATIENT
        )
        async with (
            open_user_agent(settings, FakePlane(), Dice()) as agent,
            agent.prepare_call(request) as call,
        ):
            call.dial()
            progress = [await call.next_progress(), await call.next_progress()]
            async with open_caller(
                sipp,
                "stranger_hangs_up_our_call",
                tmp_path / "stranger",
                STRANGER,
                agent.address,
                options=("-cid_str", call.call_id),
            ) as stranger:
                assert await verdict_of(stranger) == Verdict()
            call.hang_up()
            progress.append(await call.next_progress())
            assert await verdict_of(carrier) == Verdict()
    assert progress == [Ringing(), Answered(), HUNG_UP]
