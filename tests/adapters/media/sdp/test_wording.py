"""Answers that differ from one before only in port and origin are not read line by line again."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from adapters.media.sdp import PLAIN, MediaTerms, SdpError, read_later_answer
from adapters.media.sdp.choice import read_anew
from adapters.media.types import Remote

lines = st.sampled_from(
    [
        *(
            b"v=0",
            b"o=- 1 1 IN IP4 192.0.2.1",
            b"o=",
            b"o=x\nm=audio 7 RTP/AVP 8",
            b"o=x\rc=IN IP4 ::1",
        ),
        *(
            b"c=IN IP4 192.0.2.1",
            b"c=IN IP4 0.0.0.0",
            b"c=IN IP6 2001:db8::1",
            b"s=-",
            b"t=0 0",
            b"",
        ),
        *(b"m=audio 4000 RTP/AVP 0 101", b"m=audio 0 RTP/AVP 0", b"m=audio 65536 RTP/AVP 0"),
        *(b"m=audio 0005 RTP/AVP 8", b"m=audio 4000/2 RTP/AVP 0", b"m=audio  4000 RTP/AVP 0"),
        *(
            b"m=AUDIO 4002 RTP/AVP 0",
            b"m=video 9 RTP/AVP 31",
            b"m=audio 9 RTP/SAVP 0",
            b"m=audio 9 ",
        ),
        *(
            b"a=rtpmap:101 telephone-event/8000",
            b"a=rtpmap:0 PCMA/8000",
            b"a=rtcp:4009",
            b"a=rtcp-mux",
        ),
        *(
            b"a=sendonly",
            b"a=ptime:30",
            b"a=fmtp:0 m=1",
            b" m=audio 4004 RTP/AVP 0",
            b"a=x\nm=audio 6 x 0",
        ),
    ]
)
usual = st.tuples(st.just([b"v=0", b"o=- 1 1 IN IP4 192.0.2.1"]), st.lists(lines, max_size=8)).map(
    lambda parts: parts[0] + parts[1]
)
bodies = st.builds(
    lambda some, newline: newline.join([*some, b""]),
    st.one_of(usual, usual, st.lists(lines, max_size=10)),
    st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\n"]),
)


def outcome(read: Callable[[bytes, MediaTerms], Remote], body: bytes) -> Remote | str:
    try:
        return read(body, PLAIN)
    except SdpError as error:
        return error.reason


@given(bodies)
def test_an_answer_means_what_its_lines_say_whether_its_wording_is_known_or_not(
    body: bytes,
) -> None:
    expected = outcome(read_anew, body)

    assert [outcome(read_later_answer, body) for _ in range(2)] == [expected, expected]


def test_each_answer_has_its_own_port() -> None:
    body = b"v=0\r\no=- %d 1 IN IP4 192.0.2.1\r\nc=IN IP4 192.0.2.1\r\nm=audio %d RTP/AVP 0\r\n"

    answers = [read_later_answer(body % (number, 4000 + number)) for number in range(3)]

    assert answers == [Remote("192.0.2.1", 4000 + number, 0) for number in range(3)]
