"""The E-model against the values that are printed with it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.media.plane.quality import MOS_MAX, MOS_MIN, estimate_mos, mos_of_rating


@pytest.mark.parametrize(
    ("rating", "mos"),
    # G.107 annex B, table B.1, and the ends of the scale.
    [(90, 4.34), (80, 4.03), (70, 3.60), (60, 3.10), (50, 2.58), (93.2, 4.41), (0, 1), (100, 4.5)],
)
def test_a_rating_gives_the_score_that_the_recommendation_prints(rating: float, mos: float) -> None:
    assert mos_of_rating(rating) == pytest.approx(mos, abs=0.01)


@pytest.mark.parametrize(
    ("loss", "jitter_ms", "rtt_ms", "mos"),
    [
        # 20 ms of packet: R = 93.2 - 0.48.
        (0.0, 0.0, None, 4.40),
        # Ie,eff = 95 · 1 / 26.1 = 3.64: R = 89.08; 95 · 5 / 30.1 = 15.78: R = 76.94.
        (0.01, 0.0, None, 4.316),
        (0.05, 0.0, None, 3.903),
        # d = 150 + 20, still easy: R = 89.12; d = 300 + 20 + 10, Id = 7.92 + 16.80: R = 68.48.
        (0.0, 0.0, 300.0, 4.317),
        (0.0, 5.0, 600.0, 3.525),
        # Ie,eff = 95 · 100 / 125.1 = 75.94: R = 16.78.
        (1.0, 0.0, None, 1.165),
    ],
)
def test_a_score_is_what_the_formulas_give_by_hand(
    loss: float, jitter_ms: float, rtt_ms: float | None, mos: float
) -> None:
    assert estimate_mos(loss, jitter_ms, rtt_ms) == pytest.approx(mos, abs=0.001)


share = st.floats(0, 1)
delay_ms = st.floats(0, 5_000)


@given(share, delay_ms, delay_ms, share, delay_ms, delay_ms)
def test_more_loss_jitter_or_delay_never_sounds_better(
    loss: float, jitter_ms: float, rtt_ms: float, more: float, later_ms: float, longer_ms: float
) -> None:
    better = estimate_mos(loss, jitter_ms, rtt_ms)
    worse = estimate_mos(min(1, loss + more), jitter_ms + later_ms, rtt_ms + longer_ms)
    assert MOS_MIN <= worse <= better + 1e-9 <= MOS_MAX
