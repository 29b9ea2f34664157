"""`ramp`: the highest rate of calls that the engine sustains: 99 % begin within 100 ms of their time, by the
callee's clock, and every one is answered and committed as such.

The rate is doubled until it does not hold, then the space between is halved, and again. The callee is sipp,
and the flow hangs up at the answer. A first step that nothing is made of warms the engine up.
"""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from msgspec import Struct

from bench.installation import find_sipp, make_config, make_flow, open_installation
from bench.scenario import Measurement, Scenario, Show, Size
from bench.timed import BYE, Sustained, describe, open_logging_sipp, sustain

DIDS: Final = 10
HEADROOM: Final = 2.0
"""The DIDs and the trunk allow so much more than the highest step: they are not what is measured."""
WARM_UP: Final = (20, 20)
"""Calls, and how many a second."""


class Search(Struct, frozen=True):
    """How the rate is looked for."""

    lowest_cps: float
    highest_cps: float
    step_s: float
    """How long each rate is held."""
    near_share: float
    """The search ends where the lowest that does not hold is no further above the highest that does."""
    steps_max: int


SEARCHES: Final[dict[Size, Search]] = {
    "quick": Search(25, 1_600, 1.5, 0.35, 5),
    "full": Search(100, 6_400, 15.0, 0.05, 16),
}


async def run(size: Size, show: Show) -> Measurement:
    """The rate, and every step on the way to it."""
    if find_sipp() is None:
        show("left out: it needs sipp as the callee (Debian: sip-tester)")
        return Measurement("ramp", {})
    return await measure(SEARCHES[size], show)


async def measure(
    search: Search, show: Show, callee: tuple[str, ...] = ("-sn", "uas")
) -> Measurement:
    """The same with any search, and any sipp.

    Args:
        callee: sipp's arguments.
    """
    with tempfile.TemporaryDirectory(prefix="callwheel-bench-") as name:
        folder = Path(name)
        async with open_logging_sipp(folder, callee) as (port, log):
            cps = round(search.highest_cps * HEADROOM)
            config = make_config(folder / "data", f"sip:127.0.0.1:{port}", cps=cps)
            async with open_installation(folder, config) as engine:
                dids = {f"+1415555{n:04}": cps / DIDS for n in range(DIDS)}
                flow = await make_flow(engine.client, dids, definition=BYE)
                await sustain(engine, flow, log, (*WARM_UP, 0), show)
                first = WARM_UP[0]

                async def hold(cps: float) -> Sustained:
                    nonlocal first
                    calls = max(1, round(cps * search.step_s))
                    step = await sustain(engine, flow, log, (calls, cps, first), show)
                    first += calls
                    show(describe(step))
                    return step

                steps = await find_rate(search, hold)
    return Measurement("ramp", figures_of(steps))


async def find_rate(
    search: Search, hold: Callable[[float], Awaitable[Sustained]]
) -> list[Sustained]:
    """Double, then halve the space between: every step that was tried, in that order."""
    steps: list[Sustained] = []
    good, bad = 0.0, float("inf")
    cps = search.lowest_cps
    while len(steps) < search.steps_max:
        steps.append(await hold(cps))
        good, bad = (cps, bad) if steps[-1].holds else (good, cps)
        if good >= search.highest_cps or bad <= search.lowest_cps:
            break
        if good and bad <= good * (1 + search.near_share):
            break
        cps = min(good * 2, search.highest_cps) if bad == float("inf") else (good + bad) / 2
    return steps


def best_of(steps: list[Sustained]) -> Sustained | None:
    """The highest step that holds."""
    return max((one for one in steps if one.holds), key=lambda one: one.cps, default=None)


def figures_of(steps: list[Sustained]) -> dict[str, float]:
    """The highest step that holds, and beside it each step by its number."""
    best = best_of(steps)
    failed = [one.cps for one in steps if not one.holds]
    figures = {
        "sustained_cps": best.cps if best is not None else 0.0,
        "first_not_held_cps": min(failed, default=0.0),
        "steps": float(len(steps)),
    }
    if best is not None:
        figures |= {name: value for name, value in best.figures().items() if name != "cps"}
    for number, one in enumerate(steps, 1):
        figures |= {f"step{number}_{name}": value for name, value in one.figures().items()}
    return figures


SCENARIO = Scenario("ramp", "the highest rate of calls that all begin in time, none lost", run)
