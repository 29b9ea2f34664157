"""`docs/flows.md` says what the code does."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import get_args

import msgspec

from engine.flow.definition import read_definition
from engine.flow.drawing import draw
from engine.flow.parts import NODE_TYPES
from engine.flow.speaking import FORMS, form_of, speak_as
from engine.flow.variables import BUILT_IN
from engine.model.variable import Variable, VariableType, find_fault

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "flows.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """The cells of the table below this header row."""
    _, _, after = PAGE.partition(heading + "\n")
    lines = after.partition("\n\n")[0].splitlines()[1:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_page_names_every_node_with_all_its_fields() -> None:
    told = {
        kind.strip("`"): set(re.findall(r"`([a-z_]+)`", fields))
        for kind, fields, _ in rows("| node | fields | what it does |")
    }
    assert told == {name: set(kind.__struct_fields__) for name, kind in NODE_TYPES.items()}


def test_the_page_names_every_type_and_values_that_it_takes() -> None:
    table = rows("| type | takes | is spoken as |")
    assert [kind.strip("`") for kind, _, _ in table] == list(get_args(VariableType))
    for kind, taken, spoken in table:
        rule = {"type": kind.strip("`"), "currency": "USD" if "money" in kind else None}
        variable = msgspec.convert(rule, Variable)
        values = re.findall(r"`([^`]+)`", taken)
        assert [find_fault(variable, value) for value in values] == [None] * len(values)
        form, argument = form_of(variable)
        said = [speak_as(form, value, "en", argument).replace("\u202f", " ") for value in values]
        if kind in ("`date`", "`time`", "`datetime`", "`digits`", "`phone`"):
            assert said[0] == spoken
        elif kind == "`money`":
            assert spoken.startswith(said[1])


def test_the_page_names_every_format_and_every_value_that_calls_have() -> None:
    formats = PAGE.partition("says how to speak it: ")[2].partition(". Every call")[0]
    assert set(re.findall(r"`([a-z]+)`", formats)) == set(FORMS)
    assert {name for name in BUILT_IN if f"{{{{{name}}}}}" in PAGE} == set(BUILT_IN)


def test_the_page_shows_the_picture_of_the_flow_that_it_names() -> None:
    flow = json.loads((DOCS / "flows" / "reminder.json").read_text(encoding="utf-8"))
    picture = draw(read_definition(flow["definition"]), flow["name"])
    assert (DOCS / "flows" / "reminder.svg").read_text(encoding="utf-8") == picture
