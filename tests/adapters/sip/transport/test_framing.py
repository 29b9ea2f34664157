from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.sip.transport.framing import PING, PONG, FramingError, StreamFramer
from adapters.sip.wire.message import (
    BODY_BYTES_MAX,
    HEAD_BYTES_MAX,
    SipParseError,
    build_request,
    parse,
)
from tests.adapters.sip.wire.torture import POINTS, Point

FIELDS = (
    b"Via: SIP/2.0/TCP 192.0.2.1:5062;branch=z9hG4bK1",
    b"From: <sip:a@192.0.2.1>;tag=f",
    b"To: <sip:b@192.0.2.2>",
    b"Call-ID: call",
    b"CSeq: 7 INVITE",
)
START = b"INVITE sip:b@192.0.2.2 SIP/2.0"


def message(*lines: bytes, body: bytes = b"") -> bytes:
    """With these lines, a Content-Length among them, in the midst of the mandatory ones."""
    return b"\r\n".join((START, *FIELDS[:2], *lines, *FIELDS[2:], b"", body))


PLAIN = message(b"Content-Length: 4", body=b"body")
NEXT = message(b"l:0")


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[begin:end] for begin, end in pairwise(edges)]


def cut(*feeds: bytes) -> list[bytes]:
    framer = StreamFramer()
    return [cut_out for data in feeds for cut_out in framer.feed(data)]


def cut_with_fault(*feeds: bytes) -> tuple[list[bytes], str]:
    """The messages, and why there are no more of them."""
    framer = StreamFramer()
    messages = []
    for data in feeds:
        try:
            messages += framer.feed(data)
        except FramingError as error:
            return messages + error.messages, error.reason
    return messages, ""


LINE_ENDS = st.sampled_from((b"", b"", b"\r\n", b"\r\n\r\n", b"\r\n\r\n\r\n", b"\n", b"\r"))
BODIES = st.one_of(
    st.binary(max_size=40), st.sampled_from((b"\r\n\r\n", b"\r\n" * 9, PLAIN, b"\r"))
)
LENGTH_NAMES = st.sampled_from(
    (b"Content-Length", b"l", b"L", b"CONTENT-LENGTH", b"content-lengTh")
)
GAPS = st.sampled_from((b"", b" ", b"\t ", b"   "))
FOLDS = st.sampled_from((b"", b" ", b"\r\n ", b"\r\n\t \r\n ", b" \t"))


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    body = draw(BODIES)
    zeros = draw(st.sampled_from((b"", b"", b"000")))
    line = b"%b%b:%b%b%d%b" % (
        draw(LENGTH_NAMES), draw(GAPS), draw(FOLDS), zeros, len(body), draw(FOLDS),
    )  # fmt: skip
    return message(line, body=body)


@given(
    st.lists(st.tuples(LINE_ENDS, messages()), max_size=5),
    LINE_ENDS,
    st.lists(st.integers(0, 4000), max_size=40),
)
def test_any_split_of_any_messages_gives_the_same_messages(
    sequence: list[tuple[bytes, bytes]], tail: bytes, cuts: list[int]
) -> None:
    stream = b"".join(ends + data for ends, data in sequence) + tail
    expected = [data for _, data in sequence]
    assert expected == cut(*pieces(stream, cuts))
    assert expected == cut(*(bytes((byte,)) for byte in stream))


@given(
    st.lists(
        st.one_of(
            messages(),
            LINE_ENDS,
            st.binary(max_size=30),
            st.sampled_from((b"\r\n\r\n", message(), message(b"l: x"), b"Content-Length: 3\r\n")),
        ),
        max_size=6,
    ),
    st.lists(st.integers(0, 4000), max_size=40),
)
def test_garbage_breaks_any_split_at_the_same_place(parts: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(parts)
    expected = cut_with_fault(stream)
    assert expected == cut_with_fault(*pieces(stream, cuts))
    assert expected == cut_with_fault(*(bytes((byte,)) for byte in stream))


ODD_LINES = st.lists(
    st.sampled_from(
        (
            b"Content-Length: 3", b"l: 3", b"Content-Length : 0", b"Content-Length:\r\n 2",
            b"l:2\r\n ", b"l:\r\n \r\n\t1\r\n ", b"l: 1\r\n 1", b"l: 2\r", b"l: 2\n", b"l: \r1",
            b"l: +2", b"l: 2;x", b"l: 00000000000000000000002", b"l: 00000000000000000002", b"l:",
            b"l: -1", b"l: 65536", b"l: \xb2", b"l: 1_0", b"l: 2,2", b"Content-Lengths: 2", b"xl: 2",
            b"Subject: a\r\n l: 1", b"Subject: a\r\n Content-Length: 1", b"Subject:\nl: 1", b"l \t: 3",
            b"Subject: l: 1", b"\tl: 1", b"l\r\n : 1", b"l", b"Content-Length", b"Content_Length: 1",
            b"Subject: x\rl: 1", b"Subject: x\r", b": 1", b"l\0: 1", b"l:\x0b2", b"l:\x0c2", b"l: 2 ",
        )
    ),
    max_size=3,
)  # fmt: skip


@given(ODD_LINES, st.sampled_from((b"", b"abc", b"abc\r\n\r\nl: 7", PLAIN)))
def test_what_parse_accepts_ends_where_parse_ends_it(lines: list[bytes], tail: bytes) -> None:
    data = message(*lines, body=tail)
    try:
        parsed = parse(data)
    except SipParseError:
        return
    if parsed.first(b"content-length") is None:
        assert cut_with_fault(data) == ([], "no Content-Length")
        return
    length = data.index(b"\r\n\r\n") + 4 + len(parsed.body)
    whole = data[:length]
    assert cut(whole, NEXT) == [whole, NEXT]


@pytest.mark.parametrize("point", POINTS, ids=[point.name for point in POINTS])
def test_the_torture_messages_end_where_parse_ends_them(point: Point) -> None:
    data = point.data
    try:
        parsed = parse(data)
    except SipParseError:
        return
    if parsed.first(b"content-length") is None:
        return
    data = data.lstrip(b"\r\n")
    whole = data[: data.index(b"\r\n\r\n") + 4 + len(parsed.body)]
    assert cut(whole, NEXT) == [whole, NEXT]


def test_the_longest_message_passes_and_nothing_more_is_kept_of_it() -> None:
    filler = b"S: " + b"x" * (HEAD_BYTES_MAX - len(message(b"S: ", b"l: 65535")) + 4)
    longest = message(filler, b"l: 65535", body=b"b" * BODY_BYTES_MAX)
    assert longest.index(b"\r\n\r\n") == HEAD_BYTES_MAX
    framer = StreamFramer()
    assert framer.feed(longest[:-1]) == []
    assert framer.bytes_held == len(longest) - 1
    assert framer.feed(longest[-1:] + NEXT) == [longest, NEXT]
    assert framer.bytes_held == 0


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (message(), "no Content-Length"),
        (message(b"l: 1", b"Content-Length: 1"), "repeated Content-Length"),
        (message(b"l: one"), "not a number"),
        (message(b"l:"), "not a number"),
        (message(b"l: 65536"), "number out of range"),
        (b"x" * (HEAD_BYTES_MAX + 1) + b"\r\n\r\n", "head too long"),
        (b"x" * (HEAD_BYTES_MAX + 4), "head too long"),
        (b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n", "no Content-Length"),
    ],
)
def test_a_stream_breaks_once_and_for_all(broken: bytes, reason: str) -> None:
    framer = StreamFramer()
    with pytest.raises(FramingError) as caught:
        framer.feed(PLAIN + NEXT + broken + NEXT)
    assert (caught.value.messages, caught.value.reason) == ([PLAIN, NEXT], reason)
    with pytest.raises(FramingError) as caught:
        framer.feed(PLAIN)
    assert (caught.value.messages, caught.value.reason) == ([], reason)


def test_a_head_that_does_not_end_is_not_kept_beyond_its_bound() -> None:
    framer = StreamFramer()
    assert framer.feed(b"x" * (HEAD_BYTES_MAX + 3)) == []
    with pytest.raises(FramingError):
        framer.feed(b"x")


def test_line_ends_without_end_are_not_kept() -> None:
    framer = StreamFramer()
    for _ in range(100):
        assert framer.feed(b"\r\n" * 1000 + b"\r") == []
        assert framer.feed(b"\n") == []
    assert framer.bytes_held == 0
    assert framer.take_pings() == 100 * 1001 // 2


def test_what_we_build_is_cut_where_it_ends() -> None:
    headers = [tuple(line.split(b": ", 1)) for line in FIELDS]
    built = build_request(
        b"INVITE", b"sip:b@192.0.2.2", [(name, value) for name, value in headers], b"sdp"
    )
    assert cut(built + PLAIN) == [built, PLAIN]


@given(st.lists(st.sampled_from((PING, PLAIN)), max_size=8), st.lists(st.integers(0, 999)))
def test_each_ping_is_reported_however_it_comes(parts: list[bytes], cuts: list[int]) -> None:
    framer = StreamFramer()
    for data in pieces(b"".join(parts), cuts):
        framer.feed(data)
    assert (framer.take_pings(), framer.take_pings()) == (parts.count(PING), 0)
    assert framer.pongs == 0


def test_a_ping_in_front_of_a_message_counts_and_a_lone_line_end_does_not() -> None:
    framer = StreamFramer()
    assert framer.feed(PING + PLAIN + b"\r\n" + PLAIN + b"\r\n") == [PLAIN, PLAIN]
    assert framer.feed(PLAIN + b"\r\n" + PLAIN) == [PLAIN, PLAIN]
    assert (framer.take_pings(), framer.pongs) == (1, 0)


@pytest.mark.parametrize(
    "feeds",
    [
        (PONG,),
        (b"\r", b"\n"),
        (PONG + PLAIN,),
        (PLAIN + PONG,),
        (PLAIN[:9], PLAIN[9:] + b"\r", b"\n"),
    ],
)
def test_a_pong_is_the_lone_line_end_behind_a_ping_of_ours(feeds: tuple[bytes, ...]) -> None:
    framer = StreamFramer()
    framer.expect_pong()
    for data in feeds:
        framer.feed(data)
    assert (framer.pongs, framer.take_pings()) == (1, 0)
    framer.feed(PONG)
    assert (framer.pongs, framer.take_pings()) == (1, 0)


def test_a_peer_that_pings_and_never_pongs_has_not_ponged() -> None:
    """Asterisk is one of those."""
    framer = StreamFramer()
    framer.expect_pong()
    framer.feed(PING)
    assert (framer.pongs, framer.take_pings()) == (0, 1)
    framer.feed(PING + PONG)
    assert (framer.pongs, framer.take_pings()) == (1, 1)
