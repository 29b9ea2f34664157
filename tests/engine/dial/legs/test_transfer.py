"""Transfers to a number, and what a restart makes of agents and legs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import msgspec
import pytest
import structlog
import trio
from trio.testing import MockClock

from engine.model import Flow, FlowSettings
from engine.ports.telephony import CallRequest, TelephonyUnavailable
from sim.memory_store import MemoryStore
from sim.simulated_call import SimulatedCall
from sim.telephony import CallScript
from tests.engine.dial.office import AGENT_PREFIX, Office, answering, dialer, is_agent, office
from tests.engine.made import flow
from tests.engine.world import people

COLLEAGUE = f"{AGENT_PREFIX}7777"


def transferring(to: str = COLLEAGUE, **node: Any) -> Flow:
    """A multicast flow that transfers at once, and says a prompt of its own after each outcome."""
    nodes: dict[str, Any] = {
        "away": {
            "type": "transfer",
            "to": to,
            "ring_timeout_s": 15,
            "on_answered": "done",
            "on_busy": "busy",
            "on_no_answer": "nobody",
            **node,
        }
    }
    for name in ("done", "busy", "nobody"):
        nodes[name] = {"type": "play", "play": f"prm_{name}", "next": "bye"}
    nodes["bye"] = {"type": "hangup"}
    return flow(definition={"start": "away", "nodes": nodes}, settings=FlowSettings())


def colleague(script: CallScript, talk_s: float | None = 60.0) -> Any:
    """Customers who answer and talk for so long, and a colleague who does as the script says."""

    def choose(request: CallRequest, _before: int) -> CallScript:
        return script if is_agent(request) else CallScript(talk_s=talk_s)

    return choose


async def transfer(one: Office) -> dict[str, list[str]]:
    """One customer, to the end; what each number heard."""
    await one.world.add_list(people(1))
    await one.world.wait_done()
    return {call.request.number: call.played for call in one.world.telephony.dialed}


CUSTOMER = people(1)[0].tel[0]


async def test_a_transfer_connects_with_hold_and_whisper_and_goes_on_after_it(
    autojump_clock: MockClock,
) -> None:
    one_flow = transferring(whisper={"play": "prm_whisper"}, hold={"play": "prm_hold"})
    script = CallScript(final_after_s=8.0, talk_s=25.0)
    async with office(colleague(script, talk_s=None), one_flow) as one:
        heard = await transfer(one)
        assert heard[COLLEAGUE] == ["prm_whisper"]
        assert set(heard[CUSTOMER][:-1]) == {"prm_hold"}
        assert heard[CUSTOMER][-1] == "prm_done"
        [attempt] = await one.attempts()
        assert (attempt.disposition, attempt.agent, attempt.abandoned) == ("answered", None, None)
        [leg] = await one.world.store.legs_of("acc_1", attempt.id)
        assert (leg.number, leg.did, leg.outcome) == (COLLEAGUE, attempt.did, "answered")
        assert one.world.telephony.up == 0


@pytest.fixture
def refuse_bridges(monkeypatch: pytest.MonkeyPatch) -> None:
    """The media plane joins no two calls."""

    async def bridge(_call: SimulatedCall, _other: object) -> None:
        await trio.lowlevel.checkpoint()
        raise TelephonyUnavailable("The media plane is full.")

    monkeypatch.setattr(SimulatedCall, "bridge", bridge)


def logged(log: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """What the log says beyond what it tells of every call."""
    return [(line["log_level"], line["event"]) for line in log if line["log_level"] != "debug"]


@pytest.mark.usefixtures("refuse_bridges")
async def test_a_colleague_who_answered_and_cannot_be_joined_is_nobodys_answer(
    autojump_clock: MockClock,
) -> None:
    script = CallScript(final_after_s=1.0, talk_s=60.0)
    with structlog.testing.capture_logs() as log:
        async with office(colleague(script), transferring()) as one:
            heard = await transfer(one)
            assert heard[CUSTOMER][-1] == "prm_nobody"
            [attempt] = await one.attempts()
            [leg] = await one.world.store.legs_of("acc_1", attempt.id)
            assert leg.outcome == "answered"
    assert logged(log) == [("error", "two calls that were answered cannot be joined")]


@pytest.mark.usefixtures("refuse_bridges")
@pytest.mark.parametrize("dialing", ["progressive", "preview"])
async def test_a_customer_and_an_agent_who_cannot_be_joined_are_parted_and_the_agent_stays(
    dialing: str, autojump_clock: MockClock
) -> None:
    with structlog.testing.capture_logs() as log:
        async with office(answering(), dialer(dialing=dialing, first="customer")) as one:
            [agent] = await one.seat(1)
            await one.world.add_list(people(1), "lst_1")
            if dialing == "preview":
                shown = await one.at_work.show_next(agent)
                assert shown is not None
                one.at_work.accept(agent, shown.id)
            await one.world.wait_done()
            assert one.at_work.show(agent).presence == "available"
            [attempt] = await one.attempts()
            assert attempt.disposition == "answered"
            assert not attempt.abandoned
    assert logged(log) == [("error", "two calls that were answered cannot be joined")]


async def test_a_customer_who_hangs_up_ends_both(autojump_clock: MockClock) -> None:
    async with office(colleague(CallScript(final_after_s=1.0), 10.0), transferring()) as one:
        heard = await transfer(one)
        assert heard == {CUSTOMER: [], COLLEAGUE: []}
        await trio.sleep(1)
        assert one.world.telephony.up == 0
        [leg] = await one.world.store.legs_of("acc_1", (await one.attempts())[0].id)
        assert leg.outcome == "answered"


@pytest.mark.parametrize(
    ("script", "said", "outcome"),
    [
        (CallScript(code=486), "prm_busy", "busy"),
        (CallScript(code=603), "prm_busy", "busy"),
        (CallScript(code=404), "prm_nobody", "failed"),
        (CallScript(code=302, redirected_to="+14155550111"), "prm_nobody", "failed"),
        (CallScript(final_after_s=None), "prm_nobody", "no_answer"),
    ],
)
async def test_what_becomes_of_the_other_call_decides_where_the_flow_goes(
    autojump_clock: MockClock, script: CallScript, said: str, outcome: str
) -> None:
    async with office(colleague(script), transferring()) as one:
        heard = await transfer(one)
        assert heard == {CUSTOMER: [said], COLLEAGUE: []}
        [leg] = await one.world.store.legs_of("acc_1", (await one.attempts())[0].id)
        assert leg.outcome == outcome


async def test_a_customer_who_hangs_up_while_it_rings_stops_the_other_call(
    autojump_clock: MockClock,
) -> None:
    script = CallScript(final_after_s=14.0)
    async with office(colleague(script, talk_s=5.0), transferring()) as one:
        await transfer(one)
        await trio.sleep(1)
        assert one.world.telephony.up == 0
        [leg] = await one.world.store.legs_of("acc_1", (await one.attempts())[0].id)
        assert leg.outcome == "canceled"


async def test_a_number_that_must_not_be_called_is_nobodys_answer(
    autojump_clock: MockClock,
) -> None:
    async with office(colleague(CallScript()), transferring()) as one:
        await one.world.store.add_do_not_call("acc_1", [COLLEAGUE], None, 0.0)
        assert await transfer(one) == {CUSTOMER: ["prm_nobody"]}


async def test_a_number_where_calls_may_not_go_is_nobodys_answer(
    autojump_clock: MockClock,
) -> None:
    async with office(colleague(CallScript()), transferring(), destinations=("+1415",)) as one:
        assert await transfer(one) == {CUSTOMER: ["prm_nobody"]}


async def test_a_leg_waits_for_a_channel_for_a_while_and_then_gives_up(
    autojump_clock: MockClock,
) -> None:
    narrow = msgspec.structs.replace(transferring(), settings=FlowSettings(channels=1))
    async with office(colleague(CallScript()), narrow) as one:
        assert await transfer(one) == {CUSTOMER: ["prm_nobody"]}
        [attempt] = await one.attempts()
        assert attempt.duration_s == pytest.approx(10.0 + 5.0, abs=0.5)


async def test_after_a_restart_everybody_is_away_and_no_leg_is_open(
    autojump_clock: MockClock,
) -> None:
    async with office(answering(talk_s=600), dialer()) as one:
        agents = await one.seat(2)
        await one.world.add_list(people(1))
        await one.until_told("attempt.connected", 1)
        left = copy_of(one)
    async with office(answering(), one.flow, store=left) as again:
        assert await left.open_legs() == []
        page = await left.list_agents("acc_1", one.flow.id, 10, None)
        assert [agent.presence for agent in page.items] == ["away", "away"]
        assert again.world.telephony.dialed == []
        await trio.sleep(60)
        assert again.world.telephony.dialed == []
        legs = list(left._tables.legs.values())
        assert [leg.outcome for leg in legs] == ["unknown", "unknown"]
        [attempt] = await again.attempts()
        assert attempt.disposition == "unknown"
        await again.set_presence(agents[0], "available")
        assert again.at_work.show(agents[0]).presence == "available"


async def test_an_agent_who_was_being_called_when_the_engine_died_is_not_called_again(
    autojump_clock: MockClock,
) -> None:
    def choose(request: CallRequest, _before: int) -> CallScript:
        return CallScript(final_after_s=15.0)

    async with office(choose, dialer()) as one:
        await one.call("cnt_x", agent=COLLEAGUE)
        await one.until_told("leg.initiated", 1)
        left = copy_of(one)
    async with office(choose, one.flow, store=left) as again:
        await trio.sleep(60)
        assert again.world.telephony.dialed == []
        contact = await again.contact("cnt_x")
        assert (contact.state, contact.disposition) == ("completed", "unknown")


async def test_legs_are_among_the_calls_that_a_restart_finds_in_the_windows(
    autojump_clock: MockClock,
) -> None:
    async with office(answering(talk_s=600), dialer()) as one:
        await one.seat(3)
        await one.world.add_list(people(1))
        await one.until_told("attempt.connected", 1)
        starts = await one.world.store.recent_starts(0)
        assert len(starts) == 4


async def test_a_stopping_engine_lets_idle_agents_go_at_once_and_talks_come_to_their_end(
    autojump_clock: MockClock,
) -> None:
    async with office(answering(talk_s=12.0), dialer()) as one:
        await one.seat(3)
        idle_at = trio.current_time()
    assert trio.current_time() - idle_at < 3
    async with office(answering(talk_s=12.0), dialer()) as one:
        await one.seat(3)
        await one.world.add_list(people(1))
        await one.until_told("attempt.answered", 1)
        talking_at = trio.current_time()
        store = one.world.store
    assert 11 < trio.current_time() - talking_at < 16
    [attempt] = await one.attempts()
    assert (attempt.disposition, attempt.abandoned) == ("answered", False)
    assert await store.open_legs() == []
    assert {agent.presence for agent in store._tables.agents.values()} == {"away"}


def copy_of(one: Office) -> MemoryStore:
    """The store as a crash at this moment would leave it."""
    tables = one.world.store._tables
    copied = MemoryStore(lambda _events: None, tables.clock)
    for name, value in vars(tables).items():
        if name not in ("clock", "_on_events"):
            setattr(copied._tables, name, deepcopy(value))
    return copied
