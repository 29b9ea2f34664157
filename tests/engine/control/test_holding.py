"""Flows and accounts paused, resumed and canceled, in the running engine under virtual time."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from engine.model import FlowSettings, RetryRule
from engine.model.amd import AmdVerdict
from engine.model.do_not_call import DoNotCall
from sim.call_script import CallScript
from tests.engine.made import EPOCH, contact, did, flow
from tests.engine.world import World, furnish, make_store, people, running

FLOWS = [flow(), flow(id="flw_2", dids=("+14155550101",), calls_list="lst_calls2")]
DIDS = [did(), did(number="+14155550101")]


async def begin(world: World) -> None:
    """Two flows dial a list each, and the first has a list and a single call for tomorrow besides."""
    later = EPOCH + 86_400
    await world.add_list(people(60))
    others = people(120, flow="flw_2", list="lst_2")[60:]
    await world.add_list(others, "lst_2")
    tomorrow = people(125, list="lst_3", starttime=later, due_at=later)[120:]
    await world.add_list(tomorrow, "lst_3")
    await world.store.accept_call(
        contact(
            id="cnt_single", list="lst_calls", tel=("+14158888888",), starttime=later, due_at=later
        )
    )
    await trio.sleep(2.03)


def act(world: World, what: str, whom: str) -> Awaitable[Any]:
    change = getattr(world.engine.holding, f"{what}_{whom}")
    called: Awaitable[Any] = change("acc_1") if whom == "account" else change("acc_1", "flw_1")
    return called


def calls_of(world: World, whom: str) -> int:
    """Calls of what is held."""
    return len(world.dial_times() if whom == "account" else world.dial_times(DIDS[0].number))


@pytest.mark.parametrize("whom", ["flow", "account"])
async def test_no_call_begins_after_the_pause_those_that_are_up_go_on_and_all_are_made_later(
    autojump_clock: MockClock, whom: str
) -> None:
    async with running(flows=FLOWS, dids=DIDS) as world:
        await begin(world)
        paused = await act(world, "pause", whom)
        assert paused.paused_at == EPOCH + trio.current_time()
        before = calls_of(world, whom)
        await trio.sleep(100)
        assert calls_of(world, whom) == before
        if whom == "flow":
            assert len(world.dial_times(DIDS[1].number)) == 60
        waiting = [one for one in await world.contacts() if one.state == "open"]
        assert len(waiting) == 60 - len(world.dial_times(DIDS[0].number))
        explained = {one.code for one in await world.engine.explain(waiting) if one is not None}
        assert explained == {f"{whom}_paused"}
        done = [one.disposition for one in await world.contacts() if one.state == "completed"]
        assert set(done) == {"answered"}
        resumed = await act(world, "resume", whom)
        assert resumed.paused_at is None
        await world.wait_done()
        await world.wait_done("lst_2")
        assert len({one.request.number for one in world.telephony.dialed}) == 120


@pytest.mark.parametrize("whom", ["flow", "account"])
async def test_a_pause_while_contacts_wait_for_room_holds_nobody_else(
    whom: str, autojump_clock: MockClock
) -> None:
    async with running(flows=FLOWS, dids=[did(cps=1), DIDS[1]]) as world:
        await world.add_list(people(12))
        await trio.sleep(2.5)
        await act(world, "pause", whom)
        before = calls_of(world, whom)
        await trio.sleep(30)
        assert calls_of(world, whom) == before
        await act(world, "resume", whom)
        await world.wait_done()
        assert len(world.dial_times()) == 12


@pytest.mark.parametrize("whom", ["flow", "account"])
async def test_nothing_that_waited_is_called_after_a_cancel_and_what_comes_later_is(
    autojump_clock: MockClock, whom: str
) -> None:
    async with running(flows=FLOWS, dids=DIDS) as world:
        await begin(world)
        assert await act(world, "cancel", whom) is not None
        before = calls_of(world, whom)
        await world.wait_done("lst_3")
        await trio.sleep(200)
        assert calls_of(world, whom) == before
        for list_id in ("lst_1", "lst_3", "lst_calls"):
            dispositions = {one.disposition for one in await world.contacts(list_id)}
            called = {"answered"} if list_id == "lst_1" else set[str]()
            assert dispositions == {"canceled", *called}
        others = {one.disposition for one in await world.contacts("lst_2")}
        assert others == ({"answered"} if whom == "flow" else {"answered", "canceled"})
        now = world.clock.now()
        late = people(126, list="lst_4", starttime=now, due_at=now)[125:]
        await world.add_list(late, "lst_4")
        await world.wait_done("lst_4")
        assert calls_of(world, whom) == before + 1


@pytest.mark.parametrize("whom", ["flow", "account"])
async def test_who_is_on_a_call_while_all_is_canceled_is_not_called_again(
    autojump_clock: MockClock, whom: str
) -> None:
    """The list has nobody left who waits."""
    again: dict[Any, RetryRule] = {"machine": RetryRule(3, 5)}
    verdict = AmdVerdict("machine", "maximum_number_of_words", 2_000)
    machine = CallScript(final_after_s=1.0, talk_s=20.0, verdict=verdict)
    one = flow(settings=FlowSettings(amd="detect", retry=again, attempts_max=5))
    async with running(lambda *_call: machine, flows=[one]) as world:
        await world.add_list(people(1))
        await trio.sleep(5)
        [up] = world.telephony.dialed
        assert {one.state for one in await world.contacts()} == {"dialing"}
        await act(world, "cancel", whom)
        await world.wait_done()
        await trio.sleep(60)
        assert world.telephony.dialed == [up]
        assert [one.disposition for one in await world.contacts()] == ["canceled"]


@pytest.mark.parametrize("whom", ["flow", "account"])
async def test_a_pause_outlasts_a_restart_and_other_changes(
    autojump_clock: MockClock, whom: str
) -> None:
    store = make_store()
    await furnish(store, FLOWS, DIDS)
    async with running(store=store) as world:
        await act(world, "pause", whom)
        again = await act(world, "pause", whom)
        assert again.paused_at == EPOCH
    async with running(store=store) as world:
        await world.add_list(people(3))
        [account] = (await store.list_accounts(10, None)).items
        await world.engine.administration.change_account("default", {"timezone": "Asia/Tokyo"})
        await world.engine.administration.attach_dids(account, "flw_1", [DIDS[0].number])
        await trio.sleep(100)
        assert world.dial_times() == []
        await act(world, "resume", whom)
        await world.wait_done()


async def test_what_is_not_there_cannot_be_held(autojump_clock: MockClock) -> None:
    async with running() as world:
        for what in ("pause", "resume", "cancel"):
            for whom, names in (("account", ("acc_x",)), ("flow", ("acc_x", "flw_1"))):
                assert await getattr(world.engine.holding, f"{what}_{whom}")(*names) is None


@pytest.mark.parametrize("what", ["contact", "flow", "account"])
async def test_who_is_canceled_before_a_limit_does_not_wait_for_it_any_more(
    autojump_clock: MockClock, what: str
) -> None:
    """What counts contacts that are due would count them for ever, where there is never room."""
    async with running(flows=FLOWS, dids=[did(channels=1)]) as world:
        singles = [
            contact(id=f"cnt_{n}", list="lst_calls", row=n, tel=(f"+141577700{n:02}",))
            for n in range(60)
        ]
        for one in singles:
            await world.store.accept_call(one)
            world.engine._scheduler.open_list("acc_1", "flw_1", "lst_calls", one.due_at)
        await trio.sleep(1.0)
        waiting = [one for one in await world.contacts("lst_calls") if one.state == "open"]
        assert world.engine.statistics().ready > 0
        if what == "contact":
            for one in waiting:
                await world.engine.cancel_contact("acc_1", one.id)
        else:
            await act(world, "cancel", what)
        statistics = world.engine.statistics()
        assert (statistics.ready, statistics.in_hand) == (0, len(singles) - len(waiting))


async def test_who_is_listed_before_a_limit_does_not_wait_for_it_any_more(
    autojump_clock: MockClock,
) -> None:
    async with running(flows=FLOWS, dids=[did(channels=1)]) as world:
        await world.add_list(people(60))
        await trio.sleep(1.0)
        assert world.engine.statistics().ready > 0
        await world.engine.store.put_do_not_call("acc_1", [DoNotCall("+1415*", None, EPOCH, None)])
        world.engine._scheduler.open_list("acc_1", "flw_1", "lst_1", 0.0)  # more of it came in
        await trio.sleep(0.5)
        statistics = world.engine.statistics()
        assert (statistics.ready, statistics.in_hand) == (0, 1)
