"""A day at a desk: many customers, some agents, and whatever chance makes of both.

What must hold whatever happens: no customer has two agents, no agent two customers, and the share of
abandoned customers stays below its limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from random import Random

import pytest
import trio
from msgspec import Struct
from trio.testing import MockClock

from engine.model import Dialing
from engine.model.agent import Agent
from engine.ports.telephony import CallRequest
from sim.telephony import CallScript
from tests.engine.dial.office import Office, dialer, is_agent, office
from tests.engine.world import people
from tests.sizes import size

AGENTS = 20
CUSTOMERS = size(300, 2_000)
SEEDS = size(1, 100)
ABANDONED_MAX = 0.03
EARLIER = 1_000
"""Calls that were answered before, where a flow has a history."""
SHIFT_S = 600.0
"""After about so long an agent has a break of a fifth of that."""


class Day(Struct, frozen=True):
    """What became of it."""

    answered: int
    abandoned: int
    share_max: float
    """The highest share of abandoned calls there ever was."""
    lasted_s: float
    waiting_share: float
    """Share of the time that agents were there in which they waited for a customer."""


def make_callees(seed: int) -> dict[str, CallScript]:
    """How each customer treats the call."""
    chance = Random(seed)
    scripts = {}
    for contact in people(CUSTOMERS):
        kind = chance.random()
        if kind < 0.5:
            after_s, talk_s = chance.uniform(2, 25), chance.expovariate(1 / 40)
            script = CallScript(final_after_s=after_s, talk_s=talk_s)
        elif kind < 0.85:
            script = CallScript(final_after_s=None)
        else:
            script = CallScript(final_after_s=chance.uniform(1, 5), code=486)
        scripts[contact.tel[0]] = script
    return scripts


async def take_breaks(one: Office, agent: Agent, chance: Random) -> None:
    """Come and go, again and again."""
    while True:
        await trio.sleep(chance.uniform(0.5, 1.5) * SHIFT_S)
        await one.set_presence(agent, "away")
        while one.at_work.show(agent).presence != "away":  # noqa: ASYNC110, it takes virtual minutes
            await trio.sleep(2)
        await trio.sleep(SHIFT_S / 5)
        await one.set_presence(agent, "available")


def judge(one: Office) -> None:
    """No customer with two agents, no agent with two customers."""
    ends = {event["attempt"]: event["time"] for event in one.events("attempt.ended")}
    talks: dict[str, list[tuple[str, str]]] = {}
    customers = set()
    for event in one.events("attempt.connected"):
        assert event["contact"] not in customers
        customers.add(event["contact"])
        talks.setdefault(event["data"]["agent"], []).append((event["time"], ends[event["attempt"]]))
    for spans in talks.values():
        spans.sort()
        for (_, end), (begin, _) in pairwise(spans):
            assert end <= begin


def highest_share(one: Office, earlier: int) -> float:
    """The highest share of abandoned customers among those who had answered by then."""
    outcomes = [
        event["type"] == "attempt.abandoned"
        for event in one.told
        if event["type"] in ("attempt.connected", "attempt.abandoned")
    ]
    highest, abandoned = 0.0, 0
    for answered, is_abandoned in enumerate(outcomes, earlier + 1):
        abandoned += is_abandoned
        highest = max(highest, abandoned / answered)
    return highest


def share_of_waiting(one: Office) -> float:
    """The share of the time that agents were there in which they waited for a customer."""
    waited_s = there_s = 0.0
    since: dict[str, tuple[float, str]] = {}
    for event in one.events("agent.presence"):
        agent, at = event["data"]["agent"], datetime.fromisoformat(event["time"]).timestamp()
        begun_at, presence = since.get(agent, (at, "away"))
        there_s += (at - begun_at) * (presence != "away")
        waited_s += (at - begun_at) * (presence == "available")
        since[agent] = at, event["data"]["presence"]
    return waited_s / there_s


async def spend_day(seed: int, dialing: Dialing, earlier: int) -> Day:
    """All customers, once; what became of them."""
    callees = make_callees(seed)
    chance = Random(seed + 1_000_000)

    def choose(request: CallRequest, _before: int) -> CallScript:
        return CallScript(final_after_s=1.0) if is_agent(request) else callees[request.number]

    flow = dialer(
        dialing=dialing, power_ratio=2.5, abandoned_max=ABANDONED_MAX, wrap_up_s=5, attempts_max=1
    )
    async with office(choose, flow, earlier=earlier) as one:
        agents = await one.seat(AGENTS)
        begun = trio.current_time()
        await one.world.add_list(people(CUSTOMERS))
        async with trio.open_nursery() as nursery:
            for agent in agents:
                nursery.start_soon(take_breaks, one, agent, Random(chance.random()))
            await one.world.wait_done(poll_s=10)
            nursery.cancel_scope.cancel()
        judge(one)
        assert len(one.events("attempt.initiated")) == CUSTOMERS
        stored = await one.world.store.answer_days(0)
        tally = one.at_work.look_at_floor(flow.id).tally
        assert sum(day.answered for day in stored) == tally.answered
        assert sum(day.abandoned for day in stored) == tally.abandoned
        return Day(
            answered=tally.answered - earlier,
            abandoned=tally.abandoned,
            share_max=highest_share(one, earlier),
            lasted_s=trio.current_time() - begun,
            waiting_share=share_of_waiting(one),
        )


def run_day(seed: int, dialing: Dialing, earlier: int = 0) -> Day:
    """One day under virtual time, of a flow that so many have answered before."""
    return trio.run(spend_day, seed, dialing, earlier, clock=MockClock(autojump_threshold=0))


@pytest.mark.timeout(120 * SEEDS)
def test_customers_meet_agents_one_by_one_and_few_meet_nobody(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A flow that has no history: it has to earn every call beyond its free agents."""
    days = [run_day(seed, "power") for seed in range(SEEDS)]
    with capsys.disabled():
        print(f"\npower, {SEEDS} seeds: {describe(days)}")
    assert all(day.share_max < ABANDONED_MAX for day in days)
    assert all(day.answered > CUSTOMERS / 3 for day in days)


@pytest.mark.timeout(240)
def test_agents_wait_less_where_power_is_allowed(capsys: pytest.CaptureFixture[str]) -> None:
    """A flow that has dialled for a while, so that some customers may meet nobody."""
    by_power, by_agents = (run_day(1, dialing, EARLIER) for dialing in ("power", "progressive"))
    with capsys.disabled():
        print(f"\npower, with a history: {describe([by_power])}")
        print(f"progressive: {describe([by_agents])}")
    assert by_agents.abandoned == 0
    assert by_power.share_max < ABANDONED_MAX
    assert by_power.waiting_share < by_agents.waiting_share


def describe(days: Sequence[Day]) -> str:
    """In words."""
    waiting = sorted(day.waiting_share for day in days)
    return (
        f"agents wait {waiting[len(waiting) // 2]:.1%} of their time "
        f"({waiting[0]:.1%} to {waiting[-1]:.1%}), abandoned at most "
        f"{max(day.share_max for day in days):.2%}, {CUSTOMERS} customers are called in "
        f"{sum(day.lasted_s for day in days) / len(days) / 60:.0f} min"
    )
