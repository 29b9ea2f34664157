from __future__ import annotations

import pytest

from adapters.sip.wire.fields import (
    NameAddr,
    SipParseError,
    read_list,
    read_name_addr,
    read_params,
    read_q850,
    read_retry_after,
    split_outside,
    unquote,
)


def test_a_list_is_split_outside_of_quotes_and_brackets_only() -> None:
    assert read_list(b'"a,b" <sip:x,y@z>, <sip:c>;p="1,2" , ,sip:d') == [
        b'"a,b" <sip:x,y@z>',
        b'<sip:c>;p="1,2"',
        b"sip:d",
    ]


def test_an_escaped_quote_does_not_end_a_string() -> None:
    assert split_outside(b'"a\\",b",c', b",") == [b'"a\\",b"', b"c"]


def test_parameters_keep_their_quotes_and_lose_their_case_in_names_only() -> None:
    assert read_params(b';Lr;X="a;b" ; Y = Z') == {b"lr": None, b"x": b'"a;b"', b"y": b"Z"}


@pytest.mark.parametrize("raw", [b";a;a=1", b";a b=1", b";=1", b';a="open'])
def test_parameters_that_cannot_be_read_raise(raw: bytes) -> None:
    with pytest.raises(SipParseError):
        read_params(raw)


def test_a_display_name_may_hold_anything_in_its_quotes() -> None:
    raw = b'"A \\" <sip:no@x>;tag=no" <sip:yes@x;p>;tag=1'
    assert read_name_addr(raw) == NameAddr(
        b'A \\" <sip:no@x>;tag=no', b"sip:yes@x;p", {b"tag": b"1"}
    )


def test_a_display_name_needs_neither_quotes_nor_a_space_behind_it() -> None:
    assert read_name_addr(b"caller one<sip:a@b>") == NameAddr(b"caller one", b"sip:a@b", {})


def test_unquoting_removes_quotes_and_backslashes() -> None:
    assert (unquote(b'"a\\"b\\\\"'), unquote(b"plain")) == (b'a"b\\', b"plain")


@pytest.mark.parametrize(
    ("values", "cause"),
    [
        ([b'Q.850;cause=17;text="busy"'], 17),
        ([b"SIP;cause=200", b"q.850 ; cause = 31"], 31),
        ([b"Q.850;cause=x", b"Q.850;cause=16"], 16),
        ([b"Q.850;cause=999"], None),
        ([b'Q.850;text="none"'], None),
        ([b'Q.850;text="open;cause=17'], None),
        ([b"SIP;cause=480"], None),
        ([], None),
    ],
)  # fmt: skip
def test_the_q850_cause_is_read_and_never_fails(values: list[bytes], cause: int | None) -> None:
    assert read_q850(values) == cause


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"120", 120.0),
        (b"18000;duration=3600", 18000.0),
        (b"5 (back soon)", 5.0),
        (b"soon", None),
        (b"9999999999", None),
        (None, None),
    ],
)
def test_retry_after_is_its_seconds(value: bytes | None, seconds: float | None) -> None:
    assert read_retry_after(value) == seconds
