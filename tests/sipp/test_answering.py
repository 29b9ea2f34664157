"""Item 4, up to the answer: ringing, early media, forks, answers of every shape."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from adapters.sip.call.transaction import Timing
from engine.ports.telephony import Answered, Ended, Ringing
from tests.sipp.scenario import BY_CALLEE, HUNG_UP, NO_MEDIA, SOME, Scenario, expected, play

pytestmark = [pytest.mark.peer, pytest.mark.punctual]

ANSWERED = Scenario((Answered(), HUNG_UP), "answered")
RUNG_AND_ANSWERED = Scenario((Ringing(), Answered(), HUNG_UP), "answered")

SCENARIOS: Final[dict[str, Scenario]] = {
    "answers": RUNG_AND_ANSWERED,
    "answers_without_ringing": ANSWERED,
    "rings_many_times": RUNG_AND_ANSWERED,
    "is_slow_to_ring": Scenario(
        (Ringing(), Answered(), HUNG_UP), "answered", timing=Timing(t1=0.05)
    ),
    "early_media_183": RUNG_AND_ANSWERED,
    "answer_only_in_183": RUNG_AND_ANSWERED,
    "no_sdp_in_200": Scenario((Ringing(), NO_MEDIA), "failed"),
    "refuses_the_audio_in_200": Scenario((NO_MEDIA,), "failed"),
    "answers_with_a_foreign_codec": Scenario((NO_MEDIA,), "failed"),
    "answers_on_hold": Scenario((NO_MEDIA,), "failed"),
    "multipart_sdp": RUNG_AND_ANSWERED,
    "dynamic_payload": ANSWERED,
    "large_sdp": RUNG_AND_ANSWERED,
    "compact_headers": ANSWERED,
    "no_contact_in_200": ANSWERED,
    "rings_on_two_forks": RUNG_AND_ANSWERED,
    "answers_with_two_forks": Scenario(
        (Ringing(), Answered(), BY_CALLEE), "answered", hang_up="never"
    ),
    "a_fork_answers_after_the_end": ANSWERED,
    "repeats_its_200": Scenario((Ringing(), Answered(), BY_CALLEE), "answered", hang_up="never"),
    "repeats_its_200_after_the_end": ANSWERED,
    "loses_first_invite": Scenario(
        (Answered(), HUNG_UP),
        "answered",
        timing=Timing(t1=0.2),
        troubles=(("retransmissions_sent", 1),),
    ),
    "never_answers": Scenario(
        (Ended("unreachable", failure="timed_out"),),
        None,
        timing=Timing(t1=0.03),
        troubles=(("retransmissions_sent", SOME),),
    ),
}


@pytest.mark.parametrize("name", SCENARIOS)
async def test_a_call_that_this_carrier_takes_goes_as_the_table_says(
    name: str, sipp: str, tmp_path: Path
) -> None:
    assert await play(sipp, tmp_path, name, SCENARIOS[name]) == expected(SCENARIOS[name])
