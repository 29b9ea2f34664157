"""Events in their wire form."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from engine.model.events import Event, number_event, rfc3339


@given(st.integers(0, 4_102_444_800_000))
def test_a_moment_is_written_with_its_milliseconds(milliseconds: int) -> None:
    expected = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    text = rfc3339(milliseconds / 1000)
    assert text.endswith("Z")
    assert datetime.fromisoformat(text) == expected


def test_an_event_is_the_json_object_of_the_contract() -> None:
    event = Event(
        "attempt.ended", 1_800_000_000.25, "acc_1", "flw_1", "lst_1", "cnt_1", "att_1", {"n": 1}
    )
    stored = number_event(event, 7)
    assert (stored.account, stored.seq, stored.type) == ("acc_1", 7, "attempt.ended")
    assert msgspec.json.decode(stored.body) == {
        "seq": 7,
        "time": "2027-01-15T08:00:00.250Z",
        "type": "attempt.ended",
        "account": "acc_1",
        "flow": "flw_1",
        "list": "lst_1",
        "contact": "cnt_1",
        "attempt": "att_1",
        "data": {"n": 1},
    }
