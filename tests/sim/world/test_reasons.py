"""Reasons for waiting, as the judge sees them."""

from __future__ import annotations

from typing import get_args

from engine.model import BlockerCode
from sim.world.reasons import CHECKS


def test_the_judge_knows_of_every_reason_that_the_engine_can_give_when_it_holds() -> None:
    assert set(CHECKS) == set(get_args(BlockerCode))
