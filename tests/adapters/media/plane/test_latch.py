"""When a stranger's packets prove that it is the callee."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from adapters.media.plane.latch import PROOF_PACKETS, SOURCES_MAX, Latch
from adapters.media.wire.rtp import Header

MS = 1_000_000
HERE = ("192.0.2.1", 4_000)


def first_proof(latch: Latch, packets: Iterable[tuple[tuple[str, int], Header, int]]) -> int | None:
    """The place of the first packet that proves something."""
    for place, (source, header, at_ns) in enumerate(packets):
        if latch.take(source, header, at_ns):
            return place
    return None


def stream(
    count: int, step_ms: float, *, first: int = 65_530, ssrc: int = 7, kind: int = 0
) -> list[tuple[tuple[str, int], Header, int]]:
    return [
        (HERE, Header(kind, (first + n) & 0xFFFF, 160 * n, ssrc), round(n * step_ms * MS))
        for n in range(count)
    ]


@pytest.mark.parametrize("step_ms", [10, 20, 60])
def test_a_stream_at_the_pace_of_its_sound_proves_it_with_its_fifth_packet(step_ms: int) -> None:
    assert first_proof(Latch(0), stream(10, step_ms)) == PROOF_PACKETS - 1


@pytest.mark.parametrize("step_ms", [0.0, 0.1, 1, 5])
def test_a_flood_proves_nothing_however_long_it_is(step_ms: float) -> None:
    assert first_proof(Latch(0), stream(10_000, step_ms)) is None


def test_a_stream_whose_first_packets_come_in_a_burst_proves_it_when_its_time_has_passed() -> None:
    packets = stream(20, 20)
    burst = [(source, header, 0) for source, header, _ in packets[:4]]
    assert first_proof(Latch(0), [*burst, *packets[4:]]) == 4


def test_packets_of_another_kind_than_was_agreed_prove_nothing() -> None:
    assert first_proof(Latch(0), stream(50, 20, kind=8)) is None
    assert first_proof(Latch(8), stream(50, 20, kind=8)) == PROOF_PACKETS - 1


def test_packets_at_random_prove_nothing() -> None:
    chance = np.random.default_rng(1)
    packets = [
        (HERE, Header(0, int(chance.integers(1 << 16)), 0, 7), n * 20 * MS) for n in range(5_000)
    ]
    assert first_proof(Latch(0), packets) is None


def test_sources_that_change_with_each_packet_prove_nothing_and_are_not_all_remembered() -> None:
    latch = Latch(0)
    packets = [(("192.0.2.1", 1_024 + n % 9), Header(0, n, 0, 7), n * 20 * MS) for n in range(900)]
    assert first_proof(latch, packets) is None
    assert SOURCES_MAX < 9


def test_a_callee_is_found_among_some_strangers() -> None:
    chance = np.random.default_rng(1)
    latch = Latch(0)
    for place, (source, header, at_ns) in enumerate(stream(20, 20)):
        for stranger in range(SOURCES_MAX - 1):
            junk = Header(0, int(chance.integers(1 << 16)), 0, 7)
            assert not latch.take(("198.51.100.1", stranger), junk, at_ns)
        if latch.take(source, header, at_ns):
            assert place == PROOF_PACKETS - 1
            return
    raise AssertionError("the callee was not found")
