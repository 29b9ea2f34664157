"""What is told of a contact after an attempt."""

from __future__ import annotations

import pytest
from msgspec import structs

from engine.dial.attempts.record import following_event, sip_of
from engine.model import SipOutcome
from engine.ports.telephony import Ended
from tests.engine.made import EPOCH, contact


def test_until_when_a_contact_waits_is_told_as_the_api_writes_times() -> None:
    waiting = structs.replace(contact(), wait_code="retry_wait", due_at=EPOCH + 90.5)
    told = following_event(waiting, EPOCH)
    assert (told.type, told.data) == (
        "contact.waiting",
        {"blocker": "retry_wait", "until": "2027-01-15T08:01:30.500Z"},
    )


@pytest.mark.parametrize(
    ("ended", "code", "reason"),
    [
        (Ended("unreachable"), None, "No final response came"),
        (Ended("we_hung_up"), None, "No final response came"),
        (Ended("we_hung_up", 487, "Request Terminated"), 487, "Request Terminated"),
        (Ended("rejected", 408, "Request Timeout"), 408, "Request Timeout"),
        (Ended("lost"), None, ""),
    ],
)
def test_a_record_says_what_the_wire_said_and_that_it_said_nothing(
    ended: Ended, code: int | None, reason: str
) -> None:
    assert sip_of(ended, "a@b") == SipOutcome(code, reason, "a@b")


def test_a_record_says_whether_a_silent_trunk_could_be_reached() -> None:
    refused = Ended("unreachable", failure="refused")
    assert sip_of(refused, "a@b") == SipOutcome(None, "No final response came", "a@b", "refused")
