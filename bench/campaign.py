"""`campaign`: a virtual day of an installation in the simulated world, and its judging, in its own process.

The engine is the real one; the store is in memory, the network simulated, and the clock jumps. So this is
what the engine's own work costs, and how much faster than time a campaign can be looked at beforehand.

Usage: `python -m bench.campaign CONTACTS`, which says each hour of the day how far it has come.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import perf_counter, process_time
from typing import Final

import msgspec
import trio

from bench.processes import peak_own_mb
from bench.scenario import Measurement, Scenario, Show, Size
from sim.world.judge import judge
from sim.world.plan import draw_plan
from sim.world.run import World, run_plan
from sim.world.tape import Answered, Entry

HOURS: Final = 24.0
HOUR_S: Final = 3600.0
BREACHES_SHOWN: Final = 10
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


class Hourly:
    """Tells each hour of the day how far it has come: a day of a million contacts takes long."""

    def __init__(self, world: World) -> None:
        self._summary = world.summary
        self._contacts = 0
        self._next_at = 0.0

    def read(self, entry: Entry) -> None:
        """The next thing that was seen."""
        if isinstance(entry, Answered):
            self._contacts += entry.accepted
        if entry.at < self._next_at:
            return
        self._next_at = entry.at - entry.at % HOUR_S + HOUR_S
        print(
            f"hour {entry.at / HOUR_S:4.1f}: {self._contacts:,} contacts taken, "
            f"{self._summary.completed:,} completed by {self._summary.attempts:,} attempts; "
            f"{process_time():,.0f} s of the processor, {peak_own_mb():,.0f} MB",
            file=sys.stderr,
            flush=True,
        )


def _tell_hourly(world: World) -> None:
    world.tape.readers.append(Hourly(world).read)


def measure(contacts: int, watch: Callable[[World], None] | None = None) -> dict[str, float]:
    """The figures of one day, in this process; whatever they are. `watch` is shown the world before it
    begins."""
    plan = draw_plan(SEED, contacts, HOURS)
    begun, cpu_begun = perf_counter(), process_time()
    day = run_plan(plan, watch)
    ran, cpu_ran = perf_counter(), process_time()
    for breach in judge(day)[:BREACHES_SHOWN]:
        print(f"broken: {breach.promise}: {breach.what}", file=sys.stderr)
    return {
        "contacts": contacts,
        "dids": len(plan.dids),
        "attempts": day.summary.attempts,
        "open_contacts_count": contacts - day.summary.completed,
        "promises_broken_count": len(judge(day)),
        "day_s": ran - begun,
        "day_cpu_s": cpu_ran - cpu_begun,
        "cpu_us_per_attempt": (cpu_ran - cpu_begun) / max(1, day.summary.attempts) * 1e6,
        "memory_mb": peak_own_mb(),
    }


SCENARIO = Scenario("campaign", "a virtual day in the simulated world, and its judge", run)

if __name__ == "__main__":
    print(msgspec.json.encode(measure(int(sys.argv[1]), _tell_hourly)).decode())
