"""The log's form: JSON for whatever collects it, lines for people, as the configuration says."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import structlog

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
