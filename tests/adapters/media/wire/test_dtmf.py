"""Telephone events: one digit for each, whatever becomes of its packets."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.media.wire.dtmf import (
    DIGITS,
    DigitPacket,
    DigitScript,
    EventReceiver,
    make_script,
)
from adapters.media.wire.rtp import Header

SSRC = 7
Packet = tuple[Header, bytes]


def event(
    code: int,
    timestamp: int,
    duration: int,
    *,
    end: bool = False,
    marker: int = 0,
    ssrc: int = SSRC,
) -> Packet:
    payload = struct.pack("!BBH", code, 0x80 * end | 10, duration)
    return Header(101, 0, timestamp & 0xFFFF_FFFF, ssrc, marker), payload


def pressed(code: int, timestamp: int, duration: int = 800) -> list[Packet]:
    """All packets of one key: a marked one, growing ones, and three that end it."""
    growing = [
        event(code, timestamp, length, marker=int(length == 160))
        for length in range(160, duration, 160)
    ]
    return growing + 3 * [event(code, timestamp, duration, end=True)]


def heard(packets: list[Packet]) -> str:
    receiver = EventReceiver()
    return "".join(receiver.take(*packet) for packet in packets)


def test_each_of_the_sixteen_digits_is_told_once_and_in_order() -> None:
    packets = [packet for code in range(16) for packet in pressed(code, 5_000 + 1_600 * code)]
    assert heard(packets) == "0123456789*#ABCD"


def test_flash_and_other_events_are_no_digits() -> None:
    packets = [packet for code in range(16, 256) for packet in pressed(code, 1_600 * code)]
    assert heard(packets) == ""


def test_the_digit_is_told_with_its_first_packet() -> None:
    receiver = EventReceiver()
    assert [receiver.take(*packet) for packet in pressed(5, 0)] == ["5", "", "", "", "", "", ""]


@pytest.mark.parametrize("survivor", range(7))
def test_any_single_packet_is_enough(survivor: int) -> None:
    assert heard([pressed(5, 0)[survivor], *pressed(6, 1_600)]) == "56"


def test_the_same_key_twice_is_two_digits_even_without_a_single_marker() -> None:
    packets = [
        (Header(101, 0, header.timestamp, SSRC), payload)
        for header, payload in pressed(5, 0) + pressed(5, 1_200)
    ]
    assert heard(packets) == "55"


def test_the_same_key_twice_is_two_digits_when_only_an_ending_packet_of_each_is_left() -> None:
    assert heard([pressed(5, 0)[-1], pressed(5, 1_200)[-1]]) == "55"


def test_a_key_that_goes_down_again_in_the_moment_it_came_up_is_a_new_digit() -> None:
    unmarked = [(Header(101, 0, 800, SSRC), payload) for _, payload in pressed(5, 800)]
    assert heard(pressed(5, 0) + unmarked) == "55"


def test_a_marked_packet_begins_a_new_digit_though_the_end_of_the_last_is_lost() -> None:
    assert heard(pressed(5, 0)[:4] + pressed(5, 640)) == "55"


def test_a_key_that_is_held_while_many_others_are_pressed_is_one_digit() -> None:
    held = pressed(1, 0, 30_000)
    others = [packet for n in range(12) for packet in pressed(2, 1_600 * (n + 1))]
    assert heard([held[0], *others, *held[1:]]) == "1" + 12 * "2"


def test_packets_of_a_digit_that_come_after_the_next_digit_change_nothing() -> None:
    first, second = pressed(1, 0), pressed(2, 1_280)
    assert heard([*first[:2], second[0], *first[2:], *second[1:]]) == "12"


def test_a_digit_that_was_overtaken_whole_is_still_told() -> None:
    assert heard([pressed(2, 1_280)[0], *pressed(1, 0), *pressed(2, 1_280)]) == "21"


def test_a_digit_that_is_a_second_late_is_not_told() -> None:
    assert heard([*pressed(2, 8_000), *pressed(1, 0)]) == "2"


def test_an_event_that_overlaps_another_in_time_is_a_digit_of_its_own() -> None:
    held, second = pressed(1, 0, 4_000), pressed(2, 1_600)
    packets = [*held[:10], *second[:4], *held[10:], *second[4:]]
    assert heard(packets) == "12"


def test_two_keys_of_one_timestamp_are_two_digits() -> None:
    assert heard(pressed(1, 0) + pressed(2, 0)) == "12"


def test_a_key_held_for_longer_than_a_duration_can_say_is_one_digit() -> None:
    """RFC 4733 §2.5.1.3: a new segment begins where the last one ended, without a marker."""
    segments = [event(9, 0, 160, marker=1), event(9, 0, 65_440), event(9, 0, 0xFFFF)]
    segments += [event(9, 0xFFFF, length) for length in (160, 30_000, 0xFFFF)]
    segments += 3 * [event(9, 2 * 0xFFFF, 320, end=True)]
    assert heard([*segments, *pressed(9, 3 * 0xFFFF)]) == "99"


def test_a_new_segment_is_known_though_the_last_packets_of_the_one_before_are_lost() -> None:
    packets = [event(9, 0, 160, marker=1), event(9, 0, 60_000), event(9, 0xFFFF, 160)]
    assert heard(packets) == "9"


def test_a_sender_that_moves_the_timestamp_with_each_packet_sends_one_digit() -> None:
    packets = [event(4, 160 * n, 160 * (n + 1), marker=int(n == 0)) for n in range(5)]
    packets += [event(4, 160 * n, 800, end=True) for n in (4, 5, 5)]
    assert heard(packets) == "4"


def test_timestamps_may_wrap_within_a_digit_and_between_two() -> None:
    assert heard(pressed(3, -400) + pressed(3, 900) + pressed(4, 2_200)) == "334"


def test_a_sender_that_begins_a_new_count_is_heard() -> None:
    assert heard(pressed(3, 4_000_000) + pressed(4, 1_000_000)) == "34"


def test_another_source_is_heard_whatever_its_timestamps() -> None:
    other = [(Header(101, 0, header.timestamp, 8), payload) for header, payload in pressed(3, 0)]
    assert heard(pressed(3, 0) + other) == "33"


def test_several_events_in_one_packet_are_told_each() -> None:
    header = Header(101, 0, 0, SSRC, 1)
    blocks = struct.pack("!BBHBBH", 1, 0x8A, 400, 2, 0x8A, 400)
    assert heard([(header, blocks), (header, blocks)]) == "12"


@given(st.binary(max_size=40))
def test_no_payload_is_an_error(payload: bytes) -> None:
    told = EventReceiver().take(Header(101, 0, 0, SSRC), payload)
    assert set(told) <= set(DIGITS)


@given(st.lists(st.tuples(st.integers(0, 15), st.integers(0, 0xFFFF_FFFF)), max_size=60))
def test_what_a_receiver_remembers_is_bounded(events: list[tuple[int, int]]) -> None:
    receiver = EventReceiver()
    for code, timestamp in events:
        receiver.take(*event(code, timestamp, 160))
    assert len(receiver._known) <= 4


@given(st.data())
def test_digits_arrive_through_loss_doubling_and_disorder(data: st.DataObject) -> None:
    """Packets may change places within 40 ms, which is less than the gap between digits."""
    digits = data.draw(st.text(DIGITS, min_size=1, max_size=8))
    begun = data.draw(st.integers(0, 0xFFFF_FFFF))
    script = make_script(digits).packets
    arrivals: list[tuple[int, DigitPacket]] = []
    for place in range(len(digits)):
        of_digit = script[7 * place : 7 * place + 7]
        kept = data.draw(st.lists(st.sampled_from(of_digit), min_size=1, max_size=14))
        arrivals += [(packet.tick + data.draw(st.integers(0, 2)), packet) for packet in kept]
    arrivals.sort(key=lambda arrival: arrival[0])
    packets = [
        (
            Header(101, 0, begun + packet.timestamp & 0xFFFF_FFFF, SSRC, packet.marker),
            packet.payload,
        )
        for _, packet in arrivals
    ]
    assert heard(packets) == digits


def test_a_digit_is_seven_packets_that_grow_and_end_three_times() -> None:
    def packet(tick: int, second: int, duration: int) -> DigitPacket:
        return DigitPacket(tick, int(tick == 0), 0, struct.pack("!BBH", 11, second, duration))

    growing = [packet(tick, 10, 160 * (tick + 1)) for tick in range(4)]
    ending = [packet(tick, 0x8A, 800) for tick in (4, 5, 6)]
    assert make_script("#") == DigitScript((*growing, *ending), ticks=8)


def test_the_next_digit_begins_after_the_gap_with_a_marker_and_its_own_timestamp() -> None:
    packets = make_script("12").packets
    begins = [(packet.tick, packet.timestamp) for packet in packets if packet.marker]
    assert begins == [(0, 0), (8, 8 * 160)]


def test_tone_and_gap_are_rounded_up_to_packets() -> None:
    script = make_script("1", tone_ms=101, gap_ms=61)
    assert (script.packets[-1].payload[2:], script.ticks) == (struct.pack("!H", 960), 10)


def test_letters_may_be_written_small() -> None:
    assert make_script("ad") == make_script("AD")


@pytest.mark.parametrize(
    ("digits", "tone_ms", "gap_ms"),
    [("1x", 100, 50), ("1" * 65, 100, 50), ("1", 99, 50), ("1", 8_001, 50), ("1", 100, 49)],
)
def test_what_cannot_be_sent_is_refused(digits: str, tone_ms: int, gap_ms: int) -> None:
    with pytest.raises(ValueError, match="not"):
        make_script(digits, tone_ms, gap_ms)
