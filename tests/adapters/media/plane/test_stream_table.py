"""What streams send, tick by tick, without a socket."""

from __future__ import annotations

import numpy as np

from adapters.media.plane.stream_table import PHASES, RowPicker, StreamTable
from adapters.media.wire.rtp import Header, parse_packet

SILENCE = {0: b"\xff" * 160, 8: b"\xd5" * 160}


def make_frames() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Silence of both laws, then frames that each hold their own number."""
    frames = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 160, axis=1)
    frames[0], frames[1] = 0xFF, 0xD5
    return frames


class Speaker:
    """A table whose ticks can be listened to."""

    def __init__(self, capacity: int) -> None:
        self.table = StreamTable(capacity, make_frames(), np.random.default_rng(1))

    def start(self, row: int, payload_type: int = 0) -> None:
        self.table.clear(row)
        self.table.speak(row, payload_type)
        self.table.start(row)

    def twenty_ms(self) -> tuple[dict[int, tuple[Header, bytes]], set[int]]:
        """The packet of each row, and the rows whose prompt ended."""
        packets: dict[int, tuple[Header, bytes]] = {}
        ended: set[int] = set()
        for phase in range(PHASES):
            tick = self.table.tick(phase)
            for row in tick.rows.tolist():
                assert row not in packets
                parsed = parse_packet(self.table.octets[row].tobytes())
                assert parsed is not None
                packets[row] = parsed
            ended |= set(tick.ended.tolist())
            self.table.advance(phase)
        return packets, ended


def test_a_stream_sends_silence_in_its_law_numbered_without_a_gap() -> None:
    speaker = Speaker(2)
    speaker.start(0, 0)
    speaker.start(1, 8)
    heard = [speaker.twenty_ms()[0] for _ in range(3)]
    for row, payload_type in ((0, 0), (1, 8)):
        first = heard[0][row][0]
        expected = [
            (
                Header(
                    payload_type,
                    (first.sequence + n) & 0xFFFF,
                    (first.timestamp + 160 * n) & 0xFFFF_FFFF,
                    first.ssrc,
                    marker=int(n == 0),
                ),
                SILENCE[payload_type],
            )
            for n in range(3)
        ]
        assert [packets[row] for packets in heard] == expected
    assert heard[0][0][0].ssrc != heard[0][1][0].ssrc


def test_numbers_wrap() -> None:
    speaker = Speaker(1)
    speaker.start(0)
    speaker.table.packets["sequence"][0] = 0xFFFF
    speaker.table.packets["timestamp"][0] = 0xFFFF_FFFF
    headers = [speaker.twenty_ms()[0][0][0] for _ in range(2)]
    assert [(header.sequence, header.timestamp) for header in headers] == [
        (0xFFFF, 0xFFFF_FFFF),
        (0, 159),
    ]


def test_a_prompt_plays_from_its_first_frame_to_its_last_and_ends_20_ms_later() -> None:
    speaker = Speaker(1)
    speaker.start(0, 8)
    speaker.table.play(0, first=40, count=3)
    heard = [speaker.twenty_ms() for _ in range(5)]
    assert [packets[0][1][0] for packets, _ in heard] == [40, 41, 42, 0xD5, 0xD5]
    assert [ended for _, ended in heard] == [set(), set(), set(), {0}, set()]


def test_each_stream_plays_its_own() -> None:
    speaker = Speaker(60)
    for row in range(60):
        speaker.start(row)
        if row % 3:
            speaker.table.play(row, first=10 + row, count=1 + row % 5)
    heard = [speaker.twenty_ms() for _ in range(7)]
    for row in range(60):
        count = 1 + row % 5 if row % 3 else 0
        sound = [*range(10 + row, 10 + row + count), *[0xFF] * (7 - count)]
        assert [packets[row][1] for packets, _ in heard] == [bytes([n]) * 160 for n in sound]
        expected_end = [count] if count else []
        assert [n for n, (_, ended) in enumerate(heard) if row in ended] == expected_end


def test_silence_cuts_a_prompt_off() -> None:
    speaker = Speaker(1)
    speaker.start(0)
    speaker.table.play(0, first=40, count=100)
    first, _ = speaker.twenty_ms()
    speaker.table.silence(0)
    second, ended = speaker.twenty_ms()
    assert (first[0][1][0], second[0][1][0], ended) == (40, 0xFF, set())


def test_streams_are_spread_over_the_phases_and_stay_so() -> None:
    speaker = Speaker(100)
    for row in range(100):
        speaker.start(row)
    assert [len(speaker.table.tick(phase).rows) for phase in range(PHASES)] == [10] * PHASES
    for row in range(0, 100, 7):
        speaker.table.stop(row)
        speaker.table.stop(row)
    for row in range(0, 100, 7):
        speaker.table.start(row)
        speaker.table.start(row)
    assert [len(speaker.table.tick(phase).rows) for phase in range(PHASES)] == [10] * PHASES
    assert set(speaker.twenty_ms()[0]) == set(range(100))


def test_a_stopped_stream_sends_nothing_and_its_prompt_waits() -> None:
    speaker = Speaker(1)
    speaker.start(0)
    speaker.table.play(0, first=40, count=5)
    before, _ = speaker.twenty_ms()
    speaker.table.stop(0)
    during, _ = speaker.twenty_ms()
    speaker.table.start(0)
    after, _ = speaker.twenty_ms()
    assert (before[0][1][0], during, after[0][1][0]) == (40, {}, 41)
    assert after[0][0].sequence == (before[0][0].sequence + 1) & 0xFFFF


def test_packets_are_counted_whoever_sends_them() -> None:
    speaker = Speaker(2)
    speaker.start(0)
    speaker.start(1)
    speaker.twenty_ms()
    speaker.twenty_ms()
    speaker.table.stop(0)
    speaker.twenty_ms()
    speaker.table.note_sent(0, octets=100)
    speaker.table.note_frames(np.array([0]))
    speaker.table.go_on(0)
    speaker.twenty_ms()
    counted = [(speaker.table.packets_sent(row), speaker.table.octets_sent(row)) for row in (0, 1)]
    assert counted == [(5, 4 * 160 + 100), (4, 4 * 160)]


def test_a_marker_that_others_have_left_is_sent_once() -> None:
    speaker = Speaker(1)
    speaker.start(0)
    speaker.twenty_ms()
    speaker.table.stop(0)
    speaker.table.packets["second"][0] |= 0x80
    speaker.table.go_on(0)
    heard = [speaker.twenty_ms()[0][0][0].marker for _ in range(2)]
    assert heard == [1, 0]


def test_a_row_that_is_used_again_is_a_new_stream() -> None:
    speaker = Speaker(1)
    speaker.start(0)
    speaker.table.play(0, first=40, count=5)
    before, _ = speaker.twenty_ms()
    speaker.table.stop(0)
    speaker.start(0, 8)
    after, _ = speaker.twenty_ms()
    assert (after[0][1], after[0][0].marker, speaker.table.packets_sent(0)) == (SILENCE[8], 1, 1)
    assert after[0][0].ssrc != before[0][0].ssrc


def test_rows_that_are_taken_are_spread_over_the_phases_and_given_once_each() -> None:
    picker = RowPicker(25)
    speaker = Speaker(25)
    taken = [picker.take() for _ in range(14)]
    for row in taken:
        speaker.start(row)
    counts = [len(speaker.table.tick(phase).rows) for phase in range(PHASES)]
    # 25 rows are three to a phase, and one for the ninth.
    assert (sum(counts), max(counts)) == (14, 2)
    taken += [picker.take() for _ in range(11)]
    assert sorted(taken) == list(range(25))
    picker.give_back(17)
    assert picker.take() == 17
