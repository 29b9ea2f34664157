"""A DID that is full for as long as other calls last keeps no contact that another could call."""

from __future__ import annotations

import msgspec
import pytest
import trio
from trio.testing import MockClock

from engine.dial.dids.choice import DidChoice
from engine.dial.dids.elsewhere import PATIENCE_S, STUCK_S
from engine.dial.trunks.trunk import TrunkSettings
from engine.model import Cap, Contact, Priority
from engine.ports.telephony import CallRequest
from sim.telephony import CallScript
from tests.engine.dial.office import dialer
from tests.engine.made import EPOCH, did, flow
from tests.engine.world import people, running

FULL, OTHER = "+14155550100", "+14155550101"
FLOW = flow(dids=(FULL, OTHER))
LONG_S = 2_000.0


def first_is_long(request: CallRequest, _before: int) -> CallScript:
    """Whoever is called by the first DID talks on and on, by the other one shortly."""
    return CallScript(talk_s=LONG_S if request.caller == FULL else 1.0)


def due_in(one: Contact, wait_s: float) -> Contact:
    """The contact with a start time so long after the beginning."""
    return msgspec.structs.replace(one, starttime=EPOCH + wait_s, due_at=EPOCH + wait_s)


@pytest.mark.parametrize(
    ("channels", "trunk_channels"), [(1, 100), (100, 1)], ids=["did_channels", "trunk_channels"]
)
async def test_whoever_lies_before_a_full_did_goes_by_one_that_is_free(
    autojump_clock: MockClock, channels: int, trunk_channels: int
) -> None:
    dids = [did(number=FULL, channels=channels), did(number=OTHER, trunk="other")]
    trunks = (TrunkSettings("main", trunk_channels, 100), TrunkSettings("other", 100, 100))
    async with running(first_is_long, flows=[FLOW], dids=dids, trunks=trunks) as world:
        world.telephony.set_duration("prm_hello", LONG_S)
        begun = trio.current_time()
        await world.add_list(people(12))
        await trio.sleep(4 * PATIENCE_S)
        by = [one.request.caller for one in world.telephony.dialed]
        assert (by.count(FULL), by.count(OTHER)) == (1, 11)
        assert max(world.dial_times()) - begun < 3 * PATIENCE_S


async def test_whoever_lies_before_a_stuck_did_is_called_in_turn_though_the_others_are_never_idle(
    autojump_clock: MockClock,
) -> None:
    dids = [did(number=FULL, channels=1), did(number=OTHER, cps=1)]
    stream = [due_in(one, max(0.0, n - 8.0)) for n, one in enumerate(people(308))]
    async with running(first_is_long, flows=[FLOW], dids=dids) as world:
        world.telephony.set_duration("prm_hello", LONG_S)
        await world.add_list(stream)
        await trio.sleep(200)
        first = {one.tel[0] for one in stream[:8]}
        times = [one.at for one in world.telephony.dialed if one.request.number in first]
        assert len(times) == 8
        assert STUCK_S < max(times) < STUCK_S + 30


@pytest.mark.parametrize("priority", ["high", "low"])
async def test_an_agent_who_is_kept_for_one_contact_before_a_stuck_did_holds_up_no_other(
    autojump_clock: MockClock, priority: Priority
) -> None:
    """The contact lies there before the others or behind them, and is called when there is room."""
    kept = msgspec.structs.replace(
        dialer(first="customer", priority=priority),
        id="flw_kept",
        calls_list="lst_kept",
        dids=(FULL,),
    )
    talk_s = 220.0
    dids = [did(number=FULL, channels=2), did(number=OTHER, cps=1)]
    stream = [due_in(one, max(0.0, n - 8.0)) for n, one in enumerate(people(228))]

    def talk(request: CallRequest, _before: int) -> CallScript:
        return CallScript(talk_s=talk_s if request.caller == FULL else 1.0)

    async with running(talk, flows=[FLOW, kept], dids=dids) as world:
        world.telephony.set_duration("prm_hello", talk_s)
        await world.add_list(stream[:8])
        await trio.sleep(0.5)
        call = people(1, flow="flw_kept", list="lst_kept")[0]
        call = msgspec.structs.replace(
            call, id="cnt_kept", tel=("+12125559999",), agent="+16285559999"
        )
        await world.store.accept_call(call)
        world.engine._scheduler.open_list(call.account, call.flow, call.list, call.due_at)
        await trio.sleep(0.5)
        following = [msgspec.structs.replace(one, list="lst_2") for one in stream[8:]]
        await world.add_list(following, "lst_2")
        await trio.sleep(talk_s - 20)
        first = {one.tel[0]: one.id for one in stream[:8]}
        times = [one.at for one in world.telephony.dialed if one.request.number in first]
        assert len(times) == 8
        assert max(times) < STUCK_S + 30
        await trio.sleep(40)
        [kept_call] = [one for one in world.telephony.dialed if one.request.number == call.tel[0]]
        assert kept_call.request.caller == FULL
        assert talk_s <= kept_call.at < talk_s + 10


async def test_nobody_waits_with_a_contact_for_whom_an_agent_is_kept_before_a_trunk_at_its_cap(
    autojump_clock: MockClock,
) -> None:
    """The trunk's one call in a while is another DID's, and then all are due at once."""
    first = flow(id="flw_first", calls_list="lst_f", dids=("+14155550102",))
    kept = msgspec.structs.replace(
        dialer(first="customer"), id="flw_kept", calls_list="lst_kept", dids=(FULL,)
    )
    dids = [
        did(number=FULL, cps=5),
        did(number=OTHER, cps=1, trunk="other"),
        did(number=first.dids[0]),
    ]
    trunks = (
        TrunkSettings("main", 100, 100, caps=(Cap(1, 25),)),
        TrunkSettings("other", 100, 100),
    )
    async with running(flows=[FLOW, kept, first], dids=dids, trunks=trunks) as world:
        await world.add_list(people(1, flow="flw_first", list="lst_f1"), "lst_f1")
        [call] = people(1, flow="flw_kept", list="lst_kept", agent="+16285559999")
        call = msgspec.structs.replace(due_in(call, 2), id="cnt_kept", tel=("+12125559999",))
        await world.store.accept_call(call)
        world.engine._scheduler.open_list(call.account, call.flow, call.list, call.due_at)
        following = [due_in(one, 2) for one in people(8, list="lst_2")[1:]]
        await world.add_list(following, "lst_2")
        await trio.sleep(60)
        times = {one.request.number: one.at for one in world.telephony.dialed}
        assert max(times[one.tel[0]] for one in following) < 12
        assert times[call.tel[0]] == pytest.approx(25, abs=1)


async def test_those_who_wait_before_many_full_dids_look_at_the_others_once_a_second_together(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[float] = []
    find = DidChoice._find

    def count(self: DidChoice, *args: object) -> object:
        looks.append(trio.current_time())
        return find(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(DidChoice, "_find", count)
    numbers = tuple(f"+14155551{n:03}" for n in range(100))
    dids = [did(number=one) for one in numbers]
    trunks = (TrunkSettings("main", 10, 100),)
    long = CallScript(talk_s=LONG_S)
    async with running(
        lambda _request, _before: long, flows=[flow(dids=numbers)], dids=dids, trunks=trunks
    ) as world:
        world.telephony.set_duration("prm_hello", LONG_S)
        await world.add_list(people(500))
        await trio.sleep(100)
        assert len(world.telephony.dialed) == 10
    assert 30 < len(looks) <= 100


async def test_a_flow_whose_only_did_was_left_as_stuck_has_its_turns_on_the_trunk(
    autojump_clock: MockClock,
) -> None:
    third = "+14155550102"
    numbers = {"flw_leaves": (FULL, OTHER), "flw_stays": (FULL,), "flw_near": (third,)}
    flows = [flow(id=one, dids=dids, calls_list=f"lst_of_{one}") for one, dids in numbers.items()]
    dids = [did(number=FULL), did(number=third), did(number=OTHER, trunk="other", cps=1)]
    trunks = (TrunkSettings("main", 1, 100), TrunkSettings("other", 100, 100))
    talk_s = 1.5 * STUCK_S

    def on_main_is_long(request: CallRequest, _before: int) -> CallScript:
        return CallScript(talk_s=1.0 if request.caller == OTHER else talk_s)

    def people_of(one: str, place: int, count: int) -> list[Contact]:
        found = people(count, flow=one, list=f"lst_{one}")
        return [
            msgspec.structs.replace(
                who, id=f"cnt_{place}_{who.row}", tel=(f"+1212{place}{who.row:06}",)
            )
            for who in found
        ]

    async with running(on_main_is_long, flows=flows, dids=dids, trunks=trunks) as world:
        world.telephony.set_duration("prm_hello", LONG_S)
        for place, (one, count) in enumerate(
            [("flw_leaves", 600), ("flw_near", 20), ("flw_stays", 20)]
        ):
            await world.add_list(people_of(one, place, count), f"lst_{one}")
        await trio.sleep(12 * talk_s)
        on_main = [one.request for one in world.telephony.dialed if one.request.caller != OTHER]
        of_flows = [request.number[5] for request in on_main]
        assert of_flows.count("1") >= 2
        assert of_flows.count("2") >= 2
