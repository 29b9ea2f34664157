"""Of those who ask something of one agent at once, one is heard after the other."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from engine.control.staffing import Staffing
from engine.ids import IdSource
from engine.model.agent import Agent
from tests.engine.made import EPOCH, flow
from tests.engine.world import VirtualClock

ANNA = Agent("agt_1", "acc_1", "flw_1", "+12125550100", "Anna", None, "away", EPOCH, EPOCH)
FLOW = flow(kind="dialer")
ANSWER_S = 1.0


class _Store:
    """Answers after a while, and knows how many it is asked by at once."""

    def __init__(self) -> None:
        self.asking = 0
        self.most_asking = 0
        self.on_answer: Callable[[], None] = lambda: None

    async def change_agent(self, *_args: Any) -> Agent:
        self.asking += 1
        self.most_asking = max(self.most_asking, self.asking)
        await trio.sleep(ANSWER_S)
        self.asking -= 1
        self.on_answer()
        return ANNA


class _AtWork:
    """Takes everything."""

    def refresh(self, _agent: Agent) -> None:
        pass

    def show(self, agent: Agent) -> Agent:
        return agent


async def test_who_gives_up_waiting_for_a_turn_lets_nobody_in_beside_another(
    autojump_clock: MockClock,
) -> None:
    store: Any = _Store()
    at_work: Any = _AtWork()
    clock = VirtualClock()
    staffing = Staffing(store=store, clock=clock, ids=IdSource(clock, Random(1)), at_work=at_work)
    gives_up = trio.CancelScope()

    async def change(times: int = 1) -> None:
        for _ in range(times):
            await staffing.change_agent(FLOW, ANNA.id, {"name": "Anne"})

    async def change_and_give_up() -> None:
        with gives_up:
            await change()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(change, 2)
        await wait_all_tasks_blocked()
        nursery.start_soon(change_and_give_up)
        await wait_all_tasks_blocked()
        # In the very step in which the first turn ends, and the next one begins.
        store.on_answer = gives_up.cancel
        await trio.sleep(1.5 * ANSWER_S)
        nursery.start_soon(change)
    assert store.most_asking == 1
    assert not staffing._turns
