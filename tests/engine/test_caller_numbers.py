"""From which number people are called, with the whole engine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock

from engine.model import AccountRules, Did, Flow, FlowSettings
from engine.model.number_series import Purpose
from engine.ports.stored import Conflict
from sim.memory_store import MemoryStore
from tests.engine.made import account, contact, did, flow
from tests.engine.world import World, make_store, running

INDIA = "+9198765"
PROMOTION, SERVICE, ORDINARY = "+911401234567", "+911600112345", "+912245678901"


def dids(*numbers: str) -> list[Did]:
    return [did(number=one) for one in numbers]


def flow_from(*numbers: str, **settings: Any) -> Flow:
    return flow(dids=numbers, settings=FlowSettings(**settings))


def callees(*numbers: str, **changes: Any) -> list[Any]:
    return [
        contact(id=f"cnt_{n:03}", row=n + 1, tel=(one,), **changes) for n, one in enumerate(numbers)
    ]


async def furnish_india(one: Flow, numbers: Sequence[str]) -> MemoryStore:
    store = make_store()
    await store.add_account(account(rules=AccountRules(number_series="india")))
    for each in dids(*numbers):
        await store.add_did(each)
    await store.add_flow(one)
    return store


def pairs(world: World) -> list[tuple[str, str]]:
    """(callee, caller) of each call, in the order of the callees."""
    return sorted((one.request.number, one.request.caller) for one in world.telephony.dialed)


async def test_local_calls_from_the_number_that_is_most_like_the_callees(
    autojump_clock: MockClock,
) -> None:
    numbers = ("+912245678901", "+918045678901", "+14155550100")
    settings = flow_from(*numbers, caller_numbers="local")
    async with running(flows=[settings], dids=dids(*numbers)) as world:
        await world.add_list(callees("+912212345678", "+918012345678", "+12025550123"))
        await world.wait_done()
        assert pairs(world) == [
            ("+12025550123", "+14155550100"),
            ("+912212345678", "+912245678901"),
            ("+918012345678", "+918045678901"),
        ]


async def test_nobody_waits_for_a_local_number_that_is_busy(autojump_clock: MockClock) -> None:
    local, other = "+14155550100", "+12025550100"
    both = [did(number=local, cps=0.01), did(number=other, cps=100)]
    settings = flow_from(local, other, caller_numbers="local")
    async with running(flows=[settings], dids=both) as world:
        await world.add_list(callees(*(f"+1415777{n:04}" for n in range(50))))
        await world.wait_done()
        callers = Counter(one.request.caller for one in world.telephony.dialed)
        assert callers[local] >= 1
        assert callers[other] >= 40


@pytest.mark.parametrize(("purpose", "caller"), [("promotion", PROMOTION), ("service", SERVICE)])
async def test_india_is_called_only_from_the_series_of_the_flows_purpose(
    purpose: Purpose, caller: str, autojump_clock: MockClock
) -> None:
    numbers = (ORDINARY, PROMOTION, SERVICE)
    store = await furnish_india(flow_from(*numbers, purpose=purpose), numbers)
    async with running(store=store) as world:
        await world.add_list(callees(*(f"{INDIA}{n:05}" for n in range(30)), "+14155550123"))
        await world.wait_done()
        in_india = {one for callee, one in pairs(world) if callee.startswith("+91")}
        assert in_india == {caller}
        assert len(pairs(world)) == 31


async def test_a_contact_without_a_number_of_its_series_says_so_and_holds_nobody_else_up(
    autojump_clock: MockClock,
) -> None:
    numbers = (ORDINARY, SERVICE, PROMOTION)
    one = flow_from(ORDINARY, SERVICE, purpose="promotion")
    store = await furnish_india(one, numbers)
    async with running(store=store) as world:
        people = callees(*(f"{INDIA}{n:05}" for n in range(30)), "+14155550123")
        await world.add_list(people)
        await trio.sleep(30)
        assert [callee for callee, _ in pairs(world)] == ["+14155550123"]
        waiting = [each for each in await world.contacts() if each.state == "open"]
        explained = await world.engine.explain(waiting)
        assert {(each.code, each.until) for each in explained if each is not None} == {
            ("no_trunk", None)
        }
        assert "series 140" in explained[0].detail  # type: ignore[union-attr]
        owner = (await store.list_accounts(1, None)).items[0]
        await world.engine.administration.attach_dids(owner, one.id, [PROMOTION])
        await world.wait_done()
        assert {caller for callee, caller in pairs(world) if callee.startswith("+91")} == {
            PROMOTION
        }


async def test_a_rule_that_is_switched_on_holds_at_once(autojump_clock: MockClock) -> None:
    store = await furnish_india(flow_from(ORDINARY), [ORDINARY])
    async with running(store=store) as world:
        admin = world.engine.administration
        await world.add_list(callees(*(f"{INDIA}{n:05}" for n in range(40))))
        await trio.sleep(5)
        assert pairs(world) == []
        assert "`purpose`" in (await world.engine.explain(await world.contacts()))[0].detail  # type: ignore[union-attr]
        await admin.change_account("default", {"number_series": None})
        await trio.sleep(2)
        made = len(pairs(world))
        assert 0 < made < 40
        await admin.change_account("default", {"number_series": "india"})
        await trio.sleep(3_600)
        assert len(pairs(world)) <= made + 1
        await admin.change_account("default", {"number_series": None})
        await world.wait_done()


async def test_a_number_that_could_call_nobody_is_not_attached(autojump_clock: MockClock) -> None:
    numbers = (ORDINARY, PROMOTION, SERVICE, "+14155550100")
    one = flow_from(purpose="service")
    store = await furnish_india(msgspec.structs.replace(one, listener_active=False), numbers)
    async with running(store=store) as world:
        owner = (await store.list_accounts(1, None)).items[0]
        admin = world.engine.administration
        with pytest.raises(Conflict) as refused:
            await admin.attach_dids(owner, one.id, [SERVICE, ORDINARY, PROMOTION])
        assert refused.value.code == "wrong_number_series"
        assert f"{ORDINARY}, {PROMOTION} can call nobody" in refused.value.detail
        changed = await admin.attach_dids(owner, one.id, [SERVICE, "+14155550100"])
        assert changed is not None
        assert changed.dids == (SERVICE, "+14155550100")
