"""A day of a million contacts says how far it has come."""

from __future__ import annotations

import re

import pytest

from bench.campaign import Hourly
from sim.world.plan import draw_plan
from sim.world.run import World
from sim.world.tape import Answered, Happened


def test_a_long_day_tells_each_hour_what_was_done_and_what_it_took(
    capsys: pytest.CaptureFixture[str],
) -> None:
    hourly = Hourly(World(draw_plan(3)))
    for at in (10.0, 20.0, 3_599.0, 9_000.0, 9_001.0):
        hourly.read(Answered(at, "list", "flw_0", "lst_0", accepted=1_000))
        hourly.read(Happened(at, "nothing"))
    told = re.sub(r"[\d,]+ s of the processor, [\d,]+ MB", "S, MB", capsys.readouterr().err)
    assert told.splitlines() == [
        "hour  0.0: 1,000 contacts taken, 0 completed by 0 attempts; S, MB",
        "hour  2.5: 4,000 contacts taken, 0 completed by 0 attempts; S, MB",
    ]
