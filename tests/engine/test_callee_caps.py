"""How often an account calls one number, over all its flows and lists, in the whole engine."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock

from engine.form import Invalid
from engine.model import AccountRules, CalleeCap, Contact, Flow, FlowSettings
from engine.ports.telephony import CallRequest
from sim.memory_store import MemoryStore
from sim.telephony import CallScript
from tests.engine.dial.limits.test_windows import most_in_any_window
from tests.engine.made import EPOCH, HOME_RULES, did, flow
from tests.engine.world import World, furnish, make_store, people, running

HOUR_S = 3_600.0
DAY_S = 86_400.0
TWICE_A_DAY = (CalleeCap(2, DAY_S),)


def is_busy(_request: CallRequest, _before: int) -> CallScript:
    return CallScript(code=486, final_after_s=3)


def capped(caps: Sequence[CalleeCap]) -> AccountRules:
    return msgspec.structs.replace(HOME_RULES, callee_caps=tuple(caps))


def list_of(call_list: str, count: int, of: str = "flw_1", **changes: Any) -> list[Contact]:
    """The same people in each list."""
    return [
        msgspec.structs.replace(one, id=f"cnt_{call_list}_{one.row}")
        for one in people(count, list=call_list, flow=of, **changes)
    ]


def calls_by_number(calls: Sequence[Any]) -> dict[str, list[float]]:
    times: dict[str, list[float]] = defaultdict(list)
    for one in calls:
        times[one.request.number].append(one.at)
    return times


async def a_store(rules: AccountRules, *flows: Flow) -> MemoryStore:
    store = make_store()
    numbers = {number: None for one in flows for number in one.dids}
    await furnish(store, flows, [did(number=number) for number in numbers], rules)
    return store


async def explain(world: World, call_list: str) -> list[Mapping[str, Any] | None]:
    waiting = await world.contacts(call_list)
    return [
        None if one is None else {"code": one.code, "detail": one.detail, "until": one.until}
        for one in await world.engine.explain(waiting)
    ]


async def test_no_window_holds_more_calls_of_a_callee_over_flows_lists_retries_and_restarts(
    autojump_clock: MockClock,
) -> None:
    caps = (CalleeCap(2, 600), CalleeCap(3, 3_600))
    retry = {"busy": {"tries": 2, "wait_s": 20}}
    settings = msgspec.convert({"retry": retry, "attempts_max": 4}, FlowSettings)
    first, second = (
        flow(id=f"flw_{n}", calls_list=f"lst_calls_{n}", settings=settings) for n in (1, 2)
    )
    store = await a_store(capped(caps), first, second)
    calls: list[Any] = []
    for start in range(7):
        async with running(is_busy, store=store) as world:
            if start == 0:
                for name, of in (("a", "flw_1"), ("b", "flw_2"), ("c", "flw_1")):
                    await world.add_list(list_of(name, 8, of), name)
            await trio.sleep(1_500)
            if start == 6:
                for name in "abc":
                    await world.wait_done(name, poll_s=300)
            calls += world.telephony.dialed
    times = calls_by_number(calls)
    assert {len(moments) for moments in times.values()} == {9}
    for cap in caps:
        assert {most_in_any_window(moments, cap.per_s) for moments in times.values()} == {cap.calls}


async def test_a_contact_whose_callee_was_called_often_enough_waits_for_the_window_and_says_so(
    autojump_clock: MockClock,
) -> None:
    store = await a_store(capped((CalleeCap(2, HOUR_S),)), flow())
    async with running(store=store, tell_waiting_s=10.0) as world:
        for name in ("a", "b", "c"):
            await world.add_list(list_of(name, 3), name)
            await trio.sleep(60)
        assert len(world.dial_times()) == 6
        last = max(world.dial_times())
        found = await explain(world, "c")
        assert {one and one["code"] for one in found} == {"callee_cap"}
        for one in found:
            assert one is not None
            assert HOUR_S - 100 < one["until"] - EPOCH < last + HOUR_S
        counts = await world.store.count_list("acc_1", "c", world.clock.now())
        one_list = await world.store.get_list("acc_1", "c")
        assert counts is not None
        assert one_list is not None
        summed = await world.engine.sum_blockers(one_list, counts)
        assert summed.contacts == {"callee_cap": 3}
        events = await world.store.events_after("acc_1", 0, 1000)
        told = [msgspec.json.decode(one.body) for one in events if one.type == "list.waiting"]
        assert told[-1]["data"]["blocked"] == {"callee_cap": 3}
        asked_before = len(world.telephony.dialed)
        await trio.sleep(HOUR_S - 600)
        assert len(world.telephony.dialed) == asked_before
        await world.wait_done("c", poll_s=60)
        for moments in calls_by_number(world.telephony.dialed).values():
            assert most_in_any_window(moments, HOUR_S) == 2
            assert moments[2] - moments[0] < HOUR_S + 1


async def test_caps_of_a_flow_count_the_calls_of_other_flows_and_hold_its_own(
    autojump_clock: MockClock,
) -> None:
    strict = flow(settings=FlowSettings(callee_caps=(CalleeCap(1, DAY_S),)))
    free = flow(id="flw_2", calls_list="lst_calls_2")
    async with running(store=await a_store(HOME_RULES, strict, free)) as world:
        await world.add_list(list_of("a", 2, "flw_2"), "a")
        await world.wait_done("a")
        await world.add_list(list_of("b", 3), "b")
        await world.add_list(list_of("c", 2, "flw_2"), "c")
        await trio.sleep(600)
        times = calls_by_number(world.telephony.dialed)
        assert [len(times[one.number]) for one in people(3)] == [2, 2, 1]
        found = await explain(world, "b")
        assert [one and one["code"] for one in found] == ["callee_cap", "callee_cap", None]


async def test_a_change_of_the_caps_holds_at_once(autojump_clock: MockClock) -> None:
    async with running(store=await a_store(HOME_RULES, flow())) as world:
        administration = world.engine.administration
        await world.add_list(list_of("a", 4), "a")
        await world.wait_done("a")
        caps = [{"calls": 1, "per_s": DAY_S}]
        assert await administration.change_account("default", {"callee_caps": caps}) is not None
        await trio.sleep(1)
        await world.add_list(list_of("b", 4), "b")
        await trio.sleep(600)
        assert len(world.telephony.dialed) == 4
        caps = [{"calls": 2, "per_s": DAY_S}]
        assert await administration.change_account("default", {"callee_caps": caps}) is not None
        await world.wait_done("b")
        assert len(world.telephony.dialed) == 8


async def test_a_call_that_a_full_trunk_refused_does_not_count_before_or_after_a_restart(
    autojump_clock: MockClock,
) -> None:
    def full_at_first(_request: CallRequest, before: int) -> CallScript:
        return (
            CallScript(ring_after_s=None, code=503, final_after_s=1)
            if not before
            else is_busy(_request, before)
        )

    for is_restarted in (False, True):
        store = await a_store(capped((CalleeCap(1, DAY_S),)), flow())
        async with running(full_at_first, store=store) as world:
            await world.add_list(list_of("a", 1), "a")
            await trio.sleep(1.5 if is_restarted else 600)
            assert len(world.telephony.dialed) == (1 if is_restarted else 2)
        async with running(is_busy, store=store) as world:
            await trio.sleep(600)
            assert len(world.telephony.dialed) == (1 if is_restarted else 0)
            await world.wait_done("a")


async def test_many_callees_are_looked_up_in_one_question(
    autojump_clock: MockClock,
) -> None:
    store = await a_store(capped(TWICE_A_DAY), flow())
    asked: list[int] = []
    ask = store.past_calls

    async def count(account: str, numbers: Sequence[str]) -> Any:
        asked.append(len(numbers))
        return await ask(account, numbers)

    store.past_calls = count  # type: ignore[method-assign]
    async with running(store=store) as world:
        await world.add_list(people(500))
        await world.wait_done()
    assert asked == [500]


@pytest.mark.parametrize("calls", [0, 101])
async def test_caps_that_cannot_be_are_refused(autojump_clock: MockClock, calls: int) -> None:
    async with running(store=await a_store(HOME_RULES, flow())) as world:
        raw = {"callee_caps": [{"calls": calls, "per_s": 60}]}
        with pytest.raises(Invalid) as refused:
            await world.engine.administration.change_account("default", raw)
        assert [one.pointer for one in refused.value.errors] == ["/callee_caps/0/calls"]
