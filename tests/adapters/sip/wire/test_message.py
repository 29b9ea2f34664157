from __future__ import annotations

import contextlib
import os
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.sip.wire.message import (
    HEADERS_MAX,
    CSeq,
    NameAddr,
    Request,
    Response,
    SipParseError,
    UnsafeValueError,
    Via,
    build_request,
    build_response,
    compose,
    parse,
)

IS_LONG = os.environ.get("CALLWHEEL_TEST_SIZE") == "long"
HEADERS = (
    (b"Via", b"SIP/2.0/UDP 192.0.2.1:5062;branch=z9hG4bK1"),
    (b"From", b"<sip:a@192.0.2.1>;tag=f"),
    (b"To", b"<sip:b@192.0.2.2>"),
    (b"Call-ID", b"call"),
    (b"CSeq", b"7 INVITE"),
)
HEAD = b"".join(b"%b: %b\r\n" % header for header in HEADERS)
VIEWS = ("branch", "from_tag", "to_tag", "from_addr", "to_addr", "cseq", "vias", "top_via")


def response(extra: bytes = b"", start: bytes = b"SIP/2.0 200 OK") -> bytes:
    return start + b"\r\n" + HEAD + extra + b"\r\n"


def parsed(extra: bytes = b"", start: bytes = b"SIP/2.0 200 OK") -> Response:
    message = parse(response(extra, start))
    assert isinstance(message, Response)
    return message


def request(headers: tuple[tuple[bytes, bytes], ...] = HEADERS) -> Request:
    message = parse(build_request(b"INVITE", b"sip:b@192.0.2.2", headers))
    assert isinstance(message, Request)
    return message


def refusal_of(data: bytes) -> str:
    with pytest.raises(SipParseError) as caught:
        parse(data)
    return caught.value.reason


def test_a_response_is_its_status_reason_headers_and_body() -> None:
    data = response(b"Content-Length: 4\r\n") + b"body"
    assert parse(data) == Response(
        fields={
            b"via": [b"SIP/2.0/UDP 192.0.2.1:5062;branch=z9hG4bK1"],
            b"from": [b"<sip:a@192.0.2.1>;tag=f"],
            b"to": [b"<sip:b@192.0.2.2>"],
            b"call-id": [b"call"],
            b"cseq": [b"7 INVITE"],
            b"content-length": [b"4"],
        },
        body=b"body",
        status=200,
        reason=b"OK",
    )


def test_the_views_read_what_is_asked_for() -> None:
    message = parsed(b"Contact: <sip:c@192.0.2.9;transport=udp>;expires=3\r\n")
    assert message.contact == b"sip:c@192.0.2.9;transport=udp"
    assert message.cseq == CSeq(7, b"INVITE")
    assert message.branch == b"z9hG4bK1"
    assert (message.from_tag, message.to_tag) == (b"f", None)
    assert message.from_addr == NameAddr(b"", b"sip:a@192.0.2.1", {b"tag": b"f"})
    assert message.top_via == Via(b"UDP", b"192.0.2.1", 5062, {b"branch": b"z9hG4bK1"})


def test_compact_forms_and_any_case_name_the_same_headers() -> None:
    data = (
        b"SIP/2.0 200 OK\r\nv: SIP/2.0/UDP h;branch=b\r\nF: <sip:a@b>;tag=1\r\nt: <sip:c@d>\r\n"
        b"i: id\r\ncSEQ: 1 BYE\r\nL : 2\r\nC: application/sdp\r\n\r\nxy"
    )
    message = parse(data)
    assert list(message.fields) == [
        b"via", b"from", b"to", b"call-id", b"cseq", b"content-length", b"content-type",
    ]  # fmt: skip
    assert message.body == b"xy"


def test_a_folded_header_is_one_value() -> None:
    assert (
        parsed(b"Subject: one\r\n  two\r\n\tthree: 3\r\n").first(b"subject") == b"one two three: 3"
    )


def test_a_header_may_begin_on_its_second_line() -> None:
    assert parsed(b"Subject:\r\n late\r\n").first(b"subject") == b"late"


def test_vias_come_apart_whether_on_one_line_or_several() -> None:
    message = parsed(
        b'Via: SIP/2.0/TCP b;branch=2, SIP/2.0/TLS c:1;branch="3,;"\r\nV: SIP/2.0/UDP d\r\n'
    )
    assert [(via.transport, via.host, via.branch) for via in message.vias] == [
        (b"UDP", b"192.0.2.1", b"z9hG4bK1"),
        (b"TCP", b"b", b"2"),
        (b"TLS", b"c", b'"3,;"'),
        (b"UDP", b"d", None),
    ]


def test_white_space_is_allowed_wherever_the_grammar_has_it() -> None:
    data = (
        response()
        .replace(
            b"Via: SIP/2.0/UDP 192.0.2.1:5062;branch=z9hG4bK1",
            b"Via  :  SIP / 2.0 /UDP  192.0.2.1 : 5062 ; branch = z9hG4bK1",
        )
        .replace(b";tag=f", b" ; tag =  f")
    )
    message = parse(data)
    assert message.top_via == Via(b"UDP", b"192.0.2.1", 5062, {b"branch": b"z9hG4bK1"})
    assert (message.branch, message.from_tag) == (b"z9hG4bK1", b"f")


@pytest.mark.parametrize(
    ("start", "reason"),
    [
        (b"SIP/2.0 200", b""),
        (b"SIP/2.0 200 ", b""),
        (b"sip/2.0 200 Okay then", b"Okay then"),
        (b"SIP/2.0 200 \xff\xfe", b"\xff\xfe"),
    ],
)
def test_a_reason_phrase_is_whatever_it_is(start: bytes, reason: bytes) -> None:
    assert parsed(start=start).reason == reason


def test_a_reason_phrase_that_is_not_utf8_can_still_be_read() -> None:
    assert parsed(start=b"SIP/2.0 200 na\xefve").reason_text == "na\ufffdve"


@pytest.mark.parametrize(
    ("value", "tag"),
    [
        (b'"x;tag=no" <sip:a@b;tag=no>;tag=yes', b"yes"),
        (b'<sip:a@b>;x=">;tag=no";tag=yes', b"yes"),
        (b"sip:a@b;tag=yes", b"yes"),
        (b"<sip:a@b;tag=no>", None),
        (b"<sip:a@b>;TAG=yes;x", b"yes"),
        (b"<sip:a@b>;x;tag=a+b!", b"a+b!"),
        (b"<sip:a@b>;mytag=1", None),
    ],
)
def test_a_tag_is_found_behind_the_address_only(value: bytes, tag: bytes | None) -> None:
    data = response().replace(b"<sip:a@192.0.2.1>;tag=f", value)
    assert parse(data).from_tag == tag


def test_the_body_ends_where_content_length_says() -> None:
    assert parse(response(b"Content-Length: 2\r\n") + b"abcdef").body == b"ab"


def test_without_content_length_the_body_is_the_rest_of_the_datagram() -> None:
    assert parse(response() + b"abc").body == b"abc"


def test_line_ends_before_a_message_are_passed_over() -> None:
    assert parse(b"\r\n\r\n" + response()) == parse(response())


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no blank line behind the headers"),
        (b"\r\n\r\n", "no blank line behind the headers"),
        (b"SIP/2.0 200 OK\r\n" + HEAD, "no blank line behind the headers"),
        (response(b"Content-Length: 1\r\n"), "body shorter than its Content-Length"),
        (response(b"Content-Length: -1\r\n"), "not a number"),
        (response(b"Content-Length: 99999\r\n"), "number out of range"),
        (response(b"Content-Length: 0\r\nl: 0\r\n"), "repeated header"),
        (response(b"To: <sip:x@y>\r\n"), "repeated header"),
        (response(b"X: a\nInjected: b\r\n"), "CR or LF inside a line"),
        (response(b"X: a\rb\r\n"), "CR or LF inside a line"),
        (response(b"X: a\0b\r\n"), "NUL inside a line"),
        (response(b"X-Header\r\n"), "header without a colon"),
        (response(b"Via\r\n"), "header without a colon"),
        (response(b"two words: x\r\n"), "bad header name"),
        (response(b": x\r\n"), "bad header name"),
        (b"SIP/2.0 200 OK\r\n folded: start\r\n" + HEAD + b"\r\n", "continuation of nothing"),
        (response(b"X: y\r\n" * HEADERS_MAX), "too many headers"),
        (response(b"X: y\r\n" + b" y\r\n" * 300), "too many lines"),
        (response(b"X: " + b"y" * 8192 + b"\r\n"), "head too long"),
        (response().replace(b"Call-ID", b"Other"), "a mandatory header is missing"),
        (response(start=b"SIP/3.0 200 OK"), "not SIP 2.0"),
        (response(start=b"SIP/2.0 99 Low"), "bad status code"),
        (response(start=b"SIP/2.0 700 High"), "bad status code"),
        (response(start=b"SIP/2.0 2000 Long"), "bad status code"),
        (response(start=b"INVITE  sip:a@b SIP/2.0"), "bad request line"),
        (response(start=b"INVITE sip:a@b SIP/2.0 "), "bad request line"),
        (response(start=b"INVITE sip:a@b SIP/7.0"), "not SIP 2.0"),
        (response(start=b"INVITE <sip:a@b> SIP/2.0"), "bad Request-URI"),
        (response(start=b"IN@ITE sip:a@b SIP/2.0"), "bad method"),
    ],
)  # fmt: skip
def test_what_is_not_sip_is_refused_with_its_reason(data: bytes, reason: str) -> None:
    assert refusal_of(data) == reason


@pytest.mark.parametrize(
    ("view", "header", "value"),
    [
        ("cseq", b"7 INVITE", b"INVITE 7"),
        ("cseq", b"7 INVITE", b"2147483648 INVITE"),
        ("cseq", b"7 INVITE", b"7"),
        ("from_addr", b"<sip:a@192.0.2.1>;tag=f", b'"open <sip:a@b>'),
        ("from_addr", b"<sip:a@192.0.2.1>;tag=f", b"<sip:a@b"),
        ("from_addr", b"<sip:a@192.0.2.1>;tag=f", b"<sip:a@b> garbage"),
        ("from_addr", b"<sip:a@192.0.2.1>;tag=f", b"sip:a@b?Subject=x"),
        ("from_addr", b"<sip:a@192.0.2.1>;tag=f", b"<>"),
        ("from_tag", b"<sip:a@192.0.2.1>;tag=f", b'"open <sip:a@b>'),
        ("from_tag", b"<sip:a@192.0.2.1>;tag=f", b'"a" <sip:a@b>;tag=1;tag=2'),
        ("vias", b"SIP/2.0/UDP 192.0.2.1:5062;branch=z9hG4bK1", b"HTTP/1.1 host"),
        ("vias", b"SIP/2.0/UDP 192.0.2.1:5062;branch=z9hG4bK1", b"SIP/2.0/UDP host:99999"),
        ("top_via", b"SIP/2.0/UDP 192.0.2.1:5062;branch=z9hG4bK1", b",,"),
        ("branch", b"SIP/2.0/UDP 192.0.2.1:5062;branch=z9hG4bK1", b""),
    ],
)
def test_a_view_of_something_malformed_raises_the_typed_error(
    view: str, header: bytes, value: bytes
) -> None:
    message = parse(response().replace(header, value))
    with pytest.raises(SipParseError):
        getattr(message, view)


def test_a_request_whose_cseq_names_another_method_says_so_when_asked() -> None:
    headers = (*HEADERS[:4], (b"CSeq", b"7 BYE"))
    with pytest.raises(SipParseError, match="CSeq is of another method"):
        _ = request(headers).cseq


def test_more_list_values_than_the_bound_are_refused_when_asked_for() -> None:
    message = parsed(b"Record-Route: " + b",".join([b"<sip:p@x;lr>"] * 70) + b"\r\n")
    with pytest.raises(SipParseError, match="too many values in one field"):
        message.listed(b"record-route")


def test_a_response_echoes_what_came_byte_for_byte() -> None:
    headers = (
        (b"Via", b"SIP/2.0/UDP  a_b ;branch=a+b!;rport"),
        (b"Via", b"SIP/2.0/UDP second;branch=x"),
        (b"From", b'"T\xe4st" <sip:a@b>;tag=a+b!'),
        (b"To", b"sip:b@192.0.2.2"),
        (b"Call-ID", b"i(d)@x"),
        (b"CSeq", b"0007   INVITE"),
    )
    data = build_response(request(headers), 486, to_tag=b"mine", headers=((b"Allow", b"INVITE"),))
    assert data == (
        b"SIP/2.0 486 Busy Here\r\n"
        b"Via: SIP/2.0/UDP  a_b ;branch=a+b!;rport\r\n"
        b"Via: SIP/2.0/UDP second;branch=x\r\n"
        b'From: "T\xe4st" <sip:a@b>;tag=a+b!\r\n'
        b"To: sip:b@192.0.2.2;tag=mine\r\n"
        b"Call-ID: i(d)@x\r\n"
        b"CSeq: 0007   INVITE\r\n"
        b"Allow: INVITE\r\n"
        b"Content-Length: 0\r\n\r\n"
    )


def test_a_to_that_has_a_tag_keeps_it() -> None:
    headers = (*HEADERS[:2], (b"To", b"<sip:b@x>;tag=theirs"), *HEADERS[3:])
    data = build_response(request(headers), 200, to_tag=b"mine")
    assert parse(data).raw(b"to") == [b"<sip:b@x>;tag=theirs"]


@pytest.mark.parametrize("bad", [b"a\r\nX: y", b"a\nb", b"a\rb", b"a\0b"])
def test_no_value_can_end_its_line(bad: bytes) -> None:
    with pytest.raises(UnsafeValueError):
        build_request(b"INVITE", b"sip:b@x", ((b"Subject", bad),))
    with pytest.raises(UnsafeValueError):
        build_request(b"INVITE", b"sip:" + bad, HEADERS)
    with pytest.raises(UnsafeValueError):
        build_response(request(), 200, reason=bad)
    with pytest.raises(UnsafeValueError):
        build_response(request(), 200, to_tag=bad)
    with pytest.raises(UnsafeValueError):
        compose([b"SIP/2.0 200 OK", b"X: " + bad])


def test_no_header_name_can_hold_a_colon_or_a_space() -> None:
    with pytest.raises(UnsafeValueError):
        build_request(b"INVITE", b"sip:b@x", ((b"X: y\r\nZ", b"1"),))


# Visible octets, high ones included, with single spaces inside: what a header value may be.
_words = st.binary(min_size=1, max_size=12).map(
    lambda raw: bytes(octet for octet in raw if octet > 32 and octet != 127) or b"x"
)
_values = st.lists(_words, min_size=1, max_size=3).map(b" ".join)
_names = st.from_regex(rb"\AX-[A-Za-z0-9-]{1,10}\Z")


@given(
    extra=st.lists(st.tuples(_names, _values), max_size=8),
    body=st.binary(max_size=200),
    uri=_words.filter(lambda word: not word.startswith(b"<")),
)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_what_was_built_parses_to_what_it_was_built_from(
    extra: list[tuple[bytes, bytes]], body: bytes, uri: bytes
) -> None:
    fields: dict[bytes, list[bytes]] = {}
    for name, value in (*HEADERS, *extra):
        fields.setdefault(name.lower(), []).append(value)
    fields[b"content-length"] = [b"%d" % len(body)]
    built = build_request(b"INVITE", uri, (*HEADERS, *extra), body)
    assert parse(built) == Request(fields, body, b"INVITE", uri)


@given(value=st.binary(max_size=60))
@settings(max_examples=500, deadline=None, derandomize=True)
def test_a_value_is_either_one_line_or_refused(value: bytes) -> None:
    try:
        built = build_request(b"INVITE", b"sip:b@x", (*HEADERS, (b"X-Value", value)))
    except UnsafeValueError:
        assert any(octet in value for octet in (b"\r", b"\n", b"\0"))
    else:
        assert built.count(b"\r\n") == len(HEADERS) + 4


_SEEDS = (
    build_request(
        b"INVITE",
        b"sip:b@192.0.2.2;transport=udp",
        (
            *HEADERS,
            (b"Contact", b'"A \\"q\\" <x>" <sip:a@[2001:db8::1]:5060;lr>;expires=5;q="0,;5"'),
            (b"Record-Route", b"<sip:p1@x;lr>, <sip:p2@y;lr>"),
            (b"Reason", b'Q.850;cause=17;text="busy, yes"'),
        ),
        b"v=0\r\n",
    ),
    response(b"Retry-After: 5 (later)\r\nContact: <sip:b@192.0.2.2>\r\nSubject: a\r\n b\r\n"),
    b'SIP/2.0 401 No\r\nVia: SIP/2.0/UDP a, SIP/2.0/UDP b;x="\\\\\\",;"\r\n'
    + HEAD[HEAD.index(b"From") :] + b"\r\n",
)  # fmt: skip
_SPICE = (
    b'"', b"<", b">", b";", b",", b"\\", b":", b"\r\n", b"\r\n ", b"\0", b"@", b"[", b"]", b"=",
    b"  ", b"%00", b"\xff", b'\\"' * 50, b",;" * 40, b'"<' * 40, b"9" * 30, b";tag=", b";branch=",
)  # fmt: skip
_edits = st.lists(
    st.tuples(
        st.floats(0, 1, exclude_max=True),
        st.integers(0, 12),
        st.one_of(st.sampled_from(_SPICE), st.binary(max_size=4)),
    ),
    min_size=1,
    max_size=6,
)


@given(seed=st.sampled_from(_SEEDS), edits=_edits)
@settings(max_examples=20_000 if IS_LONG else 800, deadline=None, derandomize=True)
def test_a_mutated_message_raises_the_typed_error_or_nothing(
    seed: bytes, edits: list[tuple[float, int, bytes]]
) -> None:
    """Each edit makes one more message: some thousands in all."""
    data = seed
    for place, cut, put in edits:
        at = int(place * len(data))
        data = data[:at] + put + data[at + cut :]
        with contextlib.suppress(SipParseError):
            message = parse(data)
            for view in (*VIEWS, "contact", "content_type"):
                with contextlib.suppress(SipParseError):
                    getattr(message, view)


@pytest.mark.parametrize(
    "value",
    [
        b'"' + b'\\"' * 4000,
        b"<" * 8000,
        b'"' * 8000,
        b"," * 8000,
        b";" * 8000,
        b";a=" * 2600,
        b'"\\' * 4000,
        b" \t" * 4000,
        b"SIP / " * 1300,
    ],
)
def test_no_value_makes_a_view_search_more_than_linearly(value: bytes) -> None:
    """The longest head there can be, read a hundred times. A quadratic view would take a minute of
    CPU here, an exponential one for ever; this takes some milliseconds."""
    data = response().replace(b"<sip:a@192.0.2.1>;tag=f", value + b"x")
    message = parse(data.replace(b"SIP/2.0/UDP 192.0.2.1:5062;branch=z9hG4bK1", b"SIP/2.0/UDP a"))
    via = parse(response().replace(b"SIP/2.0/UDP 192.0.2.1:5062;branch=z9hG4bK1", value + b"x"))
    began = time.thread_time()
    for _ in range(50):
        for subject, view in ((message, "from_tag"), (message, "from_addr"), (via, "top_via")):
            with contextlib.suppress(SipParseError):
                getattr(subject, view)
    assert time.thread_time() - began < 5
