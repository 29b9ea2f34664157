"""Contacts whose agents' calls limits or rules of ours keep from leaving for longer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import pytest
import trio
from trio.testing import MockClock

from engine.dial.legs.held_calls import HELD_MAX_S, LOOK_S, OFFERED_LEAST
from engine.model import AccountRules, Blocker, BlockerCode, CallingWindow, Cap, Did, Flow
from engine.model.events import rfc3339
from engine.ports.telephony import CallRequest, TelephonyUnavailable, TrunkCondition
from sim.telephony import CallScript
from tests.engine.dial.legs.test_errands import AGENT, LONG, fill_did, furnished, ring_times
from tests.engine.dial.office import (
    AGENT_PREFIX,
    Office,
    answering,
    dialer,
    is_agent,
    office,
)
from tests.engine.made import did, flow
from tests.engine.world import people

SOON_S: Final = LOOK_S + 1.0
"""By when an agent is rung whom nothing keeps from being called any more."""
FAR: Final = "+442079460018"
"""Where it is day while it is night where agents are."""


async def blocker_of(one: Office, contact: str) -> Blocker | None:
    """Why a contact is not called now."""
    [blocker] = await one.world.engine.explain([await one.contact(contact)])
    return blocker


async def code_of(one: Office, contact: str) -> BlockerCode | None:
    """As `blocker_of`, in a word."""
    blocker = await blocker_of(one, contact)
    return None if blocker is None else blocker.code


def first(dids: Sequence[Did] = (), **settings: Any) -> Flow:
    """A flow whose agents are rung before their customers are called."""
    made = dialer(first="agent", **settings)
    return made if not dids else msgspec.structs.replace(made, dids=tuple(d.number for d in dids))


async def test_an_agent_is_rung_as_soon_as_the_rest_of_a_did_ends_and_the_contact_waits_for_that(
    autojump_clock: MockClock,
) -> None:
    async with office(answering(), first()) as one:
        await one.world.engine.dids.rest(None, did().number, {"for_s": 3_600})
        await one.call("cnt_x", agent=AGENT)
        for _ in range(4):
            await trio.sleep(5)
            assert await code_of(one, "cnt_x") == "did_cap"
        await one.world.engine.dids.resume(None, did().number)
        await trio.sleep(SOON_S)
        assert len(ring_times(one)) == 1


async def test_an_agent_is_rung_as_soon_as_a_trunk_is_up_again_and_the_contact_waits_for_that(
    autojump_clock: MockClock,
) -> None:
    async with office(answering(), first()) as one:
        tell = one.world.engine._operation.note_condition
        tell(TrunkCondition("main", is_usable=False, detail="It does not answer."))
        await one.call("cnt_x", agent=AGENT)
        for _ in range(4):
            await trio.sleep(6)
            assert await code_of(one, "cnt_x") == "trunk_down"
        tell(TrunkCondition("main", is_usable=True, detail="It answers."))
        await trio.sleep(SOON_S)
        assert len(ring_times(one)) == 1


async def test_an_agent_is_rung_as_soon_as_the_flow_has_another_did_and_the_contact_waits_for_that(
    autojump_clock: MockClock,
) -> None:
    capped = did(caps=(Cap(calls=1, per_s=3_600),))
    other = did(number="+14155550001")
    multicast = flow(id="flw_m", calls_list="lst_m", definition=LONG)
    store, told = await furnished([first(), multicast], [capped, other])
    async with office(answering(), first(), store=store, told=told) as one:
        await fill_did(one)
        await one.call("cnt_x", agent=AGENT)
        await trio.sleep(10)
        blocker = await blocker_of(one, "cnt_x")
        assert blocker is not None
        assert (blocker.code, blocker.until is None) == ("did_cap", False)
        await store.change_flow("acc_1", one.flow.id, lambda old: first([capped, other]))
        one.world.engine.changes.note_flow("acc_1", one.flow.id)
        await trio.sleep(SOON_S)
        [rung] = [call.request for call in one.world.telephony.dialed if is_agent(call.request)]
        assert rung.caller == other.number


async def test_a_contact_waits_for_the_media_plane_that_takes_no_call_of_its_agent(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with office(answering(), first()) as one:
        prepare_call = one.world.telephony.prepare_call

        def prepare_later(request: CallRequest) -> Any:
            if trio.current_time() < 30:
                raise TelephonyUnavailable("No port is left.")
            return prepare_call(request)

        monkeypatch.setattr(one.world.telephony, "prepare_call", prepare_later)
        await one.call("cnt_x", agent=AGENT)
        for _ in range(8):
            await trio.sleep(3)
            blocker = await blocker_of(one, "cnt_x")
            assert blocker is not None
            assert (blocker.code, blocker.detail) == ("engine_limit", "No port is left.")
        await trio.sleep(12)
        assert len(ring_times(one)) == 1


@pytest.mark.parametrize("deed", ["cancel", "pause the list", "stop the account", "pause the flow"])
async def test_a_contact_whose_agent_cannot_be_called_obeys_as_others_do(
    deed: str, autojump_clock: MockClock
) -> None:
    async with office(answering(), first()) as one:
        await one.world.engine.dids.rest(None, did().number, {"for_s": 3_600})
        await one.call("cnt_x", agent=AGENT)
        await trio.sleep(5)
        engine, expected = one.world.engine, ""
        match deed:
            case "cancel":
                await engine.cancel_contact("acc_1", "cnt_x")
            case "pause the list":
                await engine.pause_list("acc_1", one.flow.calls_list)
                expected = "list_paused"
            case "stop the account":
                await engine.holding.stop_account("acc_1")
                expected = "account_stopped"
            case _:
                await engine.holding.pause_flow("acc_1", one.flow.id)
                expected = "flow_paused"
        await trio.sleep(SOON_S)
        assert (await code_of(one, "cnt_x") or "") == expected
        await engine.dids.resume(None, did().number)
        await trio.sleep(HELD_MAX_S + 10)
        assert ring_times(one) == []
        assert engine._errands.held.count == 0


async def test_contacts_whose_agents_cannot_be_called_take_no_room_from_those_whose_can(
    autojump_clock: MockClock,
) -> None:
    """Only numbers of a series may call the agents of the first, and there is none."""
    store, told = await furnished([], [did()])
    rules = AccountRules(approved_countries=("US", "IN"), number_series="india")
    await store.change_account("acc_1", lambda one: msgspec.structs.replace(one, rules=rules))
    await store.add_flow(first())
    async with office(answering(), first(), store=store, told=told) as one:
        for place in range(1_100):
            await one.call(f"cnt_{place}", agent=f"+91987654{place:04}")
        await trio.sleep(20)
        await one.call("cnt_x", agent=AGENT)
        await trio.sleep(SOON_S)
        assert len(ring_times(one)) == 1


async def test_a_contact_that_was_looked_at_waits_for_the_did_that_keeps_its_agent_from_being_called(
    autojump_clock: MockClock,
) -> None:
    multicast = flow(id="flw_m", calls_list="lst_m", definition=LONG)
    preview = dialer(dialing="preview")
    store, told = await furnished([preview, multicast], [did(channels=1)])
    async with office(answering(60.0), preview, store=store, told=told) as one:
        [agent] = await one.seat(1)
        await fill_did(one)
        await one.call("cnt_x")
        shown = await one.at_work.show_next(agent)
        assert shown is not None
        one.at_work.accept(agent, shown.id)
        await trio.sleep(12)
        assert await code_of(one, "cnt_x") == "did_channels"
        assert one.at_work.show(agent).presence == "available"
        await trio.sleep(60)
        shown = await one.at_work.show_next(agent)
        assert shown is not None
        assert await code_of(one, "cnt_x") == "agents_busy"


async def test_another_agent_may_look_at_a_contact_whose_first_may_not_be_called_at_this_hour(
    autojump_clock: MockClock,
) -> None:
    preview = dialer(dialing="preview", calling_window=(CallingWindow("07:00", "21:00"),))
    store, told = await furnished([preview], [did()])
    async with office(answering(60.0), preview, store=store, told=told) as one:
        early, late = await one.seat(2)
        await one.call("cnt_x", tel=(FAR,))
        shown = await one.at_work.show_next(early)
        assert shown is not None
        one.at_work.accept(early, shown.id)
        await trio.sleep(6)
        shown = await one.at_work.show_next(late)
        assert shown is not None
        assert ring_times(one) == []


async def test_an_agent_whose_call_others_keep_back_is_soon_in_line_again(
    autojump_clock: MockClock,
) -> None:
    """Each free channel of the DID is taken at once by a list."""

    def choose(request: CallRequest, _before: int) -> CallScript:
        return CallScript(talk_s=5.0 if is_agent(request) else 25.0)

    multicast = flow(id="flw_m", calls_list="lst_m", definition=LONG)
    store, told = await furnished([first(), multicast], [did(channels=1)])
    async with office(choose, first(), store=store, told=told) as one:
        await fill_did(one)
        await one.world.add_list(people(20, flow="flw_m", list="lst_y"), "lst_y")
        await one.call("cnt_x", agent=AGENT)
        await one.until(lambda: bool(ring_times(one)), 90)


@pytest.mark.parametrize("deed", ["cancel", "reschedule", "pause the list"])
async def test_an_agent_is_not_rung_for_a_contact_that_is_not_to_be_called_now(
    deed: str, autojump_clock: MockClock
) -> None:
    """It is so decided while the agent's call waits in line for a DID, which is free soon after."""

    def choose(request: CallRequest, _before: int) -> CallScript:
        return CallScript(talk_s=7.0)

    multicast = flow(id="flw_m", calls_list="lst_m", definition=LONG)
    store, told = await furnished([first(), multicast], [did(channels=1)])
    async with office(choose, first(), store=store, told=told) as one:
        await fill_did(one)
        await one.call("cnt_x", agent=AGENT)
        await trio.sleep(1)
        engine = one.world.engine
        match deed:
            case "cancel":
                await engine.cancel_contact("acc_1", "cnt_x")
            case "reschedule":
                later = {"starttime": rfc3339(one.world.clock.now() + 7_200)}
                await engine.rescheduling.change_contact("acc_1", "cnt_x", later)
            case _:
                await engine.pause_list("acc_1", one.flow.calls_list)
        await trio.sleep(1_000)
        assert one.world.telephony.up == 0
        assert ring_times(one) == []


async def test_no_agent_is_rung_for_a_call_that_comes_to_a_list_which_is_paused(
    autojump_clock: MockClock,
) -> None:
    async with office(answering(), first()) as one:
        await one.world.engine.pause_list("acc_1", one.flow.calls_list)
        await one.call("cnt_x", agent=AGENT)
        await trio.sleep(200)
        assert await code_of(one, "cnt_x") == "list_paused"
        assert ring_times(one) == []
        await one.world.engine.resume_list("acc_1", one.flow.calls_list)
        await one.until_told("contact.completed", 1)
        assert len(ring_times(one)) == 1


async def test_an_engine_that_is_being_stopped_rings_no_agent_whose_customer_it_would_not_call(
    autojump_clock: MockClock,
) -> None:
    """The agent's call waits in line for a DID, which is free soon after."""

    def choose(request: CallRequest, _before: int) -> CallScript:
        return CallScript(talk_s=7.0)

    multicast = flow(id="flw_m", calls_list="lst_m", definition=LONG)
    store, told = await furnished([first(), multicast], [did(channels=1)])
    async with office(choose, first(), store=store, told=told, drain_s=60.0) as one:
        await fill_did(one)
        await one.call("cnt_x", agent=AGENT)
        await trio.sleep(1)
    assert [is_agent(call.request) for call in one.world.telephony.dialed] == [False]
    assert (await one.contact("cnt_x")).state == "open"


async def test_of_many_agents_who_are_held_only_so_many_are_let_before_the_dids_as_these_may_call(
    autojump_clock: MockClock,
) -> None:
    """A crowd before a DID that lets one call a second go costs more with each that stands there."""
    slow = did(cps=1, channels=5_000)
    async with office(answering(5.0), first(), dids=[slow]) as one:
        await one.world.engine.dids.rest(None, slow.number, {"for_s": 3_600})
        for place in range(100):
            await one.call(f"cnt_{place}", agent=f"{AGENT_PREFIX}8{place:03}")
        await trio.sleep(20)
        held = one.world.engine._errands.held
        assert held.count == 100
        await one.world.engine.dids.resume(None, slow.number)
        await trio.sleep(LOOK_S)
        assert held.count == 100 - OFFERED_LEAST
        waiting = await one.contact("cnt_99")
        [blocker] = await one.world.engine.explain([waiting])
        assert blocker is not None
        assert blocker.code == "did_cps"
        await one.until(lambda: len(ring_times(one)) == 100, 300)
