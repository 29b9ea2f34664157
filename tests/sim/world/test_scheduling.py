"""A seed repeats a run to the byte, in this process and in others."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import trio
from trio._core import _run

from sim.world.plan import draw_plan
from sim.world.run import run_plan
from sim.world.scheduling import ClosedClock, NothingComes, run_virtually

SEEDS = (3, 4)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_seed_gives_one_run_to_the_byte(seed: int) -> None:
    first, second = (run_plan(draw_plan(seed)).tape.lines() for _ in range(2))
    assert first == second
    assert len(first) > 20


def test_a_seed_gives_the_same_run_in_another_process_whose_strings_have_other_hashes() -> None:
    script = (
        "from sim.world.plan import draw_plan\n"
        "from sim.world.run import run_plan\n"
        f"print([run_plan(draw_plan(seed)).tape.digest() for seed in {SEEDS}])"
    )
    expected = str([run_plan(draw_plan(seed)).tape.digest() for seed in SEEDS])
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONHASHSEED": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == expected


def test_another_seed_lets_tasks_go_in_another_order_and_leaves_trio_as_it_was() -> None:
    async def note_order() -> list[int]:
        order: list[int] = []

        async def note(number: int) -> None:
            await trio.lowlevel.checkpoint()
            order.append(number)

        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(note, number)
        return order

    was_repeatable = _run._ALLOW_DETERMINISTIC_SCHEDULING  # pytest-trio may have made it so
    orders = [run_virtually(seed, note_order) for seed in (1, 1, 2)]
    assert orders[0] == orders[1]
    assert orders[0] != orders[2]
    assert was_repeatable == _run._ALLOW_DETERMINISTIC_SCHEDULING


def test_what_happens_within_a_step_happens_together_and_never_early() -> None:
    async def note_times() -> list[float]:
        seen: list[float] = []

        async def note(after_s: float) -> None:
            await trio.sleep(after_s)
            seen.append(round(trio.current_time(), 6))

        async with trio.open_nursery() as nursery:
            for after_s in (0.01, 0.5, 0.6, 1.0, 1.01):
                nursery.start_soon(note, after_s)
        return sorted(seen)

    assert run_virtually(1, note_times) == [0.01, 0.5, 0.6, 1.0, 1.01]
    assert run_virtually(1, note_times, step_s=0.5) == [0.5, 0.5, 1.0, 1.0, 1.5]


def test_whoever_waits_for_what_never_comes_is_told_and_a_run_does_not_hang() -> None:
    async def wait() -> str:
        clock = trio.lowlevel.current_clock()
        assert isinstance(clock, ClosedClock)
        await trio.sleep(1)
        assert clock.stuck == []
        try:
            with trio.CancelScope(shield=True):
                await trio.sleep_forever()
        except NothingComes:
            pass
        return f"{clock.stuck} at {trio.current_time()}"

    assert run_virtually(1, wait) == f"['{__name__}.{wait.__qualname__}'] at 1.0"
