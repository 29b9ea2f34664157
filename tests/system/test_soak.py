"""An engine that dials for twenty minutes is as it was: memory, descriptors and tasks."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.scenario import Show
from bench.soak import CPS, DURATION_S, WARM_SHARE, slope_of, soak
from tests.sizes import size

KEPT_KB_MAX = 4.0
"""Of a call that is over, beside what SQLite keeps of the database, while books fill that have a bound
(`engine.dial.callees` knows 20,000 numbers): 1.6 were measured."""
SETTLING_S = 300.0
"""Beside the twenty minutes, for the start and the end."""


@pytest.mark.long
@pytest.mark.skipif(not size(0, 1), reason="takes twenty minutes: make test-long")
@pytest.mark.timeout(DURATION_S["full"] + SETTLING_S)
async def test_nothing_grows_but_what_sqlite_keeps_of_a_database_that_grows(tmp_path: Path) -> None:
    looks = await soak(tmp_path, DURATION_S["full"], CPS["quick"], Show(print))
    settled = [look for look in looks if look.at_s >= WARM_SHARE * DURATION_S["full"]]
    rises = {
        figure: 3600 * slope_of([(look.at_s, look.figures[figure]) for look in settled])
        for figure in settled[0].figures
    }
    print(rises)
    assert abs(rises["descriptors"]) < 20
    assert abs(rises["tasks"]) < 100
    calls_per_hour = 3600 * slope_of([(look.at_s, look.calls) for look in settled])
    kept_kb = (rises["memory_mb"] - rises["database_mb"]) * 1024 / calls_per_hour
    assert kept_kb < KEPT_KB_MAX
