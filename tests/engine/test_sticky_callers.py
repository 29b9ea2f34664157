"""People are called from the number that they know."""

from __future__ import annotations

from typing import Any

import trio
from trio.testing import MockClock

from engine.dial.dids.parking import STICKY_WAIT_S, Parking
from engine.model import Did, Flow, FlowSettings, RetryRule
from engine.ports.telephony import CallRequest
from engine.schedule.feed import ListFeed, Work
from sim.memory_store import MemoryStore
from sim.telephony import CallScript
from tests.engine.made import contact, did, flow
from tests.engine.world import World, furnish, make_store, people, running

ONE, TWO, THREE = "+14155550101", "+14155550102", "+14155550103"


def a_flow(*numbers: str, **settings: Any) -> Flow:
    return flow(dids=numbers, settings=FlowSettings(caller_numbers="sticky", **settings))


async def stocked(*numbers: str, **limits: Any) -> MemoryStore:
    store = make_store()
    dids: list[Did] = [did(number=one, **limits) for one in numbers]
    await furnish(store, [a_flow(*numbers)], dids)
    return store


def callers(world: World) -> dict[str, str]:
    """By callee: who called it last."""
    return {one.request.number: one.request.caller for one in world.telephony.dialed}


async def test_whoever_was_called_before_is_called_from_the_same_did_after_a_restart_too(
    autojump_clock: MockClock,
) -> None:
    store = await stocked(ONE, TWO, THREE)
    async with running(store=store) as world:
        await world.add_list(people(60))
        await world.wait_done()
        first = callers(world)
        assert set(first.values()) == {ONE, TWO, THREE}
    async with running(store=store) as world:
        again = [
            contact(id=f"cnt_b{n:03}", list="lst_2", row=n + 1, tel=(number,))
            for n, number in enumerate(sorted(first, reverse=True))
        ]
        await world.add_list(again, "lst_2")
        await world.wait_done("lst_2")
        assert callers(world) == first


async def test_a_retry_comes_from_the_same_did(autojump_clock: MockClock) -> None:
    def busy_twice(_request: CallRequest, before: int) -> CallScript:
        return CallScript(code=486) if before < 2 else CallScript()

    store = make_store()
    retried = a_flow(ONE, TWO, THREE, retry={"busy": RetryRule(2, 30)})
    await furnish(store, [retried], [did(number=one) for one in (ONE, TWO, THREE)])
    async with running(busy_twice, store=store) as world:
        await world.add_list(people(30))
        await world.wait_done()
        calls = {(one.request.number, one.request.caller) for one in world.telephony.dialed}
        assert (len(world.telephony.dialed), len(calls)) == (90, 30)


async def test_a_contact_waits_for_its_did_says_so_and_takes_another_after_a_minute(
    autojump_clock: MockClock,
) -> None:
    store = await stocked(ONE, cps=10, channels=20)
    async with running(store=store) as world:
        await world.add_list(people(20))
        await world.wait_done()
    await store.add_did(did(number=TWO, cps=10))
    await store.change_flow("acc_1", "flw_1", lambda _one: a_flow(ONE, TWO))
    await store.change_did(None, ONE, lambda _one: did(number=ONE, cps=10, channels=1))

    def long_call(_request: CallRequest, _before: int) -> CallScript:
        return CallScript(code=486, final_after_s=44.0)

    async with running(long_call, store=store) as world:
        again = [
            contact(id=f"cnt_b{n:03}", list="lst_2", row=n + 1, tel=(one.tel[0],))
            for n, one in enumerate(people(20))
        ]
        begun = trio.current_time()
        await world.add_list(again, "lst_2")
        await trio.sleep(20)
        open_ = [one for one in await world.contacts("lst_2") if one.state == "open"]
        explained = await world.engine.explain(open_)
        waiting = [one for one in explained if one is not None and f"waits for {ONE}" in one.detail]
        assert waiting
        assert {(one.code, one.until) for one in waiting} == {("did_channels", None)}
        await world.wait_done("lst_2")
        by_two = world.dial_times(TWO)
        assert by_two
        assert min(by_two) - begun >= STICKY_WAIT_S
        assert max(by_two) - begun < 2 * STICKY_WAIT_S
        assert world.dial_times(ONE)


async def test_nobody_waits_for_a_did_that_rests(autojump_clock: MockClock) -> None:
    store = await stocked(ONE, TWO)
    async with running(store=store) as world:
        await world.add_list(people(20))
        await world.wait_done()
    async with running(store=store) as world:
        await world.engine.dids.rest(None, ONE, {})
        begun = trio.current_time()
        again = [
            contact(id=f"cnt_b{n:03}", list="lst_2", row=n + 1, tel=(one.tel[0],))
            for n, one in enumerate(people(20))
        ]
        await world.add_list(again, "lst_2")
        await world.wait_done("lst_2")
        assert set(callers(world).values()) == {TWO}
        assert max(world.dial_times()) - begun < 5


def test_whoever_waits_for_a_did_leaves_it_once_in_the_order_of_coming() -> None:
    parking, feed = Parking(), ListFeed("acc_1", "flw_1", "lst_1")
    works = [Work(contact(id=f"cnt_{n}"), feed) for n in range(5)]
    for n, work in enumerate(works):
        parking.add(ONE if n % 2 else TWO, work, float(n))
    assert (parking.count(ONE), parking.did_of("cnt_1"), parking.next_end) == (2, ONE, 60.0)
    assert parking.take(ONE) is works[1]
    assert parking.expire(STICKY_WAIT_S + 2) == [works[0], works[2]]
    assert parking.next_end == STICKY_WAIT_S + 3
    parking.release(TWO)
    assert parking.expire(0) == [works[4]]
    assert (parking.take(TWO), parking.did_of("cnt_4")) == (None, None)
    assert parking.expire(1e9) == [works[3]]
    assert parking.next_end is None


def test_whoever_waits_for_another_did_as_another_piece_of_work_waits_no_more_for_the_first() -> (
    None
):
    feed, one = ListFeed("acc_1", "flw_1", "lst_1"), contact()
    before, after = Work(one, feed), Work(one, feed)
    parking = Parking()
    parking.add(ONE, before, 0.0)
    parking.add(TWO, after, 1.0)
    assert parking.take(ONE) is None
    parking.release(ONE)
    assert parking.expire(STICKY_WAIT_S) == []
    assert parking.take(TWO) is after
    assert parking.next_end is None
