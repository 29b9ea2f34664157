"""Item 6: from a refusal's status and Q.850 cause to the disposition, and both raw values beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from adapters.sip.trunk import Trunk
from engine.model.disposition import read_outcome_table
from engine.ports.telephony import Ended, Ringing
from tests.sipp.scenario import Scenario, expected, play

pytestmark = pytest.mark.peer

SCENARIOS: Final[dict[str, Scenario]] = {
    "rings_then_busy": Scenario(
        (
            Ringing(),
            Ended("rejected", 486, "Busy Here"),
        ),
        "busy",
    ),
    "repeats_its_486": Scenario((Ringing(), Ended("rejected", 486, "Busy Here")), "busy"),
    "600_busy_everywhere": Scenario((Ended("rejected", 600, "Busy Everywhere"),), "busy"),
    "603_decline": Scenario(
        (
            Ringing(),
            Ended("rejected", 603, "Decline"),
        ),
        "declined",
    ),
    "480_temporarily_unavailable": Scenario(
        (Ended("rejected", 480, "Temporarily Unavailable"),), "no-answer"
    ),
    "408_request_timeout": Scenario(
        (
            Ringing(),
            Ended("rejected", 408, "Request Timeout"),
        ),
        "no-answer",
    ),
    "404_not_found": Scenario((Ended("rejected", 404, "Not Found"),), "invalid-number"),
    "410_gone": Scenario((Ended("rejected", 410, "Gone"),), "invalid-number"),
    "484_address_incomplete": Scenario(
        (Ended("rejected", 484, "Address Incomplete"),), "invalid-number"
    ),
    "604_does_not_exist_anywhere": Scenario(
        (Ended("rejected", 604, "Does Not Exist Anywhere"),), "invalid-number"
    ),
    "607_unwanted": Scenario((Ended("rejected", 607, "Unwanted"),), "blocked"),
    "608_rejected": Scenario((Ended("rejected", 608, "Rejected"),), "blocked"),
    "403_forbidden": Scenario((Ended("rejected", 403, "Forbidden"),), "failed"),
    "488_not_acceptable_here": Scenario((Ended("rejected", 488, "Not Acceptable Here"),), "failed"),
    "500_server_internal_error": Scenario(
        (Ended("rejected", 500, "Server Internal Error", retry_after_s=7.0),), "failed"
    ),
    "699_of_its_own": Scenario((Ended("rejected", 699, ""),), "failed"),
    "302_not_followed": Scenario((Ended("rejected", 302, "Moved Temporarily"),), "failed"),
    "300_with_many_choices": Scenario((Ended("rejected", 300, "Multiple Choices"),), "failed"),
    "486_with_q850_21": Scenario((Ended("rejected", 486, "Busy Here", q850=21),), "declined"),
    "480_with_q850_17": Scenario(
        (Ended("rejected", 480, "Temporarily Unavailable", q850=17),), "busy"
    ),
    "503_with_q850_1": Scenario(
        (Ended("rejected", 503, "Service Unavailable", q850=1),), "invalid-number"
    ),
    "500_with_q850_34": Scenario(
        (Ended("rejected", 500, "Server Internal Error", q850=34),),
        "congested",
        congestion="either",
    ),
    "480_with_q850_16": Scenario(
        (
            Ringing(),
            Ended("rejected", 480, "Temporarily Unavailable", q850=16),
        ),
        "no-answer",
    ),
    "603_with_reasons_of_two_protocols": Scenario(
        (Ended("rejected", 603, "Decline", q850=17),), "busy"
    ),
    "404_with_a_reason_that_cannot_be_read": Scenario(
        (Ended("rejected", 404, "Not Found"),), "invalid-number"
    ),
    "301_names_another_number": Scenario(
        (Ended("rejected", 301, "Moved Permanently", redirected_to="+14155550123"),),
        "failed",
        trunk=Trunk("main", "127.0.0.1", follows_redirects=True),
    ),
    "302_names_no_number": Scenario(
        (Ended("rejected", 302, "Moved Temporarily"),),
        "failed",
        trunk=Trunk("main", "127.0.0.1", follows_redirects=True),
    ),
    "487_at_its_own_time_out": Scenario(
        (Ringing(), Ended("rejected", 487, "Request Terminated")),
        "no-answer",
        outcomes=read_outcome_table([("sip:487", "no-answer")]),
    ),
    "announcement_then_404": Scenario(
        (
            Ringing(),
            Ended("rejected", 404, "Not Found"),
        ),
        "invalid-number",
    ),
}


@pytest.mark.parametrize("name", SCENARIOS)
async def test_a_refusal_means_what_the_table_says(name: str, sipp: str, tmp_path: Path) -> None:
    assert await play(sipp, tmp_path, name, SCENARIOS[name]) == expected(SCENARIOS[name])
