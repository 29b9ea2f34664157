"""Nothing lost, nothing twice: the process that picks lists up is killed at each step of its way."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import msgspec
import pytest

from adapters.sqlite.store import open_sqlite_store
from bench.installation import make_csv
from engine.model.pickup import Pickup
from tests.contract.store_samples import ACME, FLOW, FixedClock
from tests.sizes import size
from tests.sshd import Sshd, open_sshd
from tests.system.lives import open_lives
from tests.system.pickup_program import LETTERS, STEPS

PROGRAM = "tests.system.pickup_program"
ROUNDS = size(1, 50)
KILLS = {"folder": size(4, len(STEPS)), "sftp": size(2, len(STEPS))}
"""Of one round, with a store of its own; in the long size, each step about once."""


@pytest.fixture
def server() -> Iterator[Sshd]:
    with open_sshd() as sshd:
        yield sshd


def file_of(number: int) -> bytes:
    """Every other one is refused, so that each step has its turn; no two are alike."""
    if number % 2:
        return b"\x89PNG\x00\x00" + bytes([number])
    return make_csv(3, 10 * number) + b"nonsense\n"


def steps_to_kill_at(count: int, seed: int) -> list[str]:
    """Each step in turn, in an order of chance, which is another for each file."""
    chance, steps = Random(seed), list[str]()
    while len(steps) < count:
        number = len(steps)
        possible = [
            step
            for step in STEPS
            if step.endswith("keep_refusal") <= bool(number % 2)
            and step.endswith("accept_list") <= (not number % 2)
        ]
        fewest = min(steps.count(step) for step in possible)
        steps.append(chance.choice([one for one in possible if steps.count(one) == fewest]))
    return steps


async def kill_again_and_again(
    folder: Path, setting: str, drop: Callable[[str, bytes], None], steps: list[str]
) -> list[Pickup]:
    """Drop a file, kill the process at a step, and so on; let the last one end. What it picked up."""
    with open_lives(PROGRAM, str(folder), setting) as live:
        assert live("") == 0  # it makes the folders
        for number, step in enumerate(steps):
            drop(f"{number}.csv", file_of(number))
            assert live(step) == -signal.SIGKILL, step
        assert live("") == 0
    async with open_sqlite_store(folder / "callwheel.db", lambda _: None, FixedClock()) as store:
        pickups = (await store.list_pickups(ACME, FLOW, 1_000, None)).items
        lists = (await store.list_lists(ACME, FLOW, 1_000, None)).items
        counts = [await store.count_list(ACME, one.id, 0.0) for one in lists]
    assert sorted(one.file.name for one in pickups) == sorted(f"{n}.csv" for n in range(len(steps)))
    assert all(one.is_done for one in pickups)
    taken = [one for one in pickups if one.list is not None]
    assert sorted(int(one.file.name[:-4]) % 2 for one in taken) == [0] * len(taken)
    assert len(taken) == (len(steps) + 1) // 2
    assert sorted(one.id for one in lists) == sorted(str(one.list) for one in taken)
    assert all(count is not None and count.contacts == 3 for count in counts)
    letters = (folder / LETTERS).read_text().split()
    assert set(letters) == {one.id for one in pickups}
    return list(pickups)


def check_folders(home: Path, pickups: list[Pickup]) -> None:
    """One report for each file, and nothing that nobody knows."""

    def names(folder: str) -> list[str]:
        return sorted(one.name for one in (home / folder).iterdir())

    assert names("incoming") == []
    assert names("reports") == sorted(
        f"{one.file.name}.{one.list or one.id}.txt" for one in pickups
    )
    assert names("rejected") == sorted(
        f"{one.file.name}.{one.list}.csv" if one.list else f"{one.file.name}.{one.id}"
        for one in pickups
    )


@pytest.mark.parametrize("round_", range(ROUNDS))
async def test_no_file_of_a_watched_folder_is_lost_or_taken_twice(
    tmp_path: Path, round_: int
) -> None:
    home = tmp_path / "places" / "leads"
    (tmp_path / "places").mkdir()

    def drop(name: str, data: bytes) -> None:
        (home / "incoming" / name).write_bytes(data)

    pickups = await kill_again_and_again(
        tmp_path, "folder:leads", drop, steps_to_kill_at(KILLS["folder"], round_)
    )
    check_folders(home, pickups)


@pytest.mark.peer
@pytest.mark.parametrize("round_", range(ROUNDS))
async def test_no_file_of_an_sftp_server_is_lost_or_taken_twice(
    server: Sshd, tmp_path: Path, round_: int
) -> None:
    setting = "sftp:" + msgspec.json.encode(server.setting()).decode()
    pickups = await kill_again_and_again(
        tmp_path, setting, server.drop, steps_to_kill_at(KILLS["sftp"], round_)
    )
    check_folders(server.home, pickups)
