"""What is told of a contact after an attempt."""

from __future__ import annotations

from msgspec import structs

from engine.dial.record import following_event
from tests.engine.made import EPOCH, contact


def test_until_when_a_contact_waits_is_told_as_the_api_writes_times() -> None:
    waiting = structs.replace(contact(), wait_code="retry_wait", due_at=EPOCH + 90.5)
    told = following_event(waiting, EPOCH)
    assert (told.type, told.data) == (
        "contact.waiting",
        {"blocker": "retry_wait", "until": "2027-01-15T08:01:30.500Z"},
    )
