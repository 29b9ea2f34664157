"""What a callee says, packet by packet, and what it counts of its caller."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.media.types import Remote
from sim.rtp import SEQUENCE_JUMP_MAX, Stream, Streams, sounds

CALLER = ("127.0.0.1", 40_000)


def opened(streams: Streams, port: int = 40_000, payload_type: int = 0) -> Stream:
    return streams.open(Remote("127.0.0.1", port, payload_type))


def rtp(sequence: int) -> bytes:
    return struct.pack(">BBHII", 0x80, 0, sequence & 0xFFFF, 0, 1) + b"\xff" * 160


def heard(stream: Stream, packets: int) -> str:
    """What the next packets play, a letter each."""
    voice = sounds(stream.payload_type)
    letters = {voice.silence[0]: "_"}
    letters |= dict.fromkeys(voice.speech, "s")
    letters |= dict.fromkeys(voice.beep, "b")
    return "".join(letters[stream.next_packet()[12:]] for _ in range(packets))


@pytest.mark.parametrize("payload_type", [0, 8])
def test_a_human_says_a_word_and_listens(payload_type: int) -> None:
    streams = Streams(1)
    stream = opened(streams, payload_type=payload_type)
    streams.greet(stream, 0.1)
    assert heard(stream, 8) == "sssss___"


@pytest.mark.parametrize("payload_type", [0, 8])
def test_a_machine_says_its_greeting_beeps_and_listens(payload_type: int) -> None:
    streams = Streams(1)
    stream = opened(streams, payload_type=payload_type)
    streams.announce(stream, 3.0)
    assert heard(stream, 180) == "s" * 150 + "b" * 20 + "_" * 10


def test_early_media_gives_way_to_the_greeting_at_the_answer() -> None:
    streams = Streams(1)
    stream = opened(streams)
    streams.ring(stream)
    ringing = [stream.next_packet()[12:] for _ in range(100)]
    assert ringing == list(sounds(0).ringing[:100])
    streams.greet(stream, 0.04)
    assert heard(stream, 3) == "ss_"


def test_packets_follow_each_other_as_rtp_has_it() -> None:
    """RFC 3550 §5.1: sequence by one, timestamp by samples, the marker on the first (RFC 3551 §4.1)."""
    streams = Streams(1)
    stream = opened(streams, payload_type=8)
    streams.greet(stream, 0.1)
    stream.sent = 0
    headers = [struct.unpack(">BBHII", stream.next_packet()[:12]) for _ in range(3)]
    assert headers == [(0x80, 0x88, 0, 0, 1), (0x80, 8, 1, 160, 1), (0x80, 8, 2, 320, 1)]


def test_sequence_and_timestamp_wrap() -> None:
    streams = Streams(1)
    stream = opened(streams)
    streams.greet(stream, 0.1)
    stream.sent = 2**32 // 160 + 1
    _, _, sequence, timestamp, _ = struct.unpack(">BBHII", stream.next_packet()[:12])
    assert (sequence, timestamp) == ((2**32 // 160 + 1) % 2**16, (2**32 // 160 + 1) * 160 % 2**32)


def test_a_frame_is_20_ms_and_silence_is_digital_silence() -> None:
    assert {len(frame) for name in ("speech", "beep", "ringing", "silence")
            for payload_type in (0, 8)
            for frame in getattr(sounds(payload_type), name)} == {160}  # fmt: skip
    assert (sounds(0).silence, sounds(8).silence) == ((b"\xff" * 160,), (b"\xd5" * 160,))


@given(
    first=st.integers(0, 0xFFFF),
    came=st.lists(st.booleans(), max_size=200),
    shuffled=st.randoms(use_true_random=False),
)
def test_gaps_are_the_packets_that_never_came_in_whatever_order_the_others_did(
    first: int, came: list[bool], shuffled: st.DrawFn
) -> None:
    """The first and the last arrive in their places: what is lost outside of them cannot be seen."""
    middle = [i + 1 for i, here in enumerate(came) if here]
    shuffled.shuffle(middle)  # type: ignore[attr-defined]
    stream = Stream(CALLER, 0, 1)
    for i in [0, *middle, len(came) + 1]:
        stream.take((first + i) & 0xFFFF)
    assert (stream.received, stream.gaps) == (2 + len(middle), came.count(False))


def test_a_sequence_that_jumps_is_a_new_run_and_no_loss() -> None:
    stream = Stream(CALLER, 0, 1)
    for sequence in (10, 11, 13, 40_000, 40_001, 40_003):
        stream.take(sequence)
    assert (stream.received, stream.gaps) == (6, 2)
    assert SEQUENCE_JUMP_MAX < 20_000


def test_packets_are_told_apart_by_where_they_come_from() -> None:
    streams = Streams(0)
    first, second = opened(streams, 40_000), opened(streams, 40_002)
    for sequence in range(3):
        streams.receive(rtp(sequence), ("127.0.0.1", 40_000))
    streams.receive(rtp(9), ("127.0.0.1", 40_002))
    streams.receive(rtp(9), ("127.0.0.1", 40_004))
    assert (first.received, second.received) == (3, 1)
    assert (streams.received, streams.strays) == (4, 1)


@pytest.mark.parametrize("data", [b"", b"\x80" * 11, b"\x00" * 172])
def test_what_is_not_rtp_is_a_stray(data: bytes) -> None:
    streams = Streams(0)
    stream = opened(streams)
    streams.receive(data, CALLER)
    assert (stream.received, streams.strays) == (0, 1)


def test_a_call_that_shares_its_address_with_another_leaves_it_its_packets() -> None:
    """sipp gives all of its calls one media port."""
    streams = Streams(2)
    first, second = opened(streams), opened(streams)
    streams.close(first)
    streams.receive(rtp(1), CALLER)
    assert (first.received, second.received) == (0, 1)
    streams.close(second)
    streams.receive(rtp(2), CALLER)
    assert streams.strays == 1


def test_no_more_streams_are_sent_to_than_the_bound() -> None:
    streams = Streams(1)
    first, second = opened(streams, 40_000), opened(streams, 40_002)
    assert list(streams.sending.values()) == [first]
    streams.greet(first, 0.1)
    first.next_packet()
    streams.close(second)
    streams.close(first)
    assert (streams.sending, streams.sent) == ({}, 1)


def test_a_caller_on_hold_is_sent_nothing() -> None:
    """RFC 3264 §8.4: the address 0.0.0.0."""
    streams = Streams(1)
    streams.open(Remote("0.0.0.0", 40_000, 0))
    assert streams.sending == {}
