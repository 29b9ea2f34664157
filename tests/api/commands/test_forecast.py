"""`callwheel forecast`."""

from __future__ import annotations

import json

import pytest

from api.__main__ import run
from tests.api.commands.answering import serve

pytestmark = pytest.mark.usefixtures("in_india")

FORECAST = {
    "ends_at": "2030-07-01T09:30:00.000Z",
    "earliest_at": "2030-07-01T09:20:00.000Z",
    "latest_at": "2030-07-01T09:45:00.000Z",
    "calls_per_s": 2.0,
    "bottleneck": "did_cps",
    "without_bottleneck_at": "2030-07-01T09:10:00.000Z",
    "contacts": 500,
    "attempts": 800,
    "assumes": "One call each.",
}


def test_forecast_says_when_a_list_ends_and_what_holds_it_back(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with serve({"/v1/lists/lst_1/forecast": (200, FORECAST)}) as (url, seen):
        options = ["--answer-rate", "0.4", "--url", url, "--key", "k"]
        assert run(["forecast", "lst_1", *options]) == 0
    assert [json.loads(body) for body in seen.bodies] == [{"answer_rate": 0.4}]
    assert capsys.readouterr().out == (
        "It ends about Mon 1 July 2030, 15:00 IST (between 14:50 and 15:15), at 2 calls a second."
        " What holds it back most: the calls a second of the caller numbers (did_cps);"
        " without that it would end about 14:40."
        " Still to be called: 500 contacts, in about 800 calls. One call each.\n"
    )


def test_forecast_prints_all_that_the_api_tells_as_json(
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = {**FORECAST, "held_s": {"did_cps": 12.5}, "runs": 40}
    with serve({"/v1/lists/lst_1/forecast": (200, told)}) as (url, seen):
        options = ["--json", "--talk-s", "9", "--url", url, "--key", "k"]
        assert run(["forecast", "lst_1", *options]) == 0
    assert [json.loads(body) for body in seen.bodies] == [{"talk_s": 9.0}]
    assert json.loads(capsys.readouterr().out) == told


def test_forecast_of_a_list_that_cannot_end_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    endless = {"ends_at": None, "bottleneck": "no_trunk", "assumes": "One call each."}
    with serve({"/v1/lists/lst_1/forecast": (200, endless)}) as (url, _):
        assert run(["forecast", "lst_1", "--url", url, "--key", "k"]) == 0
    assert capsys.readouterr().out == (
        "No end is in sight. What stands in the way: no trunk is set up (no_trunk). One call each.\n"
    )


def test_forecast_of_a_list_whose_latest_end_is_in_no_sight_says_the_earliest_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    endless = {**FORECAST, "latest_at": None, "bottleneck": None}
    with serve({"/v1/lists/lst_1/forecast": (200, endless)}) as (url, _):
        assert run(["forecast", "lst_1", "--url", url, "--key", "k"]) == 0
    assert capsys.readouterr().out == (
        "It ends about Mon 1 July 2030, 15:00 IST (not before 14:50), at 2 calls a second."
        " Still to be called: 500 contacts, in about 800 calls. One call each.\n"
    )


def test_forecast_of_a_list_that_is_done_names_no_end(capsys: pytest.CaptureFixture[str]) -> None:
    done = {"ends_at": "2030-07-01T09:30:00.000Z", "contacts": 0, "assumes": "One call each."}
    with serve({"/v1/lists/lst_1/forecast": (200, done)}) as (url, _):
        assert run(["forecast", "lst_1", "--url", url, "--key", "k"]) == 0
    assert capsys.readouterr().out == "Nobody of it is left to be called.\n"
