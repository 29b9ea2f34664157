"""Nothing lost, nothing twice: the power fails at random moments, and the disk loses what was not fsynced."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tests.sizes import size
from tests.system.killing import judge, run_and_kill
from tests.system.power_cut.disk import WAYS, ForgetfulDisk

CUTS = 5
"""Of one run, one after the other."""

pytestmark = pytest.mark.peer


@pytest.fixture
def disk(tmp_path: Path) -> ForgetfulDisk:
    return ForgetfulDisk(tmp_path / "data", tmp_path / "workshop")


@pytest.mark.parametrize("seed", range(size(4, 10)))
async def test_after_power_cuts_whatever_was_accepted_is_there_and_nobody_is_called_twice(
    seed: int, tmp_path: Path, disk: ForgetfulDisk
) -> None:
    chance = Random(seed)

    def cut() -> None:
        disk.cut(chance.choice(WAYS), chance)

    judge(await run_and_kill(tmp_path, seed, CUTS, disk.environment, cut))
    # It was in the way; whether a cut finds anything that it can lose is chance.
    assert tmp_path / "data" / "callwheel.db" in disk.written
