"""Contacts that wait for their next try, and those that are due meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest
import trio

from engine.model import FlowSettings, RetryRule
from engine.ports.intake_store import NewList
from engine.schedule import feed, fetching
from engine.schedule.feed import Work
from engine.schedule.scheduler import Scheduler
from sim.telephony import CallScript
from tests.engine.made import EPOCH, call_list, did, flow
from tests.engine.world import VirtualClock, furnish, make_store, people, running

PEOPLE = 250
WAIT_S = 250
CPS = 20


@pytest.mark.parametrize("waiting_max", [10_000, 50])
async def test_whoever_waits_for_another_try_keeps_nobody_from_a_first_one(
    monkeypatch: pytest.MonkeyPatch, waiting_max: int, autojump_clock: object
) -> None:
    """Far more are called in vain within one wait than are held in memory."""
    monkeypatch.setattr(fetching, "HELD_MAX", 40)
    monkeypatch.setattr(feed, "WAITING_MAX", waiting_max)
    settings = FlowSettings(retry={"busy": RetryRule(1, WAIT_S)})
    flows, dids = [flow(settings=settings)], [did(cps=CPS, channels=50)]
    busy = CallScript(ring_after_s=None, final_after_s=0.2, code=486)
    async with running(lambda _request, _before: busy, flows=flows, dids=dids) as world:
        await world.add_list(people(PEOPLE))
        await world.wait_done()
        times = world.dial_times()
    pass_s = PEOPLE / CPS * 1.05
    assert len(times) == 2 * PEOPLE
    assert times[PEOPLE - 1] < pass_s
    assert times[-1] < WAIT_S + 2 * pass_s


async def test_whoever_waited_for_another_try_before_a_restart_keeps_nobody_from_a_first_one(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: object
) -> None:
    monkeypatch.setattr(fetching, "HELD_MAX", 40)
    tries = people(200, due_at=EPOCH + 200, wait_code="retry_wait", spent=1)
    first = msgspec.structs.replace(tries[-1], due_at=EPOCH + 280, wait_code="starttime", spent=0)
    async with running() as world:
        await world.add_list([*tries[:-1], first])
        await trio.sleep(5)
        now = datetime.fromtimestamp(world.clock.now(), UTC).isoformat()
        await world.engine.rescheduling.change_contact("acc_1", first.id, {"starttime": now})
        await trio.sleep(5)
        assert [one.request.number for one in world.telephony.dialed] == [first.number]


async def test_however_many_wait_who_is_given_back_and_is_due_stays_in_hand(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: object
) -> None:
    """Fetched anew, it would have to wait anew for the DID that it knows, time and again."""
    monkeypatch.setattr(feed, "WAITING_MAX", 0)
    store = make_store()
    await furnish(store, [flow()], [did()])
    taken: list[Work] = []
    driver = Scheduler(store, VirtualClock(), taken.append)
    await store.accept_list(NewList(call_list(), people(1)))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(driver.run)
        await trio.sleep(1)
        taken[0].has_waited = True
        driver.put_back(taken[0], taken[0].contact)
        await trio.sleep(1)
        assert [one.has_waited for one in taken] == [True, True]
        nursery.cancel_scope.cancel()
