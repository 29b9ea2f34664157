"""Who looks after the doors of all flows: how often they are visited, and how they stand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

import msgspec
import trio
from trio.testing import MockClock

from engine.drop.keeper import DropKeeper
from engine.model import FlowSettings
from engine.model.drop_settings import FolderSettings
from engine.model.pickup import DropState
from engine.ports.drops import DropFailed
from tests.contract.store_samples import ACME, FLOW, NOW
from tests.engine.drop.world import GOOD, SETTING, DropWorld, open_world

LOST = DropFailed("lost", "It went away.")


class TrioTime:
    """The time of day of a virtual clock."""

    def now(self) -> float:
        return NOW + trio.current_time()


@asynccontextmanager
async def keeping(settings: FlowSettings) -> AsyncIterator[tuple[DropWorld, DropKeeper]]:
    """A keeper at work for a flow with these settings."""
    world = await open_world()
    clock = TrioTime()
    services = msgspec.structs.replace(world.services, clock=clock)
    await set_settings(world, settings)
    keeper = DropKeeper(services, Random(1))
    async with trio.open_nursery() as nursery:
        await nursery.start(keeper.run)
        yield world, keeper
        nursery.cancel_scope.cancel()


async def set_settings(world: DropWorld, settings: FlowSettings) -> None:
    await world.store.change_flow(
        ACME, FLOW, lambda flow: msgspec.structs.replace(flow, settings=settings)
    )


def visits(world: DropWorld) -> int:
    return world.plug.steps.count("before open")


async def test_a_flow_is_visited_as_often_as_it_wants(autojump_clock: MockClock) -> None:
    async with keeping(FlowSettings(folder=SETTING)) as (world, keeper):
        world.place.drop("leads.csv", GOOD)
        await trio.sleep(30)
        assert visits(world) == 1
        status = keeper.status(ACME, FLOW, "folder")
        assert status is not None
        assert (status.failures, status.growing) == (0, 1)
        assert status.next_at is not None
        assert NOW + 60 <= status.next_at <= NOW + 67
        await trio.sleep(600)
        assert visits(world) in (10, 11)
        assert (len(await world.lists()), world.place.names("incoming")) == (1, [])
        assert keeper.status(ACME, FLOW, "sftp") is None
        assert await world.store.drop_state(ACME, FLOW, "folder") == DropState("ok", "", NOW)
        assert world.events("door.restored") == world.events("door.failed") == []


async def test_a_door_that_fails_is_told_once_and_visited_ever_more_seldom_until_it_is_well(
    autojump_clock: MockClock,
) -> None:
    async with keeping(FlowSettings(folder=SETTING)) as (world, keeper):
        world.fail = lambda what: LOST if what == "open" else None
        keeper.wake(ACME, FLOW)
        await trio.sleep(3_600)
        # At 0, 120, 360 s …, and every ten minutes in the end.
        assert 6 <= visits(world) <= 9
        status = keeper.status(ACME, FLOW, "folder")
        assert status is not None
        assert status.failures >= 6
        assert keeper.failing == 1
        state = await world.store.drop_state(ACME, FLOW, "folder")
        assert state is not None
        assert (state.code, state.detail) == ("lost", "It went away.")
        assert world.events("door.failed") == [
            {"door": "folder", "code": "lost", "detail": "It went away."}
        ]
        world.fail = lambda _: None
        keeper.wake(ACME, FLOW)
        await trio.sleep(1)
        assert world.events("door.restored") == [{"door": "folder"}]
        state = await world.store.drop_state(ACME, FLOW, "folder")
        assert state is not None
        assert state.code == "ok"
        status = keeper.status(ACME, FLOW, "folder")
        assert status is not None
        assert status.failures == 0


async def test_a_door_that_fails_in_another_way_is_told_again(autojump_clock: MockClock) -> None:
    async with keeping(FlowSettings(folder=SETTING)) as (world, keeper):
        world.fail = lambda what: LOST if what == "open" else None
        await trio.sleep(1)
        world.fail = lambda what: DropFailed("wrong_host_key", "No.") if what == "open" else None
        keeper.wake(ACME, FLOW)
        await trio.sleep(1)
        assert [one["code"] for one in world.events("door.failed")] == ["lost", "wrong_host_key"]


async def test_a_change_of_the_flow_is_followed_at_once(autojump_clock: MockClock) -> None:
    async with keeping(FlowSettings()) as (world, keeper):
        await trio.sleep(1_000)
        assert (visits(world), keeper.doors) == (0, 0)
        await set_settings(world, FlowSettings(folder=FolderSettings("leads", 86_400)))
        keeper.wake(ACME, FLOW)
        await trio.sleep(1)
        assert (visits(world), keeper.doors) == (1, 1)
        await set_settings(world, FlowSettings())
        keeper.wake(ACME, FLOW)
        await trio.sleep(1)
        assert (visits(world), keeper.doors) == (1, 0)


async def test_a_visit_that_breaks_breaks_nothing_else(autojump_clock: MockClock) -> None:
    async with keeping(FlowSettings(folder=SETTING)) as (world, keeper):
        world.plug.error = RuntimeError
        world.plug.pull_at = len(world.plug.steps)
        await trio.sleep(1)
        state = await world.store.drop_state(ACME, FLOW, "folder")
        assert state is not None
        assert state.code == "unavailable"
        await trio.sleep(600)
        state = await world.store.drop_state(ACME, FLOW, "folder")
        assert state is not None
        assert state.code == "ok"
        assert keeper.doors == 1


async def test_pickups_that_are_done_are_forgotten_after_a_month(
    autojump_clock: MockClock,
) -> None:
    async with keeping(FlowSettings(folder=FolderSettings("leads", 3_600))) as (world, _):
        world.place.drop("leads.csv", GOOD)
        await trio.sleep(29 * 86_400)
        assert len((await world.store.list_pickups(ACME, FLOW, 10, None)).items) == 1
        await trio.sleep(2 * 86_400)
        assert (await world.store.list_pickups(ACME, FLOW, 10, None)).items == ()
