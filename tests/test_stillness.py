"""What a test's failure counts for where the machine stood still."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep

import pytest

from tests.stillness import STILL_S, TRIES, Watcher

CONFTEST = """
from tests import stillness
from tests.stillness import pytest_runtest_protocol, pytest_terminal_summary

class Told:
    def ask(self):
        return pauses_s.pop(0)

pauses_s = {pauses_s}
stillness.the_watcher = Told
"""
TESTS = """
import pytest

turns = []

@pytest.fixture(scope="module")
def turn():
    turns.append(None)
    return len(turns)

def test_one(turn):
    assert turn > 0

@pytest.mark.trio
@pytest.mark.{mark}
async def test_other(turn, tmp_path):
    assert turn == {succeeds_at}
"""
PAUSE, NONE = 2 * STILL_S, 0.0


@pytest.fixture
def watcher() -> Iterator[Watcher]:
    one = Watcher()
    yield one
    one.close()


def test_a_pause_is_noticed_once(watcher: Watcher) -> None:
    watcher.ask()
    os.kill(watcher.process_id, signal.SIGSTOP)
    began = monotonic()
    sleep(3 * STILL_S)  # this is the pause
    os.kill(watcher.process_id, signal.SIGCONT)
    assert STILL_S <= watcher.ask() <= monotonic() - began
    asked = [watcher.ask() for _ in range(5)]
    assert min(asked) < STILL_S


def test_the_watcher_is_not_a_child_of_the_tests_and_ends_with_its_pipe(watcher: Watcher) -> None:
    def state_and_parent() -> tuple[str, int]:
        try:
            status = Path(f"/proc/{watcher.process_id}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return "Z", 0
        state, parent, *_ = status.rpartition(")")[2].split()
        return state, int(parent)

    assert state_and_parent()[1] not in (0, os.getpid())
    watcher.close()
    while state_and_parent()[0] != "Z":
        sleep(0.01)  # nobody tells when it has ended


@pytest.mark.parametrize(
    ("mark", "pauses_s", "succeeds_at", "passed", "said"),
    [
        ("punctual", [NONE, NONE], 1, 2, []),
        ("punctual", [NONE, PAUSE], 1, 2, []),
        ("punctual", [NONE, PAUSE, NONE, NONE], 2, 2, ["0.2 s"]),
        ("alone", [NONE, PAUSE, NONE, PAUSE, NONE, NONE], 3, 2, ["0.2 s, 0.2 s"]),
        ("punctual", [NONE, NONE], 2, 1, []),
        ("punctual", [NONE, PAUSE] * TRIES, TRIES + 1, 1, ["0.2 s, 0.2 s"]),
        ("punctual", [NONE, PAUSE, NONE, NONE], 3, 1, ["0.2 s"]),
        ("other", [], 2, 1, []),
    ],
)
def test_what_failed_beside_a_pause_is_run_again_and_what_its_file_shares_made_anew(
    tmp_path: Path,
    mark: str,
    pauses_s: list[float],
    succeeds_at: int,
    passed: int,
    said: list[str],
) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST.format(pauses_s=pauses_s))
    file = tmp_path / "test_it.py"
    file.write_text(TESTS.format(mark=mark, succeeds_at=succeeds_at))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"]
    done = subprocess.run(
        [
            *command,
            "--rootdir",
            str(tmp_path),
            "--basetemp",
            str(tmp_path / "temporary"),
            str(file),
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == int(passed < 2), done.stdout
    assert f"{passed} passed" in done.stdout
    told = [line for line in done.stdout.splitlines() if line.startswith("test_it.py::")]
    assert told == [f"test_it.py::test_other: {one}" for one in said], done.stdout
