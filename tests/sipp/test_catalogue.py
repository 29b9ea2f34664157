"""The suite itself: every scenario file is played, says what it is, and which rule it stands on."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import Final

import pytest

from tests.sipp.carrier import SCENARIOS

FILES: Final = tuple(sorted(SCENARIOS.glob("*.xml")))
SCENARIOS_LEAST: Final = 50
_COMMENT: Final = re.compile(r"<!-- (.*?) -->\n<scenario name=\"([^\"]+)\">", re.DOTALL)
_RULE: Final = re.compile(r"(?:RFC \d{4} §\d|§\d+\.\d|Q\.850)")


def played() -> list[str]:
    """The name of each scenario that some test here plays, as often as one does."""
    names: list[str] = []
    for file in sorted(Path(__file__).parent.glob("test_*.py")):
        module = import_module(f"{__package__}.{file.stem}")
        if file.stem != Path(__file__).stem:
            names += [*getattr(module, "SCENARIOS", ()), *getattr(module, "OTHER_SCENARIOS", ())]
    return names


def test_every_scenario_file_is_played_by_exactly_one_table() -> None:
    assert sorted(played()) == [file.stem for file in FILES]


def test_there_are_as_many_scenarios_as_were_promised() -> None:
    assert len(FILES) >= SCENARIOS_LEAST


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_scenario_says_what_the_carrier_does_and_which_rule_it_stands_on(file: Path) -> None:
    found = _COMMENT.search(file.read_text("utf-8"))
    assert found is not None
    comment, name = found.groups()
    assert name == file.stem
    assert _RULE.search(" ".join(comment.split())) is not None


def test_no_two_scenarios_do_the_same() -> None:
    bodies = {file.read_text("utf-8").partition("<scenario")[2].partition(">")[2] for file in FILES}
    assert len(bodies) == len(FILES)
