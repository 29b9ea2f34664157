"""Rows that are judged many at once come to what each of them comes to by itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from unittest.mock import patch

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.intake.numbers import find_plain_numbers, read_number
from engine.intake.plain import PlainReader
from engine.intake.rows import Rules
from engine.intake.table import Rows
from engine.intake.validation import Submitted, judge_lines, pack_submitted, validate
from engine.model.variable import Variable
from tests.sizes import size

NOW = 1_767_225_600.0
DESTINATIONS = ("+1", "+91", "+44")
RULES = Rules(
    {
        "name": Variable(default="there"),
        "amount": Variable(type="money", default="0"),
        "code": Variable(type="digits"),
    },
    "Europe/Berlin",
    DESTINATIONS,
    NOW,
)
NUMBERS = st.integers(0, 99).map("+919876543{:03}".format)
TELS = st.one_of(
    NUMBERS,
    NUMBERS.map(lambda number: number[1:]),
    NUMBERS.map(lambda number: f" 00{number[1:4]}-{number[4:]} "),
    st.sampled_from(
        ["", "   ", "+14155550100", "+19005550100", "+4912345", "9.19877E+11", "EXAMPLE"]
    ),
    st.text("0123456789+ \t٣a", max_size=14),
)
VALUES = st.sampled_from(["", " ", "Zoë", "12.50", "12,5", "4711", "x y", "1e5", "A" * 5000, "0"])
STARTS = st.sampled_from(
    ["", "", "2030-06-01T09:00", "2026-01-01T00:30", "2025-12-31T12:00", "2020-01-01", "soon", " "]
)
COLUMNS = {
    "tel1": TELS,
    "tel2": TELS,
    "tel3": st.just("") | TELS,
    "name": VALUES,
    "amount": VALUES,
    "$flow.code": st.just("4711") | VALUES,
    "starttime": STARTS,
    "reference": st.sampled_from(["", "a", "b" * 300]),
    "other": VALUES,
}


def as_cell(text: str, is_quoted: bool) -> str:
    return f'"{text}"' if is_quoted or "," in text else text


@st.composite
def tables(draw: st.DrawFn) -> bytes:
    others = draw(st.lists(st.sampled_from(list(COLUMNS)[1:]), unique=True, max_size=6))
    header = draw(st.permutations(["tel1", *others]))
    lines = [",".join(header)]
    for _ in range(draw(st.integers(0, 25))):
        cells = [as_cell(draw(COLUMNS[title]), draw(st.integers(0, 9)) == 0) for title in header]
        line = ",".join(cells)
        odd = draw(st.integers(0, 30))
        lines.append(
            {0: "", 1: f"{line},,", 2: f"{line},more", 3: '"open', 4: '"a\nb"'}.get(odd, line)
        )
    text = draw(st.sampled_from(["\n", "\r\n"])).join(lines)
    return (text + draw(st.sampled_from(["", "\n", "\n\n"]))).encode()


def judge(data: bytes) -> list[bytes]:
    return list(validate(pack_submitted(Submitted("file", "people.csv", data, RULES))))


@settings(max_examples=size(150, 20_000))
@given(tables())
def test_a_list_comes_to_the_same_whether_or_not_its_plain_rows_are_judged_together(
    data: bytes,
) -> None:
    with patch("engine.intake.validation.PIECE_ROWS", 7):
        together = judge(data)
        with patch.object(Rows, "take_plain", lambda rows, count: (0, [])):
            one_by_one = judge(data)
    assert together == one_by_one


def as_json(contact: dict[str, object]) -> bytes:
    return msgspec.json.encode(contact)


JSON_TELS = TELS | st.integers(0, 10**13) | st.lists(TELS, max_size=11)
JSON_VALUES = st.dictionaries(
    st.sampled_from(["name", "amount", "code", "code", "other"]),
    st.just("4711") | VALUES | st.sampled_from([None, True, 12, 12.5]),
)
LINES = st.one_of(
    st.builds(
        lambda tel, values: as_json({"tel": tel, "variables": values}), JSON_TELS, JSON_VALUES
    ),
    st.builds(
        lambda tel, start: as_json(
            {"tel": tel, "variables": {"code": "1"}, "starttime": start, "reference": 7}
        ),
        NUMBERS,
        STARTS,
    ),
    st.sampled_from([b"", b" ", b"{}", b'{"tel":"+919876543210"},{}', b"\xff", b'{"tel":5', b"[]"]),
)


@settings(max_examples=size(150, 20_000))
@given(st.lists(LINES, max_size=20), st.integers(0, 3))
def test_lines_come_to_the_same_whether_or_not_plain_ones_are_judged_together(
    lines: list[bytes], rows_before: int
) -> None:
    job = Submitted("ndjson", "", b"\n".join(lines), RULES, rows_before=rows_before)
    submitted = pack_submitted(job)

    def one_by_one(_: PlainReader, first_row: int, rows: Sequence[list[str]]) -> Iterator[int]:
        return iter(range(len(rows)))

    with patch("engine.intake.validation.PIECE_ROWS", 7):
        together = [*validate(submitted), judge_lines(submitted)]
        with patch.object(PlainReader, "read", one_by_one):
            apart = [*validate(submitted), judge_lines(submitted)]
    assert together == apart


@settings(max_examples=size(100, 20_000))
@given(st.lists(TELS | st.text(max_size=6) | st.integers(0, 10**16).map(str), max_size=9))
def test_a_number_is_plain_only_where_it_is_read_as_it_stands(texts: list[str]) -> None:
    for text, plain in zip(texts, find_plain_numbers(texts, DESTINATIONS), strict=True):
        if plain:
            assert plain == f"+{text.removeprefix('+')}"
            assert read_number(text, DESTINATIONS) == plain


def test_nearly_all_rows_of_a_list_are_plain() -> None:
    lines = [f"+9198765{row:05},Zoë,12.50,4711,ref-{row}" for row in range(2000)]
    lines[700] = "+9198,Zoë,12.50,4711,"
    data = "\n".join(["tel1,name,amount,code,reference", *lines]).encode()
    looked_at = []
    look = Rows.look

    def note(rows: Rows, number: int, *rest: object) -> object:
        looked_at.append(number)
        return look(rows, number, *rest)  # type: ignore[arg-type]

    with patch.object(Rows, "look", note):
        judge(data)
    assert looked_at == [701]
