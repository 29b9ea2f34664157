"""Virtual time goes on to what is next, be it a deadline of trio's or an alarm."""

from __future__ import annotations

import math

import trio

from sim.virtual_clock import VirtualClock


def _note_moments(clock: VirtualClock, alarms: list[float]) -> list[float]:
    """When deadlines after 0.25 s and 2 s and these alarms come up, in their order."""
    seen: list[float] = []

    async def sleep(until: float) -> None:
        await trio.sleep_until(until)
        seen.append(trio.current_time())

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for at in alarms:
                clock.set_alarm(at, lambda: seen.append(trio.current_time()))
            nursery.start_soon(sleep, 0.25)
            nursery.start_soon(sleep, 2.0)

    trio.run(main, clock=clock)
    return seen


def test_deadlines_and_alarms_come_in_the_order_of_their_moments() -> None:
    assert _note_moments(VirtualClock(), [1.0, 0.5, math.inf]) == [0.25, 0.5, 1.0, 2.0]


def test_what_lies_within_a_step_comes_at_its_end() -> None:
    assert _note_moments(VirtualClock(0.75), [1.0, 0.5]) == [0.75, 0.75, 1.5, 2.25]


def test_an_alarm_that_is_past_rings_as_soon_as_no_task_can_go_on() -> None:
    assert _note_moments(VirtualClock(), [-1.0]) == [0.0, 0.25, 2.0]


def test_an_alarm_that_was_called_off_does_not_ring_and_holds_nobody_up() -> None:
    clock = VirtualClock()
    clock.set_alarm(1.0, lambda: 1 / 0).call_off()
    assert _note_moments(clock, []) == [0.25, 2.0]
