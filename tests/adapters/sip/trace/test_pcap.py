"""The capture, taken apart again byte for byte."""

from __future__ import annotations

from socket import AF_INET, AF_INET6, inet_ntop
from struct import unpack_from

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from adapters.sip.trace.pcap import SEGMENT_BYTES_MAX, UDP_BYTES_MAX, write_capture
from adapters.sip.trace.record import TracedMessage
from adapters.sip.wire.hop import Hop
from tests.adapters.sip.trace.conversation import (
    BYE,
    BYE_ANSWER,
    COMPLETE,
    EPOCH,
    HERE,
    TRUNK,
    received,
    sent,
)

UDP, TCP = 17, 6


class Packet(Struct, frozen=True):
    """What a reader of the capture finds in one of its packets."""

    at_us: int
    source: str
    target: str
    protocol: int
    payload: bytes
    sequence: int | None = None
    acknowledged: int | None = None


def ones_sum(data: bytes) -> int:
    """RFC 1071, a word at a time: 0xFFFF over data with a right checksum in it."""
    data += bytes(len(data) % 2)
    total = 0
    for (word,) in (unpack_from("!H", data, place) for place in range(0, len(data), 2)):
        total += word
        total = (total & 0xFFFF) + (total >> 16)
    return total


def read_ip(data: bytes) -> tuple[bytes, bytes, int, bytes]:
    """The addresses, the protocol and the data of an IP packet, whose header must be right."""
    if data[0] >> 4 == 6:
        length, protocol, hops = unpack_from("!HBB", data, 4)
        assert (length, hops) == (len(data) - 40, 64)
        return data[8:24], data[24:40], protocol, data[40:]
    assert data[0] == 0x45
    assert ones_sum(data[:20]) == 0xFFFF
    assert unpack_from("!H", data, 2)[0] == len(data)
    return data[12:16], data[16:20], data[9], data[20:]


def spell(address: bytes) -> str:
    """As the system spells it: how `ipaddress` spells a mapped one differs between releases of Python."""
    return inet_ntop(AF_INET if len(address) == 4 else AF_INET6, address)


def read_capture(capture: bytes) -> list[Packet]:
    """All packets; every length and checksum must be right."""
    assert unpack_from("<IHHiIII", capture) == (0xA1B2C3D4, 2, 4, 0, 0, 262_144, 101)
    packets, place = [], 24
    while place < len(capture):
        seconds, micros, here, whole = unpack_from("<IIII", capture, place)
        assert here == whole
        assert micros < 1_000_000
        source, target, protocol, data = read_ip(capture[place + 16 : place + 16 + here])
        pseudo = source + target + len(data).to_bytes(4, "big") + protocol.to_bytes(4, "big")
        assert ones_sum(pseudo + data) == 0xFFFF
        from_port, to_port = unpack_from("!HH", data)
        head, counters = 8, (None, None)
        if protocol == TCP:
            head, counters = 20, unpack_from("!II", data, 4)
            assert unpack_from("!HH", data, 12) == (0x5018, 65_535)
        else:
            assert unpack_from("!H", data, 4)[0] == len(data)
        packets.append(
            Packet(
                seconds * 1_000_000 + micros,
                f"{spell(source)} {from_port}",
                f"{spell(target)} {to_port}",
                protocol,
                data[head:],
                *counters,
            )
        )
        place += 16 + here
    return packets


def test_every_message_over_udp_is_a_packet_between_its_two_ends() -> None:
    here, there = "192.0.2.1 5062", "192.0.2.70 5070"
    assert read_capture(write_capture(COMPLETE)) == [
        Packet(
            round(message.at * 1_000_000),
            *((here, there) if message.sent else (there, here)),
            UDP,
            message.data,
        )
        for message in COMPLETE
    ]


def test_messages_over_tcp_and_tls_are_a_stream_that_counts_both_ways() -> None:
    for transport in ("tcp", "tls"):
        far = Hop("2001:db8::7", 5061, transport, "sip.example.com")
        near = Hop("2001:db8::1", 40_000, transport)
        long = BYE + bytes(2 * SEGMENT_BYTES_MAX)
        capture = write_capture(
            (
                sent(0.0, long, far, near),
                received(0.5, BYE_ANSWER, far, near),
                sent(1.0, BYE, far, near),
            )
        )
        here, there = "2001:db8::1 40000", "2001:db8::7 5061"
        at, cut, heard = round(EPOCH * 1_000_000), SEGMENT_BYTES_MAX, len(BYE_ANSWER)
        assert read_capture(capture) == [
            Packet(at, here, there, TCP, long[:cut], 1, 1),
            Packet(at, here, there, TCP, long[cut : 2 * cut], 1 + cut, 1),
            Packet(at, here, there, TCP, long[2 * cut :], 1 + 2 * cut, 1),
            Packet(at + 500_000, there, here, TCP, BYE_ANSWER, 1, 1 + len(long)),
            Packet(at + 1_000_000, here, there, TCP, BYE, 1 + len(long), 1 + heard),
        ]


def test_each_connection_is_a_stream_of_its_own() -> None:
    near, far = Hop("192.0.2.1", 40_000, "tcp"), Hop("192.0.2.70", 5060, "tcp")
    again = near._replace(port=40_001)
    capture = write_capture((sent(0.0, BYE, far, near), sent(1.0, BYE, far, again)))
    assert [packet.sequence for packet in read_capture(capture)] == [1, 1]


def test_an_end_of_the_other_family_is_written_as_a_mapped_address() -> None:
    [packet] = read_capture(write_capture((received(0.0, BYE, Hop("2001:db8::7", 5060)),)))
    assert (packet.source, packet.target) == ("2001:db8::7 5060", "::ffff:192.0.2.1 5062")


def test_an_end_that_is_no_address_is_written_as_none() -> None:
    [packet] = read_capture(write_capture((sent(0.0, BYE, Hop("sip.example.com", 5060)),)))
    assert (packet.source, packet.target) == ("192.0.2.1 5062", "0.0.0.0 5060")


def test_a_zone_does_not_stand_in_the_packet() -> None:
    far, near = Hop("fe80::7%eth0", 5060), Hop("fe80::1%eth0", 5062)
    [packet] = read_capture(write_capture((sent(0.0, BYE, far, near),)))
    assert (packet.source, packet.target) == ("fe80::1 5062", "fe80::7 5060")


@pytest.mark.parametrize("host", ["192.0.2.70", "2001:db8::7"])
def test_a_message_that_no_udp_packet_holds_is_cut(host: str) -> None:
    near = Hop("2001:db8::1" if ":" in host else "192.0.2.1", 5062)
    [packet] = read_capture(write_capture((sent(0.0, bytes(70_000), Hop(host, 5060), near),)))
    assert packet.payload == bytes(UDP_BYTES_MAX)


def test_a_time_at_the_end_of_a_second_is_not_a_million_microseconds() -> None:
    message = TracedMessage(1_767_225_600.9999999, True, HERE, TRUNK, BYE)
    [packet] = read_capture(write_capture((message,)))
    assert packet.at_us == 1_767_225_601_000_000


def test_more_packets_than_there_are_identifications_can_be_written() -> None:
    capture = write_capture((sent(0.0, b"x"),) * 65_540)
    assert len(capture) == 24 + 65_540 * (16 + 20 + 8 + 1)


@given(
    st.lists(
        st.builds(
            TracedMessage,
            st.floats(0, 2**32 - 2),
            st.booleans(),
            st.just(HERE),
            st.sampled_from([TRUNK, Hop("192.0.2.70", 5060, "tcp"), Hop("::1", 5060)]),
            st.binary(max_size=3000),
        ),
        max_size=6,
    )
)
def test_whatever_was_said_stands_in_the_packets(messages: list[TracedMessage]) -> None:
    packets = read_capture(write_capture(messages))
    found = b"".join(packet.payload for packet in packets)
    assert found == b"".join(message.data for message in messages)
