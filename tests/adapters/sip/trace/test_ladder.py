"""The ladder: what it shows, and what it never lets through to a terminal."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from adapters.sip.trace.ladder import REMOTES_MAX, draw_full_ladder, draw_ladder, show_bytes
from adapters.sip.wire.hop import Hop
from tests.adapters.sip.trace.conversation import (
    ACK,
    ANSWER,
    BYE,
    COMPLETE,
    INVITE,
    RINGING,
    kept,
    received,
    request,
    response,
    sent,
)


def rungs(text: str) -> list[str]:
    """The lines of the messages."""
    return [line for line in text.splitlines() if "--" in line]


def test_a_call_is_drawn_message_by_message() -> None:
    assert draw_ladder(kept(*COMPLETE)) == (
        "Attempt   att_1\n"
        "Call-ID   c0ffee\n"
        "From      2026-01-01 00:00:00.000000 UTC\n"
        "To        2026-01-01 00:00:05.503000 UTC\n"
        "Messages  7, 1,729 bytes; credentials are masked\n"
        "Local     192.0.2.1:5062 over udp\n"
        "\n"
        "                  callwheel                                               192.0.2.70:5070\n"
        "                                                                          udp\n"
        " 00:00:00.000000  |--- INVITE sip:+14155550199@192.0.2.70:5070 (SDP) ---->|  CSeq 1\n"
        "         +2.0 ms  |<-- 100 Trying ----------------------------------------|  CSeq 1 INVITE\n"
        "       +250.0 ms  |<-- 180 Ringing ---------------------------------------|  CSeq 1 INVITE\n"
        "      +2000.0 ms  |<-- 200 OK (SDP) --------------------------------------|  CSeq 1 INVITE\n"
        "      +2001.0 ms  |--- ACK sip:+14155550199@192.0.2.70:5070 ------------->|  CSeq 1\n"
        "      +5500.0 ms  |--- BYE sip:+14155550199@192.0.2.70:5070 ------------->|  CSeq 2\n"
        "      +5503.0 ms  |<-- 200 OK --------------------------------------------|  CSeq 2 BYE\n"
    )


def test_what_is_said_again_is_marked() -> None:
    text = draw_ladder(
        kept(
            sent(0.0, INVITE),
            sent(0.5, INVITE),
            received(0.6, ANSWER),
            sent(0.61, ACK),
            received(1.1, ANSWER),
            sent(1.11, ACK),
        )
    )
    assert [line.endswith("retransmission") for line in rungs(text)] == [
        False,
        True,
        False,
        False,
        True,
        True,
    ]


def test_each_peer_has_a_column_and_the_name_of_its_certificate_does_not_make_two_of_it() -> None:
    callee = Hop("2001:db8::7", 5099, "tls")
    text = draw_ladder(
        kept(
            sent(0.0, INVITE),
            received(0.2, ANSWER),
            sent(0.3, ACK, callee._replace(name="sip.example.com")),
            received(0.4, BYE, callee),
        )
    )
    assert text.splitlines()[7:] == [
        "                  callwheel                                               192.0.2.70:5070"
        "             [2001:db8::7]:5099",
        "                                                                          udp            "
        "             tls",
        " 00:00:00.000000  |--- INVITE sip:+14155550199@192.0.2.70:5070 (SDP) ---->|              "
        "             |  CSeq 1",
        "       +200.0 ms  |<-- 200 OK (SDP) --------------------------------------|              "
        "             |  CSeq 1 INVITE",
        "       +300.0 ms  |--- ACK sip:+14155550199@192.0.2.70:5070 ---------------------------"
        "-------------->|  CSeq 1",
        "       +400.0 ms  |<-- BYE sip:+14155550199@192.0.2.70:5070 ---------------------------"
        "---------------|  CSeq 2",
    ]


def test_peers_beyond_the_columns_share_the_last_and_are_named() -> None:
    peers = [Hop(f"192.0.2.{number}", 5060) for number in range(1, REMOTES_MAX + 3)]
    text = draw_ladder(kept(*(sent(float(n), BYE, peer) for n, peer in enumerate(peers))))
    head = text.splitlines()[7].split()
    assert head == ["callwheel", "192.0.2.1:5060", "192.0.2.2:5060", "192.0.2.3:5060", "others"]
    assert [line.rpartition("|")[2] for line in rungs(text)] == ["  CSeq 2"] * 3 + [
        f"  CSeq 2, 192.0.2.{number}:5060 over udp" for number in (4, 5, 6)
    ]


def test_what_was_left_out_is_said_where_it_was() -> None:
    trace = structs.replace(
        kept(sent(0.0, INVITE), sent(60.0, BYE)),
        gap_at=1,
        messages_left_out=37,
        bytes_left_out=12345,
    )
    gap = (
        "               …  37 messages of 12,345 bytes are left out here: of one call at most"
        " 128 messages and 65,536 bytes are kept"
    )
    assert draw_ladder(trace).splitlines()[10] == gap
    assert draw_ladder(structs.replace(trace, gap_at=2)).splitlines()[-1] == gap


def test_a_call_that_has_said_nothing_yet_is_drawn_as_that() -> None:
    assert draw_full_ladder(kept()) == ("Attempt   att_1\nCall-ID   c0ffee\nMessages  none yet\n")


def test_a_long_line_is_cut_and_keeps_its_mark() -> None:
    uri = b"sip:" + b"9" * 300 + b"@192.0.2.70"
    message = request(b"INVITE").replace(b"sip:+14155550199@192.0.2.70:5070", uri, 1)
    refusal = response(INVITE, 404).replace(b"Not Found", b"No " + b"x" * 300)
    first, second = rungs(draw_ladder(kept(sent(0.0, message), received(0.1, refusal))))
    assert first.endswith(f"|--- INVITE sip:{'9' * 35}… -->|  CSeq 1")
    assert second.endswith(f"|<-- 404 No {'x' * 39}… ---|  CSeq 1 INVITE")


def test_a_full_ladder_shows_every_message_below_with_its_lines_indented() -> None:
    text = draw_full_ladder(kept(sent(0.0, BYE), received(0.25, RINGING)))
    assert text.startswith(draw_ladder(kept(sent(0.0, BYE), received(0.25, RINGING))))
    below = text[text.index("\n--- 1") + 1 :]
    assert below == (
        "--- 1 of 2: sent to 192.0.2.70:5070 over udp at 00:00:00.000000, 223 bytes\n"
        "    BYE sip:+14155550199@192.0.2.70:5070 SIP/2.0\n"
        "    Via: SIP/2.0/UDP 192.0.2.1:5062;branch=z9hG4bK2\n"
        "    From: <sip:+14155550100@192.0.2.1>;tag=a\n"
        "    To: <sip:+14155550199@192.0.2.70>\n"
        "    Call-ID: c0ffee\n"
        "    CSeq: 2 BYE\n"
        "    Content-Length: 0\n"
        "\n"
        "--- 2 of 2: received from 192.0.2.70:5070 over udp at 00:00:00.250000, 207 bytes\n"
        "    SIP/2.0 180 Ringing\n"
        "    Via: SIP/2.0/UDP 192.0.2.1:5062;branch=z9hG4bK1\n"
        "    From: <sip:+14155550100@192.0.2.1>;tag=a\n"
        "    To: <sip:+14155550199@192.0.2.70>;tag=b\n"
        "    Call-ID: c0ffee\n"
        "    CSeq: 1 INVITE\n"
        "    Content-Length: 0\n"
    )


def test_what_a_terminal_would_obey_is_written_as_an_escape() -> None:
    hostile = b"a\x1b[2Jb\x07\r\n\x9b31m \xff caf\xc3\xa9 \xe2\x80\xaedcba\x00"
    assert show_bytes(hostile) == "a\\x1b[2Jb\\x07\\r\\n\\x9b31m \\xff café \\u202edcba\\x00"


def test_a_body_cannot_pass_for_a_line_of_ours() -> None:
    forged = b"\r\n--- 2 of 2: sent to 192.0.2.66:5060 over udp\r\n\n--- 3\r--- 4"
    text = draw_full_ladder(kept(received(0.0, RINGING + forged)))
    ours = [line for line in text.splitlines() if line.startswith("---")]
    assert ours == [
        "--- 1 of 1: received from 192.0.2.70:5070 over udp at 00:00:00.000000,"
        f" {len(RINGING + forged)} bytes"
    ]


@given(
    st.lists(st.one_of(st.binary(max_size=300), st.just(INVITE)), max_size=4), st.text(max_size=9)
)
def test_whatever_comes_a_ladder_holds_only_what_can_be_printed(
    said: list[bytes], name: str
) -> None:
    trace = structs.replace(
        kept(*(received(float(n), data) for n, data in enumerate(said))),
        call_id=name.encode("utf-8", "replace").decode(),
    )
    for text in (draw_ladder(trace), draw_full_ladder(trace)):
        assert all(line.isprintable() for line in text.split("\n"))
