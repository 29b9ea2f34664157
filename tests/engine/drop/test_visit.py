"""One visit after the other, and what is left by those that end in the middle."""

from __future__ import annotations

from itertools import pairwise
from random import Random
from typing import Any

import msgspec
import pytest

from engine.drop.visit import READINGS_MAX, Memory
from engine.intake.table import FILE_BYTES_MAX
from engine.model.drop_settings import FolderSettings
from engine.ports.drops import DropFailed
from engine.ports.workers import WorkerFailed, WorkersBusy
from tests.contract.store_samples import ACME, FLOW
from tests.engine.drop.world import GOOD, DropWorld, open_world
from tests.engine.plug import PulledOut
from tests.sizes import size

BAD = b"\x89PNG\x00\x00 no list at all"


async def test_a_file_is_taken_at_the_second_visit_and_what_became_of_it_is_put_beside() -> None:
    world = await open_world()
    world.place.drop("leads.csv", GOOD)
    assert await world.visit() is None
    assert (await world.lists(), world.place.names("incoming")) == ([], ["leads.csv"])
    assert await world.visit() is None
    [call_list] = await world.lists()
    found = await world.store.get_list(ACME, call_list)
    assert found is not None
    assert (found.name, found.report.accepted, found.report.rejected) == ("leads.csv", 2, 1)
    assert world.place.names("incoming") == []
    name = f"leads.csv.{call_list}"
    assert world.place.names("reports") == [f"{name}.txt"]
    assert world.place.names("rejected") == [f"{name}.csv"]
    report = world.place.folders["reports"][f"{name}.txt"][0].decode()
    assert report.startswith(f"leads.csv: 2 of 3 rows were taken, as the list {call_list}.")
    assert f"rejected/{name}.csv" in report
    rejected = world.place.folders["rejected"][f"{name}.csv"][0].decode()
    assert rejected.splitlines()[1].startswith("nonsense,3,tel1,invalid_number,")
    [letter] = world.letters.by_key.values()
    assert letter.subject == "leads.csv was taken (reminder)"
    assert letter.attachments[0].data.decode() == rejected
    page = await world.store.list_pickups(ACME, FLOW, 10, None)
    assert [one.is_done for one in page.items] == [True]
    assert await world.visit(3) is None
    assert len(await world.lists()) == 1


async def test_a_file_that_is_refused_is_moved_and_told_of() -> None:
    world = await open_world()
    world.place.drop("picture.csv", BAD)
    assert await world.visit(3) is None
    assert (await world.lists(), world.place.names("incoming")) == ([], [])
    [pickup] = (await world.store.list_pickups(ACME, FLOW, 10, None)).items
    assert (pickup.code, pickup.is_done) == ("not_csv", True)
    name = f"picture.csv.{pickup.id}"
    assert world.place.folders["rejected"][name][0] == BAD
    report = world.place.folders["reports"][f"{name}.txt"][0].decode()
    assert report.startswith("picture.csv: nothing was taken.")
    [event] = world.events("door.file_refused")
    assert (event["file"], event["code"], event["door"]) == ("picture.csv", "not_csv", "folder")


async def test_the_same_content_under_another_name_is_refused_as_everywhere() -> None:
    world = await open_world()
    world.place.drop("a.csv", GOOD)
    await world.visit(2)
    world.place.drop("b.csv", GOOD)
    await world.visit(2)
    assert len(await world.lists()) == 1
    newest, _ = (await world.store.list_pickups(ACME, FLOW, 10, None)).items
    assert (newest.code, newest.file.name) == ("duplicate_list", "b.csv")


async def test_a_file_that_is_too_large_is_refused_unread() -> None:
    world = await open_world()
    world.place.drop("large.csv", bytes(FILE_BYTES_MAX + 1))
    await world.visit(2)
    [pickup] = (await world.store.list_pickups(ACME, FLOW, 10, None)).items
    assert (pickup.code, pickup.is_done) == ("file_too_large", True)
    assert "before read" not in world.plug.steps
    assert len(world.place.names("rejected")) == 1


async def test_files_wait_for_the_listener() -> None:
    world = await open_world()
    await world.set_listener(active=False)
    world.place.drop("leads.csv", GOOD)
    assert await world.visit(3) is None
    assert (await world.lists(), world.memory.later) == ([], 1)
    await world.set_listener(active=True)
    await world.visit()
    assert (len(await world.lists()), world.place.names("incoming")) == (1, [])


async def test_a_file_that_cannot_be_removed_is_dialled_once_and_removed_when_it_can_be() -> None:
    world = await open_world()
    world.place.drop("leads.csv", GOOD)
    no_rights = DropFailed("no_rights", "It may not be removed.")
    world.fail = lambda what: no_rights if what == "take_away" else None
    for _ in range(4):
        problem = await world.visit()
    assert problem is no_rights
    assert (len(await world.lists()), world.place.names("incoming")) == (1, ["leads.csv"])
    assert len(world.place.names("reports")) == 1
    world.place.drop("more.csv", GOOD.replace(b"0100", b"0200"))
    await world.visit(2)
    assert len(await world.lists()) == 2
    world.fail = lambda _: None
    assert await world.visit() is None
    assert (len(await world.lists()), world.place.names("incoming")) == (2, [])


async def test_a_file_is_known_for_longer_than_its_content_is() -> None:
    world = await open_world()
    world.place.drop("leads.csv", GOOD)
    gone = DropFailed("lost", "It went away.")
    world.fail = lambda what: gone if what == "take_away" else None
    assert await world.visit(2) is gone
    world.fail = lambda what: gone if what == "open" else None
    assert await world.visit() is gone
    world.clock.at += 10 * 86_400
    world.fail = lambda _: None
    world.memory = Memory()
    assert await world.visit(2) is None
    assert (len(await world.lists()), world.place.names("incoming")) == (1, [])


async def test_where_there_is_no_room_for_a_report_it_follows_when_there_is() -> None:
    world = await open_world()
    full = DropFailed("disk_full", "There is no room.")
    world.fail = lambda what: full if what == "put" else None
    world.place.drop("leads.csv", GOOD)
    assert await world.visit(3) is full
    assert (len(await world.lists()), world.place.names("incoming")) == (1, [])
    assert world.place.names("reports") == []
    world.fail = lambda _: None
    assert await world.visit() is None
    assert len(world.place.names("reports")) == len(world.place.names("rejected")) == 1


async def test_a_file_that_took_the_place_of_a_taken_one_is_a_file_of_its_own() -> None:
    world = await open_world()
    world.place.drop("leads.csv", GOOD)
    world.fail = lambda what: _put_another(world) if what == "take_away" else None
    await world.visit(2)
    assert world.place.names("incoming") == ["leads.csv"]
    world.fail = lambda _: None
    await world.visit(3)
    assert (len(await world.lists()), world.place.names("incoming")) == (2, [])
    assert all(one.is_done for one in (await world.store.list_pickups(ACME, FLOW, 10, None)).items)


def _put_another(world: DropWorld) -> None:
    world.place.drop("leads.csv", GOOD.replace(b"0100", b"0300"))


async def test_what_came_from_another_place_is_left_there_and_told() -> None:
    world = await open_world()
    world.place.drop("leads.csv", GOOD)
    lost = DropFailed("lost", "It went away.")
    world.fail = lambda what: lost if what == "take_away" else None
    assert await world.visit(2) is lost
    [pickup] = (await world.store.list_pickups(ACME, FLOW, 10, None)).items
    assert not pickup.is_done
    moved = msgspec.structs.replace(pickup, place="folder:elsewhere")
    world.store.tables.pickups[pickup.id] = moved
    world.fail = lambda _: None
    world.place.folders["incoming"].clear()
    assert await world.visit(2) is None
    [pickup] = (await world.store.list_pickups(ACME, FLOW, 10, None)).items
    assert (pickup.removed_at, pickup.told_at is None) == (None, False)
    assert list(world.letters.by_key) == [pickup.id]
    world.clock.at += 30 * 86_400
    assert await world.visit() is None
    [pickup] = (await world.store.list_pickups(ACME, FLOW, 10, None)).items
    assert pickup.is_done


async def test_who_comes_back_to_a_place_does_not_find_what_was_taken_there_new() -> None:
    world = await open_world()
    world.place.drop("leads.csv", GOOD)
    lost = DropFailed("lost", "It went away.")
    world.fail = lambda what: lost if what == "take_away" else None
    assert await world.visit(2) is lost
    world.fail = lambda _: None
    left, world.place.folders["incoming"] = world.place.folders["incoming"], {}
    assert await world.visit(2, FolderSettings("elsewhere", 60)) is None
    world.clock.at += 2 * 86_400
    world.place.folders["incoming"] = left
    assert await world.visit(3) is None
    assert (len(await world.lists()), world.place.names("incoming")) == (1, [])
    [pickup] = (await world.store.list_pickups(ACME, FLOW, 10, None)).items
    assert pickup.is_done


class BreakingWorkers:
    """Break over everything."""

    def stream(self, *_: Any) -> Any:
        raise WorkerFailed("it died at its work")


async def test_a_file_over_which_workers_break_is_refused_in_the_end() -> None:
    world = await open_world(BreakingWorkers())
    world.place.drop("leads.csv", b"PK\x03\x04" + bytes(100))
    problem = await world.visit(READINGS_MAX)
    assert problem is not None
    assert problem.code == "failed"
    assert world.place.names("incoming") == ["leads.csv"]
    await world.visit()
    [pickup] = (await world.store.list_pickups(ACME, FLOW, 10, None)).items
    assert (pickup.code, world.place.names("incoming")) == ("unreadable", [])


class BusyWorkers:
    """Begin with nothing."""

    def stream(self, *_: Any) -> Any:
        raise WorkersBusy("64 jobs are waiting for a worker already")


async def test_a_file_is_not_refused_because_all_workers_are_busy() -> None:
    world = await open_world(BusyWorkers())
    world.place.drop("leads.csv", b"PK\x03\x04" + bytes(100))
    problem = await world.visit(READINGS_MAX + 3)
    assert problem is not None
    assert problem.code == "failed"
    assert world.place.names("incoming") == ["leads.csv"]
    assert (await world.store.list_pickups(ACME, FLOW, 10, None)).items == ()


async def run_with_pulls(pulls: tuple[int, ...], data: bytes) -> DropWorld:
    """Drop a file, pull the plug at these steps, one run after the other, and let the last run end."""
    world = await open_world()
    world.place.drop("leads.csv", data)
    for pull_at in pulls:
        world.plug.steps.clear()
        world.plug.pull_at = pull_at
        world.memory = Memory()
        try:
            await world.visit(3)
        except* PulledOut:
            world.clock.at += 60
    world.plug.pull_at = None
    world.memory = Memory()
    assert await world.visit(3) is None
    return world


async def steps_of(data: bytes) -> int:
    return len((await run_with_pulls((), data)).plug.steps)


async def check_taken_once(world: DropWorld, code: str) -> None:
    """No file is lost, none taken twice, and there is one report."""
    lists = await world.lists()
    [pickup] = (await world.store.list_pickups(ACME, FLOW, 100, None)).items
    assert (pickup.code, pickup.is_done) == (code, True)
    assert lists == ([pickup.list] if code == "ok" else [])
    assert {name: len(files) for name, files in world.place.folders.items()} == {
        "incoming": 0,
        "rejected": 1,
        "reports": 1,
    }
    assert list(world.letters.by_key) == [pickup.id]
    assert len(world.events("list.accepted")) == len(lists)
    assert len(world.events("door.file_refused")) == (code != "ok")


@pytest.mark.parametrize(("data", "code"), [(GOOD, "ok"), (BAD, "not_csv")])
async def test_wherever_the_plug_is_pulled_a_file_is_taken_once_and_reported_once(
    data: bytes, code: str
) -> None:
    count = await steps_of(data)
    assert count > 15
    for pull_at in range(count):
        await check_taken_once(await run_with_pulls((pull_at,), data), code)


@pytest.mark.parametrize(("data", "code"), [(GOOD, "ok"), (BAD, "not_csv")])
async def test_nor_is_it_lost_where_the_plug_is_pulled_again_and_again(
    data: bytes, code: str
) -> None:
    chance, count = Random(7), await steps_of(data)
    for _ in range(size(30, 2_000)):
        pulls = tuple(chance.randrange(count) for _ in range(chance.randint(2, 5)))
        await check_taken_once(await run_with_pulls(pulls, data), code)


async def test_the_file_is_there_until_its_list_is_stored() -> None:
    world = await run_with_pulls((), GOOD)
    order = [step for step in world.plug.steps if step in ("after accept_list", "before take_away")]
    assert list(pairwise(order)) == [("after accept_list", "before take_away")]
