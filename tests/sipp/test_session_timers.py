"""Item 4, session timers (RFC 4028): both refreshers, 422, silence, and re-INVITEs that cross."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from engine.ports.telephony import Answered, Ended
from tests.sipp.scenario import BY_CALLEE, HUNG_UP, Scenario, expected, play

pytestmark = [pytest.mark.peer, pytest.mark.punctual]

GOES_ON = Scenario((Answered(), BY_CALLEE), "answered", hang_up="never")
LOST = Scenario((Answered(), Ended("lost", 200, "OK")), "failed", hang_up="never")
TOO_SMALL = Ended("rejected", 422, "Session Interval Too Small")

SCENARIOS: Final[dict[str, Scenario]] = {
    "refresher_uac_update": GOES_ON,
    "refresher_uac_reinvite": GOES_ON,
    "refresher_uas_refreshes": GOES_ON,
    "refresher_uas_stops_refreshing": LOST,
    "422_session_interval": Scenario((Answered(), HUNG_UP), "answered"),
    "422_without_min_se": Scenario((TOO_SMALL,), "failed"),
    "422_for_ever": Scenario((TOO_SMALL,), "failed"),
    "refreshes_too_often": GOES_ON,
    "knows_no_session_timer": GOES_ON,
    "refresh_refused_481": LOST,
    "refresh_refused_488": GOES_ON,
    "reinvite_glare_491": GOES_ON,
}


@pytest.mark.parametrize("name", SCENARIOS)
async def test_a_session_is_kept_up_as_long_as_both_sides_want_it(
    name: str, sipp: str, tmp_path: Path
) -> None:
    assert await play(sipp, tmp_path, name, SCENARIOS[name]) == expected(SCENARIOS[name])
