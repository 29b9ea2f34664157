"""The folder of the workers' sockets, and what is left of it when a process is killed."""

from __future__ import annotations

import errno
import fcntl
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from adapters.worker_folder import PREFIX, open_worker_folder

OTHER: Final = """
import socket, sys
from adapters.worker_folder import open_worker_folder

with open_worker_folder() as folder:
    socket.socket(socket.AF_UNIX).bind(str(folder / "0"))
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A temporary directory with a name that is short enough for a socket's."""
    with tempfile.TemporaryDirectory(prefix="cw-") as name:
        monkeypatch.setattr(tempfile, "tempdir", name)
        monkeypatch.setenv("TMPDIR", name)
        yield Path(name)


@contextmanager
def another_process() -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A process that holds a folder with a socket in it."""
    with subprocess.Popen(
        [sys.executable, "-c", OTHER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process, Path(process.stdout.readline().strip())
        finally:
            process.kill()


def test_a_folder_is_ours_alone_and_goes_with_its_block(place: Path) -> None:
    with open_worker_folder() as folder:
        assert list(place.iterdir()) == [folder]
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "0").touch()
    assert list(place.iterdir()) == []


def test_what_a_killed_process_left_is_removed_at_the_next_start(place: Path) -> None:
    with another_process() as (process, left):
        process.kill()
        process.wait()
        assert [one.name for one in left.iterdir()] == ["0"]
        with open_worker_folder() as ours:
            assert list(place.iterdir()) == [ours]


def test_nobody_removes_the_folder_of_a_process_that_lives(place: Path) -> None:
    with another_process() as (process, theirs), open_worker_folder() as ours:
        with open_worker_folder() as second:
            assert sorted(place.iterdir()) == sorted([theirs, ours, second])
        assert [one.name for one in theirs.iterdir()] == ["0"]
        process.communicate()
        assert list(place.iterdir()) == [ours]


def test_what_only_has_the_name_of_such_a_folder_is_left_alone(place: Path) -> None:
    elsewhere = place / "elsewhere"
    elsewhere.mkdir()
    (place / f"{PREFIX}link").symlink_to(elsewhere)
    (place / f"{PREFIX}file").touch()
    before = sorted(place.iterdir())
    with open_worker_folder():
        pass
    assert sorted(place.iterdir()) == before


def test_a_folder_that_was_removed_before_it_was_locked_is_made_anew(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, made = tempfile.mkdtemp, []

    def make_and_lose(prefix: str) -> str:
        made.append(make(prefix=prefix))
        if len(made) == 1:
            Path(made[0]).rmdir()
        return made[-1]

    monkeypatch.setattr(tempfile, "mkdtemp", make_and_lose)
    with open_worker_folder() as folder:
        assert [str(folder)] == made[1:]
        assert list(place.iterdir()) == [folder]


def test_where_the_disk_has_no_locks_the_folder_is_there_all_the_same(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_lock: int, _how: int) -> None:
        raise OSError(errno.EBADF, "no locks on directories here")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with open_worker_folder() as folder, open_worker_folder() as other:
        assert sorted(place.iterdir()) == sorted([folder, other])
    assert list(place.iterdir()) == []
