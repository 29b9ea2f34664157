"""What calls come to, by those that were seen."""

from __future__ import annotations

from random import Random

import pytest

from engine.forecast.behaviour import SeenCall, seen_behaviour
from engine.forecast.case import QUANTILES

CALLS = 2_000
RING_TIMEOUT_S = 30.0


def test_lengths_are_told_at_even_quantiles_whose_mean_is_that_of_all() -> None:
    seen = [SeenCall("answered", float(length)) for length in range(CALLS)]
    (ending,) = seen_behaviour(seen, RING_TIMEOUT_S).endings
    assert len(ending.holds_s) == QUANTILES
    assert sorted(ending.holds_s) == list(ending.holds_s)
    assert sum(ending.holds_s) / QUANTILES == pytest.approx((CALLS - 1) / 2)


def test_calls_that_go_on_keep_long_ones_from_being_taken_for_rare() -> None:
    """A list began a minute ago, at ten calls a second: of its long calls, most have not ended."""
    chance = Random(1)
    seen, whole = [], []
    for n in range(600):
        age_s = 60 - n / 10
        length_s = chance.choice((2.0, 20.0, 45.0))
        whole.append(length_s)
        ended = length_s <= age_s
        seen.append(SeenCall("answered" if ended else None, length_s if ended else age_s))
    mean_s = sum(whole) / len(whole)
    naive = seen_behaviour([one for one in seen if one.disposition is not None], RING_TIMEOUT_S)
    assert naive.mean_hold_s < 0.8 * mean_s
    assert seen_behaviour(seen, RING_TIMEOUT_S).mean_hold_s == pytest.approx(mean_s, rel=0.05)
