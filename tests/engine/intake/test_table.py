"""CSV as programs write it, and what is not CSV at all."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.intake.refused import Refused
from engine.intake.table import (
    FILE_BYTES_MAX,
    RECORD_CHARS_MAX,
    RECORD_LINES_MAX,
    Row,
    RowProblem,
    read_table,
)

MALFORMED = RowProblem(
    "malformed_row", "A quote in this row is not closed, or stands inside a quoted cell."
)
TOO_LONG = RowProblem(
    "row_too_long",
    f"The row is longer than {RECORD_CHARS_MAX} characters or {RECORD_LINES_MAX} lines;"
    " perhaps a quote is not closed.",
)
UNREADABLE = RowProblem(
    "invalid_encoding", "Some characters cannot be read; save the file as UTF-8."
)


def read(text: str | bytes) -> tuple[tuple[str, ...], list[Row]]:
    table = read_table("people.csv", text.encode() if isinstance(text, str) else text)
    return table.header, list(table.rows)


def refusal_of(data: bytes) -> str:
    with pytest.raises(Refused) as refused:
        list(read_table("people.csv", data).rows)
    return refused.value.code


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_every_delimiter_and_line_end_is_found(delimiter: str, line_end: str) -> None:
    text = f'tel1|name|note{line_end}+911|"Bob| Jr"|x{line_end}+912|Ann|"a ""b"""{line_end}'
    assert read(text.replace("|", delimiter)) == (
        ("tel1", "name", "note"),
        [
            Row(1, ["+911", f"Bob{delimiter} Jr", "x"], None),
            Row(2, ["+912", "Ann", 'a "b"'], None),
        ],
    )


def test_delimiters_inside_quotes_of_the_header_do_not_count() -> None:
    assert read('tel1;"a,b,c,d";name\n1;2;3\n') == (
        ("tel1", "a,b,c,d", "name"),
        [Row(1, ["1", "2", "3"], None)],
    )


def test_excels_hint_of_the_delimiter_is_followed() -> None:
    assert read("sep=;\ntel1\n1;\n") == (("tel1",), [Row(1, ["1", ""], None)])
    assert read('"sep=,"\r\n\r\ntel1,name\r\n1,a;b\r\n')[1] == [Row(1, ["1", "a;b"], None)]


def test_a_single_column_needs_no_delimiter() -> None:
    assert read("tel1\n1\n2") == (("tel1",), [Row(1, ["1"], None), Row(2, ["2"], None)])


def test_titles_are_trimmed_and_empty_ones_at_the_end_dropped() -> None:
    assert read(" tel1 , name,, \n1,2,,\n") == (
        ("tel1", "name"),
        [Row(1, ["1", "2", "", ""], None)],
    )


def test_blank_rows_are_skipped_but_counted() -> None:
    assert read("\n , \ntel1,name\n\n1,a\n,\n  \n2,b\n")[1] == [
        Row(2, ["1", "a"], None),
        Row(5, ["2", "b"], None),
    ]


def test_short_rows_pass_and_rows_with_more_cells_than_the_header_do_not() -> None:
    problem = RowProblem("too_many_columns", "The row has 3 cells, the header 2.")
    assert read("tel1,name\n1\n1,2,3\n1,2,,\n")[1] == [
        Row(1, ["1"], None),
        Row(2, ["1", "2", "3"], problem),
        Row(3, ["1", "2", "", ""], None),
    ]


def test_quoted_cells_may_hold_line_breaks() -> None:
    assert read('tel1,address\r\n1,"Main St\r\nTown"\r\n2,x\r\n')[1] == [
        Row(1, ["1", "Main St\nTown"], None),
        Row(2, ["2", "x"], None),
    ]


def test_a_quote_after_a_blank_still_quotes() -> None:
    assert read('tel1, name\n1, "Bob, Jr"\n')[1] == [Row(1, ["1", "Bob, Jr"], None)]


def test_an_unclosed_quote_costs_its_own_row_only() -> None:
    assert read('tel1,name\n1,"Bob\n2,Ann\n3,"Eve"\n')[1] == [
        Row(1, ['1,"Bob'], MALFORMED),
        Row(2, ["2", "Ann"], None),
        Row(3, ["3", "Eve"], None),
    ]


def test_an_unclosed_quote_at_the_end_of_the_file_costs_its_own_row_only() -> None:
    assert read('tel1,name\n1,"Bob\n2,Ann\n3,Eve')[1] == [
        Row(1, ['1,"Bob'], MALFORMED),
        Row(2, ["2", "Ann"], None),
        Row(3, ["3", "Eve"], None),
    ]


def test_an_unclosed_quote_does_not_swallow_a_long_file() -> None:
    lines = [f"{row},Ann" for row in range(2, 102)]
    assert read("\n".join(["tel1,name", '1,"Bob', *lines]))[1] == [
        Row(1, ['1,"Bob'], TOO_LONG),
        *(Row(row, [str(row), "Ann"], None) for row in range(2, 102)),
    ]


def test_a_huge_field_costs_its_own_row_only() -> None:
    huge = "x" * 200_000
    for field in (huge, f'"{huge}"'):
        rows = read(f"tel1,name\n1,{field}\n2,Ann\n")[1]
        assert rows == [
            Row(1, [f"1,{field}"[:RECORD_CHARS_MAX]], TOO_LONG),
            Row(2, ["2", "Ann"], None),
        ]


def test_the_csv_modules_own_limit_is_neither_needed_nor_touched() -> None:
    """It is one for the whole process, and others may have set it."""
    before = csv.field_size_limit(10)
    try:
        assert read("tel1,name\n1,abcdefghijklmnopq\n2,Ann\n")[1] == [
            Row(1, ["1,abcdefghijklmnopq"], MALFORMED),
            Row(2, ["2", "Ann"], None),
        ]
        assert csv.field_size_limit() == 10
    finally:
        csv.field_size_limit(before)
    assert csv.field_size_limit() > RECORD_CHARS_MAX


def test_a_row_whose_bytes_cannot_be_read_is_rejected_alone() -> None:
    data = "tel1,name\n1,Zoë\n2,Jürgen\n".encode() + b"3,Mar\xeda\n" + b"4,Ann\n"
    assert read(data)[1] == [
        Row(1, ["1", "Zoë"], None),
        Row(2, ["2", "Jürgen"], None),
        Row(3, ["3", "Mar\ufffda"], UNREADABLE),
        Row(4, ["4", "Ann"], None),
    ]


@pytest.mark.parametrize(
    "data",
    [
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
        b"%PDF-1.7\n\x00\x01\x02",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100),
        b"tel1,name\n1,a\x00b\n",
        b"\x01\x02\x03,\x04\n1,2\n",
        b'"tel1,name\n1,2\n',
        b"t" * 100_000,
        "tel1\n1\n".encode("utf-32"),
    ],
)
def test_what_is_not_csv_is_refused(data: bytes) -> None:
    assert refusal_of(data) == "not_csv"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("%PDF-1.4\n1 0 obj\n", "a PDF document"),
        ("{\\rtf1 tel1}\n", "a text document (RTF)"),
        ("\n<HTML><table>", "a web page or XML"),
        ('<?xml version="1.0"?>\n', "a web page or XML"),
        ('[{"tel": "+911"}]\n', "JSON"),
        ('{\n"tel": ["+911"]}\n', "JSON"),
    ],
)
def test_a_document_under_a_wrong_name_is_told_what_it_is(text: str, kind: str) -> None:
    with pytest.raises(Refused, match="not_csv") as refused:
        read_table("a.csv", text.encode())
    assert refused.value.detail == (
        f"'a.csv' is {kind}, not a CSV file; save the list as CSV, in UTF-8."
    )


@pytest.mark.parametrize("title", ["<tel1>", "[tel1]", "{tel1}", "%PDF", "tel1<html>"])
def test_an_odd_title_is_no_document(title: str) -> None:
    assert read_table("a.csv", f"{title},name\n1,x\n".encode()).header == (title, "name")


@pytest.mark.parametrize(
    "data", [b"", b"\n\n", b" , ,\n,,\n", b"\xef\xbb\xbf", b"\xff\xfe", b"sep=,\n"]
)
def test_an_empty_file_has_no_rows(data: bytes) -> None:
    assert refusal_of(data) == "no_rows"


def test_the_bounds_of_a_file() -> None:
    assert refusal_of(b"tel1\n" + bytes(FILE_BYTES_MAX)) == "file_too_large"
    assert refusal_of(b"tel1" + b",x" * 1_000) == "too_many_columns"


@settings(deadline=None)
@given(st.binary() | st.binary().map(lambda data: b"tel1,name\n" + data))
def test_any_bytes_are_a_table_or_refused(data: bytes) -> None:
    try:
        table = read_table("people.csv", data)
    except Refused as refused:
        assert refused.code in {"not_csv", "no_rows", "too_many_columns"}  # noqa: PT017
    else:
        numbers = [row.number for row in table.rows]
        assert numbers == sorted(set(numbers))


CELLS = st.text(alphabet="ab1 ,;\t\"'\n\r£é", max_size=8)


@settings(deadline=None)
@given(st.lists(st.tuples(CELLS, CELLS)), st.sampled_from(",;\t"))
def test_what_the_csv_module_writes_is_read_back(
    rows: list[tuple[str, str]], delimiter: str
) -> None:
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerow(("tel1", "name"))
    writer.writerows(rows)
    expected = [
        Row(number, [cell.replace("\r\n", "\n").replace("\r", "\n") for cell in cells], None)
        for number, cells in enumerate(rows, start=1)
        if "".join(cells).strip()
    ]
    assert read(file.getvalue())[1] == expected


@settings(deadline=None)
@given(st.lists(st.text(alphabet='a,"\n', max_size=12)))
def test_however_quotes_are_broken_no_line_is_lost(lines: list[str]) -> None:
    """Every line that is not blank is part of some row, taken or rejected."""
    text = "\n".join(lines)
    rows = read(f"tel1,b,c,d,e,f,g,h,i,j,k,l,m\n{text}")[1]
    read_back = "".join("".join(row.cells) for row in rows)
    assert read_back.count("a") == text.count("a")
