"""What people read on their terminal: moments, paces, sizes and numbers of things."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import pytest

from api.commands.wording import BLOCKERS, count, say_blocker, say_moment, say_pace
from engine.model import BlockerCode


@pytest.fixture
def zone(set_zone: Callable[[str], None], request: pytest.FixtureRequest) -> str:
    """The terminal is in this time zone."""
    name = str(request.param)
    set_zone(name)
    return name


@pytest.mark.parametrize(
    ("zone", "said"),
    [
        ("UTC", "Mon 1 July 2030, 22:30 UTC"),
        ("Asia/Kolkata", "Tue 2 July 2030, 04:00 IST"),
        ("Europe/Berlin", "Tue 2 July 2030, 00:30 CEST"),
        ("America/Sao_Paulo", "Mon 1 July 2030, 19:30 UTC-03:00"),
    ],
    indirect=["zone"],
)
def test_a_moment_is_one_of_the_terminals_zone_which_is_named(zone: str, said: str) -> None:
    assert say_moment("2030-07-01T22:30:00.000Z") == said


@pytest.mark.parametrize("zone", ["UTC"], indirect=True)
def test_a_moment_beside_another_of_that_day_is_its_time_alone(zone: str) -> None:
    beside = "2030-07-01T09:30:00Z"
    assert say_moment("2030-07-01T09:20:00Z", beside) == "09:20"
    assert say_moment("2030-07-03T09:45:00Z", beside) == "Wed 3 July 2030, 09:45 UTC"


def test_what_is_no_moment_stays_as_it_is() -> None:
    """It is what some engine said; a later one may say it otherwise."""
    assert say_moment("soon") == "soon"


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati"], indirect=True)
def test_a_moment_that_this_zone_has_not_stays_as_it_is(zone: str) -> None:
    for text in ("9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"):
        assert say_moment(text) == text


def test_what_an_engine_says_in_the_place_of_a_moment_is_nothing_that_a_terminal_obeys() -> None:
    assert say_moment("\x1b]0;title\x07") == "�]0;title�"


@pytest.mark.parametrize(
    ("calls_per_s", "said"),
    [
        (0.0, "no calls"),
        (1_234.0, "1,234 calls a second"),
        (12.4, "12 calls a second"),
        (2.0, "2 calls a second"),
        (1.26, "1.3 calls a second"),
        (1.0, "1 call a second"),
        (0.999, "1 call a second"),
        (0.5, "30 calls a minute"),
        (1 / 60, "1 call a minute"),
        (0.003, "11 calls an hour"),
        (0.0001, "8.6 calls a day"),
        (0.000_001, "0.1 calls a day"),
    ],
)
def test_a_pace_is_told_in_the_unit_that_fits(calls_per_s: float, said: str) -> None:
    assert say_pace(calls_per_s) == said


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0 rows"), (1, "1 row"), (2, "2 rows"), (12_345, "12,345 rows")]
)
def test_one_thing_is_not_several(number: int, said: str) -> None:
    assert count(number, "row") == said


def test_every_blocker_has_words_of_its_own() -> None:
    assert set(BLOCKERS) == set(get_args(BlockerCode))
    assert len(set(BLOCKERS.values())) == len(BLOCKERS)
    assert say_blocker("did_cps") == "the calls a second of the caller numbers (did_cps)"
    assert say_blocker("something_new") == "something new (something_new)"
