"""Start times."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.intake.refused import Refused
from engine.intake.starttime import read_name_time, read_starttime

BERLIN = ZoneInfo("Europe/Berlin")


def utc(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2030-07-01T09:30:00", "2030-07-01T07:30:00"),
        ("2030-01-01T09:30:00", "2030-01-01T08:30:00"),
        (" 2030-07-01 09:30 ", "2030-07-01T07:30:00"),
        ("2030-07-01T09:30:00Z", "2030-07-01T09:30:00"),
        ("2030-07-01T09:30:00+05:30", "2030-07-01T04:00:00"),
        ("20300701T093000", "2030-07-01T07:30:00"),
        ("2030-07-01T09:30:00.250", "2030-07-01T07:30:00.250"),
        ("2030-07-01", "2030-06-30T22:00:00"),
    ],
)
def test_a_time_without_an_offset_is_in_the_flows_zone(text: str, expected: str) -> None:
    assert read_starttime(text, BERLIN) == utc(expected)


def test_a_time_that_summer_time_skips_is_moved_forward() -> None:
    assert read_starttime("2030-03-31T02:30:00", BERLIN) == utc("2030-03-31T01:30:00")
    assert read_starttime("2030-03-31T03:30:00", BERLIN) == utc("2030-03-31T01:30:00")


def test_a_time_that_comes_twice_is_the_first() -> None:
    assert read_starttime("2030-10-27T02:30:00", BERLIN) == utc("2030-10-27T00:30:00")


@pytest.mark.parametrize(
    "text",
    ["", "now", "01/07/2030 09:30", "2030-13-01", "2030-02-30T10:00", "1900000000", "x" * 100],
)
def test_what_is_not_iso_8601_is_no_time(text: str) -> None:
    assert read_starttime(text, BERLIN) is None


@settings(deadline=None)
@given(st.text() | st.datetimes().map(str) | st.from_regex(r"[0-9TZ:+. -]{1,40}"))
def test_any_text_is_a_time_or_none(text: str) -> None:
    found = read_starttime(text, BERLIN)
    assert found is None or isinstance(found, float)


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00", "9999-12-31T23:59:59-23:59"])
def test_the_ends_of_the_calendar_do_not_raise(text: str) -> None:
    found = read_starttime(text, ZoneInfo("Asia/Kolkata"))
    assert found is None or isinstance(found, float)


def test_the_name_of_an_uploaded_file_carries_its_time() -> None:
    expected = utc("2030-07-01T07:30:15")
    assert read_name_time("upload_01072030093015.csv", BERLIN) == expected
    assert read_name_time("UPLOAD_01072030093015.CSV", BERLIN) == expected


@pytest.mark.parametrize(
    "name",
    [
        "",
        "people.csv",
        "upload_0107203009301.csv",
        "upload_01072030093015.csv.bak",
        "xupload_01072030093015.csv",
    ],
)
def test_other_names_carry_no_time(name: str) -> None:
    assert read_name_time(name, BERLIN) is None


def test_a_name_with_a_date_that_does_not_exist_refuses_the_file() -> None:
    with pytest.raises(Refused) as refused:
        read_name_time("upload_31022030093015.csv", BERLIN)
    assert refused.value.code == "invalid_starttime"


def test_a_moment_after_the_year_2099_is_none() -> None:
    for text in ("9999-12-31T23:59:59-23:59", "2100-01-01T00:00:01Z"):
        assert read_starttime(text, ZoneInfo("UTC")) is None
