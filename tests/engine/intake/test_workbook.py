"""Sheets of workbooks as tables."""

from __future__ import annotations

import io
import zipfile
from datetime import date, datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.intake.refused import Refused
from engine.intake.table import COLUMNS_MAX, Row, RowProblem
from engine.intake.workbook import (
    TAGS_MAX,
    TEXTS_BYTES_MAX,
    is_workbook,
    read_workbook,
    write_value,
)
from engine.model import RowError
from tests.engine.intake.workbooks import SHEET, make_workbook, replace_parts, sheet_xml

HEADER = ("tel1", "name", "starttime")
LIST = make_workbook({"List": [HEADER, ("+919876543210", "Zoë", None)]})
ONE_ROW = [Row(1, ["+919876543210", "Zoë"], None)]


def rows_of(data: bytes, sheet: str = "") -> list[Row]:
    return list(read_workbook("a.xlsx", data, sheet)[0].rows)


def code_of(data: bytes, sheet: str = "") -> str:
    with pytest.raises(Refused) as refused:
        rows_of(data, sheet)
    return refused.value.code


def test_the_first_sheet_that_is_not_hidden_is_read_or_the_one_that_is_named() -> None:
    data = make_workbook(
        {"Old": [("x",)], "List": [(), HEADER, (919876543210, "Zoë")], "More": [("tel1",), ("1",)]},
        hidden=["Old"],
    )
    table, notes = read_workbook("a.xlsx", data, "")
    assert (table.name, table.header) == ("a.xlsx", HEADER)
    assert list(table.rows) == [Row(1, ["919876543210", "Zoë"], None)]
    assert notes == [
        RowError(0, None, "sheet_not_read", f"The sheet {title!r} was not read.")
        for title in ("Old", "More")
    ]
    assert rows_of(data, "More") == [Row(1, ["1"], None)]
    assert code_of(data, "Less") == "unknown_sheet"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("9.19876E+11", "9.19876E+11"),
        ("'00919876543210", "'00919876543210"),
        (919876543210, "919876543210"),
        (919876543210.0, "919876543210"),
        (2.0**53, "9007199254740992"),
        (2.0**60, "1.15292150460685e+18"),
        (-12.0, "-12"),
        (12.5, "12.5"),
        (0.1 + 0.2, "0.3"),
        (True, "true"),
        (False, "false"),
        (datetime.fromisoformat("2030-07-01T09:30:00"), "2030-07-01T09:30:00"),
        (datetime.fromisoformat("2030-07-01T09:29:59.999700"), "2030-07-01T09:30:00"),
        (datetime.fromisoformat("2030-07-01"), "2030-07-01"),
        (date(2030, 7, 1), "2030-07-01"),
        (time(9, 30), "09:30:00"),
        (timedelta(hours=1), "1:00:00"),
    ],
)
def test_a_value_is_the_text_that_a_csv_would_have(value: object, text: str) -> None:
    assert write_value(value) == text


@pytest.mark.parametrize(
    "value", [True, 7, 7.5, datetime.fromisoformat("2030-07-01T09:30:00"), "007"]
)
def test_a_value_comes_through_a_workbook_as_its_text(value: object) -> None:
    data = make_workbook({"List": [("tel1", "v"), ("1", value)]})
    assert rows_of(data) == [Row(1, ["1", write_value(value)], None)]


def test_a_sheet_may_lie_about_its_size_and_leave_rows_out() -> None:
    rows = (
        '<row r="1"><c r="A1" t="inlineStr"><is><t>tel1</t></is></c></row>'
        '<row r="5"><c r="A5"><v>919876543210</v></c><c><v>1E2</v></c></row>'
        "<row><c><v>9.1</v></c></row>"
    )
    lying = sheet_xml(rows).replace("<sheetData>", '<dimension ref="A1:XFD1048576"/><sheetData>')
    assert rows_of(replace_parts(LIST, {SHEET: lying})) == [
        Row(
            4,
            ["919876543210", "100"],
            RowProblem("too_many_columns", "The row has 2 cells, the header 1."),
        ),
        Row(5, ["9.1"], None),
    ]


BILLION = (
    '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    + sheet_xml('<row r="1"><c t="str"><v>&b;</v></c></row>')
)


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ({SHEET: ""}, "bad_xlsx"),
        ({SHEET: "<worksheet>"}, "bad_xlsx"),
        ({SHEET: BILLION}, "bad_xlsx"),
        ({SHEET: sheet_xml("")}, "no_rows"),
        ({SHEET: sheet_xml('<row r="x"><c/></row>')}, "bad_xlsx"),
        ({SHEET: sheet_xml('<row r="1"><c r="ZZZZ1"><v>1</v></c></row>')}, "bad_xlsx"),
        ({SHEET: sheet_xml('<row r="1"><c t="s"><v>99</v></c></row>')}, "bad_xlsx"),
        ({SHEET: sheet_xml('<row r="1"><c r="XFD1"><v>1</v></c></row>')}, "too_many_columns"),
        ({SHEET: sheet_xml('<row r="9999999999"><c><v>1</v></c></row>')}, "too_many_contacts"),
        ({SHEET: sheet_xml("<row>" + "<c/>" * TAGS_MAX + "</row>")}, "file_too_large"),
        ({"xl/sharedStrings.xml": "<sst>" + " " * TEXTS_BYTES_MAX + "</sst>"}, "file_too_large"),
        ({"xl/styles.xml": "<styleSheet/>" + " " * 500_001}, "file_too_large"),
        ({"xl/workbook.xml": "no"}, "bad_xlsx"),
        ({"[Content_Types].xml": "<Types/>"}, "bad_xlsx"),
    ],
)
def test_a_broken_or_bursting_workbook_is_refused(parts: dict[str, str], code: str) -> None:
    assert code_of(replace_parts(LIST, parts)) == code


def test_other_office_files_and_columns_without_end_are_refused() -> None:
    document = replace_parts(LIST, {"word/document.xml": "<x/>"})
    assert rows_of(document) == ONE_ROW
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("word/document.xml", "<x/>")
    assert (is_workbook(buffer.getvalue()), code_of(buffer.getvalue())) == (True, "not_csv")
    wide = make_workbook({"List": [["tel1", *(["x"] * COLUMNS_MAX)]]})
    assert code_of(wide) == "too_many_columns"


@settings(deadline=None, max_examples=40)
@given(st.integers(0, len(LIST) - 1), st.binary(min_size=1, max_size=4))
def test_a_damaged_workbook_gives_rows_or_is_refused(place: int, noise: bytes) -> None:
    damaged = LIST[:place] + noise + LIST[place + len(noise) :]
    try:
        rows = rows_of(damaged)
    except Refused:
        return
    assert len(rows) <= 1


@pytest.mark.parametrize("part", ["xl/texts.dat", "xl/sharedStrings.XML"])
def test_a_part_that_was_not_measured_is_not_read_whatever_the_workbook_calls_it(part: str) -> None:
    """118 KB of such a file took 24 s and 180 MB."""
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
    override = f'<Override PartName="/{part}" ContentType="{kind}"/></Types>'
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(LIST)) as old, zipfile.ZipFile(packed, "w") as new:
        for name in old.namelist():
            content = old.read(name).decode()
            if name != "xl/sharedStrings.xml":
                new.writestr(name, content.replace("</Types>", override))
        new.writestr(part, "<sst>" + "<si><t>x</t></si>" * 10 + "</sst>")
    assert code_of(packed.getvalue()) == "bad_xlsx"
