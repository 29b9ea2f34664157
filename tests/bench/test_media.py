"""How the media benchmark judges, without a plane."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from adapters.media.control import LATENESS_MS_MAX, PlaneStatistics
from adapters.media.wire.dtmf import EventReceiver
from adapters.media.wire.rtp import FRAME_NS, parse_packet
from bench import media
from bench.datagrams import DatagramSocket
from bench.media_far import KEY_EVERY, TELEPHONE_EVENT, Lateness, Mouth, judge
from bench.media_rig import Step, own_share
from bench.scenario import Show

MS = 1_000_000


def packets_of(
    streams: dict[int, list[tuple[int, float]]],
) -> tuple[
    np.ndarray[tuple[int], np.dtype[np.uint32]],
    np.ndarray[tuple[int], np.dtype[np.uint16]],
    np.ndarray[tuple[int], np.dtype[np.int64]],
]:
    """Source, number and arrival of packets: each as its number and how late it is, in ms."""
    flat = [(ssrc, number, late) for ssrc, some in streams.items() for number, late in some]
    arrived = [number * FRAME_NS + int(late * MS) for _, number, late in flat]
    return (
        np.array([ssrc for ssrc, _, _ in flat], np.uint32),
        np.array([number & 0xFFFF for _, number, _ in flat], np.uint16),
        np.array(arrived, np.int64),
    )


def test_packets_are_late_after_the_earliest_of_their_stream() -> None:
    late_ms = [3.0, 0.5, 0.5, 6.0]
    first = list(zip(range(65_534, 65_538), late_ms, strict=True))
    second = [(number, 100.0) for number in range(6)]
    found = judge(*packets_of({7: first, 9: second}))
    # The 99th percentile lies 0.91 of the way from the last but one to the last.
    assert found.p99_ms == pytest.approx(2.5 + 0.91 * 3.0)
    assert msgspec.structs.replace(found, p99_ms=0.0) == Lateness(
        streams=2, packets=10, lost=0, in_time_share=0.9, p50_ms=0.0, max_ms=5.5
    )


def test_packets_that_never_came_are_lost() -> None:
    found = judge(*packets_of({7: [(1, 0), (2, 0), (5, 0)], 8: [(3, 0)]}))
    assert (found.streams, found.packets, found.lost) == (2, 4, 2)


def test_nothing_heard_is_nothing_in_time() -> None:
    assert judge(*packets_of({})) == Lateness()


def report(lateness_ms: dict[int, int], skipped: int = 0) -> PlaneStatistics:
    counts = [lateness_ms.get(ms, 0) for ms in range(LATENESS_MS_MAX + 1)]
    return PlaneStatistics(lateness_ms=counts, ticks_skipped=skipped)


@pytest.mark.parametrize(
    ("after", "share"),
    [
        (report({0: 190, 4: 20, 5: 1, 20: 9}), 0.9166),
        (report({0: 110}), 1.0),
        (report({0: 100}), 0.0),
        (report({0: 200}, skipped=1), 0.0),
    ],
)
def test_the_planes_own_share_is_that_of_its_packets_between_two_reports(
    after: PlaneStatistics, share: float
) -> None:
    assert own_share(report({0: 100}), after) == pytest.approx(share, abs=1e-3)


def step(streams: int, share: float, *, lost: int = 0, stolen: float = 0.0) -> Step:
    return Step(streams, share, Lateness(lost=lost), 3.0, stolen_share=stolen)


async def climb(steps: list[Step], *, tries: int = 1) -> tuple[Step | None, list[int]]:
    """What a climb over these measurements finds, and the counts that it has asked for."""
    left = list(steps)
    asked: list[int] = []

    async def measure(count: int) -> Step:
        asked.append(count)
        assert left[0].streams == count
        return left.pop(0)

    counts = (1, 2, 3, 4)
    ramp = media.Ramp(counts, counts, counts, 1.0, tries, misses=2)
    found = await media.climb(counts, ramp, measure, Show(lambda _: None))
    return found, asked


async def test_the_highest_count_that_holds_is_found() -> None:
    steps = [step(1, 0.999), step(2, 0.99), step(3, 0.98), step(4, 0.5)]
    assert await climb(steps) == (steps[1], [1, 2, 3, 4])


async def test_a_count_has_several_tries_and_one_miss_does_not_end_the_climb() -> None:
    steps = [step(1, 0.5), step(1, 0.6), step(2, 0.5), step(2, 1.0), step(3, 1.0), step(4, 1.0)]
    assert await climb(steps, tries=2) == (steps[-1], [1, 1, 2, 2, 3, 4])


async def test_two_misses_after_each_other_end_it() -> None:
    assert await climb([step(1, 0.5), step(2, 1.0, lost=1)]) == (None, [1, 2])


async def test_tries_that_the_host_disturbed_are_made_up_for_to_a_bound() -> None:
    disturbed = [step(1, 0.5, stolen=0.2)] * 4
    found = await climb([*disturbed, *[step(2, 0.5)] * 2], tries=2)
    assert found == (None, [1] * 4 + [2] * 2)


RAMP = (1_500, 2_500, 4_000)


@pytest.mark.parametrize("holds_up_to", [0, 700, 1_499, 1_500, 2_400, 2_500, 3_999, 4_000])
@pytest.mark.parametrize("misses", [1, 2])
async def test_a_gap_is_halved_until_it_is_small(holds_up_to: int, misses: int) -> None:
    asked: list[Step] = []

    async def measure(count: int) -> Step:
        asked.append(step(count, 1.0 if count <= holds_up_to else 0.5))
        return asked[-1]

    ramp = media.Ramp(RAMP, RAMP, RAMP, 1.0, 1, misses)
    found = await media.climb(RAMP, ramp, measure, Show(lambda _: None))
    highest = found.streams if found else 0
    next_above = min((one.streams for one in asked if not one.holds), default=None)
    assert highest <= holds_up_to
    if next_above is None:
        assert highest == RAMP[-1]
    else:
        assert next_above - highest <= max(media.GAP_MIN, ramp.gap_share * next_above)
    assert len(asked) <= 8
    assert all(one.streams % 2 == 0 for one in asked)


def test_the_callees_of_the_far_end_press_keys_that_can_be_read() -> None:
    class Nowhere(DatagramSocket):
        """Keeps what is sent."""

        def send(
            self, packets: NDArray[np.uint8], lengths: NDArray[np.intp], ports: NDArray[np.uint16]
        ) -> int:
            sent.append([packets[row, : lengths[row]].tobytes() for row in range(len(packets))])
            return len(packets)

    sent: list[list[bytes]] = []
    endpoint = Nowhere()
    mouth = Mouth(endpoint, [4_000, 4_002, 4_004], 7)
    readers = {ssrc: EventReceiver() for ssrc in (7, 8, 9)}
    read = ""
    for turn in range(10 * 2 * KEY_EVERY):
        mouth.speak(turn % 10)
    endpoint.close()
    for packet in (packet for batch in sent for packet in batch):
        parsed = parse_packet(packet)
        assert parsed is not None
        header, payload = parsed
        if header.payload_type == TELEPHONE_EVENT:
            read += readers[header.ssrc].take(header, payload)
    assert len(read) == mouth.keys_pressed == 6
    assert sum(len(batch) for batch in sent) == 3 * 2 * KEY_EVERY
