"""`campaign`: a virtual day of an installation in the simulated world, and its judging, in its own process.

The engine is the real one; the store is in memory, the network simulated, and the clock jumps. So this is
what the engine's own work costs, and how much faster than time a campaign can be looked at beforehand.
"""

from __future__ import annotations

import sys
from time import perf_counter, process_time
from typing import Final

import msgspec
import trio

from bench.processes import peak_own_mb
from bench.scenario import Measurement, Scenario, Show, Size
from sim.world.judge import judge
from sim.world.plan import draw_plan
from sim.world.run import run_plan

HOURS: Final = 24.0
SEED: Final = 1
SIZES: Final[dict[Size, int]] = {"quick": 2_000, "full": 10_000}
"""Contacts: more take as much longer, and more memory; `python -m bench.campaign N` measures any number."""


async def run(size: Size, show: Show) -> Measurement:
    """Seconds of CPU and mebibytes for a day of so many contacts, with the judge who reads along."""
    contacts = SIZES[size]
    show(f"a virtual day with {contacts:,} contacts")
    command = [sys.executable, "-m", "bench.campaign", str(contacts)]
    done = await trio.run_process(command, capture_stdout=True)
    metrics: dict[str, float] = msgspec.json.decode(done.stdout, type=dict[str, float])
    assert metrics["promises_broken_count"] == 0, "the judge found a promise broken"
    return Measurement("campaign", metrics)


def measure(contacts: int) -> dict[str, float]:
    """The figures of one day, in this process."""
    plan = draw_plan(SEED, contacts, HOURS)
    begun, cpu_begun = perf_counter(), process_time()
    day = run_plan(plan)
    ran, cpu_ran = perf_counter(), process_time()
    return {
        "contacts": contacts,
        "dids": len(plan.dids),
        "attempts": day.summary.attempts,
        "open_contacts_count": contacts - day.summary.completed,
        "promises_broken_count": len(judge(day)),
        "day_s": ran - begun,
        "day_cpu_s": cpu_ran - cpu_begun,
        "cpu_us_per_attempt": (cpu_ran - cpu_begun) / day.summary.attempts * 1e6,
        "memory_mb": peak_own_mb(),
    }


SCENARIO = Scenario("campaign", "a virtual day in the simulated world, and its judge", run)

if __name__ == "__main__":
    print(msgspec.json.encode(measure(int(sys.argv[1]))).decode())
