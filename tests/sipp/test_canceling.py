"""Item 4, CANCEL: when it may be sent, and what comes in its place."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from adapters.sip.call.transaction import Timing
from engine.ports.telephony import Ended, Ringing
from tests.sipp.scenario import CANCELED, HUNG_UP, Scenario, expected, play

pytestmark = [pytest.mark.peer, pytest.mark.punctual]

SCENARIOS: Final[dict[str, Scenario]] = {
    "only_100_trying": Scenario((CANCELED,), "no-answer", hang_up=0.2),
    "rings_forever": Scenario((Ringing(), CANCELED), "no-answer", hang_up=0.3),
    "sends_no_provisional_before_cancel": Scenario(
        (CANCELED,), "no-answer", hang_up="when dialled"
    ),
    "answers_a_held_cancel": Scenario((HUNG_UP,), "no-answer", hang_up="when dialled"),
    "refuses_a_held_cancel": Scenario(
        (Ended("rejected", 480, "Temporarily Unavailable"),), "no-answer", hang_up="when dialled"
    ),
    "answers_after_cancel": Scenario((Ringing(), HUNG_UP), "no-answer", hang_up="when it rings"),
    "refuses_after_cancel": Scenario(
        (Ringing(), Ended("we_hung_up", 603, "Decline")), "no-answer", hang_up="when it rings"
    ),
    "refuses_the_cancel": Scenario((Ringing(), CANCELED), "no-answer", hang_up="when it rings"),
    "never_sends_487": Scenario(
        (Ringing(), Ended("we_hung_up")),
        "no-answer",
        hang_up="when it rings",
        timing=Timing(t1=0.02),
    ),
    "sends_200_after_487": Scenario((Ringing(), CANCELED), "no-answer", hang_up="when it rings"),
}


@pytest.mark.parametrize("name", SCENARIOS)
async def test_a_call_that_we_give_up_ends_as_the_table_says(
    name: str, sipp: str, tmp_path: Path
) -> None:
    assert await play(sipp, tmp_path, name, SCENARIOS[name]) == expected(SCENARIOS[name])
