"""Who waits in line goes on by turns, and is woken for nothing else."""

from __future__ import annotations

from math import inf

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from engine.dial.limits.line import BETTER_CHECK_S, FairLine, Patience
from engine.schedule.turns import Claimant

NORMAL, URGENT = Claimant("flw_1", 2), Claimant("flw_2", 0)


class Gate:
    """Opens at a moment, which may be moved."""

    def __init__(self, opens_at: float) -> None:
        self.opens_at = opens_at

    def ask(self, now: float, _patience_s: float) -> float | None:
        return None if now >= self.opens_at else self.opens_at


class StepCounter(trio.abc.Instrument):
    """Counts how often tasks of a name go on."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.steps = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.steps += task.name == self.name


async def test_nobody_is_woken_who_must_go_on_waiting(autojump_clock: MockClock) -> None:
    line, gate, counter = FairLine(), Gate(inf), StepCounter("one who waits")
    trio.lowlevel.add_instrument(counter)
    left_at: list[float] = []

    async def wait() -> None:
        await line.wait(NORMAL, Patience(), gate.ask)
        left_at.append(trio.current_time())

    begun = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait, name="one who waits")
        await wait_all_tasks_blocked()
        for after_s in range(1, 100):
            gate.opens_at = begun + 1_000 - after_s
            line.look_again()
            await trio.sleep(1)
    assert left_at == [gate.opens_at]
    assert counter.steps == 2


async def test_whoever_goes_before_others_is_let_go_first_and_the_next_one_after_that(
    autojump_clock: MockClock,
) -> None:
    line, gate = FairLine(), Gate(trio.current_time() + 10)
    went: list[str] = []

    async def wait(claimant: Claimant) -> None:
        await line.wait(claimant, Patience(), gate.ask)
        went.append(claimant.flow)
        gate.opens_at = trio.current_time() + 10

    begun = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait, NORMAL)
        await trio.sleep(5)
        nursery.start_soon(wait, URGENT)
    assert went == ["flw_2", "flw_1"]
    assert trio.current_time() == begun + 20


async def test_the_next_one_is_let_go_when_the_first_gives_up(autojump_clock: MockClock) -> None:
    line, gate = FairLine(), Gate(trio.current_time() + 10)
    went: list[float] = []

    async def wait(claimant: Claimant, patience_s: float) -> None:
        with trio.move_on_after(patience_s):
            await line.wait(claimant, Patience(), gate.ask)
            went.append(trio.current_time())

    begun = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait, URGENT, 5)
        nursery.start_soon(wait, NORMAL, 50)
    assert went == [begun + 10]


async def test_whoever_gives_up_goes_at_once_and_takes_no_turn(autojump_clock: MockClock) -> None:
    line, gate, patience = FairLine(), Gate(trio.current_time() + 10), Patience()

    async def wait() -> None:
        await line.wait(NORMAL, patience, gate.ask)

    begun = trio.current_time()
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            await trio.sleep(1)
            patience.give_up()
    assert patience.is_over
    await line.wait(URGENT, Patience(), gate.ask)
    assert trio.current_time() == begun + 10


async def test_whoever_has_something_better_to_do_gives_up_at_the_next_look_however_often_things_change(
    autojump_clock: MockClock,
) -> None:
    line, gate = FairLine(), Gate(inf)
    begun = trio.current_time()
    patience = Patience(has_better=lambda: trio.current_time() >= begun + BETTER_CHECK_S + 0.1)
    left_at: list[float] = []

    async def wait() -> None:
        await line.wait(NORMAL, patience, gate.ask)
        left_at.append(trio.current_time())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        for _ in range(10):
            await trio.sleep(0.5)
            line.look_again()
    assert patience.is_over
    assert left_at == [begun + 2 * BETTER_CHECK_S]
