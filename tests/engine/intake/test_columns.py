"""Headers of call lists."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.intake.columns import Columns, is_example, make_example, make_template, read_columns
from engine.intake.refused import Refused
from engine.model import RowError
from engine.model.variable import Variable, VariableType, find_fault

VARIABLES = ("name", "amountDue")


def test_every_spelling_of_a_column_is_understood() -> None:
    header = [" TEL2 ", "Tel1", "$flow.name", "AMOUNTDUE", "StartTime", "reference\t"]
    expected = Columns(
        tels=((1, "tel1"), (0, "tel2")),
        variables=((2, "name"), (3, "amountDue")),
        starttime=4,
        reference=5,
        last=5,
        notes=(),
    )
    assert read_columns(header, VARIABLES) == expected


@pytest.mark.parametrize(
    "title",
    ["$flow.name", "$FLOW.Name", "name", "NAME", "$flow.name.variable", "$Flow.NAME.Variable"],
)
def test_a_variable_has_three_spellings(title: str) -> None:
    assert read_columns(["tel1", title], VARIABLES).variables == ((1, "name"),)


def test_numbers_are_tried_in_the_order_of_their_names() -> None:
    header = ["tel10", "tel3", "tel1"]
    assert read_columns(header, ()).tels == ((2, "tel1"), (1, "tel3"), (0, "tel10"))


@pytest.mark.parametrize("header", [[], ["tel2"], ["phone", "name"], ["+919876543210"], ["tel"]])
def test_a_header_without_tel1_refuses_the_file(header: list[str]) -> None:
    with pytest.raises(Refused) as refused:
        read_columns(header, VARIABLES)
    assert (refused.value.code, refused.value.errors) == (
        "missing_tel",
        (RowError(0, "tel1", "missing_tel", "There is no such column."),),
    )
    assert refused.value.detail.startswith("The header has no column tel1.")


def test_unknown_columns_are_noted_once_and_not_read() -> None:
    columns = read_columns(["tel1", "city", "", "tel11", "$flow.city", "name.variable"], VARIABLES)
    sentence = "The flow has no variable for the column {!r}; it is not read."
    expected = Columns(
        tels=((0, "tel1"),),
        variables=(),
        starttime=None,
        reference=None,
        last=0,
        notes=(
            RowError(0, "city", "unknown_column", sentence.format("city")),
            RowError(0, "", "unknown_column", "Column 3 has no title; it is not read."),
            RowError(0, "tel11", "unknown_column", sentence.format("tel11")),
            RowError(0, "$flow.city", "unknown_column", sentence.format("$flow.city")),
            RowError(0, "name.variable", "unknown_column", sentence.format("name.variable")),
        ),
    )
    assert columns == expected


def test_of_two_columns_that_mean_the_same_the_first_is_read() -> None:
    columns = read_columns(["tel1", "name", "Tel1", "$flow.name"], VARIABLES)
    sentence = "The column {!r} is there twice; only the first is read."
    assert (columns.tels, columns.variables, columns.notes) == (
        ((0, "tel1"),),
        ((1, "name"),),
        (
            RowError(0, "Tel1", "duplicate_column", sentence.format("Tel1")),
            RowError(0, "$flow.name", "duplicate_column", sentence.format("$flow.name")),
        ),
    )


def test_variables_that_differ_in_capitals_only_are_told_apart() -> None:
    columns = read_columns(["tel1", "Name", "name", "NAME"], ("name", "Name"))
    assert columns.variables == ((1, "Name"), (2, "name"))
    assert [note.column for note in columns.notes] == ["NAME"]


def test_a_variable_named_like_a_column_is_reached_by_its_long_name() -> None:
    columns = read_columns(["tel1", "starttime", "$flow.starttime"], ("starttime",))
    assert (columns.starttime, columns.variables) == (1, ((2, "starttime"),))


def test_the_template_of_a_flow_is_understood_whole() -> None:
    columns = read_columns(make_template(VARIABLES), VARIABLES)
    assert [name for _, name in columns.tels] == [f"tel{place}" for place in range(1, 11)]
    assert [name for _, name in columns.variables] == ["name", "amountDue"]
    assert (columns.starttime, columns.reference, columns.notes) == (12, 13, ())


def test_the_example_fits_the_template_and_the_types_of_the_variables() -> None:
    kinds = get_args(VariableType)
    variables = {kind: Variable(type=kind) for kind in kinds} | {"name": Variable("there")}
    example = make_example(variables)
    columns = read_columns(make_template(variables), variables)
    assert len(example) == len(make_template(variables))
    values = {name: example[place] for place, name in columns.variables}
    assert [find_fault(variables[name], value) for name, value in values.items()] == [None] * 10
    assert (values["name"], example[0], is_example(" Example ")) == ("there", "EXAMPLE", True)


@settings(deadline=None)
@given(st.lists(st.text() | st.sampled_from(["tel1", "tel2", "$flow.", ".variable", "name"])))
def test_any_header_is_understood_or_refused(header: list[str]) -> None:
    try:
        columns = read_columns(header, VARIABLES)
    except Refused as refused:
        assert refused.code == "missing_tel"  # noqa: PT017
    else:
        meant = len(columns.tels) + len(columns.variables) + len(columns.notes)
        meant += (columns.starttime is not None) + (columns.reference is not None)
        assert meant == len(header)
