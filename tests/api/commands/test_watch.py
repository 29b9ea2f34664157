"""`callwheel watch`."""

from __future__ import annotations

import pytest

from api.__main__ import run
from tests.api.commands.answering import serve
from tests.api.test_client import LIST


@pytest.mark.parametrize(("status", "code"), [("completed", 0), ("canceled", 0), ("rejected", 1)])
def test_watch_of_a_list_that_has_ended_says_how(
    status: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with serve({"/v1/lists/lst_1": (200, {**LIST, "status": status})}) as (url, _):
        assert run(["watch", "lst_1", "--url", url, "--key", "k"]) == code
    assert capsys.readouterr().out == f"demo.csv is {status}: 1 busy.\n"


def test_foreign_text_cannot_command_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    named = {**LIST, "status": "completed", "name": "\x1b[2J\nevil"}
    with serve({"/v1/lists/lst_1": (200, named)}) as (url, _):
        assert run(["watch", "lst_1", "--url", url, "--key", "k"]) == 0
    assert capsys.readouterr().out == "�[2J�evil is completed: 1 busy.\n"
