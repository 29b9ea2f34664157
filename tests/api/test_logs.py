"""The log's form: JSON for whatever collects it, lines for people, as the configuration says."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import structlog
from structlog.contextvars import bound_contextvars

from api.commands.logs import write_logs_to_stderr
from api.config import LogFormat


@pytest.fixture(autouse=True)
def _own_log() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.configure(**before)


def write(form: LogFormat, capsys: pytest.CaptureFixture[str]) -> str:
    write_logs_to_stderr(form)
    structlog.get_logger().warning("a trunk rests", trunk="main", contact="cnt_1", attempt="att_1")
    structlog.get_logger().debug("nobody is told of this")
    return capsys.readouterr().err


def test_a_line_carries_the_names_of_the_call_in_whose_context_it_is_written(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with bound_contextvars(account="acc_1", attempt="att_9"):
        line = json.loads(write("json", capsys))
    assert (line["account"], line["attempt"]) == ("acc_1", "att_1")


@pytest.mark.parametrize("form", ["json", "auto"])  # nobody looks on: this is no terminal
def test_a_line_is_an_object_with_all_that_was_said(
    form: LogFormat, capsys: pytest.CaptureFixture[str]
) -> None:
    line = json.loads(write(form, capsys))
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "a trunk rests",
        "level": "warning",
        "trunk": "main",
        "contact": "cnt_1",
        "attempt": "att_1",
    }


def test_a_line_for_people_has_no_colours_where_it_goes_to_a_file(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = write("console", capsys).split()
    assert said[1:] == [
        *("[warning", "]", "a", "trunk", "rests"),
        *("attempt=att_1", "contact=cnt_1", "trunk=main"),
    ]
