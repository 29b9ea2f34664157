"""Rows → drafts, or everything that is wrong with them."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from engine.drafts import Draft
from engine.intake.rows import (
    REFERENCE_LENGTH_MAX,
    Candidate,
    RowReader,
    Rules,
)
from engine.intake.starttime import LATE_S_MAX
from engine.model import REPORT_ERRORS_MAX, RowError
from engine.model.variable import VALUE_LENGTH_MAX, Variable

NOW = datetime.fromisoformat("2030-07-01T12:00:00+05:30").timestamp()
RULES = Rules(
    variables={"name": Variable("there"), "amount": Variable()},
    timezone="Asia/Kolkata",
    destinations=("+91", "+1"),
    now=NOW,
)
LATE = RowError(1, "starttime", "starttime_past", "The start time has passed; it starts now.")
TOO_LATE = RowError(
    1, "starttime", "starttime_past", "The start time passed more than 24 hours ago."
)


def candidate(row: int = 1, *tels: str, **cells: str) -> Candidate:
    numbers = tels or ("+919876543210",)
    return Candidate(
        row,
        [(f"tel{place}", tel) for place, tel in enumerate(numbers, start=1)],
        {"amount": "5", "name": ""} | {k: v for k, v in cells.items() if k in RULES.variables},
        cells.get("starttime", ""),
        cells.get("reference", ""),
    )


def read(given_row: Candidate) -> Draft | list[RowError]:
    return RowReader(RULES, "$flow.").read(given_row, NOW)


def test_a_good_row_becomes_a_draft_with_defaults_filled_in() -> None:
    row = candidate(7, "+91 98765 43210", "", "001 415 555 2671", reference=" r7 ")
    expected = Draft(
        7, ("+919876543210", "+14155552671"), {"name": "there", "amount": "5"}, NOW, "r7"
    )
    assert read(row) == expected


def test_values_are_trimmed() -> None:
    row = read(candidate(1, name=" Zoë ", amount="\t5 "))
    assert row == Draft(1, ("+919876543210",), {"name": "Zoë", "amount": "5"}, NOW, None)


def test_a_bad_number_in_any_column_rejects_the_row_and_every_error_is_named() -> None:
    row = candidate(3, "+91 12", "9.19876E+11", "+447911123456", amount=" ", starttime="soon")
    assert read(row) == [
        RowError(
            3, "tel1", "invalid_number", "'+91 12' is not a phone number with its country code."
        ),
        RowError(
            3,
            "tel2",
            "spreadsheet_damage",
            "'9.19876E+11' was damaged by a spreadsheet; format the column as text.",
        ),
        RowError(
            3,
            "tel3",
            "number_not_allowed",
            "+447911123456 is not in the destinations that this installation may call.",
        ),
        RowError(
            3,
            "starttime",
            "invalid_starttime",
            "'soon' is not a time as ISO 8601 writes it: 2030-12-31T09:30:00.",
        ),
        RowError(
            3,
            "$flow.amount",
            "missing_variable",
            "The flow needs a value for amount, and has no default.",
        ),
    ]


@pytest.mark.parametrize("tels", [("",), (" ", "+919876543210")])
def test_a_row_needs_tel1(tels: tuple[str, ...]) -> None:
    expected = RowError(1, "tel1", "missing_tel", "The row has no number to call first.")
    assert read(candidate(1, *tels)) == [expected]


def test_a_row_without_any_number_column_needs_tel1() -> None:
    expected = RowError(1, "tel1", "missing_tel", "The row has no number to call first.")
    assert read(Candidate(1, [], {"amount": "5"})) == [expected]


def test_the_same_number_twice_in_a_row_is_called_once() -> None:
    draft = read(candidate(1, "+919876543210", "+14155552671", "919876543210"))
    assert isinstance(draft, Draft)
    assert draft.tel == ("+919876543210", "+14155552671")


def test_a_first_number_of_an_earlier_row_that_was_taken_is_a_duplicate() -> None:
    reader = RowReader(RULES, "$flow.")
    assert isinstance(reader.read(candidate(1, "+919876543210", amount=""), NOW), list)
    assert isinstance(reader.read(candidate(2, "+919876543210"), NOW), Draft)
    assert reader.read(candidate(3, "0091 98765 43210"), NOW) == [
        RowError(3, "tel1", "duplicate_number", "+919876543210 is called first in row 2 already.")
    ]
    assert isinstance(reader.read(candidate(4, "+14155552671", "+919876543210"), NOW), Draft)


def test_values_have_a_bound() -> None:
    row = candidate(
        1, name="x" * (VALUE_LENGTH_MAX + 1), reference="y" * (REFERENCE_LENGTH_MAX + 1)
    )
    assert read(row) == [
        RowError(1, "$flow.name", "value_too_long", f"More than {VALUE_LENGTH_MAX} characters."),
        RowError(1, "reference", "value_too_long", f"More than {REFERENCE_LENGTH_MAX} characters."),
    ]


@pytest.mark.parametrize(
    ("text", "starttime", "warnings"),
    [
        ("2030-07-01T12:00:01", NOW + 1, []),
        ("2030-07-02T09:00:00+05:30", NOW + 21 * 3600, []),
        ("2030-07-01T12:00:00", NOW, []),
        ("2030-07-01T11:59:59", NOW, [LATE]),
        ("2030-06-30T12:00:00", NOW, [LATE]),
    ],
)
def test_a_start_time_up_to_a_day_in_the_past_means_now(
    text: str, starttime: float, warnings: list[RowError]
) -> None:
    reader = RowReader(RULES, "$flow.")
    draft = reader.read(candidate(1, starttime=text), NOW)
    assert isinstance(draft, Draft)
    assert (draft.starttime, reader.warnings) == (starttime, warnings)


def test_an_older_start_time_is_an_error() -> None:
    assert read(candidate(1, starttime="2030-06-30T11:59:59")) == [TOO_LATE]


def test_rows_of_their_own_time_do_not_care_for_the_lists() -> None:
    reader = RowReader(RULES, "$flow.")
    default = reader.place_default(NOW - LATE_S_MAX - 1)
    own = candidate(2, "+14155552671", starttime="2030-07-01T13:00:00")
    assert reader.read(candidate(1), default) == [TOO_LATE]
    assert reader.read(own, default) == Draft(
        2, ("+14155552671",), {"name": "there", "amount": "5"}, NOW + 3600, None
    )


@pytest.mark.parametrize(
    ("at", "default", "warnings"),
    [
        (None, NOW, []),
        (NOW + 60, NOW + 60, []),
        (NOW, NOW, []),
        (NOW - 60, NOW, [RowError(0, "starttime", "starttime_past", "The list starts now.")]),
        (NOW - LATE_S_MAX - 1, NOW - LATE_S_MAX - 1, []),
    ],
)
def test_the_time_of_a_list_is_warned_of_once(
    at: float | None, default: float, warnings: list[RowError]
) -> None:
    reader = RowReader(RULES, "$flow.")
    assert (reader.place_default(at), reader.warnings) == (default, warnings)


def test_warnings_have_a_bound() -> None:
    reader = RowReader(RULES, "$flow.")
    for row in range(2 * REPORT_ERRORS_MAX):
        tel = f"+91987654{row:04}"
        assert isinstance(reader.read(candidate(row, tel, starttime="2030-07-01"), NOW), Draft)
    assert len(reader.warnings) == REPORT_ERRORS_MAX


CELL = st.text() | st.text(alphabet="+0123456789 -().", max_size=16)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.lists(CELL, max_size=10), CELL, CELL, CELL, CELL), max_size=5),
)
def test_any_cells_are_a_draft_or_errors(
    rows: list[tuple[list[str], str, str, str, str]],
) -> None:
    reader = RowReader(RULES, "$flow.")
    for number, (tels, name, amount, starttime, reference) in enumerate(rows, start=1):
        row = Candidate(
            number,
            [(f"tel{place}", tel) for place, tel in enumerate(tels, start=1)],
            {"name": name, "amount": amount},
            starttime,
            reference,
        )
        found = reader.read(row, NOW)
        if isinstance(found, Draft):
            assert found.tel
            assert found.starttime >= NOW
            assert found.variables.keys() == RULES.variables.keys()
        else:
            assert found
            assert {error.row for error in found} == {number}


def test_a_value_that_is_not_of_its_variables_type_rejects_the_row() -> None:
    variables = {"due": Variable(type="date"), "sum": Variable("0", type="money")}
    reader = RowReader(structs.replace(RULES, variables=variables), "$flow.")
    asked = Candidate(3, [("tel1", "+919876543210")], {"due": "31.12.2030", "sum": "12.505"})
    assert reader.read(asked, NOW) == [
        RowError(
            *(3, "$flow.due", "invalid_variable"),
            "'31.12.2030' is not a date as ISO 8601 writes it, such as 2030-12-31.",
        ),
        RowError(3, "$flow.sum", "invalid_variable", "'12.505' is not an amount, such as 12.50."),
    ]
    taken = reader.read(Candidate(4, [("tel1", "+919876543210")], {"due": " 2030-12-31 "}), NOW)
    assert isinstance(taken, Draft)
    assert taken.variables == {"due": "2030-12-31", "sum": "0"}
