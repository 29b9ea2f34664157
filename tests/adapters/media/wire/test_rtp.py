"""RTP headers, and the statistics of received streams."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.media.wire.rtp import (
    Header,
    Reception,
    ReceptionTable,
    build_packet,
    parse_packet,
    read_arrivals,
)

FRAME_NS = 20_000_000

headers = st.builds(
    Header,
    payload_type=st.integers(0, 127),
    sequence=st.integers(0, 0xFFFF),
    timestamp=st.integers(0, 0xFFFF_FFFF),
    ssrc=st.integers(0, 0xFFFF_FFFF),
    marker=st.integers(0, 1),
)


def record(table: ReceptionTable, row: int, header: Header, arrived_ns: int) -> None:
    packet = np.frombuffer(build_packet(header, b"x" * 8), np.uint8)[None, :]
    table.record(read_arrivals(np.array([row]), packet, np.array([20])), arrived_ns)


def received(sequences: Sequence[int], ssrc: int = 1) -> Reception:
    """The statistics of packets with these numbers, each sent and received at its time."""
    table = ReceptionTable(1)
    for sequence in sequences:
        header = Header(0, sequence & 0xFFFF, (sequence * 160) & 0xFFFF_FFFF, ssrc)
        record(table, 0, header, sequence * FRAME_NS)
    return table.read(0)


def reception(packets: int, expected: int) -> Reception:
    return Reception(packets, expected, max(0, expected - packets) / expected)


@given(headers, st.binary(max_size=200))
def test_a_packet_that_was_built_is_parsed_to_the_same(header: Header, payload: bytes) -> None:
    assert parse_packet(build_packet(header, payload)) == (header, payload)


@given(st.binary(max_size=80))
def test_whatever_comes_is_parsed_or_refused_without_an_exception(packet: bytes) -> None:
    parsed = parse_packet(packet)
    assert parsed is None or len(parsed[1]) <= len(packet) - 12


def test_sources_extension_and_padding_are_passed_over() -> None:
    packet = bytearray(build_packet(Header(0, 1, 2, 3), b""))
    packet[0] = 0x80 | 0x20 | 0x10 | 2
    packet += b"SRC1SRC2" + b"\xbe\xde\x00\x01EXT." + b"sound" + b"\x00\x00\x03"
    assert parse_packet(bytes(packet)) == (Header(0, 1, 2, 3), b"sound")


@pytest.mark.parametrize(
    ("sequences", "expected"),
    [
        (range(100, 200), reception(100, 100)),
        ([1, 2, 4, 5, 9], reception(5, 9)),
        ([1, 3, 2, 4], reception(4, 4)),
        ([5, 4, 6], reception(3, 3)),
        ([1, 2, 2, 3], reception(4, 3)),
        (range(65_530, 65_546), reception(16, 16)),
        ([65_534, 65_535, 65_538], reception(3, 5)),
        ([65_537, 65_535, 65_536, 65_538], reception(4, 4)),
        ([3], reception(1, 1)),
    ],
)
def test_loss_is_what_the_numbers_span_less_what_came(
    sequences: Sequence[int], expected: Reception
) -> None:
    got = received(sequences)
    assert (got.packets, got.expected, got.loss) == (
        expected.packets,
        expected.expected,
        expected.loss,
    )


def test_packets_that_keep_their_time_have_no_jitter() -> None:
    assert received(range(65_500, 65_600)).jitter_ms == 0.0


def test_numbers_that_jump_begin_anew_and_the_gap_is_no_loss() -> None:
    got = received([1, 2, 4, 30_000, 30_001, 30_003])
    assert (got.packets, got.expected) == (6, 8)


def test_another_source_begins_anew() -> None:
    table = ReceptionTable(1)
    for ssrc, sequence in [(1, 10), (1, 12), (2, 11), (2, 13)]:
        record(table, 0, Header(0, sequence, 0, ssrc), 0)
    assert table.read(0) == Reception(4, 6, 2 / 6, 0.0)


def test_jitter_is_that_of_the_rfc() -> None:
    table = ReceptionTable(1)
    jitter, transit_before = 0.0, None
    for sequence, late_ms in enumerate([0, 3, 0, 11, 40, 2, 2, 7]):
        timestamp = (0xFFFF_FF00 + sequence * 160) & 0xFFFF_FFFF
        record(table, 0, Header(0, sequence, timestamp, 9), (sequence * 20 + late_ms) * 1_000_000)
        if transit_before is not None:
            jitter += (abs(late_ms - transit_before) * 8 - jitter) / 16
        transit_before = late_ms
    assert table.read(0).jitter_ms == pytest.approx(jitter / 8)


def test_events_do_not_count_as_jitter() -> None:
    table = ReceptionTable(1)
    table.expect_voice(0, 8)
    for sequence, (kind, timestamp) in enumerate([(8, 0), (101, 160), (101, 160), (8, 480)]):
        record(table, 0, Header(kind, sequence, timestamp, 9), sequence * FRAME_NS)
    assert table.read(0) == Reception(4, 4, 0.0, 0.0)


def test_streams_that_are_recorded_together_do_not_mix() -> None:
    table = ReceptionTable(4)
    rows = np.array([3, 0, 2])
    for step in range(5):
        packets = np.stack(
            [
                np.frombuffer(build_packet(Header(0, 7 + step * stride, 0, row), b"x"), np.uint8)
                for row, stride in zip(rows, (1, 2, 3), strict=True)
            ]
        )
        # What is too short, or not version 2, is nobody's packet.
        lengths = np.array([13, 13, 11 if step == 4 else 13])
        packets[1, 0] = 0x40 if step == 4 else 0x80
        table.record(read_arrivals(rows, packets, lengths), 0)
    got = [(table.read(row).packets, table.read(row).expected) for row in range(4)]
    assert got == [(4, 7), (0, 0), (4, 10), (5, 5)]


def test_a_cleared_row_knows_nothing() -> None:
    table = ReceptionTable(1)
    record(table, 0, Header(0, 5, 0, 9), 0)
    table.clear(0)
    assert table.read(0) == Reception()
    record(table, 0, Header(0, 6, 0, 9), 0)
    assert table.read(0) == Reception(1, 1)
