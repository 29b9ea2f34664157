"""Item 4, BYE: from either side, from both at once, lost, refused, and too early."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from adapters.sip.call.transaction import Timing
from engine.ports.telephony import Answered, Ended, Ringing
from tests.sipp.scenario import BY_CALLEE, HUNG_UP, SOME, Scenario, expected, play

pytestmark = [pytest.mark.peer, pytest.mark.punctual]

RUNG_AND_ANSWERED = Scenario((Ringing(), Answered(), HUNG_UP), "answered")

SCENARIOS: Final[dict[str, Scenario]] = {
    "callee_hangs_up": Scenario((Ringing(), Answered(), BY_CALLEE), "answered", hang_up="never"),
    "callee_hangs_up_with_reason": Scenario(
        (Ringing(), Answered(), Ended("callee_hung_up", 200, "OK", q850=16)),
        "answered",
        hang_up="never",
    ),
    "callee_hangs_up_before_its_200": Scenario((Ringing(), BY_CALLEE), "answered", hang_up="never"),
    "bye_glare": RUNG_AND_ANSWERED,
    "refuses_the_bye": RUNG_AND_ANSWERED,
    "loses_first_bye": Scenario(
        (Ringing(), Answered(), HUNG_UP),
        "answered",
        timing=Timing(t1=0.2),
        troubles=(("retransmissions_sent", 1),),
    ),
    "never_answers_the_bye": Scenario(
        (Ringing(), Answered(), HUNG_UP),
        "answered",
        timing=Timing(t1=0.02),
        troubles=(("retransmissions_sent", SOME),),
    ),
}


@pytest.mark.parametrize("name", SCENARIOS)
async def test_a_call_ends_as_the_table_says(name: str, sipp: str, tmp_path: Path) -> None:
    assert await play(sipp, tmp_path, name, SCENARIOS[name]) == expected(SCENARIOS[name])
