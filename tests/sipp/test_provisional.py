"""Item 4, before the answer: reliable provisional responses and UPDATE in an early dialog."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from adapters.sip.call.transaction import Timing
from engine.ports.telephony import Answered, Ringing
from tests.sipp.scenario import CANCELED, HUNG_UP, Scenario, expected, play

pytestmark = [pytest.mark.peer, pytest.mark.punctual]

RUNG_AND_ANSWERED = Scenario((Ringing(), Answered(), HUNG_UP), "answered")

SCENARIOS: Final[dict[str, Scenario]] = {
    "183_reliable_prack": RUNG_AND_ANSWERED,
    "180_reliable_without_sdp": RUNG_AND_ANSWERED,
    "two_reliable_provisionals": RUNG_AND_ANSWERED,
    "repeats_its_reliable_183": RUNG_AND_ANSWERED,
    "reliable_provisionals_out_of_order": RUNG_AND_ANSWERED,
    "loses_the_prack": Scenario(
        (Ringing(), Answered(), HUNG_UP),
        "answered",
        timing=Timing(t1=0.2),
        troubles=(("retransmissions_sent", 1),),
    ),
    "reliable_on_two_forks": RUNG_AND_ANSWERED,
    "requires_100rel_without_rseq": RUNG_AND_ANSWERED,
    "rings_reliably_for_ever": Scenario((Ringing(), CANCELED), "no-answer", hang_up=0.3),
    "update_in_early_dialog": Scenario(
        (Ringing(), Answered(), HUNG_UP), "answered", audio_ports=(6200,)
    ),
    "update_before_the_answer": RUNG_AND_ANSWERED,
}


@pytest.mark.parametrize("name", SCENARIOS)
async def test_a_reliable_response_is_acknowledged_once_and_in_its_dialog(
    name: str, sipp: str, tmp_path: Path
) -> None:
    assert await play(sipp, tmp_path, name, SCENARIOS[name]) == expected(SCENARIOS[name])
