"""The limits of accounts, flows, trunks and the installation, as their callees see them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock

from engine.dial.trunks.trunk import TrunkSettings
from engine.form import Invalid
from engine.model import AccountRules, Cap, FlowSettings
from tests.engine.dial.limits.test_windows import most_in_any_window
from tests.engine.made import EPOCH, did, flow
from tests.engine.world import World, furnish, make_store, people, running

TWO_FLOWS = [
    flow(id="flw_1", dids=("+14155550100",), calls_list="lst_calls_1"),
    flow(id="flw_2", dids=("+14155550101",), calls_list="lst_calls_2"),
]
TWO_DIDS = [did(number=f"+1415555010{n}", cps=50, channels=500) for n in range(2)]


async def dial_two_lists(world: World, each: int) -> None:
    await world.add_list(people(each, list="lst_1", flow="flw_1"), "lst_1")
    others = [
        msgspec.structs.replace(one, id=f"cnt_b{one.id[4:]}", tel=(f"+1212{one.row:07}",))
        for one in people(each, list="lst_2", flow="flw_2")
    ]
    await world.add_list(others, "lst_2")
    await world.wait_done("lst_1")
    await world.wait_done("lst_2")


async def test_limits_of_an_account_hold_over_all_its_flows(autojump_clock: MockClock) -> None:
    rules = AccountRules(channels=12, cps=8, caps=(Cap(40, 60), Cap(100, 600)))
    store = make_store()
    await furnish(store, TWO_FLOWS, TWO_DIDS, rules)
    async with running(store=store) as world:
        await dial_two_lists(world, 75)
        times = world.dial_times()
        assert len(times) == 150
        assert most_in_any_window(times, 1) <= 8
        assert most_in_any_window(times, 60) == 40
        assert most_in_any_window(times, 600) == 100
        assert world.telephony.up_max <= 12


async def test_a_contact_that_its_account_holds_back_says_so_and_until_when(
    autojump_clock: MockClock,
) -> None:
    store = make_store()
    await furnish(store, [flow()], [did()], AccountRules(caps=(Cap(2, 900),)))
    async with running(store=store) as world:
        await world.add_list(people(5))
        await trio.sleep(10)
        last = (await world.contacts())[-1]
        [blocker] = await world.engine.explain([last])
        assert blocker is not None
        assert blocker.code == "account_limit"
        assert blocker.until == pytest.approx(EPOCH + 900, abs=1)
        await world.wait_done()
        assert most_in_any_window(world.dial_times(), 900) == 2


async def test_limits_of_an_account_can_be_changed_while_contacts_wait(
    autojump_clock: MockClock,
) -> None:
    async with running() as world:
        administration = world.engine.administration
        changed = await administration.change_account(
            "default", {"channels": 3, "cps": 1, "caps": [{"calls": 1, "per_s": 100_000}]}
        )
        assert changed is not None
        assert changed.rules.channels == 3
        assert changed.rules.cps == 1
        assert changed.rules.caps == (Cap(1, 100_000),)
        await trio.sleep(1)
        await world.add_list(people(10))
        await trio.sleep(100)
        assert len(world.dial_times()) == 1
        await administration.change_account("default", {"channels": None, "cps": None, "caps": []})
        begun = trio.current_time()
        await world.wait_done()
        assert trio.current_time() - begun < 60
        with pytest.raises(Invalid) as caught:
            await administration.change_account("default", {"cps": 2.5, "caps": [{"calls": 0}]})
        assert [(one.pointer, one.code) for one in caught.value.errors] == [
            ("/caps/0/calls", "invalid_value"),
            ("/cps", "invalid_cps"),
        ]


@pytest.mark.parametrize("where", ["account", "flow", "trunk", "installation"])
async def test_caps_hold_in_every_window_over_a_restart(
    where: str, autojump_clock: MockClock
) -> None:
    caps = (Cap(3, 900), Cap(5, 7_200))
    store = make_store()
    settings = FlowSettings(caps=caps if where == "flow" else ())
    rules = AccountRules(caps=caps if where == "account" else ())
    await furnish(store, [flow(settings=settings)], [did(cps=50, channels=500)], rules)
    trunk = TrunkSettings("main", 100, 100, caps=caps if where == "trunk" else ())
    of_all: dict[str, Any] = {"trunks": (trunk,), "caps": caps if where == "installation" else ()}
    times: list[float] = []
    async with running(store=store, **of_all) as world:
        await world.add_list(people(9))
        await trio.sleep(1_000)
        times += world.dial_times()
    assert len(times) == 5
    async with running(store=store, **of_all) as world:
        await world.wait_done(poll_s=60)
        times += world.dial_times()
    assert len(times) == 9
    assert most_in_any_window(times, 900) == 3
    assert most_in_any_window(times, 7_200) == 5
