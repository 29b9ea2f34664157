"""JSON bodies and NDJSON."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.intake.bodies import (
    BODY_BYTES_MAX,
    CallRequest,
    make_call_candidate,
    read_call,
    read_contact,
    read_multicast,
    split_lines,
)
from engine.intake.refused import Refused
from engine.intake.rows import Candidate
from engine.model import RowError

VARIABLES = ("name", "amount")
NO_TEL = RowError(4, "tel1", "missing_tel", "The row has no number to call first.")


def read(contact: Any) -> Candidate | list[RowError]:
    data = contact if isinstance(contact, bytes) else msgspec.json.encode(contact)
    return read_contact(4, data, VARIABLES)


def refusal_of(body: bytes) -> tuple[str, str, tuple[RowError, ...]]:
    with pytest.raises(Refused) as refused:
        read_multicast(body)
    return refused.value.code, refused.value.detail, refused.value.errors


def test_a_contact_has_one_number_or_several() -> None:
    assert read({"tel": "+911"}) == Candidate(4, [("tel1", "+911")], {})
    assert read(
        {"tel": ["+911", "+912"], "reference": "r", "starttime": "2030-01-01"}
    ) == Candidate(4, [("tel1", "+911"), ("tel2", "+912")], {}, "2030-01-01", "r")


def test_numbers_of_json_read_like_their_text() -> None:
    contact = {
        "tel": [919876543210],
        "variables": {"name": True, "amount": 12.5},
        "reference": 7,
    }
    assert read(contact) == Candidate(
        4, [("tel1", "919876543210")], {"name": "true", "amount": "12.5"}, "", "7"
    )
    assert read({"tel": 1, "variables": {"name": None, "amount": 2**80}}) == Candidate(
        4, [("tel1", "1")], {"amount": str(2**80)}
    )


@pytest.mark.parametrize(
    ("contact", "error"),
    [
        (b"{", RowError(4, None, "invalid_json", "The contact is not JSON.")),
        (b'{"tel":"\xff"}', RowError(4, None, "invalid_encoding", "The contact is not UTF-8.")),
        (b"[1]", RowError(4, None, "invalid_contact", "Expected `object`, got `array`.")),
        ({}, NO_TEL),
        ({"tel": "1", "city": 1}, RowError(4, "city", "unknown_column", "There is no such field.")),
        (
            {"tel": 9.19876e11},
            RowError(4, "tel", "invalid_number", "Expected `int | str | array`, got `float`."),
        ),
        (
            {"tel": ["1", None]},
            RowError(4, "tel[1]", "invalid_number", "Expected `int | str`, got `null`."),
        ),
        (
            {"tel": "1", "starttime": 1900000000},
            RowError(4, "starttime", "invalid_starttime", "Expected `str | null`, got `int`."),
        ),
        (
            {"tel": "1", "variables": []},
            RowError(4, "variables", "invalid_contact", "Expected `object`, got `array`."),
        ),
        (
            {"tel": "1", "variables": {"city": "x", "name": "y"}},
            RowError(4, "variables.city", "unknown_column", "The flow has no variable 'city'."),
        ),
        (
            {"tel": ["1"] * 11},
            RowError(4, None, "too_many_columns", "A contact has at most 10 numbers."),
        ),
    ],
)
def test_a_bad_contact_says_what_is_wrong_with_it(contact: Any, error: RowError) -> None:
    assert read(contact) == [error]


def test_lines_are_counted_and_blank_ones_do_not_come() -> None:
    body = b'\xef\xbb\xbf{"tel":"1"}\r\n\n  \n{"tel":"2"}'
    assert list(split_lines(body)) == [(1, b'{"tel":"1"}\r'), (4, b'{"tel":"2"}')]


@pytest.mark.parametrize("body", [b"", b"{", b"tel1\n1", b"\xff", b'{"contacts":' + b"[" * 100_000])
def test_a_body_that_is_not_json_is_refused(body: bytes) -> None:
    assert refusal_of(body)[0] == "invalid_json"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"[]", RowError(0, None, "invalid_contact", "Expected `object`, got `array`.")),
        (
            b"{}",
            RowError(0, None, "invalid_contact", "Object missing required field `contacts`."),
        ),
        (
            b'{"contacts":{}}',
            RowError(0, "contacts", "invalid_contact", "Expected `array`, got `object`."),
        ),
        (
            b'{"contacts":[],"startime":""}',
            RowError(0, "startime", "unknown_column", "There is no such field."),
        ),
    ],
)
def test_a_body_of_another_form_is_refused(body: bytes, error: RowError) -> None:
    code, detail, errors = refusal_of(body)
    assert (code, errors) == ("invalid_body", (error,))
    assert detail.endswith(error.detail)


def test_a_body_has_a_bound() -> None:
    body = b" " * (BODY_BYTES_MAX + 1)
    assert refusal_of(body)[0] == "body_too_large"
    with pytest.raises(Refused, match="body_too_large"):
        read_call(body)


def test_the_numbers_of_a_single_call_are_its_column_to() -> None:
    assert make_call_candidate(CallRequest(to=["+911", 912]), VARIABLES) == Candidate(
        1, [("to[0]", "+911"), ("to[1]", "912")], {}
    )
    assert make_call_candidate(CallRequest(to=912), VARIABLES) == Candidate(1, [("to", "912")], {})
    assert make_call_candidate(CallRequest(to=[]), VARIABLES) == Candidate(1, [("to", "")], {})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.text() | st.sampled_from(["tel", "variables", "starttime", "contacts"]), inner
        )
    ),
    max_leaves=8,
)


@settings(deadline=None)
@given(JSON.map(msgspec.json.encode) | st.binary())
def test_any_body_is_read_or_refused(body: bytes) -> None:
    for door in (read_multicast, read_call):
        try:
            door(body)
        except Refused as refused:
            assert refused.code in {"invalid_json", "invalid_body"}  # noqa: PT017
    for row, line in split_lines(body):
        assert isinstance(read_contact(row, line, VARIABLES), Candidate | list)
