"""Contacts that wait for their next try, and those that are due meanwhile."""

from __future__ import annotations

import pytest

from engine.model import FlowSettings, RetryRule
from engine.schedule import scheduler
from sim.telephony import CallScript
from tests.engine.made import did, flow
from tests.engine.world import people, running

PEOPLE = 250
WAIT_S = 250
CPS = 20


@pytest.mark.parametrize("waiting_max", [10_000, 50])
async def test_whoever_waits_for_another_try_keeps_nobody_from_a_first_one(
    monkeypatch: pytest.MonkeyPatch, waiting_max: int, autojump_clock: object
) -> None:
    """Far more are called in vain within one wait than are held in memory."""
    monkeypatch.setattr(scheduler, "HELD_MAX", 40)
    monkeypatch.setattr(scheduler, "WAITING_MAX", waiting_max)
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
