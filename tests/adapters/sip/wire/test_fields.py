from __future__ import annotations

import pytest

from adapters.sip.wire.fields import (
    INTERVAL_MAX,
    RETRY_AFTER_MAX,
    CSeq,
    NameAddr,
    SessionExpires,
    SipParseError,
    read_cseq,
    read_list,
    read_name_addr,
    read_params,
    read_q850,
    read_retry_after,
    read_session_expires,
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
        ([b"SIP;cause=503, Q.850;cause=34"], 34),
        ([b'Q.850;text="a, b";cause=17, Q.850;cause=16'], 17),
        ([b"Q.850;cause=999", b"Q.850;cause=21"], 21),
        ([b"Q.850;text=none", b"Q.850;cause=21"], 21),
        ([b'X;text="open, ', b"Q.850;cause=21"], 21),
        ([], None),
    ],
)  # fmt: skip
def test_the_q850_cause_is_read_and_never_fails(values: list[bytes], cause: int | None) -> None:
    assert read_q850(values) == cause


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (b"1800", SessionExpires(1800, None)),
        (b"90 ; refresher = UAC", SessionExpires(90, "uac")),
        (b"90;x=y;refresher=uas", SessionExpires(90, "uas")),
        (b"90;refresher=proxy", SessionExpires(90, None)),
        (b"90;refresher", SessionExpires(90, None)),
        (b"%d" % INTERVAL_MAX, SessionExpires(INTERVAL_MAX, None)),
    ],
)
def test_a_session_interval_is_read_with_its_refresher(value: bytes, read: SessionExpires) -> None:
    assert read_session_expires(value) == read


@pytest.mark.parametrize(
    "value", [b"", b";refresher=uac", b"-1", b"x", b"90s", b"%d" % (INTERVAL_MAX + 1), b"9;a;a"]
)
def test_a_session_interval_that_is_no_number_of_seconds_raises(value: bytes) -> None:
    with pytest.raises(SipParseError):
        read_session_expires(value)


@pytest.mark.parametrize(
    ("raw", "read"),
    [
        (b"1 INVITE", CSeq(1, b"INVITE")),
        (b"0000000007  INVITE", CSeq(7, b"INVITE")),
        (b"7\tINVITE", CSeq(7, b"INVITE")),
        (b"2147483647 BREW", CSeq(2**31 - 1, b"BREW")),
        (b"000000000000002147483647 BYE"[4:], CSeq(2**31 - 1, b"BYE")),
    ],
)
def test_a_cseq_is_read_whether_it_is_usual_or_not(raw: bytes, read: CSeq) -> None:
    assert read_cseq(raw) == read


@pytest.mark.parametrize(
    "raw",
    [b"", b"1", b"INVITE", b" INVITE", b"x INVITE", b"1 INVITE x", b"2147483648 BYE", b"-1 BYE"],
)
def test_a_cseq_that_cannot_be_read_raises(raw: bytes) -> None:
    with pytest.raises(SipParseError):
        read_cseq(raw)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"120", 120.0),
        (b"18000;duration=3600", 18000.0),
        (b"5 (back soon)", 5.0),
        (b"soon", None),
        (b"9999999999", RETRY_AFTER_MAX),
        (b"4294967294", 4294967294.0),
        (b"9" * 8000 + b";duration=1", RETRY_AFTER_MAX),
        (b"0" * 8000 + b"7", 7.0),
        (b"0", 0.0),
        (b"", None),
        (None, None),
    ],
)
def test_retry_after_is_its_seconds(value: bytes | None, seconds: float | None) -> None:
    assert read_retry_after(value) == seconds
