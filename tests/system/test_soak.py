"""An engine that dials for twenty minutes is as it was: memory, descriptors and tasks."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.scenario import Show
from bench.soak import CPS, DURATION_S, judge, rises_of, settle, soak
from tests.sizes import size

SETTLING_S = 300.0
"""Beside the twenty minutes, for the start and the end."""


@pytest.mark.long
@pytest.mark.skipif(not size(0, 1), reason="takes twenty minutes: make test-long")
@pytest.mark.timeout(DURATION_S["full"] + SETTLING_S)
async def test_nothing_grows_once_all_caches_are_full(tmp_path: Path) -> None:
    settled = settle(await soak(tmp_path, DURATION_S["full"], CPS["full"], Show(print)))
    limits = judge(settled, rises_of(settled))
    print(limits)
    assert limits, "the machine did not keep pace"
    assert [limit for limit in limits if not limit.is_kept] == []
