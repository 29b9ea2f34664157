"""Nothing lost, nothing twice: the process is killed at random moments of its work and started again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sizes import size
from tests.system.killing import judge, run_and_kill

KILLS = 5
"""Of one run, one after the other."""


@pytest.mark.parametrize("seed", range(size(4, 40)))
async def test_after_kills_each_contact_has_one_disposition_and_no_attempt_was_dialled_twice(
    seed: int, tmp_path: Path
) -> None:
    judge(await run_and_kill(tmp_path, seed, KILLS))
