"""Calls that are on their way when their list, flow or account is paused or canceled."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from engine.model import Contact
from engine.ports.read_store import AttemptFilter
from engine.ports.telephony import CallRequest
from sim.telephony import CallScript
from tests.engine.made import contact, did
from tests.engine.world import World, running

SILENT, RINGS, TALKS = "+14155550101", "+14155550102", "+14155550103"
SCRIPTS = {
    SILENT: CallScript(ring_after_s=20, final_after_s=25, talk_s=5),
    RINGS: CallScript(ring_after_s=0.5, final_after_s=25, talk_s=5),
    TALKS: CallScript(ring_after_s=0.2, final_after_s=4.8),
}
"""What each does when it is called first; later all answer at once."""


def far_ends(request: CallRequest, before: int) -> CallScript:
    return CallScript(talk_s=1) if before else SCRIPTS[request.number]


def on_their_way(call_list: str) -> list[Contact]:
    return [
        contact(id=f"cnt_{n}", row=n + 1, tel=(number,), list=call_list)
        for n, number in enumerate(SCRIPTS)
    ]


async def call_all(world: World, call_list: str = "lst_1") -> None:
    """One call does not ring, one rings, on one somebody talks."""
    if call_list == "lst_1":
        await world.add_list(on_their_way(call_list))
    for one in on_their_way(call_list) if call_list == "lst_calls" else ():
        await world.store.accept_call(one)
        world.engine._scheduler.open_list(one.account, one.flow, call_list, one.due_at)
    await trio.sleep(5)
    assert sorted(one.request.number for one in world.telephony.dialed) == [*SCRIPTS]


def act(world: World, what: str, whom: str) -> Awaitable[Any]:
    engine = world.engine
    if whom == "list":
        on_list: Awaitable[Any] = getattr(engine, f"{what}_list")("acc_1", "lst_1")
        return on_list
    change = getattr(engine.holding, f"{what}_{whom}")
    on_flow: Awaitable[Any] = change("acc_1") if whom == "account" else change("acc_1", "flw_1")
    return on_flow


async def now_of(world: World, call_list: str) -> dict[str, tuple[str, str | None]]:
    return {one.tel[0]: (one.state, one.disposition) for one in await world.contacts(call_list)}


async def tries_of(world: World) -> dict[str, list[tuple[str, str | None]]]:
    page = await world.store.list_attempts("acc_1", AttemptFilter(), 100, None)
    found: dict[str, list[tuple[str, str | None]]] = {}
    for one in page.items:
        found.setdefault(one.number, []).append((one.status, one.disposition))
    return found


@pytest.mark.parametrize("whom", ["list", "flow", "account"])
async def test_a_pause_takes_back_what_does_not_ring_and_leaves_the_rest(
    whom: str, autojump_clock: MockClock
) -> None:
    async with running(far_ends, dids=[did(cps=100)]) as world:
        await call_all(world)
        await act(world, "pause", whom)
        await trio.sleep(1)
        assert await now_of(world, "lst_1") == {
            SILENT: ("open", None),
            RINGS: ("dialing", None),
            TALKS: ("dialing", None),
        }
        await trio.sleep(60)
        [waiting, *others] = await world.contacts()
        assert [one.disposition for one in others] == ["answered", "answered"]
        assert (waiting.state, waiting.spent) == ("open", 0)
        assert len(world.telephony.dialed) == 3
        await act(world, "resume", whom)
        await world.wait_done()
        assert await tries_of(world) == {
            SILENT: [("canceled", "canceled"), ("completed", "answered")],
            RINGS: [("completed", "answered")],
            TALKS: [("completed", "answered")],
        }


@pytest.mark.parametrize(
    ("whom", "call_list"),
    [(whom, "lst_1") for whom in ("list", "flow", "account")]
    + [(whom, "lst_calls") for whom in ("flow", "account")],
)
async def test_a_cancel_takes_back_whatever_nobody_has_answered(
    whom: str, call_list: str, autojump_clock: MockClock
) -> None:
    async with running(far_ends, dids=[did(cps=100)]) as world:
        await call_all(world, call_list)
        await act(world, "cancel", whom)
        await trio.sleep(1)
        assert await now_of(world, call_list) == {
            SILENT: ("completed", "canceled"),
            RINGS: ("completed", "canceled"),
            TALKS: ("dialing", None),
        }
        await trio.sleep(120)
        assert len(world.telephony.dialed) == 3
        assert await tries_of(world) == {
            SILENT: [("canceled", "canceled")],
            RINGS: [("canceled", "canceled")],
            TALKS: [("completed", "answered")],
        }


async def test_a_single_call_that_is_about_to_leave_when_its_flow_is_canceled_never_does(
    autojump_clock: MockClock,
) -> None:
    """Its intent is being written down: it does not wait any more, and has not left."""
    async with running(far_ends, dids=[did(cps=100)]) as world:
        begin, begun = world.store.begin_attempt, trio.Event()

        async def slow(*args: Any) -> Any:
            begun.set()
            await trio.sleep(0.3)
            return await begin(*args)

        world.store.begin_attempt = slow  # type: ignore[method-assign, assignment]
        [one, *_] = on_their_way("lst_calls")
        await world.store.accept_call(one)
        world.engine._scheduler.open_list(one.account, one.flow, one.list, one.due_at)
        await begun.wait()
        await act(world, "cancel", "flow")
        await trio.sleep(60)
        assert world.telephony.dialed == []
        assert await now_of(world, "lst_calls") == {SILENT: ("completed", "canceled")}
