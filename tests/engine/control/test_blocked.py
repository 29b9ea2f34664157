"""What the contacts of a list wait for, summed up."""

from __future__ import annotations

from collections import Counter

import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from engine.control.blocked import share_out
from engine.model import BlockerCode, CallingWindow, FlowSettings, RetryRule
from engine.ports.telephony import CallRequest
from sim.telephony import CallScript
from tests.engine.made import EPOCH, did, flow
from tests.engine.world import World, people, running

CODES: tuple[BlockerCode, ...] = ("did_cps", "calling_window", "callee_cap", "account_limit")


async def sum_of(world: World, list_id: str = "lst_1") -> dict[BlockerCode, int]:
    """What the list's answer shows; it is the sum of what each contact's answer shows."""
    now = world.clock.now()
    call_list = await world.store.get_list("acc_1", list_id)
    counts = await world.store.count_list("acc_1", list_id, now)
    assert call_list is not None
    assert counts is not None
    summed = await world.engine.sum_blockers(call_list, counts)
    each = await world.engine.explain(await world.contacts(list_id))
    assert summed.contacts == Counter(one.code for one in each if one is not None)
    return summed.contacts


def nobody_is_there(_request: CallRequest, _before: int) -> CallScript:
    return CallScript(code=486)


async def test_a_list_sums_up_what_each_of_its_contacts_waits_for(
    autojump_clock: MockClock,
) -> None:
    """Two of them wait to be tried again, two for tomorrow, and four for the only channel or pace."""
    settings = FlowSettings(retry={"busy": RetryRule(tries=1, wait_s=3_000)})
    flows = [flow(settings=settings)]
    async with running(nobody_is_there, flows=flows, dids=[did(cps=0.01)]) as world:
        tomorrow = people(8, starttime=EPOCH + 86_400, due_at=EPOCH + 86_400)[6:]
        await world.add_list([*people(6), *tomorrow])
        await trio.sleep(150)
        assert await sum_of(world) == {"starttime": 2, "retry_wait": 2, "did_cps": 4}
        await world.engine.pause_list("acc_1", "lst_1")
        assert await sum_of(world) == {"list_paused": 8}
        await world.engine.resume_list("acc_1", "lst_1")
        await world.engine.holding.stop_account("default")
        assert await sum_of(world) == {"account_stopped": 8}


async def test_of_many_that_are_due_the_first_speak_for_the_others(
    autojump_clock: MockClock,
) -> None:
    window = CallingWindow(start="00:00", end="00:01", callee_zone=False)
    flows = [flow(settings=FlowSettings(calling_window=window))]
    async with running(flows=flows, dids=[did(cps=0.001)]) as world:
        await world.add_list(people(5_000))
        assert await sum_of(world) == {"calling_window": 5_000}
        await trio.sleep(60)
        assert await sum_of(world) == {"calling_window": 5_000}


async def test_what_is_particular_about_a_wait_is_told_of_a_list_too(
    autojump_clock: MockClock,
) -> None:
    """Its only number rests; that its cap is reached, as the code says, would lead nowhere."""
    async with running(dids=[did()]) as world:
        await world.engine.dids.rest("acc_1", did().number, {"note": "asked by the carrier"})
        await world.add_list(people(3))
        await trio.sleep(1)
        call_list = await world.store.get_list("acc_1", "lst_1")
        counts = await world.store.count_list("acc_1", "lst_1", world.clock.now())
        assert call_list is not None
        assert counts is not None
        summed = await world.engine.sum_blockers(call_list, counts)
        [one, *_] = await world.engine.explain(await world.contacts("lst_1"))
        assert one is not None
        assert (summed.contacts, summed.details) == ({"did_cap": 3}, {"did_cap": one.detail})
        assert "asked by the carrier" in one.detail


async def test_a_canceled_list_waits_for_nothing_but_its_end(autojump_clock: MockClock) -> None:
    async with running(dids=[did(cps=0.001)]) as world:
        await world.add_list(people(3_000))
        await trio.sleep(1)
        canceled = await world.engine.cancel_list("acc_1", "lst_1")
        assert canceled is not None
        some = await world.contacts()
        counts = await world.store.count_list("acc_1", "lst_1", world.clock.now())
        assert counts is not None
        assert 0 < counts.waiting < 3_000
        summed = await world.engine.sum_blockers(canceled, counts)
        assert summed.contacts == {"list_canceled": counts.waiting}
        each = await world.engine.explain(some)
        assert {one.code for one in each if one is not None} == {"list_canceled"}
        await trio.sleep(10)
        assert await sum_of(world) == {}


@given(st.integers(0, 2_000_000), st.dictionaries(st.sampled_from(CODES), st.integers(0, 200)))
def test_a_total_is_shared_out_to_the_last_one_and_nearly_in_proportion(
    total: int, seen: dict[BlockerCode, int]
) -> None:
    shared = share_out(total, seen)
    of = sum(seen.values())
    assert sum(shared.values()) == (total if of else 0)
    for code, count in seen.items():
        assert abs(shared.get(code, 0) - total * count / max(1, of)) < 1
