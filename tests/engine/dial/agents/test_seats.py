"""The life of a seat, as a table."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.dial.agents.seats import PRESENCE, STEPS, Seat, SeatEvent, SeatState
from tests.contract.store_samples import an_agent

EVENTS: tuple[SeatEvent, ...] = get_args(SeatEvent)
STATES: tuple[SeatState, ...] = get_args(SeatState)


@given(st.lists(st.sampled_from(EVENTS), max_size=40))
def test_a_seat_has_a_customer_only_from_the_take_to_the_end_of_their_talk(
    events: list[SeatEvent],
) -> None:
    seat = Seat(an_agent())
    for number, event in enumerate(events):
        if event == "take":
            if seat.state == "free":
                seat.take(f"cnt_{number}", number)
            else:
                with pytest.raises(AssertionError):
                    seat.take(f"cnt_{number}", number)
        else:
            seat.step(event, number)
        assert (seat.customer is not None) == (seat.state in ("taken", "talking"))


def test_every_state_lies_between_expected_and_away_and_has_its_presence() -> None:
    assert {state for state, _ in STEPS} == set(STATES) - {"away"}
    assert set(STEPS.values()) == set(STATES) - {"expected"}
    assert set(PRESENCE) == set(STATES)
    assert {event for _, event in STEPS} == set(EVENTS)


def test_a_customer_is_given_only_to_who_is_free() -> None:
    assert [state for state, event in STEPS if event == "take"] == ["free"]


def test_only_who_is_expected_is_rung_and_whoever_is_away_stays_so_for_that_shift() -> None:
    assert [state for state, event in STEPS if event in ("ring", "come")] == ["expected"] * 2
    assert [event for state, event in STEPS if state == "away"] == []
