"""Whole lists through the function that the workers run."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from datetime import datetime

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.drafts import Draft
from engine.intake import validation
from engine.intake.files import MERGED_COLUMNS_MAX
from engine.intake.refused import Refused
from engine.intake.rows import Rules
from engine.intake.validation import PIECE_ROWS, Form, Verdict
from engine.model import REPORT_ERRORS_MAX, RejectedRow, Report, RowError
from engine.model.variable import Variable
from tests.engine.intake import judging
from tests.engine.intake.judging import Judged

NOW = datetime.fromisoformat("2030-07-01T12:00:00+05:30").timestamp()
RULES = Rules({"name": Variable("there")}, "Asia/Kolkata", ("+91", "+1"), NOW)
INVALID = "{!r} is not a phone number with its country code."
NOT_READ = "The flow has no variable for the column {!r}; it is not read."


def judge(form: Form, data: bytes | str, name: str = "people.csv", rules: Rules = RULES) -> Judged:
    return judging.judge(form, data, name, rules)


def refusal_of(form: Form, data: bytes | str, name: str = "people.csv") -> tuple[str, str]:
    with pytest.raises(Refused) as refused:
        judge(form, data, name)
    return refused.value.code, refused.value.detail


def draft(row: int, tel: str, name: str = "there", at: float = NOW) -> Draft:
    return Draft(row, (tel,), {"name": name}, at, None)


def pack(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return buffer.getvalue()


def test_cells_that_excel_was_to_take_for_text_are_the_text_in_them() -> None:
    found = judge(
        "file",
        '="tel1",name\n="00919876543210","=""007 """"Bond"""""""\n\'="919876543211",=2+2\n="12",x\n',
    )
    assert found.drafts == [
        draft(1, "+919876543210", '007 "Bond"'),
        draft(2, "+919876543211", "=2+2"),
    ]
    assert [row.cells for row in found.rejected] == [('="12"', "x")]


def test_good_rows_are_taken_and_bad_ones_reported_one_by_one() -> None:
    found = judge(
        "file",
        "Tel1;$flow.name;city;starttime\r\n"
        "+91 98765 43210;Zoë;Pune;\r\n"
        "\r\n"
        "12;Bob;Pune;soon\r\n"
        "+14155552671;;;2030-07-01T13:00\r\n"
        "+14155552671;Eve;;\r\n"
        "+919876543211;Ann;;2030-07-01T09:00;x\r\n"
        "+919876543212;Uma;;2030-07-01T09:00\r\n",
    )
    errors = (
        RowError(0, "city", "unknown_column", NOT_READ.format("city")),
        RowError(3, "tel1", "invalid_number", INVALID.format("12")),
        RowError(
            3,
            "starttime",
            "invalid_starttime",
            "'soon' is not a time as ISO 8601 writes it: 2030-12-31T09:30:00.",
        ),
        RowError(5, "tel1", "duplicate_number", "+14155552671 is called first in row 4 already."),
        RowError(6, None, "too_many_columns", "The row has 5 cells, the header 4."),
    )
    assert msgspec.structs.replace(found.verdict, content_sha256=None) == Verdict(
        name="people.csv",
        header=("Tel1", "$flow.name", "city", "starttime"),
        report=Report(
            rows=6,
            accepted=3,
            rejected=3,
            errors=errors,
            warnings=(
                RowError(
                    7, "starttime", "starttime_past", "The start time has passed; it starts now."
                ),
            ),
        ),
        earliest_at=NOW,
    )
    assert found.drafts == [
        draft(1, "+919876543210", "Zoë"),
        draft(4, "+14155552671", at=NOW + 3600),
        draft(7, "+919876543212", "Uma"),
    ]
    assert found.rejected == [
        RejectedRow(
            3,
            "tel1",
            "invalid_number",
            f"{errors[1].detail} {errors[2].detail}",
            ("12", "Bob", "Pune", "soon"),
        ),
        RejectedRow(
            5,
            "tel1",
            "duplicate_number",
            errors[3].detail,
            ("+14155552671", "Eve", "", ""),
        ),
        RejectedRow(
            6,
            None,
            "too_many_columns",
            errors[4].detail,
            ("+919876543211", "Ann", "", "2030-07-01T09:00", "x"),
        ),
    ]


def test_the_name_of_the_file_times_the_rows_that_have_no_time() -> None:
    text = "tel1,starttime\n+919876543210,\n+919876543211,2030-07-01T13:00\n"
    found = judge("file", text, "upload_02072030090000.csv")
    assert [row.starttime for row in found.drafts] == [NOW + 21 * 3600, NOW + 3600]
    assert found.verdict.earliest_at == NOW + 3600


def test_a_name_whose_time_has_passed_is_warned_of_once() -> None:
    found = judge("file", "tel1\n+919876543210\n+919876543211\n", "upload_01072030090000.csv")
    assert found.verdict.report == Report(
        2, 2, 0, (), (RowError(0, "starttime", "starttime_past", "The list starts now."),)
    )


def test_a_name_whose_time_passed_long_ago_rejects_the_rows_that_have_no_time() -> None:
    found = judge("file", "tel1\n+919876543210\n", "upload_01062030090000.csv")
    detail = "The start time passed more than 24 hours ago."
    assert found.verdict.report == Report(
        1, 0, 1, (RowError(1, "starttime", "starttime_past", detail),)
    )
    assert (found.drafts, found.verdict.earliest_at) == ([], None)


@pytest.mark.parametrize(
    ("data", "name", "code"),
    [
        ("", "a.csv", "no_rows"),
        ("tel1\n", "a.csv", "no_rows"),
        ("tel1,name\n,\n\n", "a.csv", "no_rows"),
        ("phone\n+919876543210\n", "a.csv", "missing_tel"),
        ("tel1\n\x00", "a.csv", "not_csv"),
        ("tel1\n+919876543210\n", "a.zip", "bad_zip"),
        ("PK\x03\x04", "a.csv", "bad_zip"),
        ("tel1\n+919876543210\n", "upload_99999999999999.csv", "invalid_starttime"),
        ("x" * 6_000_000, "a.csv", "file_too_large"),
    ],
)
def test_a_hopeless_file_is_refused(data: str, name: str, code: str) -> None:
    assert refusal_of("file", data, name)[0] == code


def test_who_sends_the_template_back_as_it_is_hears_why_nobody_is_called() -> None:
    code, detail = refusal_of("file", "tel1,name\nEXAMPLE,Ann\n", "a.csv")[:2]
    assert code == "no_rows"
    assert "example row is passed over" in detail


def test_the_lists_of_an_archive_are_one_list_whose_rows_are_counted_on() -> None:
    data = pack(
        {
            "upload_02072030090000.csv": "tel1,name\n+919876543210,Ann\n12,Bob\n",
            "readme.txt": "hello",
            "b.csv": "name;city;tel1\nEve;Pune;+919876543211\nUma;Pune;+919876543210\n",
        }
    )
    found = judge("file", data, "lists.zip")
    assert (found.verdict.name, found.verdict.header) == ("lists.zip", ("tel1", "name", "city"))
    assert found.verdict.report == Report(
        rows=4,
        accepted=2,
        rejected=2,
        errors=(
            RowError(
                2,
                "tel1",
                "invalid_number",
                f"upload_02072030090000.csv, row 2: {INVALID.format('12')}",
            ),
            RowError(0, "city", "unknown_column", f"b.csv: {NOT_READ.format('city')}"),
            RowError(
                4,
                "tel1",
                "duplicate_number",
                "b.csv, row 2: +919876543210 is called first in row 1 already.",
            ),
        ),
        warnings=(
            RowError(
                0,
                None,
                "not_csv",
                "'readme.txt' in the archive is not a .csv file; it was not read.",
            ),
        ),
    )
    assert found.drafts == [
        draft(1, "+919876543210", "Ann", NOW + 21 * 3600),
        draft(3, "+919876543211", "Eve"),
    ]
    assert [row.cells for row in found.rejected] == [
        ("12", "Bob"),
        ("+919876543210", "Uma", "Pune"),
    ]


def test_one_hopeless_file_refuses_its_archive_and_is_named() -> None:
    data = pack({"a.csv": "tel1\n+919876543210\n", "b.csv": "phone\n1\n"})
    code, detail = refusal_of("file", data, "lists.zip")
    assert (code, detail.partition(":")[0]) == ("missing_tel", "b.csv")


def test_an_archive_of_one_list_reports_as_the_list_alone() -> None:
    text = "tel1,name\n+919876543210,Ann\n12,Bob\n"
    alone, packed = judge("file", text), judge("file", pack({"people.csv": text}), "people.zip")
    as_alone = {"name": "people.csv", "content_sha256": alone.verdict.content_sha256}
    assert msgspec.structs.replace(packed.verdict, **as_alone) == alone.verdict
    assert packed.pieces == alone.pieces


def test_headers_that_differ_without_end_refuse_their_archive() -> None:
    data = pack(
        {
            "a.csv": "tel1\n+919876543210\n",
            "b.csv": ",".join(["tel1", *(f"c{place}" for place in range(MERGED_COLUMNS_MAX))]),
        }
    )
    assert refusal_of("file", data, "lists.zip")[0] == "bad_zip"


def test_a_json_body_is_a_list() -> None:
    body = {
        "name": "July",
        "starttime": "2030-07-01T13:00",
        "contacts": [
            {"tel": "+91 98765 43210", "variables": {"name": "Zoë"}},
            {"tel": ["+919876543211"], "starttime": "2030-07-01T14:00"},
            {"tel": "12", "variables": {"city": "Pune"}},
            {"tel": "+14155552671", "variables": {"name": "x" * 5_000}},
            7,
        ],
    }
    found = judge("json", msgspec.json.encode(body))
    assert (found.verdict.name, found.verdict.header, found.verdict.earliest_at) == (
        "July",
        ("contact",),
        NOW + 3600,
    )
    assert found.drafts == [
        draft(1, "+919876543210", "Zoë", NOW + 3600),
        draft(2, "+919876543211", at=NOW + 7200),
    ]
    assert found.verdict.report == Report(
        rows=5,
        accepted=2,
        rejected=3,
        errors=(
            RowError(3, "variables.city", "unknown_column", "The flow has no variable 'city'."),
            RowError(4, "variables.name", "value_too_long", "More than 4096 characters."),
            RowError(5, None, "invalid_contact", "Expected `object`, got `int`."),
        ),
    )
    assert found.rejected[0] == RejectedRow(
        3,
        "variables.city",
        "unknown_column",
        "The flow has no variable 'city'.",
        ('{"tel":"12","variables":{"city":"Pune"}}',),
    )


def test_a_line_of_ndjson_that_is_no_json_costs_itself_only() -> None:
    found = judge("ndjson", '{"tel":"+919876543210"}\n\n{oops\n{"tel":"+919876543211"}\n', "July")
    assert found.drafts == [draft(1, "+919876543210"), draft(4, "+919876543211")]
    assert found.verdict.report == Report(
        3, 2, 1, (RowError(3, None, "invalid_json", "The contact is not JSON."),)
    )
    assert found.rejected == [
        RejectedRow(3, None, "invalid_json", "The contact is not JSON.", ("{oops",))
    ]


@pytest.mark.parametrize(
    ("form", "body", "code"),
    [
        ("json", "", "invalid_json"),
        ("json", "tel1\n1\n", "invalid_json"),
        ("json", '{"contacts":1}', "invalid_body"),
        ("json", '{"contacts":[]}', "no_rows"),
        ("json", '{"contacts":[],"starttime":"soon"}', "invalid_starttime"),
        ("ndjson", "", "no_rows"),
        ("ndjson", " \n\n", "no_rows"),
    ],
)
def test_a_hopeless_body_is_refused(form: Form, body: str, code: str) -> None:
    assert refusal_of(form, body)[0] == code


def test_a_list_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validation, "ROWS_MAX", 2)
    rows = '{"tel":"+919876543210"}\n{"tel":"12"}\n'
    assert judge("ndjson", rows).verdict.report.rows == 2
    assert refusal_of("ndjson", f"{rows}x\n")[0] == "too_many_contacts"


def test_a_long_list_comes_in_pieces_and_its_report_is_short() -> None:
    rows = 2 * PIECE_ROWS + 1
    good = "\n".join(f"+9198765{row:05}" for row in range(rows))
    found = judge("file", f"tel1\n{good}\n")
    assert [piece.drafts.count for piece in found.pieces] == [PIECE_ROWS, PIECE_ROWS, 1]
    bad = "\n".join(str(row + 1) for row in range(rows))
    found = judge("file", f"tel1\n{bad}\n")
    assert [len(piece.rejected) for piece in found.pieces] == [PIECE_ROWS, PIECE_ROWS, 1]
    assert (found.verdict.report.rejected, len(found.verdict.report.errors)) == (
        rows,
        REPORT_ERRORS_MAX,
    )


TELS = st.sampled_from(
    ["+919876543210", "0091 98765 43211", "+1 415 555 2671", "12", "9.1E+11", "+447911123456"]
)
NAMES = st.text(alphabet="aZ\"'é ,;", max_size=5)
TIMES = st.sampled_from(["", "2030-07-01T13:00", "2030-07-01T11:00", "2030-06-01", "soon"])
PEOPLE = st.lists(st.tuples(TELS, TELS | st.just(""), NAMES, TIMES, NAMES), min_size=1, max_size=8)
Person = tuple[str, str, str, str, str]


def as_csv(people: Sequence[Person]) -> str:
    quoted = [
        ",".join('"{}"'.format(cell.replace('"', '""')) for cell in person) for person in people
    ]
    return "\n".join(["tel1,tel2,$flow.name,starttime,reference", *quoted])


def as_ndjson(people: Sequence[Person]) -> list[str]:
    return [
        msgspec.json.encode(
            {
                "tel": [tel1, tel2],
                "variables": {"name": name},
                "starttime": starttime,
                "reference": reference,
            }
        ).decode()
        for tel1, tel2, name, starttime, reference in people
    ]


@settings(deadline=None)
@given(PEOPLE)
def test_the_same_people_are_the_same_through_every_door(people: list[Person]) -> None:
    lines = as_ndjson(people)
    doors = [
        judge("file", as_csv(people)),
        judge("file", pack({"a.csv": as_csv(people)}), "a.zip"),
        judge("json", f'{{"contacts":[{",".join(lines)}]}}'),
        judge("ndjson", "\n".join(lines)),
    ]
    first = (doors[0].drafts, doors[0].verdict.report, doors[0].verdict.earliest_at)
    for door in doors[1:]:
        assert (door.drafts, door.verdict.report, door.verdict.earliest_at) == first


@settings(deadline=None)
@given(
    st.sampled_from(["file", "json", "ndjson"]),
    st.text(max_size=12) | st.sampled_from(["a.zip", "upload_01072030093015.csv"]),
    st.binary()
    | st.binary().map(lambda data: b"tel1,name\n" + data)
    | st.binary().map(lambda data: b"PK\x03\x04" + data)
    | st.binary().map(lambda data: b'{"contacts":[' + data),
)
def test_any_bytes_through_any_door_give_a_report_or_are_refused(
    form: Form, name: str, data: bytes
) -> None:
    try:
        found = judge(form, data, name)
    except Refused:
        return
    report = found.verdict.report
    assert report.rows == report.accepted + report.rejected
    assert (len(found.drafts), len(found.rejected)) == (report.accepted, report.rejected)
