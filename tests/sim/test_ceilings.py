"""Calls per sliding second, and calls at once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sim.ceilings import Ceilings


@given(
    cps_max=st.integers(1, 5),
    gaps_ms=st.lists(st.integers(0, 900), max_size=60),
)
def test_no_sliding_second_holds_more_calls_than_the_ceiling(
    cps_max: int, gaps_ms: list[int]
) -> None:
    """And none is refused while its second has room: checked against a plain count."""
    ceilings = Ceilings(cps_max, 1_000_000)
    now_ms = 0
    accepted: list[int] = []
    for gap_ms in gaps_ms:
        now_ms += gap_ms
        room = sum(now_ms - 1000 < at for at in accepted) < cps_max
        assert ceilings.accept(now_ms / 1000) == room
        if room:
            accepted.append(now_ms)


def test_channels_are_counted_from_acceptance_to_release() -> None:
    ceilings = Ceilings(None, 2)
    assert [ceilings.accept(0.0) for _ in range(3)] == [True, True, False]
    ceilings.release()
    assert ceilings.accept(0.0)
    assert (ceilings.channels, ceilings.channels_peak) == (2, 2)


def test_a_refused_call_takes_no_room_from_the_next_second() -> None:
    ceilings = Ceilings(1, 10)
    assert [ceilings.accept(at) for at in (0.0, 0.5, 0.9, 1.0)] == [True, False, False, True]
