"""The feed is told what lists wait for."""

from __future__ import annotations

from typing import Any

import msgspec
import trio
from trio.testing import MockClock

from engine.model.events import rfc3339
from tests.engine.made import EPOCH, did
from tests.engine.world import World, people, running


async def told(world: World) -> list[dict[str, Any]]:
    events = await world.store.events_after("acc_1", 0, 1000)
    bodies = [msgspec.json.decode(one.body) for one in events if one.type == "list.waiting"]
    return [{"time": body["time"], **body["data"]} for body in bodies]


async def test_what_a_list_waits_for_is_told_as_it_changes_and_once_in_ten_seconds_at_most(
    autojump_clock: MockClock,
) -> None:
    async with running(dids=[did(cps=0.05)], tell_waiting_s=10.0) as world:
        await world.add_list(people(4))
        await trio.sleep(25)
        await world.engine.pause_list("acc_1", "lst_1")
        await trio.sleep(1_000)
        found = await told(world)
        assert [(one["blocked"], one["status"]) for one in found] == [
            ({"did_cps": 3}, "running"),
            ({"did_cps": 2}, "running"),
            ({"list_paused": 2}, "paused"),
        ]
        times = [one["time"] for one in found]
        assert times == [rfc3339(EPOCH + at) for at in (10, 20, 30)]
        assert found[2]["completed"] == 2


async def test_many_lists_have_their_turns(autojump_clock: MockClock) -> None:
    async with running(dids=[did(cps=0.001)], tell_waiting_s=10.0) as world:
        for number in range(120):
            name = f"lst_{number}"
            contacts = people(number + 1, list=name, starttime=EPOCH + 200, due_at=EPOCH + 200)
            await world.add_list(contacts[number:], name)
        rounds = []
        await trio.sleep(1)
        for _ in range(4):
            await trio.sleep(10)
            rounds.append(len(await told(world)))
        assert rounds == [50, 100, 120, 120]
