"""Item 4, what a callee asks for while the call is up."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from adapters.sip.call.transaction import Timing
from engine.ports.telephony import Answered, Ended, Ringing
from tests.sipp.scenario import BY_CALLEE, HUNG_UP, SOME, Scenario, expected, play

pytestmark = [pytest.mark.peer, pytest.mark.punctual]

GOES_ON = Scenario((Ringing(), Answered(), BY_CALLEE), "answered", hang_up="never")
"""Whatever the callee asked for, the call stands until the callee ends it."""
MOVES = Scenario(
    (Ringing(), Answered(), HUNG_UP),
    "answered",
    hang_up="when media moved",
    audio_ports=(6000, 6200),
)

SCENARIOS: Final[dict[str, Scenario]] = {
    "reinvite_hold": GOES_ON,
    "reinvite_hold_of_rfc_2543": Scenario(
        GOES_ON.progress, "answered", hang_up="never", audio_ports=(6000, 6000)
    ),
    "reinvite_without_sdp": Scenario(
        GOES_ON.progress, "answered", hang_up="never", audio_ports=(6000, 6200)
    ),
    "reinvite_moves_media_and_target": MOVES,
    "reinvite_with_video_only": GOES_ON,
    "reinvite_adds_video": GOES_ON,
    "reinvite_with_a_foreign_body": GOES_ON,
    "reinvite_requires_an_unknown_extension": GOES_ON,
    "reinvite_before_the_ack_of_the_last": GOES_ON,
    "reinvite_never_acknowledged": Scenario(
        (Ringing(), Answered(), Ended("lost", 200, "OK")),
        "failed",
        hang_up="never",
        timing=Timing(t1=0.03),
        troubles=(("retransmissions_sent", SOME),),
    ),
    "repeats_its_reinvite": GOES_ON,
    "cancels_its_reinvite": GOES_ON,
    "update_in_dialog": MOVES,
    "update_during_our_offer": GOES_ON,
    "options_in_dialog": GOES_ON,
    "info_in_dialog": GOES_ON,
    "refer_refused": GOES_ON,
    "unknown_method_501": GOES_ON,
    "unknown_dialog_481": GOES_ON,
    "old_cseq_500": GOES_ON,
    "sends_garbage_in_the_call": Scenario(
        GOES_ON.progress, "answered", hang_up="never", troubles=(("parse_errors", 1),)
    ),
}


@pytest.mark.parametrize("name", SCENARIOS)
async def test_a_callee_who_asks_for_something_gets_what_the_table_says(
    name: str, sipp: str, tmp_path: Path
) -> None:
    assert await play(sipp, tmp_path, name, SCENARIOS[name]) == expected(SCENARIOS[name])
