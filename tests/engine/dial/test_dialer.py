"""Dialer flows under virtual time: who is connected with whom, and who hears what."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

import msgspec
import pytest
import trio
from trio.testing import MockClock

from engine.dial.trunks.trunk import TrunkSettings
from engine.ports.stored import Conflict
from engine.ports.telephony import CallRequest
from engine.schedule.feed import ListFeed, Work
from sim.telephony import CallScript
from tests.engine.dial.office import (
    answering,
    dialer,
    hangs_up_the_first_time,
    is_agent,
    office,
)
from tests.engine.made import did
from tests.engine.world import people

STEPS_TO_ASK = 2
"""Of trio's, after which a task that was started has certainly asked for what it asks first."""
STEPS_TO_DIAL_MAX = 16
"""More than trio takes from an agent's wish to come until their telephone is called."""


async def test_a_progressive_flow_calls_only_for_free_agents_and_connects_everybody(
    autojump_clock: MockClock,
) -> None:
    async with office(answering(), dialer()) as one:
        agents = await one.seat(3)
        await one.world.add_list(people(30))
        await one.world.wait_done()
        attempts = await one.attempts()
        assert Counter((a.disposition, a.abandoned) for a in attempts) == {("answered", False): 30}
        assert Counter(a.agent for a in attempts) == {agent.id: 10 for agent in agents}
        assert one.world.telephony.up_max == 6
        assert one.events("attempt.abandoned") == []
        assert len(one.events("attempt.connected")) == 30


async def test_without_an_agent_nobody_is_called_and_the_blocker_says_why(
    autojump_clock: MockClock,
) -> None:
    async with office(answering(), dialer()) as one:
        await one.world.add_list(people(1))
        await trio.sleep(30)
        [blocker] = await one.world.engine.explain(await one.world.contacts())
        assert blocker is not None
        assert (blocker.code, blocker.detail) == ("agents_busy", "No agent of the flow is there.")
        assert one.world.telephony.dialed == []
        await one.seat(1)
        await one.world.wait_done()


async def test_customers_are_connected_within_milliseconds_of_their_answer(
    autojump_clock: MockClock,
) -> None:
    async with office(answering(), dialer()) as one:
        await one.seat(2)
        await one.world.add_list(people(6))
        await one.world.wait_done()
        answered = {e["attempt"]: e["time"] for e in one.events("attempt.answered")}
        connected = {e["attempt"]: e["time"] for e in one.events("attempt.connected")}
        assert connected == answered


async def test_an_agent_is_called_once_for_a_whole_shift_and_goes_by_hanging_up(
    autojump_clock: MockClock,
) -> None:
    def choose(request: CallRequest, _before: int) -> CallScript:
        if is_agent(request):
            return CallScript(final_after_s=1.0, talk_s=100.0)
        return CallScript(talk_s=20.0)

    async with office(choose, dialer()) as one:
        [agent] = await one.seat(1)
        await one.world.add_list(people(3))
        await one.world.wait_done()
        await one.until(lambda: one.at_work.show(agent).presence == "away")
        calls = [c.request.number for c in one.world.telephony.dialed if is_agent(c.request)]
        assert calls == [agent.number]
        told = [(e["data"]["presence"], e["data"]["reason"]) for e in one.events("agent.presence")]
        assert told[0] == ("available", "asked")
        assert told[-1] == ("away", "hung_up")
        stored = await one.world.store.get_agent(agent.account, agent.flow, agent.id)
        assert stored is not None
        assert one.at_work.show(stored).presence_reason == "hung_up"


async def test_an_agent_who_does_not_answer_does_not_come(autojump_clock: MockClock) -> None:
    def choose(request: CallRequest, _before: int) -> CallScript:
        return CallScript(final_after_s=None if is_agent(request) else 2.0)

    async with office(choose, dialer(agent_ring_timeout_s=15)) as one:
        [agent] = await one.hire(1)
        with pytest.raises(Conflict, match="agent_unreached"):
            await one.set_presence(agent, "available")
        assert one.at_work.show(agent).presence == "away"
        [ended] = one.events("leg.ended")
        assert ended["data"]["outcome"] == "no_answer"


async def test_an_agent_who_goes_before_the_telephone_is_answered_is_rung_no_more(
    autojump_clock: MockClock,
) -> None:
    async with office(answering(), dialer()) as one:
        [agent] = await one.hire(1)
        refused: list[str] = []

        async def come() -> None:
            try:
                await one.set_presence(agent, "available")
            except Conflict as conflict:
                refused.append(conflict.code)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(come)
            await trio.sleep(0.5)
            await one.set_presence(agent, "away")
        assert refused == ["agent_unreached"]
        await one.until_told("leg.ended", 1)
        [ended] = one.events("leg.ended")
        assert ended["data"]["outcome"] == "canceled"
        assert one.events("leg.answered") == []
        assert one.world.telephony.up == 0
        assert (await one.set_presence(agent, "available")).presence == "available"


async def test_an_agent_who_was_told_that_they_are_away_is_not_rung_whatever_step_the_call_was_at(
    autojump_clock: MockClock,
) -> None:
    # The order within a step of trio's is drawn by lot: each step is tried more than once.
    steps = [step for step in range(STEPS_TO_ASK, STEPS_TO_DIAL_MAX) for _ in range(8)]
    before: list[int] = []
    after: list[int] = []
    async with office(answering(), dialer()) as one:
        [agent] = await one.hire(1)

        async def come() -> None:
            with pytest.raises(Conflict, match="not answered"):
                await one.set_presence(agent, "available")

        for step in steps:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(come)
                for _ in range(step):
                    await trio.lowlevel.checkpoint()
                await one.set_presence(agent, "away")
                before.append(len(one.world.telephony.dialed))
            after.append(len(one.world.telephony.dialed))
            await trio.sleep(1)
    assert after == before
    assert before[0] == 0
    assert before[-1] > 0


async def test_a_customer_whose_agent_hangs_up_meanwhile_is_abandoned_after_two_seconds(
    autojump_clock: MockClock,
) -> None:
    def choose(request: CallRequest, _before: int) -> CallScript:
        if is_agent(request):
            return CallScript(final_after_s=1.0, talk_s=4.0)
        return CallScript(final_after_s=10.0, talk_s=60.0)

    async with office(choose, dialer()) as one:
        await one.seat(1)
        await one.world.add_list(people(1))
        await one.world.wait_done()
        [attempt] = await one.attempts()
        assert (attempt.disposition, attempt.abandoned, attempt.agent) == ("answered", True, None)
        [abandoned] = one.events("attempt.abandoned")
        assert abandoned["data"] == {"waited_s": 2.0}
        [customer] = [c for c in one.world.telephony.dialed if not is_agent(c.request)]
        assert customer.played == ["prm_sorry"]
        assert attempt.duration_s == pytest.approx(7.0)
        [day] = await one.world.store.answer_days(0)
        assert (day.answered, day.abandoned) == (1, 1)


async def test_wrap_up_keeps_an_agent_from_the_next_customer(autojump_clock: MockClock) -> None:
    async with office(answering(talk_s=10.0), dialer(wrap_up_s=25)) as one:
        [agent] = await one.seat(1)
        await one.world.add_list(people(2))
        await one.until(lambda: one.at_work.show(agent).presence == "wrap_up")
        await one.world.wait_done()
        begins = [datetime.fromisoformat(e["time"]) for e in one.events("attempt.initiated")]
        # Two seconds until the answer, ten of talk, and the wrap-up.
        assert (begins[1] - begins[0]).total_seconds() == pytest.approx(37.0, abs=0.1)


async def test_an_agent_can_end_the_wrap_up(autojump_clock: MockClock) -> None:
    async with office(answering(talk_s=10.0), dialer(wrap_up_s=3_000)) as one:
        [agent] = await one.seat(1)
        await one.world.add_list(people(2))
        await one.until(lambda: one.at_work.show(agent).presence == "wrap_up")
        await one.set_presence(agent, "available")
        await one.until_told("attempt.connected", 2)


async def test_an_agent_who_goes_sees_the_customer_through(autojump_clock: MockClock) -> None:
    async with office(answering(talk_s=20.0), dialer()) as one:
        [agent] = await one.seat(1)
        await one.world.add_list(people(2))
        await one.until_told("attempt.connected", 1)
        shown = await one.set_presence(agent, "away")
        assert shown.presence == "busy"
        await one.until(lambda: one.at_work.show(agent).presence == "away")
        await trio.sleep(60)
        attempts = await one.attempts()
        assert [(a.disposition, a.abandoned) for a in attempts] == [("answered", False)]


async def test_who_goes_while_a_call_counts_on_them_takes_that_call_first(
    autojump_clock: MockClock,
) -> None:
    async with office(answering(talk_s=20.0), dialer()) as one:
        [agent] = await one.seat(1)
        await one.world.add_list(people(5))
        await one.until_told("attempt.initiated", 1)
        await one.set_presence(agent, "away")
        assert one.at_work.show(agent).presence == "available"
        await one.until(lambda: one.at_work.show(agent).presence == "away")
        await trio.sleep(60)
        attempts = await one.attempts()
        assert [(a.agent, a.abandoned) for a in attempts] == [(agent.id, False)]


async def test_an_agent_can_end_a_talk_and_keeps_the_telephone_up(
    autojump_clock: MockClock,
) -> None:
    async with office(answering(talk_s=500.0), dialer()) as one:
        [agent] = await one.seat(1)
        await one.world.add_list(people(2))
        for count in (1, 2):
            await one.until_told("attempt.connected", count)
            await trio.sleep(3)
            one.at_work.part(agent)
        await one.world.wait_done()
        assert one.at_work.show(agent).presence == "available"
        talked_s = [a.duration_s or 0 for a in await one.attempts()]
        assert all(3 <= seconds < 4.5 for seconds in talked_s)
        with pytest.raises(Conflict, match="agent_not_talking"):
            one.at_work.part(agent)


async def test_who_asks_twice_for_the_end_of_a_talk_does_not_end_the_next_one(
    autojump_clock: MockClock,
) -> None:
    async with office(answering(talk_s=30.0), dialer()) as one:
        [agent] = await one.seat(1)
        await one.world.add_list(people(2))
        await one.until_told("attempt.connected", 1)
        first = one.at_work.show(agent).contact
        one.at_work.part(agent, first)
        await one.until_told("attempt.connected", 2)
        second = one.at_work.show(agent).contact
        with pytest.raises(Conflict, match="another_contact"):
            one.at_work.part(agent, first)
        await trio.sleep(10)
        assert one.at_work.show(agent).contact == second
        one.at_work.part(agent, second)
        await one.world.wait_done()
        assert one.at_work.show(agent).contact is None
        with pytest.raises(Conflict, match="agent_not_talking"):
            one.at_work.part(agent, second)
        contacts = [one_attempt.contact for one_attempt in await one.attempts()]
        assert sorted(contacts) == sorted([first, second])


async def test_a_preview_shows_a_contact_and_calls_it_only_when_asked(
    autojump_clock: MockClock,
) -> None:
    async with office(answering(), dialer(dialing="preview")) as one:
        [agent] = await one.seat(1)
        await one.world.add_list(people(2))
        assert one.world.telephony.dialed == []
        first = await one.at_work.show_next(agent)
        assert first is not None
        assert first.id == "cnt_000000"
        assert await one.at_work.show_next(agent) == first
        one.at_work.skip(agent, first.id)
        second = await one.at_work.show_next(agent)
        assert second is not None
        assert second.id == "cnt_000001"
        await trio.sleep(20)
        assert one.world.telephony.dialed == []
        one.at_work.accept(agent, second.id)
        await one.until_told("attempt.connected", 1)
        numbers = [call.request.number for call in one.world.telephony.dialed]
        assert numbers == [agent.number, second.tel[0]]
        await one.until(lambda: one.at_work.show(agent).presence == "available")
        [attempt] = await one.attempts()
        assert (attempt.agent, attempt.abandoned) == (agent.id, None)
        legs = await one.world.store.legs_of("acc_1", attempt.id)
        assert [(leg.agent, leg.outcome) for leg in legs] == [(agent.id, "answered")]
        assert await one.at_work.show_next(agent) is None


async def test_a_preview_that_is_looked_at_for_too_long_goes_to_another(
    autojump_clock: MockClock,
) -> None:
    async with office(answering(), dialer(dialing="preview")) as one:
        slow, quick = await one.seat(2)
        await one.world.add_list(people(1))
        shown = await one.at_work.show_next(slow)
        assert shown is not None
        assert await one.at_work.show_next(quick) is None
        await trio.sleep(301)
        with pytest.raises(Conflict, match="no_preview"):
            one.at_work.accept(slow, shown.id)
        again = await one.at_work.show_next(quick)
        assert again is not None
        assert again.id == shown.id


async def test_a_previewed_contact_whose_agent_hangs_up_before_there_is_room_for_it_is_shown_again(
    autojump_clock: MockClock,
) -> None:
    async with office(hangs_up_the_first_time, dialer(dialing="preview", cps=0.2)) as one:
        [agent] = await one.seat(1)
        await one.world.add_list(people(1))
        shown = await one.at_work.show_next(agent)
        assert shown is not None
        one.at_work.accept(agent, shown.id)
        await trio.sleep(20)
        assert [is_agent(call.request) for call in one.world.telephony.dialed] == [True]
        told = [(e["data"]["presence"], e["data"]["reason"]) for e in one.events("agent.presence")]
        assert told[-1] == ("away", "hung_up")
        await one.set_presence(agent, "available")
        again = await one.at_work.show_next(agent)
        assert again is not None
        assert again.id == shown.id


async def test_customers_do_not_wait_for_a_trunk_that_agents_fill_while_another_did_is_free(
    autojump_clock: MockClock,
) -> None:
    filled, free = "+14155550100", "+14155550101"
    trunks = (TrunkSettings("main", channels=1, cps=10), TrunkSettings("other", 10, 10))
    dids = [did(number=filled), did(number=free, trunk="other")]
    flow = msgspec.structs.replace(dialer(), dids=(filled, free))
    async with office(answering(talk_s=5.0), flow, dids=dids, trunks=trunks) as one:
        await one.seat(1)
        await one.world.add_list(people(4))
        with trio.fail_after(100):
            await one.until_told("contact.completed", 4)
        by = [(is_agent(call.request), call.request.caller) for call in one.world.telephony.dialed]
        assert by == [(True, filled), *[(False, free)] * 4]


async def test_an_agent_who_must_not_be_called_is_not(autojump_clock: MockClock) -> None:
    async with office(answering(), dialer()) as one:
        [agent] = await one.hire(1)
        await one.world.store.add_do_not_call("acc_1", [agent.number], None, 0.0)
        with pytest.raises(Conflict, match="agent_unreached"):
            await one.set_presence(agent, "available")
        assert one.world.telephony.dialed == []


async def test_nobody_is_called_where_calls_may_not_go(autojump_clock: MockClock) -> None:
    async with office(answering(), dialer(), destinations=("+1415",)) as one:
        [agent] = await one.hire(1)
        with pytest.raises(Conflict, match="agent_unreached"):
            await one.set_presence(agent, "available")
        assert one.world.telephony.dialed == []


async def test_agents_take_channels_of_their_flow_as_customers_do(
    autojump_clock: MockClock,
) -> None:
    async with office(answering(), dialer(channels=3)) as one:
        await one.seat(2)
        await one.world.add_list(people(6))
        await one.world.wait_done()
        assert one.world.telephony.up_max == 3


async def test_an_agent_who_breaks_off_asking_in_the_step_in_which_a_contact_comes_keeps_nobody(
    autojump_clock: MockClock,
) -> None:
    async with office(answering(), dialer(dialing="preview")) as one:
        [agent] = await one.seat(1)
        [contact] = people(1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(one.at_work.show_next, agent)
            await trio.sleep(0.5)
            nursery.cancel_scope.cancel()
            work = Work(contact, ListFeed("acc_1", one.flow.id, contact.list))
            floor = one.world.engine._operation.floor_of(one.flow.id)
            assert floor is not None
            assert floor.show_next(work, trio.current_time()) is not None
        assert one.at_work.show(agent).presence == "available"
