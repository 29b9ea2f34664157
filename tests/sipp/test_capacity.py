"""Item 5: refusals that say the carrier has no room, and for how long."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from engine.ports.telephony import Ended
from tests.sipp.scenario import Scenario, expected, play

pytestmark = pytest.mark.peer

BUSY_TRUNK: Final = "Service Unavailable"

SCENARIOS: Final[dict[str, Scenario]] = {
    "503_with_retry_after": Scenario(
        (Ended("rejected", 503, BUSY_TRUNK, retry_after_s=18.0),), "congested", "either"
    ),
    "503_without_retry_after": Scenario(
        (Ended("rejected", 503, BUSY_TRUNK),), "congested", "either"
    ),
    "503_with_retry_after_that_is_no_number": Scenario(
        (Ended("rejected", 503, BUSY_TRUNK),), "congested", "either"
    ),
    "503_too_many_calls_per_second": Scenario(
        (Ended("rejected", 503, "CPS limit exceeded", retry_after_s=1.0),), "congested", "pace"
    ),
    "429_too_many_requests": Scenario(
        (Ended("rejected", 429, "Too Many Requests", retry_after_s=5.0),), "congested", "pace"
    ),
    "403_channel_limit_in_words": Scenario(
        (Ended("rejected", 403, "Concurrent call limit exceeded"),), "congested", "channels"
    ),
    "486_with_words_of_a_limit": Scenario(
        (Ended("rejected", 486, "Maximum calls reached"),), "busy"
    ),
}


@pytest.mark.parametrize("name", SCENARIOS)
async def test_a_carrier_without_room_is_heard(name: str, sipp: str, tmp_path: Path) -> None:
    assert await play(sipp, tmp_path, name, SCENARIOS[name]) == expected(SCENARIOS[name])
