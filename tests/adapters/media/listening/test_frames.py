"""Frames out of packets, beside a plain list of what was said when."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from adapters.media.listening.frames import (
    AHEAD_SAMPLES_MAX,
    CATCH_UP_MAX,
    FIRST_NS,
    FRAME_NS,
    FRAME_SAMPLES,
    LEAD_SAMPLES_MAX,
    PACE,
    QUIET_NS,
    REORDER_SAMPLES,
    Fragments,
    Frames,
    FrameTable,
)

Sound = NDArray[np.int16]


def said(first: int, count: int, row: int = 0) -> Sound:
    """Samples that tell where they were, and whose they are; none is 0."""
    return ((np.arange(first, first + count) * 7 + row) % 30_000 + 1).astype(np.int16)


def fragments_of(
    packets: list[tuple[int, int]], samples: Sound, ssrc: int = 5, ticks: int = 1
) -> Fragments:
    """A packet of each of these rows, with its timestamp."""
    return Fragments(
        rows=np.array([row for row, _ in packets], np.intp),
        ssrc=np.full(len(packets), ssrc, np.int64),
        timestamp=np.array([timestamp & 0xFFFF_FFFF for _, timestamp in packets], np.int64),
        ticks_per_sample=np.full(len(packets), ticks, np.int64),
        samples=samples,
    )


class Listener:
    """A table of a few rows, all open, and what it has given away of each."""

    def __init__(self, rows: int = 1) -> None:
        self.table = FrameTable(rows)
        self.heard: list[list[Sound]] = [[] for _ in range(rows)]
        self.now_ns = 0
        for row in range(rows):
            self.table.open(row, 0)

    def take(
        self, timestamp: int, samples: Sound, *, row: int = 0, ssrc: int = 5, ticks: int = 1
    ) -> None:
        """One packet."""
        self.take_many([(row, timestamp)], samples[np.newaxis], ssrc, ticks)

    def take_many(
        self, packets: list[tuple[int, int]], samples: Sound, ssrc: int = 5, ticks: int = 1
    ) -> None:
        """A packet of each of these rows, with its timestamp."""
        self.put(fragments_of(packets, samples, ssrc, ticks))
        # As many ticks as it takes.
        while self.tick():
            pass

    def put(self, fragments: Fragments) -> None:
        """Packets, and what they set free at once."""
        self._keep(self.table.take(fragments, self.now_ns))

    def tick(self) -> bool:
        """Let one tick pass: whether anything was given away in it."""
        frames = list(self.table.give_away())
        self._keep(frames)
        return bool(frames)

    def wait(self, duration_ns: int) -> None:
        """Let so much time pass, and look at every 20 ms of it."""
        until_ns = self.now_ns + duration_ns
        while self.now_ns < until_ns:
            self.now_ns = min(self.now_ns + FRAME_NS, until_ns)
            self._keep(self.table.look(self.now_ns))

    def sound(self, row: int = 0) -> Sound:
        """All that was given away of a row."""
        return np.concatenate([np.zeros(0, np.int16), *self.heard[row]])

    def _keep(self, given: Iterable[Frames]) -> None:
        for frames in given:
            assert frames.samples.shape == (len(frames.rows), FRAME_SAMPLES)
            for row, samples in zip(frames.rows.tolist(), frames.samples, strict=True):
                self.heard[row].append(samples.copy())


@given(
    ptimes=st.lists(st.sampled_from([80, 160, 240, 320, 400, 480, 960]), min_size=1, max_size=12),
    first=st.sampled_from([0, 0xFFFF_FF00, 0x7FFF_FFF0, 123_457]),
    ticks=st.sampled_from([1, 6]),
)
def test_packets_of_any_length_in_order_are_given_away_at_once_and_whole(
    ptimes: list[int], first: int, ticks: int
) -> None:
    listener = Listener()
    at = 0
    for length in ptimes:
        listener.take(first + at * ticks, said(at, length), ticks=ticks)
        at += length
        whole = at // FRAME_SAMPLES * FRAME_SAMPLES
        assert listener.sound().tolist() == said(0, whole).tolist()


@given(data=st.data(), count=st.integers(2, 30))
def test_what_is_lost_is_silence_and_what_comes_twice_or_out_of_turn_is_in_its_place(
    data: st.DataObject, count: int
) -> None:
    """Each packet but the first may be lost, come twice, or come up to two packets late."""
    fate = data.draw(st.lists(st.sampled_from([-1, 0, 0, 0, 1, 2, 22]), min_size=count - 1))
    arrivals = [(0.0, 0)]
    expected = said(0, count * FRAME_SAMPLES).reshape(count, -1).copy()
    for number in range(1, count):
        match fate[number - 1]:
            case -1:
                expected[number] = 0
            case 22:
                arrivals += [(number, number), (number + 2.5, number)]
            case late:
                arrivals.append((number + 1.1 * late, number))
    listener = Listener()
    for _, number in sorted(arrivals):
        at = number * FRAME_SAMPLES
        listener.take(at, said(at, FRAME_SAMPLES))
    # What follows in order shows that nothing before it is still to come.
    for number in range(count, count + 6):
        listener.take(number * FRAME_SAMPLES, said(number * FRAME_SAMPLES, FRAME_SAMPLES))
    assert listener.sound()[: expected.size].tolist() == expected.ravel().tolist()


@given(data=st.data())
def test_rows_are_what_each_of_them_would_be_alone(data: st.DataObject) -> None:
    rows = 4
    together = Listener(rows)
    alone = [Listener() for _ in range(rows)]
    sent = [0] * rows
    for _ in range(data.draw(st.integers(1, 20))):
        length = data.draw(st.sampled_from([80, 160, 240, 480]))
        packets = []
        for row in range(rows):
            what = data.draw(st.sampled_from(["send", "send", "lose", "wait"]))
            if what == "wait":
                continue
            if what == "send":
                packets.append((row, sent[row]))
                alone[row].take(sent[row], said(sent[row], length, row))
            sent[row] += length
        if packets:
            samples = np.stack([said(at, length, row) for row, at in packets])
            together.take_many(packets, samples)
    for row in range(rows):
        assert together.sound(row).tolist() == alone[row].sound().tolist()


def test_a_missing_packet_is_waited_for_so_long_and_no_longer() -> None:
    listener = Listener()
    listener.take(0, said(0, 160))
    for number in range(2, 2 + REORDER_SAMPLES // 160):
        listener.take(number * 160, said(number * 160, 160))
        heard = 1 if number < 1 + REORDER_SAMPLES // 160 else 5
        assert len(listener.heard[0]) == heard
    assert listener.sound()[160:320].tolist() == [0] * 160
    listener.take(160, said(160, 160))
    assert len(listener.heard[0]) == 5


def test_of_a_stream_that_says_nothing_time_goes_on_as_silence() -> None:
    listener = Listener()
    listener.wait(FIRST_NS + 9 * FRAME_NS)
    assert listener.sound().tolist() == [0] * 10 * 160


def test_a_pause_that_was_not_sent_is_as_long_as_the_timestamps_say() -> None:
    listener = Listener()
    listener.take(0, said(0, 160))
    listener.wait(50 * FRAME_NS)
    # The clock is behind by what it waited, and the next packet brings it up.
    assert len(listener.heard[0]) == 1 + 50 - QUIET_NS // FRAME_NS + 1
    listener.take(51 * 160, said(51 * 160, 160))
    for number in range(52, 56):
        listener.take(number * 160, said(number * 160, 160))
    sound = listener.sound()
    assert sound[: 51 * 160].tolist() == said(0, 160).tolist() + [0] * 50 * 160
    assert sound[51 * 160 :].tolist() == said(51 * 160, 5 * 160).tolist()


def test_a_sender_whose_timestamps_stand_still_while_it_is_quiet_loses_nothing() -> None:
    listener = Listener()
    listener.take(0, said(0, 160))
    listener.wait(100 * FRAME_NS)
    before = len(listener.heard[0])
    listener.take(160, said(160, 160))
    listener.take(320, said(320, 160))
    assert listener.sound()[before * 160 :].tolist() == said(160, 320).tolist()


def test_another_source_and_a_jump_in_time_begin_where_the_sound_ended() -> None:
    listener = Listener()
    listener.take(0, said(0, 160))
    listener.take(9_999_999, said(160, 160), ssrc=6)
    listener.take(9_999_999 + 160 + AHEAD_SAMPLES_MAX + 1, said(320, 160), ssrc=6)
    listener.take(50, said(480, 160), ssrc=6)
    assert listener.sound().tolist() == said(0, 640).tolist()


def test_the_loudest_sample_that_there_is_is_not_taken_for_a_gap() -> None:
    listener = Listener()
    samples = np.full(80, -32_768, np.int16)
    listener.take(0, samples)
    listener.take(80, samples)
    assert listener.sound().tolist() == [-32_767] * 160


def test_what_waits_is_given_away_before_a_stream_is_closed() -> None:
    listener = Listener()
    listener.take(0, said(0, 240))
    rest = [frames.samples[0].tolist() for frames in listener.table.flush(0)]
    assert rest == [said(160, 80).tolist() + [0] * 80]


def test_a_row_that_is_opened_anew_has_nothing_of_the_stream_before() -> None:
    listener = Listener()
    listener.take(0, said(0, 240))
    listener.take(480, said(480, 160))
    listener.table.close(0)
    listener.heard[0].clear()
    listener.table.open(0, 0)
    listener.wait(FIRST_NS + 9 * FRAME_NS)
    assert listener.sound().tolist() == [0] * 1_600


def test_after_standing_still_for_long_not_all_of_it_is_made_up_for() -> None:
    listener = Listener()
    listener.now_ns = 100 * FIRST_NS
    frames = list(listener.table.look(listener.now_ns))
    assert len(frames) == CATCH_UP_MAX
    assert list(listener.table.look(listener.now_ns)) == []


def test_a_sender_whose_timestamps_leap_makes_no_more_sound_than_twice_its_time() -> None:
    """Else the silence of its leaps, hours in a minute, would be work that delays everybody else."""
    listener = Listener()
    tick_ns, timestamp = 2_000_000, 0
    most = 0
    for _ in range(2_000):
        listener.now_ns += tick_ns
        timestamp += AHEAD_SAMPLES_MAX
        heard = len(listener.heard[0])
        packet = said(timestamp, FRAME_SAMPLES - 1)[np.newaxis]
        listener.put(fragments_of([(0, timestamp)], packet))
        listener.tick()
        most = max(most, len(listener.heard[0]) - heard)
    assert most == 1
    lead = len(listener.sound()) - PACE * 8 * listener.now_ns // 1_000_000
    assert 0 < lead <= LEAD_SAMPLES_MAX + AHEAD_SAMPLES_MAX
    # Once it sends as others do, it is heard as they are.
    listener.wait(2_500_000_000)
    before = len(listener.sound())
    for number in range(10):
        listener.take(timestamp + 160 * number, said(160 * number, FRAME_SAMPLES))
    assert listener.sound()[before:].tolist() == said(0, 1_600).tolist()
