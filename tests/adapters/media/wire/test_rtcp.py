"""RTCP on the wire: what is written is read again, and whatever is no RTCP is None."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.media.wire.rtcp import (
    CNAME_BYTES_MAX,
    LOST_MAX,
    LOST_MIN,
    PACKETS_MAX,
    WORD,
    Block,
    Compound,
    SenderInfo,
    build,
    ntp_of,
    parse,
    short_of,
)

word = st.integers(0, WORD)
blocks = st.builds(
    Block, word, st.integers(0, 255), st.integers(LOST_MIN, LOST_MAX), word, word, word, word
)
senders = st.builds(SenderInfo, st.integers(0, (1 << 64) - 1), word, word, word)
compounds = st.builds(
    Compound,
    word,
    st.none() | senders,
    st.lists(blocks, max_size=31).map(tuple),
    st.binary(max_size=CNAME_BYTES_MAX),
    st.booleans(),
)


@given(compounds)
def test_what_is_built_is_read_again(compound: Compound) -> None:
    octets = build(compound)
    assert len(octets) % 4 == 0
    assert parse(octets) == compound


@given(compounds, st.data())
def test_a_compound_that_is_cut_off_is_none_or_says_no_more_than_the_whole(
    compound: Compound, data: st.DataObject
) -> None:
    octets = build(compound)
    cut = parse(octets[: data.draw(st.integers(0, len(octets) - 1))])
    assert cut is None or (cut.ssrc, cut.sender, cut.blocks) == (
        compound.ssrc,
        compound.sender,
        compound.blocks,
    )


@given(st.binary(max_size=400), compounds)
def test_whatever_comes_is_read_or_none(junk: bytes, compound: Compound) -> None:
    parse(junk)
    octets = bytearray(build(compound))
    for place, octet in enumerate(junk):
        octets[place * 7 % len(octets)] = octet
    parse(bytes(octets))


def test_a_sender_report_is_what_the_rfc_draws() -> None:
    compound = Compound(
        0x01020304,
        SenderInfo(0x1112131421222324, 0x31323334, 0x41424344, 0x51525354),
        (Block(0x61626364, 0x40, -2, 0x00010005, 7, 0x13142122, 0x10000),),
        b"ab",
        is_bye=True,
    )
    assert build(compound) == bytes.fromhex(
        "81c8000c 01020304 11121314 21222324 31323334 41424344 51525354"
        "61626364 40fffffe 00010005 00000007 13142122 00010000"
        "81ca0003 01020304 01026162 00000000"
        "81cb0001 01020304".replace(" ", "")
    )


EMPTY_REPORT = bytes.fromhex("80c90001 00000001".replace(" ", ""))


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\x80\xc9",
        EMPTY_REPORT[:6],
        # Version 1; a length beyond the end; a report about a source that is not there.
        b"\x40" + EMPTY_REPORT[1:],
        bytes.fromhex("80c9000200000001"),
        bytes.fromhex("81c9000100000001"),
        # A compound has to begin with a report, and only its end is padded.
        bytes.fromhex("81cb000100000001"),
        bytes.fromhex("a0c9000100000001") + EMPTY_REPORT,
        # A BYE of a source that is not there.
        EMPTY_REPORT + bytes.fromhex("82cb000100000001"),
        EMPTY_REPORT * (PACKETS_MAX + 1),
    ],
)
def test_what_is_no_compound_is_none(octets: bytes) -> None:
    assert parse(octets) is None


def test_packets_of_other_kinds_and_more_reports_are_passed_over_or_taken() -> None:
    block = Block(5, 1, 2, 3, 4)
    application = bytes.fromhex("80cc0002 00000001 61626364".replace(" ", ""))
    octets = EMPTY_REPORT + application + build(Compound(9, None, (block,)))
    assert parse(octets) == Compound(1, None, (block,))


def test_a_moment_in_ntp() -> None:
    # 2000-01-01 00:00:00.5 UTC.
    assert ntp_of(946_684_800_500_000_000) == 0xBC17C200_80000000
    assert short_of(0x1112131421222324) == 0x13142122
