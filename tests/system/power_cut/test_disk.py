"""The disk that forgets loses what was not fsynced, and nothing else."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from itertools import islice
from pathlib import Path
from random import Random

import pytest

from tests.system.power_cut.disk import WAYS, ForgetfulDisk, Way

WRITER = Path(__file__).with_name("row_writer.py")

pytestmark = pytest.mark.peer


def write_and_cut(
    folder: Path, synchronous: str, pages: int, rows: int, way: Way, seed: int
) -> int:
    """Kill a writer that has said so many rows, cut the power; the last row that it said."""
    disk = ForgetfulDisk(folder / "disk", folder / "workshop")
    with subprocess.Popen(
        [sys.executable, str(WRITER), str(disk.folder / "rows.db"), synchronous, str(pages)],
        env={**os.environ, **dict(disk.environment)},
        stdout=subprocess.PIPE,
        text=True,
    ) as writer:
        assert writer.stdout is not None
        said = list(islice(writer.stdout, rows))
        writer.kill()
        said += writer.stdout.readlines()
    disk.cut(way, Random(seed))
    return int(said[-1])


def read_rows(folder: Path) -> list[int]:
    with closing(sqlite3.connect(folder / "disk" / "rows.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return [row for (row,) in connection.execute("SELECT id FROM rows ORDER BY id")]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("seed", range(3))
def test_what_was_said_after_an_fsync_is_there_after_any_power_cut(
    way: Way, seed: int, tmp_path: Path
) -> None:
    last = write_and_cut(tmp_path, "FULL", 20, 30 + 7 * seed, way, seed)
    rows = read_rows(tmp_path)
    assert rows[: last + 1] == list(range(last + 1))
    assert len(rows) - (last + 1) in (0, 1)


def test_what_was_said_before_an_fsync_is_lost(tmp_path: Path) -> None:
    # Never taken over, however many rows it writes before it is killed.
    write_and_cut(tmp_path, "NORMAL", 0, 35, "all", 1)
    assert read_rows(tmp_path) == []
