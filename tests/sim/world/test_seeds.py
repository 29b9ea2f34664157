"""Runs of the simulated world, each drawn from its seed and judged.

`callwheel sim world --seed N` repeats one.
"""

from __future__ import annotations

import pytest

from sim.world.judge import judge
from sim.world.plan import draw_plan
from sim.world.run import run_plan
from tests.sizes import size

SEEDS = size(300, 10_000)
BLOCK = 50
"""Seeds of one test: workers share them."""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("first", range(0, SEEDS, BLOCK))
def test_whatever_fails_every_promise_is_kept(first: int) -> None:
    broken = {
        seed: breaches
        for seed in range(first, first + BLOCK)
        if (breaches := judge(run_plan(draw_plan(seed))))
    }
    assert broken == {}
