"""What an engine holds after it has made many calls, and that what they leave behind is seen."""

from __future__ import annotations

import gc
from types import CodeType, FunctionType, ModuleType

import pytest
import trio
from trio.testing import MockClock

from engine.dial.limits.callees import CalleeBook, TakenCall
from engine.dial.trunks.trunk import TrunkSettings
from tests.engine.made import contact, did
from tests.engine.world import World, running

CALLS = 150
"""Of one list, to the same numbers each time."""
CPS = 100
"""Of every limit, each of which remembers so many calls: after the first lists all of them are full."""
MARKS_KEPT = 50
"""Calls that a trunk remembers to learn its capacity from; fewer than in operation for the same reason."""
STAYS = (ModuleType, type, FunctionType, CodeType, trio.lowlevel.Task, CalleeBook)
"""Not looked into. The book of callees has a test of its own, and tells by its length."""
OTHERS = ("tests.", "sim.", "trio.", "structlog.")
"""Neither is what belongs to these."""


def count_objects(world: World) -> int:
    """Objects that the engine holds, beside its callees."""
    gc.collect()
    seen: set[int] = set()
    to_see: list[object] = [world.engine]
    while to_see:
        one = to_see.pop()
        kind = type(one)
        if id(one) in seen or isinstance(one, STAYS) or kind.__module__.startswith(OTHERS):
            continue
        seen.add(id(one))
        to_see += gc.get_referents(one)
        # The collector does not look into those that say they make no rings.
        to_see += [getattr(one, name, None) for name in getattr(kind, "__struct_fields__", ())]
    return len(seen)


async def dial(world: World, call_list: str) -> int:
    """Make all calls of one more list; what the engine holds then."""
    people = [
        contact(
            id=f"{call_list}_{n:05}",
            list=call_list,
            row=n + 1,
            tel=(f"+1415{n:07}",),
        )
        for n in range(CALLS)
    ]
    await world.add_list(people, call_list)
    await world.wait_done(call_list)
    await trio.sleep(60)
    return count_objects(world)


async def test_an_engine_that_has_made_more_calls_holds_no_more(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.dial.trunks.congestion.CALLS_KEPT", MARKS_KEPT)
    trunk = TrunkSettings("main", 1_000, CPS)
    async with running(dids=[did(cps=50, channels=1_000)], cps=CPS, trunks=(trunk,)) as world:
        await dial(world, "lst_1")
        before = await dial(world, "lst_2")
        after = await dial(world, "lst_3")
        assert abs(after - before) < CALLS / 4

        kept: list[object] = []
        take = CalleeBook.take

        def take_and_keep(book: CalleeBook, account: str, number: str, attempt: str) -> TakenCall:
            kept.append(object())
            return take(book, account, number, attempt)

        monkeypatch.setattr(CalleeBook, "take", take_and_keep)
        world.engine.kept = kept  # type: ignore[attr-defined]
        assert await dial(world, "lst_4") - after > CALLS * 3 / 4
