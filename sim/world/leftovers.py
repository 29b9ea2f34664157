"""What a process still has when nothing is left to be done: no call, no place in a limit, and no task beyond
those that another process has which never did anything."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from engine.runtime import Engine
    from sim.world.network import WorldNetwork


def find_leftovers(engine: Engine, network: WorldNetwork) -> list[str]:
    """What an engine that has nothing to do holds all the same."""
    now = engine.statistics()
    counts = {
        "calls": now.calls,
        "contacts ready": now.ready,
        "contacts in hand": now.in_hand,
        "calls in the limit of all": now.in_use,
        "calls prepared": len(network.live),
        **{f"calls in the limit of {one.name}": one.in_use for one in now.trunks},
    }
    return [f"{what}: {count}" for what, count in counts.items() if count]


def count_tasks(nursery: trio.Nursery) -> Counter[str]:
    """All tasks of a nursery and below, by name, but for the world's own: those that tell of an outage end
    with it."""
    found: Counter[str] = Counter()
    nurseries = [nursery]
    while nurseries:
        for task in nurseries.pop().child_tasks:
            if not task.name.startswith("sim."):
                found[task.name] += 1
            nurseries += task.child_nurseries
    return found
