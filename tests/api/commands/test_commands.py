"""What all commands have in common: help, exit codes, and what they say when nobody answers."""

from __future__ import annotations

from importlib.metadata import version

import pytest

from api.__main__ import COMMANDS, run
from tests.api.commands.answering import serve


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run([*command.split(), "--help"])
    assert caught.value.code == 0
    assert f"usage: callwheel {command}" in capsys.readouterr().out


def test_the_command_says_which_version_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"callwheel {version('callwheel')}\n"


@pytest.mark.parametrize(
    "line",
    [
        "",
        "dance",
        "keys",
        "keys create --account a",
        "keys create --account a --role king",
        "upload flw_1",
        "demo --contacts 0",
        "demo --contacts 50001",
        "demo --contacts ²",
        "demo --seed -1",
        "sim --seed x",
        "forecast lst_1 --talk-s inf",
        "forecast lst_1 --answer-rate nan",
    ],
)
def test_what_cannot_be_understood_is_exit_code_2(
    line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        run(line.split())
    assert caught.value.code == 2
    assert "usage: callwheel" in capsys.readouterr().err


def test_a_command_without_a_key_says_how_to_give_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["results", "lst_1"]) == 2
    assert capsys.readouterr().err == (
        "callwheel results: a key is needed: give --key or set CALLWHEEL_KEY.\n"
    )


def test_an_engine_that_is_not_there_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with serve({}) as (url, _):
        pass
    assert run(["watch", "lst_1", "--url", url, "--key", "k"]) == 1
    host = url.removeprefix("http://")
    assert capsys.readouterr().err == (
        f"callwheel watch: {host} cannot be reached: Connection refused.\n"
        f"  The engine was looked for at {url}, as --url says.\n"
    )


def test_a_refusal_is_told_in_the_engines_words(capsys: pytest.CaptureFixture[str]) -> None:
    problem = {"code": "not_found", "detail": "There is no list 'lst_1'."}
    with serve({"/v1/lists/lst_1/results.csv": (404, problem)}) as (url, _):
        assert run(["results", "lst_1", "--url", url, "--key", "k"]) == 1
    assert capsys.readouterr() == (
        "",
        "callwheel results: There is no list 'lst_1'. (not_found)\n",
    )
