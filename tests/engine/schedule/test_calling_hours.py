"""Calling windows, against a calendar that looks at every minute."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.model import DAYS, CallingWindow
from engine.schedule.calling_hours import (
    HORIZON_DAYS,
    CallingBook,
    CallingHours,
    Hours,
    Party,
)
from tests.sizes import size

MINUTE_S = 60
STEP_S = size(15, 1) * MINUTE_S
"""How finely a year is gone through. What opens, closes and is set does so at a quarter of an hour."""
YEAR = datetime(2027, 1, 1, tzinfo=UTC).timestamp()
ZONES = (
    "Asia/Kolkata",
    "America/New_York",
    "America/Los_Angeles",
    "Europe/London",
    "Europe/Berlin",
    "Australia/Lord_Howe",  # set by half an hour
    "Africa/Casablanca",  # set back for a month of the year
    "America/Havana",  # set at midnight
    "Asia/Kathmandu",  # at a quarter of an hour
    "Pacific/Chatham",
)


def at(text: str, zone: str = "UTC", fold: int = 0) -> float:
    """A wall time → seconds since the epoch."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


def minute_by_minute(window: CallingWindow, zone: str, moment: float) -> bool:
    """The meaning of a window, read off a wall clock and a calendar, in words of its own."""
    wall = datetime.fromtimestamp(moment, ZoneInfo(zone))
    now = wall.strftime("%H:%M")
    today, yesterday = wall.date(), wall.date() - timedelta(days=1)

    def begins(day: object) -> bool:
        assert isinstance(day, type(today))
        return DAYS[day.weekday()] in window.days and day.isoformat() not in window.holidays

    if today.isoformat() in window.holidays:
        return False
    if window.start < window.end:
        return begins(today) and window.start <= now < window.end
    return (begins(today) and now >= window.start) or (begins(yesterday) and now < window.end)


times = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.sampled_from((0, 15, 30, 59)))
dates = st.dates(date(2027, 1, 1), date(2028, 1, 5)).map(str)
windows = st.builds(
    CallingWindow,
    start=times,
    end=times | st.just("24:00"),
    days=st.lists(st.sampled_from(DAYS), min_size=1, unique=True).map(tuple),
    holidays=st.lists(dates, max_size=20).map(tuple),
)


@pytest.mark.parametrize("zone", ZONES)
def test_every_minute_of_a_year_is_open_or_closed_as_the_calendar_says(zone: str) -> None:
    window = CallingWindow(
        "20:15", "02:30", ("mon", "wed", "sat", "sun"), holidays=("2027-03-14", "2027-12-25")
    )
    hours = CallingHours([Party((window,), zone)], ())
    moment, end = YEAR, YEAR + 365 * 86_400
    while moment < end:
        found = hours.hours_at(moment)
        assert found.until is not None
        assert found.until > moment
        minute = moment
        while minute < min(found.until, end):
            assert minute_by_minute(window, zone, minute) is found.is_open, minute
            minute += STEP_S
        moment = found.until


@settings(max_examples=size(60, 2_000), deadline=None)
@given(
    st.lists(st.lists(windows, min_size=1, max_size=3), min_size=1, max_size=2),
    st.lists(st.sampled_from(ZONES), min_size=1, max_size=3, unique=True),
    st.integers(0, 364 * 1440),
)
def test_hours_agree_with_a_search_minute_by_minute(
    parties: list[list[CallingWindow]], zones: list[str], minute: int
) -> None:
    """Several windows: one is enough. Several zones, and several parties: all have to agree."""
    moment = YEAR + minute * MINUTE_S

    def is_open(when: float) -> bool:
        return all(
            any(minute_by_minute(window, zone, when) for window in some)
            for some in parties
            for zone in zones
        )

    hours = CallingHours([Party(tuple(some), "UTC") for some in parties], zones)
    expected = is_open(moment)
    assert hours.is_open(moment) is expected
    later = (moment + step * MINUTE_S for step in range(1, 3 * 1440))
    change = next((when for when in later if is_open(when) is not expected), None)
    found = hours.hours_at(moment)
    if change is not None:
        assert found == Hours(expected, change)
    elif found.until is not None:
        assert found.until >= moment + 3 * 86_400
        assert is_open(found.until) is not expected


def test_an_hour_that_a_clock_skips_is_in_no_window_and_its_end_opens_what_began_in_it() -> None:
    window = CallingWindow("02:30", "04:00")
    hours = CallingHours([Party((window,), "America/New_York")], ())
    before = at("2027-03-14T01:59", "America/New_York")
    assert hours.hours_at(before) == Hours(False, at("2027-03-14T03:00", "America/New_York"))
    assert at("2027-03-14T03:00", "America/New_York") - before == MINUTE_S


def test_an_hour_that_comes_twice_is_open_both_times() -> None:
    window = CallingWindow("01:00", "01:30")
    hours = CallingHours([Party((window,), "America/New_York")], ())
    first = at("2027-11-07T01:00", "America/New_York")
    second = at("2027-11-07T01:00", "America/New_York", fold=1)
    assert second - first == 3_600
    assert hours.hours_at(first - 60) == Hours(False, first)
    assert hours.hours_at(first) == Hours(True, first + 1_800)
    assert hours.hours_at(first + 1_800) == Hours(False, second)
    assert hours.hours_at(second) == Hours(True, second + 1_800)


def test_a_span_over_midnight_belongs_to_the_day_on_which_it_begins() -> None:
    window = CallingWindow("22:00", "02:00", ("fri",))
    hours = CallingHours([Party((window,), "UTC")], ())
    friday = at("2027-01-01T22:00")
    assert hours.hours_at(friday - 3600) == Hours(False, friday)
    assert hours.hours_at(friday) == Hours(True, friday + 4 * 3600)


def test_on_a_holiday_nobody_is_called_and_what_ran_into_it_ends_at_midnight() -> None:
    window = CallingWindow("22:00", "02:00", holidays=("2027-12-25",))
    hours = CallingHours([Party((window,), "UTC")], ())
    assert hours.hours_at(at("2027-12-24T23:00")) == Hours(True, at("2027-12-25T00:00"))
    assert hours.next_opening(at("2027-12-25T00:00")) == at("2027-12-26T22:00")


def test_a_window_whose_end_is_its_start_is_the_whole_day() -> None:
    for end in ("00:00", "24:00"):
        hours = CallingHours([Party((CallingWindow("00:00", end),), "UTC")], ("Asia/Kolkata",))
        assert hours.hours_at(YEAR + 1234) == Hours(True, None)
        assert hours.open_until(YEAR + 1234) is None


def test_of_all_zones_that_a_callee_may_be_in_every_one_has_to_allow_it() -> None:
    window = CallingWindow("09:00", "21:00")
    zones = ("America/New_York", "America/Los_Angeles")
    hours = CallingHours([Party((window,), "UTC")], zones)
    opens = at("2027-06-01T09:00", "America/Los_Angeles")
    closes = at("2027-06-01T21:00", "America/New_York")
    assert hours.next_opening(at("2027-06-01T06:00", "America/New_York")) == opens
    assert hours.open_until(opens) == closes


def test_a_window_that_names_a_zone_holds_there_and_where_the_callee_is() -> None:
    window = CallingWindow("09:00", "21:00", timezone="Asia/Kolkata")
    hours = CallingHours([Party((window,), "UTC")], ("Europe/London",))
    assert hours.next_opening(at("2027-01-04T00:00")) == at("2027-01-04T09:00")
    assert hours.open_until(at("2027-01-04T09:00")) == at("2027-01-04T15:30")


def test_a_window_that_does_not_go_by_callees_holds_in_its_own_zone_alone() -> None:
    named = CallingWindow("09:00", "21:00", timezone="Asia/Kolkata", callee_zone=False)
    unnamed = CallingWindow("09:00", "21:00", callee_zone=False)
    for window in (named, unnamed):
        hours = CallingHours([Party((window,), "Asia/Kolkata")], ("Europe/London",))
        assert hours.hours_at(at("2027-01-04T04:00")) == Hours(True, at("2027-01-04T15:30"))


def test_where_a_number_tells_no_zone_each_party_goes_by_its_own() -> None:
    hours = CallingHours(
        [
            Party((CallingWindow("09:00", "21:00"),), "Asia/Kolkata"),
            Party((CallingWindow("08:00", "20:00"),), "Europe/London"),
        ],
        (),
    )
    assert hours.next_opening(at("2027-01-04T00:00")) == at("2027-01-04T08:00")
    assert hours.open_until(at("2027-01-04T08:00")) == at("2027-01-04T15:30")


def test_without_windows_it_is_always_open() -> None:
    assert CallingHours([Party((), "UTC")], ("Asia/Kolkata",)).hours_at(YEAR) == Hours(True, None)
    book = CallingBook([Party((), "UTC")])
    assert book.is_always_open
    assert book.closed_until(("Asia/Kolkata",), YEAR) is None


def test_what_does_not_open_within_the_horizon_never_opens() -> None:
    days = [str(date(2027, 1, 1) + timedelta(days=n)) for n in range(60)]
    window = CallingWindow("09:00", "21:00", holidays=tuple(days))
    hours = CallingHours([Party((window,), "UTC")], ())
    assert hours.next_opening(YEAR) is None
    assert hours.next_opening(YEAR + (61 - HORIZON_DAYS) * 86_400) == YEAR + 59 * 86_400 + 118_800
    assert CallingBook([Party((window,), "UTC")]).closed_until((), YEAR) == float("inf")


@given(st.lists(st.integers(0, 20 * 1440), min_size=1, max_size=20))
def test_a_book_gives_what_is_true_at_each_moment_in_whatever_order_it_is_asked(
    minutes: list[int],
) -> None:
    parties = [Party((CallingWindow("09:00", "21:00", ("mon", "tue", "fri")),), "Asia/Kolkata")]
    book, hours = CallingBook(parties), CallingHours(parties, ("Europe/London",))
    for minute in minutes:
        moment = YEAR + minute * MINUTE_S
        opening = hours.next_opening(moment)
        expected = None if opening == moment else opening
        assert book.closed_until(("Europe/London",), moment) == expected
