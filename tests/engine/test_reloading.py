"""Other trunks, routes and limits while it runs: no call is dropped, and no limit is broken by the change.
Virtual time throughout."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock

from engine.dial.trunks.route import RouteSettings
from engine.dial.trunks.trunk import TrunkSettings
from engine.model import Attempt, Cap, FlowSettings
from engine.ports.read_store import AttemptFilter
from engine.ports.telephony import CallRequest
from sim.telephony import CallScript
from tests.engine.dial.limits.test_windows import most_in_any_window
from tests.engine.made import did, flow
from tests.engine.world import World, people, running

FIRST, SECOND = TrunkSettings("first", 100, 100), TrunkSettings("second", 100, 100)
BY_ROUTE = did(trunk="route", cps=100)
LONG = {
    "start": "stay",
    "nodes": {
        "stay": {"type": "wait", "duration_s": 300, "next": "bye"},
        "bye": {"type": "hangup"},
    },
}
"""What is said on calls that last five minutes."""
FLOW = flow(definition=LONG)


def route(*names: str) -> tuple[RouteSettings, ...]:
    return (RouteSettings("route", tuple((name,) for name in names)),)


def long_calls(_request: CallRequest, _before: int) -> CallScript:
    """Everybody answers at once, and stays on the line."""
    return CallScript(ring_after_s=None, final_after_s=0.1, talk_s=600.0)


async def reload(world: World, **changes: Any) -> None:
    """Go by other settings."""
    settings = msgspec.structs.replace(world.engine._settings, **changes)
    await world.engine.reload(settings, lambda: None)


async def by_trunk(world: World) -> Counter[str]:
    """How many calls each trunk carries."""
    page = await world.store.list_attempts("acc_1", AttemptFilter(), 1000, None)
    up: list[Attempt] = [one for one in page.items if one.status == "in-progress"]
    return Counter(one.trunk for one in up)


async def blockers(world: World) -> set[str]:
    """What holds the contacts that wait."""
    waiting = [one for one in await world.contacts() if one.state == "open"]
    found = await world.engine.explain(waiting)
    return {one.code for one in found if one is not None}


async def test_calls_stay_where_they_are_when_their_trunk_goes(autojump_clock: MockClock) -> None:
    async with running(
        long_calls,
        flows=[FLOW],
        dids=[BY_ROUTE],
        trunks=(FIRST, SECOND),
        routes=route("first"),
        channels=5,
    ) as world:
        await world.add_list(people(8))
        await trio.sleep(5)
        assert (await by_trunk(world), await blockers(world)) == ({"first": 5}, {"engine_limit"})
        await reload(world, trunks=(SECOND,), routes=route("second"), channels=7)
        await trio.sleep(5)
        assert await by_trunk(world) == {"first": 5, "second": 2}
        await reload(world, trunks=(SECOND,), routes=(), channels=100)
        await trio.sleep(5)
        assert (await by_trunk(world), await blockers(world)) == (
            {"first": 5, "second": 2},
            {"no_trunk"},
        )
        await reload(world, routes=route("second"))
        await trio.sleep(120)
        assert await by_trunk(world) == {"first": 5, "second": 3}
        await world.wait_done()
        assert {one.disposition for one in await world.contacts()} == {"answered"}


async def test_who_waits_for_a_full_trunk_goes_by_another_that_comes(
    autojump_clock: MockClock,
) -> None:
    few = TrunkSettings("first", 2, 100)
    async with running(
        long_calls, flows=[FLOW], dids=[BY_ROUTE], trunks=(few,), routes=route("first")
    ) as world:
        await world.add_list(people(6))
        await trio.sleep(5)
        assert (await by_trunk(world), await blockers(world)) == ({"first": 2}, {"trunk_channels"})
        await reload(world, trunks=(few, SECOND), routes=route("first", "second"))
        await trio.sleep(2)
        assert await by_trunk(world) == {"first": 2, "second": 4}


async def test_a_trunk_that_is_given_more_channels_takes_more_calls_at_once(
    autojump_clock: MockClock,
) -> None:
    async with running(
        long_calls, flows=[FLOW], dids=[BY_ROUTE], trunks=(TrunkSettings("route", 2, 100),)
    ) as world:
        await world.add_list(people(6))
        await trio.sleep(5)
        assert await by_trunk(world) == {"route": 2}
        await reload(world, trunks=(TrunkSettings("route", 5, 100),))
        await trio.sleep(2)
        assert await by_trunk(world) == {"route": 5}
        await reload(world, trunks=(TrunkSettings("route", 1, 100),))  # those that are up stay
        await trio.sleep(30)
        assert await by_trunk(world) == {"route": 5}


@pytest.mark.parametrize("of_trunk", [True, False])
async def test_a_cap_that_comes_counts_the_calls_before_it(
    autojump_clock: MockClock, of_trunk: bool
) -> None:
    """Also those that no window remembers: until then nothing but the last second was counted."""
    cap = Cap(20, 60)
    async with running(
        long_calls, flows=[FLOW], dids=[BY_ROUTE], trunks=(TrunkSettings("route", 900, 100),)
    ) as world:
        await world.add_list(people(15))
        await trio.sleep(20)
        assert len(world.dial_times()) == 15
        changes = (
            {"trunks": (TrunkSettings("route", 900, 100, caps=(cap,)),)}
            if of_trunk
            else {"caps": (cap,)}
        )
        await reload(world, **changes)
        later = [
            msgspec.structs.replace(one, id=f"{one.id}_b", list="lst_2", tel=(f"+1212{n:07}",))
            for n, one in enumerate(people(30))
        ]
        await world.add_list(later, "lst_2")
        await trio.sleep(10)
        assert len(world.dial_times()) == 20
        await trio.sleep(600)
        times = world.dial_times()
        assert (len(times), most_in_any_window(times, 60)) == (45, 20)


async def test_a_pace_that_changes_again_and_again_is_never_exceeded(
    autojump_clock: MockClock,
) -> None:
    slow, fast = TrunkSettings("route", 900, 5), TrunkSettings("route", 900, 10)
    async with running(long_calls, flows=[FLOW], dids=[BY_ROUTE], trunks=(fast,)) as world:
        await world.add_list(people(200))
        for n in range(40):
            await trio.sleep(0.25)
            await reload(world, trunks=(slow if n % 2 else fast,))
        await reload(world, trunks=(slow,))
        slow_since = trio.current_time()
        await world.wait_done()
    times = world.dial_times()
    assert most_in_any_window(times, 1) <= 10
    assert most_in_any_window([at for at in times if at >= slow_since], 1) <= 5


async def test_destinations_hold_from_the_change_on(autojump_clock: MockClock) -> None:
    one = flow(definition=LONG, settings=FlowSettings(attempts_max=1))
    async with running(
        long_calls, flows=[one], dids=[BY_ROUTE], trunks=(TrunkSettings("route", 2, 100),)
    ) as world:
        await world.add_list(people(4))
        await trio.sleep(5)
        await reload(world, destinations=("+91",))
        await world.wait_done()
        found = Counter(one.disposition for one in await world.contacts())
        assert (len(world.dial_times()), found["answered"]) == (2, 2)


async def test_what_cannot_be_changes_nothing(autojump_clock: MockClock) -> None:
    switched = []
    async with running(
        long_calls, flows=[FLOW], dids=[BY_ROUTE], trunks=(FIRST,), routes=route("first")
    ) as world:
        before = world.engine._settings
        wrong = msgspec.structs.replace(before, trunks=(SECOND,), channels=1)
        with pytest.raises(ValueError, match="goes over no trunk first"):
            await world.engine.reload(wrong, lambda: switched.append(1))

        def refuse() -> None:
            raise RuntimeError("no key")

        with pytest.raises(RuntimeError):
            await world.engine.reload(msgspec.structs.replace(before, channels=1), refuse)
        await world.add_list(people(3))
        await trio.sleep(5)
        assert (switched, await by_trunk(world)) == ([], {"first": 3})


async def test_a_trunk_that_goes_and_comes_back_counts_the_calls_that_it_carries(
    autojump_clock: MockClock,
) -> None:
    few = TrunkSettings("first", 3, 100)
    async with running(
        long_calls, flows=[FLOW], dids=[BY_ROUTE], trunks=(few, SECOND), routes=route("first")
    ) as world:
        await world.add_list(people(8))
        await trio.sleep(5)
        world.engine._operation.trunks["first"].note_condition(False, "It is not registered.")
        await reload(world, trunks=(SECOND,), routes=())
        await trio.sleep(5)
        await reload(world, trunks=(few, SECOND), routes=route("first"))
        await trio.sleep(5)
        assert (await by_trunk(world), await blockers(world)) == ({"first": 3}, {"trunk_channels"})
        await world.wait_done()
