"""What calls come to, by those that were seen."""

from __future__ import annotations

from random import Random

import pytest

from engine.forecast.behaviour import (
    SeenCall,
    Stated,
    seen_behaviour,
    stated_behaviour,
    usual_behaviour,
)
from engine.forecast.case import QUANTILES
from engine.model.disposition import Disposition

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


@pytest.mark.parametrize(
    ("stated", "shares"),
    [
        (Stated(answer_rate=0.4), {"answered": 0.3, "machine": 0.1}),
        (Stated(answer_rate=0.4, machine_rate=0.5), {"answered": 0.2, "machine": 0.2}),
        (Stated(machine_rate=0.5), {"answered": 0.3, "machine": 0.3}),
        (Stated(busy_rate=0.9), {"busy": 0.9}),
        (Stated(busy_rate=0.9, machine_rate=0), {"busy": 0.9, "machine": 0.0}),
        (
            Stated(answer_rate=0.5, busy_rate=0.5),
            {"answered": 0.375, "machine": 0.125, "busy": 0.5},
        ),
    ],
)
def test_what_is_stated_holds_and_the_rest_is_shared_as_it_was(
    stated: Stated, shares: dict[Disposition, float]
) -> None:
    """Of those that are answered, machines answer a quarter as usual."""
    endings = stated_behaviour(stated, usual_behaviour(RING_TIMEOUT_S)).endings
    found = {one.disposition: one.weight for one in endings}
    assert sum(found.values()) == pytest.approx(1.0)
    assert {what: found[what] for what in shares} == pytest.approx(shares)
