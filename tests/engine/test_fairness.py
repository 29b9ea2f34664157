"""Who goes first where flows share a DID or a trunk, and how long an urgent call waits."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock

from engine.dial.trunks.trunk import TrunkSettings
from engine.form import Invalid
from engine.intake.refused import Refused
from engine.intake.submission import CallReceipt
from engine.model import Cap, Contact, Flow, FlowSettings, Priority, RetryRule
from sim.telephony import CallScript
from tests.engine.dial.limits.test_windows import most_in_any_window
from tests.engine.made import EPOCH, did, flow
from tests.engine.world import World, people, running

URGENT_S = 1.0
"""How soon an urgent call leaves where its limits allow."""


def flows_of(*settings: FlowSettings, numbers: list[str] | None = None) -> list[Flow]:
    return [
        flow(
            id=f"flw_{n}",
            settings=one,
            dids=(numbers[n],) if numbers else ("+14155550100",),
            calls_list=f"lst_calls_{n}",
            listener_active=True,
        )
        for n, one in enumerate(settings)
    ]


def people_of(n: int, count: int, **changes: Any) -> list[Contact]:
    where = {"flow": f"flw_{n}", "list": f"lst_{n}", **changes}
    return [
        msgspec.structs.replace(one, id=f"cnt_{n}_{one.row:06}", tel=(f"+1212{n}{one.row:06}",))
        for one in people(count, **where)
    ]


def shares(world: World, until: float = 1e9) -> Counter[str]:
    """Calls by flow, which the fifth digit of each number tells."""
    return Counter(one.request.number[5] for one in world.telephony.dialed if one.at < until)


async def call(world: World, one: Flow, to: str, **more: Any) -> Contact:
    data = json.dumps({"to": to, **more}).encode()
    receipt = await world.engine.intake.submit_call(one, data=data)
    assert isinstance(receipt, CallReceipt)
    return receipt.contact


async def wait_of(world: World, number: str) -> float:
    """How long it takes from now until a number is called."""
    begun = trio.current_time()
    for _ in range(100_000):
        for one in world.telephony.dialed:
            if one.request.number == number:
                return one.at - begun
        await trio.sleep(0.05)
    raise AssertionError(f"{number} is not called")


async def test_flows_that_share_a_did_get_turns_by_their_weights(
    autojump_clock: MockClock,
) -> None:
    flows = flows_of(FlowSettings(weight=3), FlowSettings(), FlowSettings(weight=2))
    async with running(flows=flows, dids=[did(cps=10, channels=500)]) as world:
        for n in range(3):
            await world.add_list(people_of(n, 600), f"lst_{n}")
        await trio.sleep(60)
        found = shares(world)
        total = sum(found.values())
        assert total >= 0.95 * 600
        for n, weight in enumerate((3, 1, 2)):
            assert found[str(n)] == pytest.approx(total * weight / 6, rel=0.1)


async def test_flows_that_share_a_trunk_get_turns_by_their_weights_however_many_dids_they_have(
    autojump_clock: MockClock,
) -> None:
    many = [f"+141555501{n:02}" for n in range(6)]
    dids = [did(number=number, cps=10, channels=500) for number in many]
    first, second = flows_of(FlowSettings(), FlowSettings(weight=2))
    flows = [
        msgspec.structs.replace(first, dids=tuple(many[:5])),
        msgspec.structs.replace(second, dids=(many[5],)),
    ]
    trunks = (TrunkSettings("main", 10_000, 9),)
    async with running(flows=flows, dids=dids, trunks=trunks) as world:
        for n in range(2):
            await world.add_list(people_of(n, 900), f"lst_{n}")
        await trio.sleep(100)
        found = shares(world)
        assert sum(found.values()) >= 0.95 * 900
        assert found["1"] / found["0"] == pytest.approx(2, rel=0.15)


async def test_a_better_class_goes_first_and_the_low_one_still_goes_on(
    autojump_clock: MockClock,
) -> None:
    flows = flows_of(FlowSettings(priority="high"), FlowSettings(priority="low"))
    async with running(flows=flows, dids=[did(cps=10, channels=500)]) as world:
        await world.add_list(people_of(1, 400), "lst_1")
        await trio.sleep(1)
        await world.add_list(people_of(0, 400), "lst_0")
        await trio.sleep(40)
        found = shares(world)
        assert found["1"] >= 0.05 * found["0"]
        assert found["0"] >= 0.8 * sum(found.values())


@pytest.mark.parametrize("bottleneck", ["each DID", "the installation"])
@pytest.mark.parametrize("priority", ["urgent", "high"])
async def test_the_better_list_of_a_flow_goes_first_and_its_other_list_still_goes_on(
    priority: Priority, bottleneck: str, autojump_clock: MockClock
) -> None:
    many = [f"+141555501{n:02}" for n in range(10)]
    dids = [did(number=number, cps=10, channels=500) for number in many]
    [one] = flows_of(FlowSettings())
    flows = [msgspec.structs.replace(one, dids=tuple(many))]
    if bottleneck == "each DID":
        dids = [msgspec.structs.replace(one, cps=3) for one in dids]
    async with running(flows=flows, dids=dids, cps=30) as world:
        await world.add_list(people_of(1, 1_500, flow="flw_0"), "lst_1")
        await trio.sleep(2)
        await world.add_list(people_of(0, 1_500, priority=priority), "lst_0")
        await trio.sleep(5)
        before = shares(world)
        await trio.sleep(30)
        found = shares(world) - before
        assert sum(found.values()) >= 0.95 * 30 * 30
        assert found["1"] == pytest.approx(sum(found.values()) / 10, rel=0.25)


@pytest.mark.parametrize(
    ("priority", "settings"),
    [
        ("urgent", FlowSettings(cps=5)),
        ("high", FlowSettings(cps=5)),
        ("high", FlowSettings(caps=(Cap(50, 10),))),
    ],
    ids=["urgent, by its pace", "high, by its pace", "high, by its cap"],
)
async def test_the_other_list_of_a_flow_still_goes_on_where_the_flow_s_own_limit_holds_both(
    priority: Priority, settings: FlowSettings, autojump_clock: MockClock
) -> None:
    async with running(flows=flows_of(settings), dids=[did(cps=50, channels=500)]) as world:
        await world.add_list(people_of(1, 600, flow="flw_0"), "lst_1")
        await trio.sleep(2)
        await world.add_list(people_of(0, 600, priority=priority), "lst_0")
        await trio.sleep(10)
        before = shares(world)
        await trio.sleep(60)
        found = shares(world) - before
        assert sum(found.values()) >= 0.95 * 5 * 60
        assert found["1"] == pytest.approx(sum(found.values()) / 10, rel=0.25)


async def test_contacts_that_are_due_stay_in_their_order_when_their_flow_gets_another_class(
    autojump_clock: MockClock,
) -> None:
    async with running(
        flows=flows_of(FlowSettings(priority="low")), dids=[did(cps=10, channels=500)]
    ) as world:
        await world.add_list(people_of(0, 400), "lst_0")
        await trio.sleep(5)
        better = FlowSettings(priority="high")
        await world.store.change_flow(
            "acc_1", "flw_0", lambda old: msgspec.structs.replace(old, settings=better)
        )
        world.engine.changes.note_flow("acc_1", "flw_0")
        await trio.sleep(1)
        await world.add_list(people_of(1, 400, flow="flw_0"), "lst_1")
        await trio.sleep(25)
        assert shares(world)["1"] == 0


async def test_a_flow_that_has_a_low_list_besides_has_its_better_one_wait_behind_no_other_flow(
    autojump_clock: MockClock,
) -> None:
    flows = flows_of(FlowSettings(), FlowSettings())
    async with running(flows=flows, dids=[did(cps=10, channels=500)]) as world:
        low = people_of(2, 900, flow="flw_0", priority="low")
        await world.add_list(low, "lst_2")
        await world.add_list(people_of(1, 900), "lst_1")
        await trio.sleep(2)
        await world.add_list(people_of(0, 900, priority="high"), "lst_0")
        await trio.sleep(5)
        before = shares(world)
        await trio.sleep(60)
        found = shares(world) - before
        total = sum(found.values())
        assert found["0"] >= 0.75 * total
        assert found["1"] == pytest.approx(total / 10, rel=0.25)
        assert found["2"] == pytest.approx(total / 10, rel=0.25)


@pytest.mark.parametrize("where", ["flow", "standing list"])
async def test_an_urgent_call_leaves_within_a_second_however_many_wait_before_it(
    where: str, autojump_clock: MockClock
) -> None:
    [one] = flows = flows_of(FlowSettings())
    async with running(flows=flows, dids=[did(cps=5, channels=500)]) as world:
        if where == "flow":
            await world.add_list(people_of(0, 5_000), "lst_0")
        else:
            for contact in people_of(0, 3_000, list="lst_calls_0"):
                await world.store.accept_call(contact)
            world.engine._scheduler.open_list("acc_1", "flw_0", "lst_calls_0", 0.0)
        await trio.sleep(20)
        for n in range(5):
            number = f"+1312555000{n}"
            await call(world, one, number, priority="urgent")
            assert await wait_of(world, number) <= URGENT_S
            await trio.sleep(3.3)


async def test_an_urgent_call_goes_before_hundreds_of_dids_that_wait_for_the_same_trunk(
    autojump_clock: MockClock,
) -> None:
    numbers = [f"+14155{n:06}" for n in range(300)]
    dids = [did(number=number, cps=10, channels=500) for number in numbers]
    [one] = flows_of(FlowSettings())
    flows = [msgspec.structs.replace(one, dids=tuple(numbers))]
    trunks = (TrunkSettings("main", 10_000, 10),)
    async with running(flows=flows, dids=dids, trunks=trunks) as world:
        await world.add_list(people_of(0, 3_000), "lst_0")
        await trio.sleep(20)
        await call(world, flows[0], "+13125550000", priority="urgent")
        assert await wait_of(world, "+13125550000") <= URGENT_S
        assert most_in_any_window(world.dial_times(), 1) <= 10


async def test_an_urgent_call_is_the_next_that_a_did_makes_whose_channels_are_all_in_use(
    autojump_clock: MockClock,
) -> None:
    def long_call(_request: object, _before: int) -> CallScript:
        return CallScript(talk_s=60)

    [one] = flows = flows_of(FlowSettings())
    async with running(long_call, flows=flows, dids=[did(cps=10, channels=1)]) as world:
        await world.add_list(people_of(0, 50), "lst_0")
        await trio.sleep(20)
        await call(world, one, "+13125550000", priority="urgent")
        before = len(world.telephony.dialed)
        await wait_of(world, "+13125550000")
        assert world.telephony.dialed[before].request.number == "+13125550000"


async def test_an_urgent_call_waits_for_its_limits_and_not_for_others(
    autojump_clock: MockClock,
) -> None:
    [one] = flows = flows_of(FlowSettings(caps=(Cap(3, 600),)))
    async with running(flows=flows, dids=[did(cps=10, channels=100)]) as world:
        await world.add_list(people_of(0, 500), "lst_0")
        await trio.sleep(30)
        await call(world, one, "+13125550000", priority="urgent")
        waited = await wait_of(world, "+13125550000")
        first = min(world.dial_times())
        assert first + 600 <= 30 + waited <= first + 601
        assert most_in_any_window(world.dial_times(), 600) == 3


async def test_a_single_call_goes_before_the_lists_of_its_flow_unless_it_says_otherwise(
    autojump_clock: MockClock,
) -> None:
    [one] = flows = flows_of(FlowSettings())
    async with running(flows=flows, dids=[did(cps=1, channels=100)]) as world:
        await world.add_list(people_of(0, 2_000), "lst_0")
        await trio.sleep(20)
        await call(world, one, "+13125550000")
        await call(world, one, "+13125550001", priority="low")
        assert await wait_of(world, "+13125550000") <= 6
        assert [
            each for each in world.telephony.dialed if each.request.number == "+13125550001"
        ] == []
        with pytest.raises(Refused) as caught:
            await call(world, one, "+13125550002", priority="very")
        assert [error.code for error in caught.value.errors] == ["invalid_priority"]


async def test_urgent_calls_that_wait_are_found_again_after_a_restart(
    autojump_clock: MockClock,
) -> None:
    paused = did(cps=5, channels=500)
    flows = flows_of(FlowSettings())
    async with running(flows=flows, dids=[paused]) as world:
        store = world.store
        for contact in people_of(0, 2_500, list="lst_calls_0"):
            await store.accept_call(contact)
        urgent = msgspec.structs.replace(
            people_of(0, 1, list="lst_calls_0")[0],
            id="cnt_z",
            tel=("+13125550000",),
            priority="urgent",
            due_at=world.clock.now() + 1,
        )
        await store.accept_call(urgent)
    async with running(store=store) as world:
        assert await wait_of(world, "+13125550000") <= 65


async def set_priority(world: World, call_list: str, priority: str) -> None:
    edit = {"priority": priority}
    changed = await world.engine.rescheduling.change_list("acc_1", call_list, edit)
    assert changed is not None
    assert changed.priority == priority


async def test_a_list_that_waits_takes_another_priority_from_the_next_turn_on(
    autojump_clock: MockClock,
) -> None:
    flows = flows_of(FlowSettings())
    async with running(flows=flows, dids=[did(cps=10, channels=500)]) as world:
        await world.add_list(people_of(0, 2_000), "lst_0")
        await trio.sleep(10)
        await world.add_list(people_of(1, 300, flow="flw_0", list="lst_1"), "lst_1")
        await trio.sleep(10)
        assert shares(world)["1"] == 0
        await set_priority(world, "lst_1", "urgent")
        await trio.sleep(20)
        assert 170 <= shares(world)["1"] <= 185  # nine turns of ten
        assert len(await world.contacts("lst_1")) == 300
        await set_priority(world, "lst_1", "low")
        before = shares(world)["1"]
        await trio.sleep(10)
        assert shares(world)["1"] - before <= 15
        await world.wait_done("lst_0")
        await world.wait_done("lst_1")
        assert sum(shares(world).values()) == 2_300


async def test_a_call_that_goes_on_takes_its_lists_other_priority_with_its_next_try(
    autojump_clock: MockClock,
) -> None:
    flows = flows_of(FlowSettings(retry={"busy": RetryRule(1, 30)}))
    script = CallScript(code=486, final_after_s=20)
    async with running(lambda *_: script, flows=flows, dids=[did(cps=1, channels=500)]) as world:
        await world.add_list(people_of(1, 5, flow="flw_0", list="lst_1"), "lst_1")
        await trio.sleep(10)
        await world.add_list(people_of(0, 200), "lst_0")
        await set_priority(world, "lst_1", "urgent")
        await trio.sleep(60)
        assert shares(world)["1"] == 10
        await world.wait_done("lst_1")


@pytest.mark.parametrize(
    ("raw", "code"), [({}, "missing_field"), ({"priority": "soon"}, "invalid_value")]
)
async def test_a_change_of_a_list_that_says_nothing_or_no_priority_is_refused(
    raw: dict[str, Any], code: str, autojump_clock: MockClock
) -> None:
    async with running() as world:
        await world.add_list(people(1, starttime=EPOCH + 900, due_at=EPOCH + 900))
        with pytest.raises(Invalid) as refused:
            await world.engine.rescheduling.change_list("acc_1", "lst_1", raw)
        assert [one.code for one in refused.value.errors] == [code]
