"""Item 4, where requests in a dialog go: Record-Route, strict routers, odd Contacts."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from engine.ports.telephony import Answered, Ringing
from tests.sipp.scenario import HUNG_UP, Scenario, expected, play

pytestmark = pytest.mark.peer

ANSWERED = Scenario((Answered(), HUNG_UP), "answered")

SCENARIOS: Final[dict[str, Scenario]] = {
    "record_route_loose": ANSWERED,
    "record_route_strict": ANSWERED,
    "record_route_of_two_proxies": Scenario((Ringing(), Answered(), HUNG_UP), "answered"),
    "record_route_mixed": ANSWERED,
    "reinvite_cannot_change_the_route": Scenario(
        (Answered(), HUNG_UP), "answered", hang_up="when media moved", audio_ports=(6000, 6200)
    ),
    "contact_with_a_host_name": ANSWERED,
}


@pytest.mark.parametrize("name", SCENARIOS)
async def test_requests_in_the_dialog_are_routed_as_the_carrier_wants(
    name: str, sipp: str, tmp_path: Path
) -> None:
    assert await play(sipp, tmp_path, name, SCENARIOS[name]) == expected(SCENARIOS[name])
