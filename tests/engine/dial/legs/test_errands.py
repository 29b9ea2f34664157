"""Agents who are called for one contact, and how often that may be in vain."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

import msgspec
import pytest
import trio
from trio.testing import MockClock

from engine.dial.agents.vain_rings import KEPT, RINGS_MAX, WAITS_S, VainRings
from engine.model import AccountRules, CallingWindow, Cap, Did, Flow, RetryRule
from engine.model.events import StoredEvent, rfc3339
from engine.ports.stored import Conflict, StoreUnavailable
from engine.ports.telephony import CallRequest
from sim.memory_store import MemoryStore
from sim.telephony import CallScript
from tests.engine.dial.office import AGENT_PREFIX, Office, answering, dialer, is_agent, office
from tests.engine.made import EPOCH, contact, did, flow
from tests.engine.world import SetClock, VirtualClock, furnish, people

AGENT = f"{AGENT_PREFIX}9999"


async def furnished(
    flows: Sequence[Flow], dids: Sequence[Did]
) -> tuple[MemoryStore, list[dict[str, Any]]]:
    """A store with flows and DIDs, and what it tells."""
    told: list[dict[str, Any]] = []

    def hear(events: Sequence[StoredEvent]) -> None:
        told.extend(msgspec.json.decode(event.body) for event in events)

    store = MemoryStore(hear, VirtualClock())
    await furnish(store, flows, dids)
    return store, told


def ring_times(one: Office) -> list[float]:
    """When agents were called."""
    return [call.at for call in one.world.telephony.dialed if is_agent(call.request)]


async def test_an_agent_who_waits_in_vain_for_room_is_rung_ever_later_and_then_no_more(
    autojump_clock: MockClock,
) -> None:
    """The agent's own telephone takes the flow's one channel."""
    async with office(answering(talk_s=1_000.0), dialer(channels=1)) as one:
        await one.call("cnt_x", agent=AGENT)
        await trio.sleep(60)
        [blocker] = await one.world.engine.explain([await one.contact("cnt_x")])
        assert blocker is not None
        assert blocker.code == "agents_busy"
        assert blocker.until is not None
        await one.until(lambda: bool(one.events("contact.completed")), 1_000)
        await trio.sleep(2_000)
        [completed] = one.events("contact.completed")
        assert (completed["data"]["disposition"], completed["data"]["reason"]) == (
            "skipped",
            "no_room",
        )
        times = ring_times(one)
        assert len(times) == len(one.world.telephony.dialed) == RINGS_MAX
        gaps = [after - before for before, after in pairwise(times)]
        # From the agent's answer on, which takes a second.
        assert gaps == pytest.approx([1 + wait_s for wait_s in WAITS_S], abs=0.5)


async def test_an_agent_whose_customer_a_did_gives_back_is_not_rung_again_at_once(
    autojump_clock: MockClock,
) -> None:
    """The agent's own call takes the one slot that the DID has in a while."""
    slow = did(cps=0.005, channels=5_000)
    async with office(answering(talk_s=1_000.0), dialer(), dids=[slow]) as one:
        await one.call("cnt_x", agent=AGENT)
        await trio.sleep(WAITS_S[0] - 5)
        assert len(ring_times(one)) == 1
        [blocker] = await one.world.engine.explain([await one.contact("cnt_x")])
        assert blocker is not None
        assert blocker.code == "agents_busy"


async def test_an_agent_does_not_wait_without_end_for_a_did_that_their_own_call_fills(
    autojump_clock: MockClock,
) -> None:
    """The contact lies before the DID, where nobody knows how long that takes."""
    async with office(answering(talk_s=1_000.0), dialer(), dids=[did(channels=1)]) as one:
        await one.call("cnt_x", agent=AGENT)
        await one.until(lambda: bool(one.events("contact.completed")), 1_000)
        await trio.sleep(1_000)
        assert one.events("contact.completed")[0]["data"]["reason"] == "no_room"
        assert len(ring_times(one)) == len(one.world.telephony.dialed) == RINGS_MAX
        assert max(event["data"]["duration_s"] for event in one.events("leg.ended")) < 31


async def test_agents_on_the_telephone_get_their_customers_though_a_list_keeps_the_did_busy(
    autojump_clock: MockClock,
) -> None:
    busy = flow(id="flw_m", calls_list="lst_m")
    store, told = await furnished([dialer(), busy], [did(cps=1, channels=500)])
    async with office(answering(10.0), dialer(), store=store, told=told) as one:
        await one.world.add_list(people(200, flow="flw_m", list="lst_x"), "lst_x")
        await trio.sleep(10)
        for place in range(4):
            agent, callee = f"{AGENT_PREFIX}900{place}", f"+1212555999{place}"
            await one.call(f"cnt_x{place}", agent=agent, tel=(callee,))
        await trio.sleep(60)
        called = [call.request.number for call in one.world.telephony.dialed]
        assert sum("+1212555999" in number for number in called) == 4
        assert len(ring_times(one)) == 4


async def test_an_agent_waits_on_the_telephone_for_a_did_that_their_own_call_keeps_busy_for_a_moment(
    autojump_clock: MockClock,
) -> None:
    slow = did(cps=0.1, channels=5_000)
    async with office(answering(talk_s=20.0), dialer(), dids=[slow]) as one:
        contact = await one.call("cnt_x", agent=AGENT)
        with trio.fail_after(100):
            await one.until_told("contact.completed", 1)
        numbers = [call.request.number for call in one.world.telephony.dialed]
        assert numbers == [AGENT, contact.tel[0]]
        agent_at, customer_at = one.world.dial_times()
        assert customer_at - agent_at == pytest.approx(10.0, abs=0.5)


async def test_an_agent_who_hangs_up_on_a_contact_that_lies_before_a_did_is_rung_no_more_in_the_end(
    autojump_clock: MockClock,
) -> None:
    def choose(request: CallRequest, _before: int) -> CallScript:
        return CallScript(talk_s=1.0 if is_agent(request) else 60.0)

    full = did(channels=1)  # which the agent's own call takes
    async with office(choose, dialer(), dids=[full]) as one:
        await one.call("cnt_x", agent=AGENT)
        await one.until(lambda: bool(one.events("contact.completed")), 1_000)
        await trio.sleep(1_000)
        assert len(ring_times(one)) == RINGS_MAX


async def test_a_contact_whose_agent_waited_in_vain_waits_no_longer_when_the_clock_is_set_back(
    autojump_clock: MockClock,
) -> None:
    clock = SetClock()
    async with office(answering(talk_s=1_000.0), dialer(channels=1), clock=clock) as one:
        await one.call("cnt_x", agent=AGENT, starttime=EPOCH - 9_000, due_at=EPOCH - 9_000)
        await trio.sleep(40)
        clock.ahead_s = -7_200.0
        await trio.sleep(WAITS_S[0])
        assert len(ring_times(one)) == 2


async def test_a_contact_that_was_called_counts_from_the_beginning(
    autojump_clock: MockClock,
) -> None:
    """The customer is busy three times: the agent is rung for each try, and for none in vain."""

    def choose(request: CallRequest, before: int) -> CallScript:
        if is_agent(request):
            return CallScript(talk_s=1_000.0)
        return CallScript(code=486) if before < 3 else CallScript(talk_s=5.0)

    retry = {"busy": RetryRule(tries=4, wait_s=5)}
    async with office(choose, dialer(retry=retry, attempts_max=5)) as one:
        await one.call("cnt_x", agent=AGENT)
        with trio.fail_after(100):
            await one.until_told("contact.completed", 1)
        assert one.events("contact.completed")[0]["data"]["disposition"] == "answered"
        assert len(ring_times(one)) == 4


def test_of_many_contacts_the_one_that_was_counted_first_is_forgotten() -> None:
    rings = VainRings()
    for place in range(KEPT + 1):
        rings.count(f"cnt_{place}", 0.0)
    assert rings.find("cnt_0").count == 0
    assert rings.find("cnt_1").count == rings.find(f"cnt_{KEPT}").count == 1


@pytest.mark.parametrize("after_s", [0.5, 5.0], ids=["while_they_ring", "while_they_wait"])
async def test_a_contact_whose_agent_is_cut_off_with_the_account_waits_until_that_may_call_again(
    autojump_clock: MockClock, after_s: float
) -> None:
    async with office(answering(talk_s=10.0), dialer(cps=0.1)) as one:
        contact = await one.call("cnt_x", agent=AGENT)
        await trio.sleep(after_s)
        await one.world.engine.holding.stop_account("acc_1")
        await trio.sleep(100)
        [blocker] = await one.world.engine.explain([await one.contact("cnt_x")])
        assert blocker is not None
        assert blocker.code == "account_stopped"
        assert one.world.telephony.up == 0
        await one.world.engine.holding.start_account("acc_1")
        with trio.fail_after(100):
            await one.until_told("contact.completed", 1)
        assert one.events("contact.completed")[0]["data"]["disposition"] == "answered"
        numbers = [call.request.number for call in one.world.telephony.dialed]
        assert numbers == [AGENT, AGENT, contact.tel[0]]


async def test_a_contact_that_talks_when_its_agent_is_cut_off_with_the_account_is_called_no_more(
    autojump_clock: MockClock,
) -> None:
    async with office(answering(talk_s=60.0), dialer()) as one:
        contact = await one.call("cnt_x", agent=AGENT)
        await trio.sleep(20)
        await one.world.engine.holding.stop_account("acc_1")
        await one.world.engine.holding.start_account("acc_1")
        await trio.sleep(500)
        numbers = [call.request.number for call in one.world.telephony.dialed]
        assert numbers == [AGENT, contact.tel[0]]
        assert len(one.events("contact.completed")) == 1


async def test_a_contact_whose_agent_waited_in_vain_as_its_flow_was_paused_waits_for_nothing_else(
    autojump_clock: MockClock,
) -> None:
    async with office(answering(talk_s=1_000.0), dialer(channels=1)) as one:
        await one.call("cnt_x", agent=AGENT)
        await trio.sleep(25)
        await one.world.engine.holding.pause_flow("acc_1", one.flow.id)
        await trio.sleep(10)
        [paused] = await one.world.engine.explain([await one.contact("cnt_x")])
        await one.world.engine.holding.resume_flow("acc_1", one.flow.id)
        await trio.sleep(1)
        [resumed] = await one.world.engine.explain([await one.contact("cnt_x")])
        assert paused is not None
        assert resumed is not None
        assert paused.code == "flow_paused"
        assert resumed.code != "flow_paused"


async def test_a_contact_that_was_given_another_start_time_does_not_end_with_its_agent_not_reached(
    autojump_clock: MockClock,
) -> None:
    """The time is changed while the agent is rung, who declines."""

    def choose(request: CallRequest, _before: int) -> CallScript:
        return CallScript(code=486, final_after_s=2.0) if is_agent(request) else CallScript()

    async with office(choose, dialer()) as one:
        await one.call("cnt_x", agent=AGENT)
        await trio.sleep(1)
        later = {"starttime": rfc3339(one.world.clock.now() + 7_200)}
        changed = await one.world.engine.rescheduling.change_contact("acc_1", "cnt_x", later)
        await trio.sleep(3_600)
        assert await one.contact("cnt_x") == changed
        assert len(ring_times(one)) == 1


LONG: Final[dict[str, Any]] = {
    "start": "wait",
    "nodes": {
        "wait": {"type": "wait", "duration_s": 300, "next": "bye"},
        "bye": {"type": "hangup"},
    },
}
"""The graph of a call that lasts until the callee hangs up."""


async def fill_did(one: Office, tel: str = "+12125550000") -> None:
    """Another flow's call takes the one channel of the DID."""
    await one.world.add_list([contact(id="cnt_m", flow="flw_m", list="lst_x", tel=(tel,))], "lst_x")
    await trio.sleep(5)
    assert one.world.telephony.up == 1


@pytest.mark.parametrize("lasts_s", [25.0, 200.0])
async def test_an_agent_whose_call_waits_for_a_full_did_is_called_when_there_is_room(
    autojump_clock: MockClock, lasts_s: float
) -> None:
    def choose(request: CallRequest, before: int) -> CallScript:
        return CallScript(talk_s=lasts_s if request.number == "+12125550000" else 10.0)

    multicast = flow(id="flw_m", calls_list="lst_m", definition=LONG)
    full = did(channels=1)
    free_later = dialer(first="agent")
    store, told = await furnished([free_later, multicast], [full])
    async with office(choose, free_later, store=store, told=told) as one:
        await fill_did(one)
        await one.call("cnt_x", agent=AGENT)
        for _ in range(4):
            await trio.sleep(4)
            [blocker] = await one.world.engine.explain([await one.contact("cnt_x")])
            assert blocker is not None
            assert blocker.code == "did_channels"
        assert ring_times(one) == []
        await one.until(lambda: bool(ring_times(one)), lasts_s + 30)
        assert "cnt_x" not in [event["contact"] for event in one.events("contact.completed")]


async def test_an_agent_is_called_from_the_did_that_other_calls_keep_and_not_when_a_cap_ends(
    autojump_clock: MockClock,
) -> None:
    """One DID is at its cap for an hour, the other is full for twenty seconds."""

    def choose(request: CallRequest, before: int) -> CallScript:
        return CallScript(talk_s=10.0 if is_agent(request) else 20.0)

    capped = did(caps=(Cap(calls=1, per_s=3_600),))
    full = did(number="+14155550001", channels=1)
    both = (capped.number, full.number)
    multicast = flow(id="flw_m", calls_list="lst_m", definition=LONG, dids=both)
    first = msgspec.structs.replace(dialer(first="agent"), dids=both)
    store, told = await furnished([first, multicast], [capped, full])
    async with office(choose, first, store=store, told=told) as one:
        await one.world.add_list(people(2, flow="flw_m", list="lst_x"), "lst_x")
        await trio.sleep(5)
        assert one.world.telephony.up == 2
        await one.call("cnt_x", agent=AGENT)
        await one.until(lambda: bool(ring_times(one)), 30)
        [rung] = [call.request for call in one.world.telephony.dialed if is_agent(call.request)]
        assert rung.caller == full.number


async def test_a_contact_whose_agent_may_be_called_from_no_did_says_so(
    autojump_clock: MockClock,
) -> None:
    """The account keeps to a number series that binds the agent's number, and not the contact's."""
    store, told = await furnished([], [did()])
    rules = AccountRules(approved_countries=("US", "IN"), number_series="india")
    changed = await store.change_account(
        "acc_1", lambda one: msgspec.structs.replace(one, rules=rules)
    )
    assert changed is not None
    first = dialer(first="agent")
    await store.add_flow(first)
    async with office(answering(), first, store=store, told=told) as one:
        await one.call("cnt_x", agent="+919876543210")
        await trio.sleep(5)
        [blocker] = await one.world.engine.explain([await one.contact("cnt_x")])
        assert blocker is not None
        assert blocker.code == "no_trunk"
        assert "call to India" in blocker.detail or "number series" in blocker.detail
        assert one.world.telephony.up == 0


async def test_an_agent_who_looks_at_a_contact_stays_where_limits_hold_their_call(
    autojump_clock: MockClock,
) -> None:
    multicast = flow(id="flw_m", calls_list="lst_m", definition=LONG)
    preview = dialer(dialing="preview")
    store, told = await furnished([preview, multicast], [did(channels=1)])
    async with office(answering(60.0), preview, store=store, told=told) as one:
        [agent] = await one.seat(1)
        await fill_did(one)
        await one.world.add_list(people(1), "lst_1")
        shown = await one.at_work.show_next(agent)
        assert shown is not None
        one.at_work.accept(agent, shown.id)
        await trio.sleep(8)
        [blocker] = await one.world.engine.explain([await one.contact(shown.id)])
        assert blocker is not None
        assert blocker.code == "did_channels"
        await trio.sleep(4)
        assert one.at_work.show(agent).presence == "available"


async def test_an_agent_who_cannot_be_called_for_our_limits_is_told_so(
    autojump_clock: MockClock,
) -> None:
    multicast = flow(id="flw_m", calls_list="lst_m", definition=LONG)
    store, told = await furnished([dialer(), multicast], [did(channels=1)])
    async with office(answering(60.0), dialer(), store=store, told=told) as one:
        [agent] = await one.hire(1)
        await fill_did(one)
        with pytest.raises(
            Conflict, match="could not be called: The caller number is at its calls"
        ):
            await one.set_presence(agent, "available")


async def test_an_agent_who_was_not_reached_is_not_rung_again_for_a_store_that_cannot_be_written(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def choose(request: CallRequest, _before: int) -> CallScript:
        return CallScript(code=486 if is_agent(request) else 200)

    async with office(choose, dialer()) as one:
        complete = one.world.store.complete_contacts

        async def complete_later(*asked: Any) -> Any:
            if trio.current_time() < 30:
                raise StoreUnavailable("the disk is full")
            return await complete(*asked)

        monkeypatch.setattr(one.world.store, "complete_contacts", complete_later)
        await one.call("cnt_x", agent=AGENT)
        await one.until_told("contact.completed", 1)
        assert one.events("contact.completed")[0]["data"]["reason"] == "agent_not_reached"
        assert len(ring_times(one)) == 1


async def test_a_call_whose_agent_may_not_be_called_at_this_hour_waits_for_that_and_says_so(
    autojump_clock: MockClock,
) -> None:
    """It is midnight where the agent is, and morning where the callee is."""
    first = dialer(first="agent", calling_window=(CallingWindow("07:00", "21:00"),))
    store, told = await furnished([first], [did()])
    async with office(answering(), first, store=store, told=told) as one:
        await one.call("cnt_x", agent=AGENT, tel=("+442079460018",))
        for _ in range(12):
            await trio.sleep(10)
            [blocker] = await one.world.engine.explain([await one.contact("cnt_x")])
            assert blocker is not None
            assert blocker.code == "calling_window"
            assert blocker.until == pytest.approx(EPOCH + 7 * 3_600, abs=2)
        assert ring_times(one) == []
        await one.until(lambda: bool(ring_times(one)), 8 * 3_600)
        assert ring_times(one) == pytest.approx([7 * 3_600], abs=2)
