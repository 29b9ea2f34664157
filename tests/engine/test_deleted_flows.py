"""What an engine keeps in memory of a flow that was deleted."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from engine.model import FlowSettings
from tests.engine.made import flow
from tests.engine.world import people, running


async def test_nothing_is_kept_of_a_flow_that_was_deleted(autojump_clock: MockClock) -> None:
    narrow = flow(id="flw_2", calls_list="lst_calls_2", settings=FlowSettings(channels=1))
    async with running(flows=[flow(), narrow]) as world:
        await world.add_list(people(3, flow="flw_2", list="lst_2"), "lst_2")
        await world.wait_done("lst_2")
        freed, queues = world.engine._operation.freed, world.engine._scheduler.queues
        freed.waiting_for_channel.add("flw_2")  # as one that found no channel and was canceled then
        assert "flw_2" in queues.flows()
        found = await world.store.get_account("acc_1")
        assert found is not None
        assert await world.engine.administration.delete_flow(found, "flw_2")
        await trio.sleep(1)
        assert "flw_2" not in world.engine._operation.desks
        assert "flw_2" not in {*freed.waiting_for_channel, *freed.flows, *queues.flows()}
