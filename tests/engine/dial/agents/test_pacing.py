"""How many calls may be in the air, against what could become of them."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.dial.agents.pacing import SAFE_MAX, Tally, calls_in_air_max, safe_calls
from engine.model import Dialing

shares = st.integers(0, 999).map(lambda n: n / 1000)
answered = st.integers(0, 5_000)


@st.composite
def tallies(draw: st.DrawFn) -> Tally:
    of = draw(answered)
    return Tally(of, draw(st.integers(0, of)))


def is_below(tally: Tally, calls: int, limit: float) -> bool:
    """Whether the share is below its limit when so many more calls are abandoned."""
    limit_ = Fraction(str(limit))
    return tally.abandoned + calls < limit_ * (tally.answered + calls)


@given(tallies(), shares)
def test_if_every_safe_call_were_abandoned_the_share_would_stay_below_its_limit(
    tally: Tally, limit: float
) -> None:
    safe = safe_calls(tally, limit)
    assert safe == 0 or is_below(tally, safe, limit)
    assert not is_below(tally, safe + 1, limit)


@given(tallies(), shares, st.integers(0, 50), st.floats(1, 10))
def test_a_call_for_each_free_agent_may_always_leave_and_others_only_if_they_are_safe(
    tally: Tally, limit: float, free: int, ratio: float
) -> None:
    most = calls_in_air_max("power", free, ratio, tally, limit)
    assert free <= most <= max(free, free * ratio)
    assert most <= max(free, safe_calls(tally, limit))
    assert calls_in_air_max("progressive", free, ratio, tally, limit) == free
    assert calls_in_air_max("preview", free, ratio, tally, limit) == 0


@given(
    st.lists(st.sampled_from(["leave", "taken", "abandoned", "unanswered"]), max_size=300),
    st.sampled_from([0.01, 0.03, 0.1]),
    st.integers(1, 8),
)
def test_whatever_becomes_of_the_calls_in_the_air_the_share_stays_below_its_limit(
    happenings: list[str], limit: float, free: int
) -> None:
    """Calls leave as pacing lets them, and any beyond the free agents may be abandoned."""
    tally, in_air = Tally(200, 0), 0
    for happening in happenings:
        if happening == "leave":
            in_air += in_air < calls_in_air_max("power", free, 10, tally, limit)
        elif in_air > 0:
            is_abandoned = happening == "abandoned" and in_air > free
            if happening != "unanswered":
                tally = Tally(tally.answered + 1, tally.abandoned + is_abandoned)
            in_air -= 1
        assert is_below(tally, 0, limit)


def table() -> list[tuple[Dialing, int, float, Tally, int]]:
    good = Tally(1000, 10)
    return [
        ("power", 10, 2.0, good, 20),
        ("power", 10, 2.55, good, 20),
        ("power", 4, 2.5, good, 10),
        ("power", 10, 2.0, Tally(), 10),
        ("power", 10, 2.0, Tally(100, 3), 10),
        ("power", 0, 2.0, good, 0),
        ("progressive", 10, 2.0, good, 10),
        ("preview", 10, 2.0, good, 0),
    ]


@pytest.mark.parametrize(("dialing", "free", "ratio", "tally", "most"), table())
def test_calls_in_the_air_by_mode_and_by_what_happened_so_far(
    dialing: Dialing, free: int, ratio: float, tally: Tally, most: int
) -> None:
    assert calls_in_air_max(dialing, free, ratio, tally, 0.03) == most


def test_where_every_share_is_allowed_the_ratio_alone_decides() -> None:
    assert safe_calls(Tally(10, 10), 1.0) == SAFE_MAX
    assert calls_in_air_max("power", 10, 3, Tally(), 1.0) == 30


def test_the_share_of_nobody_is_nothing() -> None:
    assert (Tally().share, Tally(200, 3).share) == (0.0, 0.015)
