"""Single calls of dialer flows: an agent and one customer, who are called for each other."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from engine.ports.telephony import CallRequest
from sim.telephony import CallScript
from tests.engine.dial.office import (
    AGENT_PREFIX,
    answering,
    dialer,
    hangs_up_the_first_time,
    is_agent,
    office,
)
from tests.engine.made import did
from tests.engine.world import people


@pytest.mark.parametrize("first", ["agent", "customer"])
async def test_a_single_call_reaches_its_agent_and_its_customer_in_the_order_of_the_flow(
    autojump_clock: MockClock, first: str
) -> None:
    number = f"{AGENT_PREFIX}9999"
    async with office(answering(talk_s=20.0), dialer(first=first)) as one:
        contact = await one.call("cnt_x", agent=number)
        await one.until_told("contact.completed", 1)
        dialed = [call.request.number for call in one.world.telephony.dialed]
        wanted = [number, contact.tel[0]]
        assert dialed == (wanted if first == "agent" else wanted[::-1])
        [attempt] = await one.attempts()
        assert (attempt.disposition, attempt.agent) == ("answered", number)
        legs = await one.world.store.legs_of("acc_1", attempt.id)
        assert [(leg.number, leg.contact, leg.outcome) for leg in legs] == [
            (number, contact.id, "answered")
        ]
        assert one.world.telephony.up == 0


async def test_a_single_call_whose_agent_does_not_answer_rings_no_customer(
    autojump_clock: MockClock,
) -> None:
    def choose(request: CallRequest, _before: int) -> CallScript:
        return CallScript(code=486 if is_agent(request) else 200)

    async with office(choose, dialer()) as one:
        await one.call("cnt_x", agent=f"{AGENT_PREFIX}9999")
        await one.until_told("contact.completed", 1)
        assert one.events("contact.completed")[0]["data"]["disposition"] == "skipped"
        assert one.events("contact.completed")[0]["data"]["reason"] == "agent_not_reached"
        assert [is_agent(call.request) for call in one.world.telephony.dialed] == [True]


async def test_a_single_call_whose_agent_hangs_up_before_there_is_room_for_it_calls_the_agent_again(
    autojump_clock: MockClock,
) -> None:
    number = f"{AGENT_PREFIX}9999"
    async with office(hangs_up_the_first_time, dialer(cps=0.2)) as one:
        contact = await one.call("cnt_x", agent=number)
        with trio.fail_after(100):
            await one.until_told("contact.completed", 1)
        dialed = [call.request.number for call in one.world.telephony.dialed]
        assert dialed == [number, number, contact.tel[0]]
        [attempt] = await one.attempts()
        assert (attempt.disposition, attempt.agent) == ("answered", number)


async def test_a_single_call_whose_agent_hangs_up_each_time_before_there_is_room_for_it_ends(
    autojump_clock: MockClock,
) -> None:
    def choose(_request: CallRequest, _before: int) -> CallScript:
        return CallScript(talk_s=1.0)

    async with office(choose, dialer(cps=0.2)) as one:
        await one.call("cnt_x", agent=f"{AGENT_PREFIX}9999")
        with trio.fail_after(100):
            await one.until_told("contact.completed", 1)
        await trio.sleep(60)
        [completed] = one.events("contact.completed")
        assert completed["data"]["disposition"] == "skipped"
        assert completed["data"]["reason"] == "agent_not_reached"
        assert [is_agent(call.request) for call in one.world.telephony.dialed] == [True] * 3


async def test_a_single_call_that_finds_no_room_at_a_did_waits_and_lets_the_engine_rest(
    autojump_clock: MockClock,
) -> None:
    """The customer comes first, and the DID is slow."""
    slow = did(cps=0.1, channels=5_000)
    async with office(answering(talk_s=5.0), dialer(first="customer"), dids=[slow]) as one:
        for place in range(6):
            number = f"{AGENT_PREFIX}{place:04d}"
            await one.call(f"cnt_{place}", agent=number, tel=(f"+1415888{place:04d}",))
        with trio.fail_after(200):
            await one.world.wait_done("lst_calls")
        called = [call for call in one.world.telephony.dialed if not is_agent(call.request)]
        assert len(called) == 6


async def test_a_single_call_for_an_agent_does_not_wait_behind_those_that_any_agent_may_take(
    autojump_clock: MockClock,
) -> None:
    """The others come first, wait as long as nobody is there, and are of the same priority."""
    async with office(answering(), dialer(priority="high")) as one:
        await one.world.add_list(people(3))
        await one.call("cnt_any", tel=("+14158880000",))
        await trio.sleep(10)
        await one.call("cnt_own", agent=f"{AGENT_PREFIX}9999", tel=("+14158880001",))
        await trio.sleep(60)
        called = [c.request.number for c in one.world.telephony.dialed if not is_agent(c.request)]
        assert called == ["+14158880001"]


async def test_a_single_call_that_a_slow_did_gives_back_goes_when_the_did_has_rested(
    autojump_clock: MockClock,
) -> None:
    """It lay in the mailbox before those that any agent may take, and comes back after them."""
    slow = did(cps=0.5, channels=5_000)
    flow = dialer(first="customer", priority="high")
    async with office(answering(), flow, dids=[slow]) as one:
        for place in range(2):
            number = f"{AGENT_PREFIX}900{place}"
            await one.call(f"cnt_{place}", agent=number, tel=(f"+1415888{place:04d}",))
        await one.world.add_list(people(3))
        await trio.sleep(60)
        called = [c.request.number for c in one.world.telephony.dialed if not is_agent(c.request)]
        assert called == ["+14158880000", "+14158880001"]


async def test_two_single_calls_of_one_agent_go_one_after_the_other(
    autojump_clock: MockClock,
) -> None:
    number = f"{AGENT_PREFIX}9999"
    async with office(answering(talk_s=20.0), dialer()) as one:
        await one.call("cnt_x", agent=number)
        await one.call("cnt_y", agent=number, tel=("+14155559999",))
        await trio.sleep(5)
        [waiting] = await one.world.engine.explain([await one.contact("cnt_y")])
        assert waiting is not None
        assert waiting.code == "agents_busy"
        await one.until_told("contact.completed", 2)
        ends = [event["time"] for event in one.events("attempt.ended")]
        begins = [event["time"] for event in one.events("attempt.connected")]
        assert begins[1] > ends[0]


async def test_an_agent_whom_limits_keep_from_being_called_for_an_answered_customer_stays(
    autojump_clock: MockClock,
) -> None:
    """The customer's call takes the one channel of the DID."""
    flow = dialer(dialing="preview", first="customer")
    async with office(answering(talk_s=60.0), flow, dids=[did(channels=1)]) as one:
        [agent] = await one.seat(1)
        await one.call("cnt_x", agent=agent.number)
        await one.until_told("contact.completed", 1)
        await trio.sleep(5)
        assert not [call for call in one.world.telephony.dialed if is_agent(call.request)]
        assert one.at_work.show(agent).presence == "available"
