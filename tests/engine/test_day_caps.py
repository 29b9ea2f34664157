"""How many calls an account may make in a day, in all and to a country, in the whole engine."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from engine.dial.limits.day_caps import DAY_S, DayCapDefaults
from engine.form import Invalid
from engine.model import Contact
from sim.memory_store import MemoryStore
from tests.engine.made import EPOCH, contact, did, flow
from tests.engine.world import World, furnish, make_store, people, running


async def make_world_store() -> MemoryStore:
    store = make_store()
    await furnish(store, [flow()], [did()])
    return store


async def cap(world: World, **rules: Any) -> None:
    assert await world.engine.administration.change_account("default", rules) is not None


def most_in_a_day(times: list[float], calls: int) -> bool:
    """Whether no window of 24 hours holds more than so many."""
    return all(later - one >= DAY_S for one, later in zip(times, times[calls:], strict=False))


def mixed(per_country: int) -> list[Contact]:
    """Contacts in the United States and in Jamaica in turn."""
    return [
        contact(id=f"cnt_{n:06}", row=n + 1, tel=(("+1415", "+1876")[n % 2] + f"{n:07}",))
        for n in range(2 * per_country)
    ]


async def test_no_24_hours_hold_more_calls_of_an_account_than_it_may_make(
    autojump_clock: MockClock,
) -> None:
    store = await make_world_store()
    async with running(store=store) as world:
        await cap(world, calls_per_day=20)
        await world.add_list(people(50))
        await trio.sleep(60)
        assert len(world.dial_times()) == 20
        waiting = [one for one in await world.contacts() if one.state == "open"]
        [blocker] = await _explain(world, waiting)
        assert blocker["code"] == "account_limit"
        assert blocker["detail"] == (
            "The account has made the 20 calls that it may make in 24 hours."
        )
        assert DAY_S <= blocker["until"] - EPOCH <= DAY_S + 30
        await world.wait_done(poll_s=600)
        times = world.dial_times()
        assert len(times) == 50
        assert most_in_a_day(times, 20)


async def _explain(world: World, waiting: list[Contact]) -> list[Mapping[str, Any]]:
    found = await world.engine.explain(waiting[-1:])
    return [
        {"code": one.code, "detail": one.detail, "until": one.until}
        for one in found
        if one is not None
    ]


async def test_a_country_at_its_cap_keeps_calls_to_no_other_country_waiting(
    autojump_clock: MockClock,
) -> None:
    async with running(store=await make_world_store()) as world:
        await cap(world, country_caps={"JM": 3})
        await world.add_list(mixed(30))
        await trio.sleep(600)
        called = [one.request.number for one in world.telephony.dialed]
        assert len([one for one in called if one.startswith("+1415")]) == 30
        assert len([one for one in called if one.startswith("+1876")]) == 3
        waiting = [one for one in await world.contacts() if one.state == "open"]
        [blocker] = await _explain(world, waiting)
        assert blocker["detail"] == (
            "The account has made the 3 calls to JM that it may make in 24 hours."
        )
        await cap(world, country_caps={"JM": 10})
        await trio.sleep(600)
        called = [one.request.number for one in world.telephony.dialed]
        assert len([one for one in called if one.startswith("+1876")]) == 10
        await cap(world, country_caps={})
        await world.wait_done()


async def test_a_cap_of_none_lets_no_call_to_a_country_be_made(autojump_clock: MockClock) -> None:
    async with running(store=await make_world_store()) as world:
        await cap(world, country_caps={"JM": 0})
        await world.add_list(mixed(2))
        await trio.sleep(DAY_S / 4)
        called = [one.request.number for one in world.telephony.dialed]
        assert [one for one in called if one.startswith("+1876")] == []
        waiting = [one for one in await world.contacts() if one.state == "open"]
        found = await world.engine.explain(waiting)
        assert [one and (one.code, one.detail) for one in found] == 2 * [
            ("account_limit", "The account may make no calls to JM.")
        ]


async def test_the_calls_of_a_day_are_remembered_over_a_restart(autojump_clock: MockClock) -> None:
    store = await make_world_store()
    times: list[float] = []
    caps = DayCapDefaults(calls_per_day=10, country_calls_per_day=6)
    for _ in range(4):
        async with running(store=store, day_caps=caps) as world:
            if not times:
                await world.add_list(mixed(20))
            await trio.sleep(DAY_S / 5)
            times += world.dial_times()
    assert len(times) == 10
    async with running(store=store, day_caps=caps) as world:
        await world.wait_done(poll_s=600)
        times += world.dial_times()
        numbers = [one.request.number for one in world.telephony.dialed]
    assert len(times) == 40
    assert most_in_a_day(times, 10)
    assert len(numbers) == 30
    assert all(later >= one for one, later in pairwise(times))


async def test_an_account_names_countries_that_there_are(autojump_clock: MockClock) -> None:
    async with running(store=await make_world_store()) as world:
        administration = world.engine.administration
        raw = {"country_caps": {"XX": 5, "IN": 5}, "approved_countries": ["IN", "+881", "ZZ"]}
        with pytest.raises(Invalid) as refused:
            await administration.change_account("default", raw)
        assert [(one.pointer, one.code) for one in refused.value.errors] == [
            ("/country_caps/XX", "unknown_country"),
            ("/approved_countries/2", "unknown_country"),
        ]


async def test_a_cap_of_none_holds_for_a_call_that_was_let_go_and_has_not_left(
    autojump_clock: MockClock,
) -> None:
    async with running(store=await make_world_store()) as world:
        begin, begun = world.store.begin_attempt, trio.Event()

        async def slow(*intent: Any) -> Any:
            begun.set()
            await trio.sleep(2)
            return await begin(*intent)

        world.store.begin_attempt = slow  # type: ignore[method-assign, assignment]
        await world.add_list(mixed(1)[1:])
        await begun.wait()
        await cap(world, country_caps={"JM": 0})
        await trio.sleep(600)
        assert world.telephony.dialed == []
        [waiting] = await world.contacts()
        [blocker] = await _explain(world, [waiting])
        assert blocker["detail"] == "The account may make no calls to JM."
        await cap(world, country_caps={})
        await world.wait_done()
