"""SDP as we write it, and as the field writes it."""

from __future__ import annotations

import contextlib
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.media.sdp import (
    SDP_BYTES_MAX,
    SDP_LINES_MAX,
    SDP_MEDIA_MAX,
    SdpError,
    build_answer,
    build_offer,
    read_answer,
    read_later_answer,
)
from adapters.media.types import Remote

OFFER = b"""\
v=0\r
o=- 77 1 IN IP4 192.0.2.1\r
s=-\r
c=IN IP4 192.0.2.1\r
t=0 0\r
m=audio 20000 RTP/AVP 0 8 101\r
a=rtpmap:0 PCMU/8000\r
a=rtpmap:8 PCMA/8000\r
a=rtpmap:101 telephone-event/8000\r
a=fmtp:101 0-16\r
a=ptime:20\r
a=sendrecv\r
"""


def described(*lines: str, newline: str = "\r\n") -> bytes:
    head = ("v=0", "o=- 1 1 IN IP4 198.51.100.7", "s=-", "t=0 0")
    return (newline.join((*head, *lines)) + newline).encode()


AT = "c=IN IP4 198.51.100.7"
HOST = "198.51.100.7"

ANSWERS = {
    "asterisk": (
        described(
            AT,
            "m=audio 11424 RTP/AVP 0 101",
            "a=rtpmap:0 PCMU/8000",
            "a=rtpmap:101 telephone-event/8000",
            "a=fmtp:101 0-16",
            "a=ptime:20",
            "a=maxptime:140",
            "a=sendrecv",
        ),
        Remote(HOST, 11424, 0, 101),
    ),
    "sipp, with no telephone-event and no direction": (
        described(AT, "m=audio 6000 RTP/AVP 0", "a=rtpmap:0 PCMU/8000"),
        Remote(HOST, 6000, 0),
    ),
    "a gateway, with a static type and no rtpmap": (
        described(AT, "m=audio 30002 RTP/AVP 8"),
        Remote(HOST, 30002, 8),
    ),
    "bare line feeds": (
        described(AT, "m=audio 30002 RTP/AVP 8 0", newline="\n"),
        Remote(HOST, 30002, 8),
    ),
    "bare carriage returns": (
        described(AT, "m=audio 30002 RTP/AVP 8 0", newline="\r"),
        Remote(HOST, 30002, 8),
    ),
    "an address of the medium's own goes before the session's": (
        described(AT, "m=audio 4000 RTP/AVP 0", "c=IN IP4 203.0.113.9"),
        Remote("203.0.113.9", 4000, 0),
    ),
    "an address of another medium is not the audio's": (
        described(AT, "m=audio 4000 RTP/AVP 0", "m=video 0 RTP/AVP 96", "c=IN IP4 203.0.113.9"),
        Remote(HOST, 4000, 0),
    ),
    "refused audio, secure audio and video before the audio": (
        described(
            AT,
            "m=audio 0 RTP/AVP 0",
            "m=audio 4002 RTP/SAVP 0",
            "m=video 5000 RTP/AVP 96",
            "m=audio 4000 RTP/AVP 8",
        ),
        Remote(HOST, 4000, 8),
    ),
    "telephone-event under another number": (
        described(
            AT,
            "m=audio 4000 RTP/AVP 0 96",
            "a=rtpmap:96 telephone-event/8000",
            "a=fmtp:96 0-15",
        ),
        Remote(HOST, 4000, 0, 96, heard_event=101),
    ),
    "telephone-event as offered, without its rtpmap": (
        described(AT, "m=audio 4000 RTP/AVP 0 101"),
        Remote(HOST, 4000, 0, 101),
    ),
    "telephone-event of another clock is none of ours": (
        described(AT, "m=audio 4000 RTP/AVP 0 101", "a=rtpmap:101 telephone-event/48000"),
        Remote(HOST, 4000, 0),
    ),
    "telephone-event that is mapped but not listed": (
        described(AT, "m=audio 4000 RTP/AVP 0", "a=rtpmap:101 telephone-event/8000"),
        Remote(HOST, 4000, 0),
    ),
    "PCMU under a dynamic number": (
        described(AT, "m=audio 4000 RTP/AVP 97", "a=rtpmap:97 pcmu/8000/1"),
        Remote(HOST, 4000, 0),
    ),
    "a static number goes before a dynamic one": (
        described(AT, "m=audio 4000 RTP/AVP 97 8", "a=rtpmap:97 PCMU/8000"),
        Remote(HOST, 4000, 8),
    ),
    "codecs that we do not have come first": (
        described(AT, "m=audio 4000 RTP/AVP 9 18 111 8", "a=rtpmap:111 opus/48000/2"),
        Remote(HOST, 4000, 8),
    ),
    "an rtpmap without its clock": (
        described(AT, "m=audio 4000 RTP/AVP 0", "a=rtpmap:0 PCMU"),
        Remote(HOST, 4000, 0),
    ),
    "ptime of the medium": (
        described(AT, "a=ptime:10", "m=audio 4000 RTP/AVP 0", "a=ptime:30"),
        Remote(HOST, 4000, 0, None, 30),
    ),
    "ptime of the session": (
        described(AT, "a=ptime:60", "m=audio 4000 RTP/AVP 0"),
        Remote(HOST, 4000, 0, None, 60),
    ),
    "ptime with a fraction": (
        described(AT, "m=audio 4000 RTP/AVP 0", "a=ptime:10.0"),
        Remote(HOST, 4000, 0, None, 10),
    ),
    "ptime out of bounds": (
        described(AT, "m=audio 4000 RTP/AVP 0", "a=ptime:900"),
        Remote(HOST, 4000, 0),
    ),
    "IPv6": (
        described("c=IN IP6 2001:db8::7", "m=audio 4000 RTP/AVP 0"),
        Remote("2001:db8::7", 4000, 0),
    ),
    "IPv4 wrapped in IPv6": (
        described("c=IN IP6 ::ffff:198.51.100.7", "m=audio 4000 RTP/AVP 0"),
        Remote(HOST, 4000, 0),
    ),
    "a time to live behind the address, a count behind the port": (
        described("c=IN IP4 198.51.100.7/127", "m=audio 4000/2 RTP/AVP 0"),
        Remote(HOST, 4000, 0),
    ),
    "a callee that holds but has an address": (
        described(AT, "m=audio 4000 RTP/AVP 0", "a=sendonly"),
        Remote(HOST, 4000, 0),
    ),
    "a callee that holds both ways but has an address": (
        described(AT, "a=inactive", "m=audio 4000 RTP/AVP 0"),
        Remote(HOST, 4000, 0),
    ),
    "lines that are no SDP, and blanks around those that are": (
        described("", "nonsense", "  " + AT + "  ", "m=audio 4000 RTP/AVP 0", "a=", "=x"),
        Remote(HOST, 4000, 0),
    ),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_of_the_field_is_read(name: str) -> None:
    body, remote = ANSWERS[name]
    assert read_answer(body) == remote


UNUSABLE = {
    "empty": (b"", "the description has no media"),
    "no media": (described(AT), "the description has no media"),
    "refused": (
        described(AT, "m=audio 0 RTP/AVP 0"),
        "the description has no audio over RTP/AVP with a port",
    ),
    "secure only": (
        described(AT, "m=audio 4000 RTP/SAVP 0"),
        "the description has no audio over RTP/AVP with a port",
    ),
    "video only": (
        described(AT, "m=video 4000 RTP/AVP 0"),
        "the description has no audio over RTP/AVP with a port",
    ),
    "no common codec": (
        described(AT, "m=audio 4000 RTP/AVP 18 101", "a=rtpmap:18 G729/8000"),
        "the description has no codec in common with us: PCMU or PCMA is needed",
    ),
    "a static number mapped to something else": (
        described(AT, "m=audio 4000 RTP/AVP 0", "a=rtpmap:0 L16/44100/2"),
        "the description has no codec in common with us: PCMU or PCMA is needed",
    ),
    "PCMU of another clock": (
        described(AT, "m=audio 4000 RTP/AVP 97", "a=rtpmap:97 PCMU/16000"),
        "the description has no codec in common with us: PCMU or PCMA is needed",
    ),
    "no address": (
        described("m=audio 4000 RTP/AVP 0"),
        "the description has no address for its audio",
    ),
    "a host name": (
        described("c=IN IP4 media.example.com", "m=audio 4000 RTP/AVP 0"),
        "the address of the audio is not an IP address",
    ),
    "a number for an address": (
        described("c=IN IP4 2130706433", "m=audio 4000 RTP/AVP 0"),
        "the address of the audio is not an IP address",
    ),
    "an address with a zone": (
        described("c=IN IP6 fe80::1%eth0", "m=audio 4000 RTP/AVP 0"),
        "the address of the audio is not an IP address",
    ),
    "a group address": (
        described("c=IN IP4 239.1.2.3", "m=audio 4000 RTP/AVP 0"),
        "the address of the audio is not a unicast address",
    ),
    "the broadcast address": (
        described("c=IN IP4 255.255.255.255", "m=audio 4000 RTP/AVP 0"),
        "the address of the audio is not a unicast address",
    ),
    "on hold from the first moment": (
        described("c=IN IP4 0.0.0.0", "m=audio 4000 RTP/AVP 0"),
        "the answer puts the call on hold: its address is unspecified",
    ),
    "a port beyond the last": (
        described(AT, "m=audio 65536 RTP/AVP 0"),
        "a media line has no port",
    ),
    "a port in other digits": (
        described(AT, "m=audio ٤٠٠٠ RTP/AVP 0"),
        "a media line cannot be read",
    ),
    "a broken media line": (described(AT, "m=audio"), "a media line cannot be read"),
    "too long": (
        OFFER + b"a=x\r\n" * (SDP_BYTES_MAX // 5),
        f"the description is longer than {SDP_BYTES_MAX} bytes",
    ),
    "too many lines": (
        OFFER + b"\n" * SDP_LINES_MAX,
        f"the description has more than {SDP_LINES_MAX} lines",
    ),
    "too many media": (
        OFFER + b"m=audio 0 RTP/AVP 0\r\n" * SDP_MEDIA_MAX,
        f"the description has more than {SDP_MEDIA_MAX} media",
    ),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_an_answer_that_cannot_be_used_says_why(name: str) -> None:
    body, reason = UNUSABLE[name]
    with pytest.raises(SdpError) as caught:
        read_answer(body)
    assert caught.value.reason == reason


def test_an_offer_is_what_the_field_expects() -> None:
    assert build_offer("192.0.2.1", 20000, 77) == OFFER


def test_an_offer_over_ipv6_says_so() -> None:
    offer = build_offer("2001:db8::1", 20000, 77, 3)
    assert b"o=- 77 3 IN IP6 2001:db8::1\r\n" in offer
    assert b"c=IN IP6 2001:db8::1\r\n" in offer


def test_an_offer_from_a_host_name_is_our_own_mistake() -> None:
    with pytest.raises(ValueError, match=r"media\.example\.com"):
        build_offer("media.example.com", 20000, 77)


def test_an_answer_takes_the_codec_that_we_prefer_and_refuses_the_rest() -> None:
    offer = described(
        AT,
        "m=video 5000 RTP/AVP 96 97",
        "m=audio 4000 RTP/AVP 18 8 0 96",
        "a=rtpmap:96 telephone-event/8000",
        "m=audio 4002 RTP/AVP 0",
        "m=image 4004 udptl t38",
    )
    body, remote = build_answer(offer, "192.0.2.1", 20000, 5, 2)
    assert remote == Remote(HOST, 4000, 0, 96)
    assert body.decode().split("\r\n") == [
        "v=0",
        "o=- 5 2 IN IP4 192.0.2.1",
        "s=-",
        "c=IN IP4 192.0.2.1",
        "t=0 0",
        "m=video 0 RTP/AVP 96 97",
        "m=audio 20000 RTP/AVP 0 96",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:96 telephone-event/8000",
        "a=fmtp:96 0-16",
        "a=ptime:20",
        "a=sendrecv",
        "m=audio 0 RTP/AVP 0",
        "m=image 0 udptl t38",
        "",
    ]


def test_an_answer_repeats_a_dynamic_number_of_the_offer() -> None:
    offer = described(AT, "m=audio 4000 RTP/AVP 97 101", "a=rtpmap:97 PCMU/8000")
    body, remote = build_answer(offer, "192.0.2.1", 20000, 5, 2)
    assert remote == Remote(HOST, 4000, 0)
    assert b"m=audio 20000 RTP/AVP 97\r\na=rtpmap:97 PCMU/8000\r\n" in body


@pytest.mark.parametrize(
    ("address", "offered", "answered"),
    [
        (HOST, "sendrecv", "sendrecv"),
        (HOST, "sendonly", "recvonly"),
        (HOST, "recvonly", "sendonly"),
        (HOST, "inactive", "inactive"),
        ("0.0.0.0", "sendrecv", "recvonly"),
        ("0.0.0.0", "sendonly", "recvonly"),
        ("0.0.0.0", "recvonly", "inactive"),
        ("0.0.0.0", "inactive", "inactive"),
    ],
)
def test_hold_is_answered_in_its_own_direction(address: str, offered: str, answered: str) -> None:
    offer = described(f"c=IN IP4 {address}", "m=audio 4000 RTP/AVP 0", f"a={offered}")
    body, remote = build_answer(offer, "192.0.2.1", 20000, 5, 2)
    assert remote == Remote(address, 4000, 0)
    assert body.endswith(f"a={answered}\r\n".encode())


def test_an_answer_is_refused_when_the_offer_cannot_be_used() -> None:
    with pytest.raises(SdpError, match="no codec in common"):
        build_answer(described(AT, "m=audio 4000 RTP/AVP 18"), "192.0.2.1", 20000, 5, 2)


addresses = st.ip_addresses().filter(
    lambda ip: (
        not ip.is_multicast
        and not ip.is_unspecified
        and str(ip) != "255.255.255.255"
        and getattr(ip, "ipv4_mapped", None) is None
        and getattr(ip, "scope_id", None) is None
    )
)
ports = st.integers(1, 65_535)


@given(addresses, ports, addresses, ports, st.integers(0, 2**63 - 1))
def test_an_offer_and_its_answer_agree(
    ours: IPv4Address | IPv6Address,
    our_port: int,
    theirs: IPv4Address | IPv6Address,
    their_port: int,
    session: int,
) -> None:
    offer = build_offer(str(ours), our_port, session)
    answer, caller = build_answer(offer, str(theirs), their_port, session, 1)
    assert caller == Remote(str(ours), our_port, 0, 101)
    assert read_answer(answer) == Remote(str(theirs), their_port, 0, 101)


@pytest.mark.parametrize(("line", "host"), [("c=IN IP4 0.0.0.0", "0.0.0.0"), (AT, HOST)])
def test_an_answer_to_a_later_offer_may_put_the_call_on_hold(line: str, host: str) -> None:
    assert read_later_answer(described(line, "m=audio 4000 RTP/AVP 0")) == Remote(host, 4000, 0)


fragments = st.sampled_from(
    [
        b"v=0",
        b"c=IN IP4 192.0.2.1",
        b"c=IN IP4 ",
        b"c=IN IP6 ::/::",
        b"m=audio 4000 RTP/AVP 0 8 101",
        b"m=audio 4000/ RTP/AVP 0x1 -8 300 " + b"9" * 30,
        b"m=audio 4000 RTP/AVP",
        b"m=video 1 x \xff\x00",
        b"a=rtpmap:0 PCMA/8000",
        b"a=rtpmap:101 /// /",
        b"a=rtpmap",
        b"a=ptime:" + b"1" * 5000,
        b"a=inactive",
        b"\x00",
    ]
)
bodies = st.one_of(
    st.binary(max_size=300),
    st.lists(st.one_of(fragments, st.binary(max_size=30)), max_size=20).map(b"\n".join),
)


@given(bodies)
def test_whatever_comes_only_an_sdp_error_leaves(body: bytes) -> None:
    for read in (
        read_answer,
        read_later_answer,
        lambda offer: build_answer(offer, "192.0.2.1", 20000, 1, 1),
    ):
        with contextlib.suppress(SdpError):
            read(body)


@given(bodies)
def test_an_answer_that_we_build_can_be_read_and_has_as_many_media(body: bytes) -> None:
    try:
        answer, _ = build_answer(body, "192.0.2.1", 20000, 1, 1)
    except SdpError:
        return
    assert read_answer(answer).host == "192.0.2.1"
    media = [line for line in body.replace(b"\r", b"\n").split(b"\n") if line.strip()[:2] == b"m="]
    assert answer.count(b"\r\nm=") == len(media)


@pytest.mark.parametrize(
    ("line", "rtcp_port"),
    [
        ("a=rtcp:53020", 53020),
        ("a=rtcp:53020 IN IP4 198.51.100.7", 53020),
        ("a=rtcp:0", None),
        ("a=rtcp:", None),
        ("a=rtcp:65536", None),
        ("a=rtcp:-1", None),
    ],
)
def test_the_port_of_rtcp_is_read_where_it_is_said(line: str, rtcp_port: int | None) -> None:
    answer = described(AT, "m=audio 4000 RTP/AVP 0", line)
    assert read_answer(answer) == Remote(HOST, 4000, 0, rtcp_port=rtcp_port)


def test_rtp_and_rtcp_share_a_port_where_an_offer_asks_for_it_alone() -> None:
    muxed = described(AT, "m=audio 4000 RTP/AVP 0", "a=rtcp-mux")
    body, remote = build_answer(muxed, "192.0.2.1", 20000, 1, 1)
    assert (remote, b"a=rtcp-mux\r\n" in body) == (Remote(HOST, 4000, 0, is_muxed=True), True)
    # We have not asked, so that an answer agrees to nothing.
    assert read_answer(muxed) == Remote(HOST, 4000, 0)
    plain, _ = build_answer(described(AT, "m=audio 4000 RTP/AVP 0"), "192.0.2.1", 20000, 1, 1)
    assert b"rtcp-mux" not in plain + build_offer("192.0.2.1", 20000, 1)
