"""The judge: looks at a run from outside, by the carrier's log, the commits and what the store holds at the
end, and says which promise was broken. It shares no code with what it judges."""

from __future__ import annotations

from sim.world.judge.case import Breach, Case
from sim.world.judge.contacts import judge_contacts
from sim.world.judge.deliveries import judge_deliveries
from sim.world.judge.events import judge_events
from sim.world.judge.hours import judge_hours
from sim.world.judge.limits import judge_limits
from sim.world.judge.obedience import judge_obedience
from sim.world.judge.rests import judge_rests
from sim.world.judge.starts import judge_starts
from sim.world.run import Run

__all__ = ["Breach", "judge"]


def judge(run: Run) -> list[Breach]:
    """Everything that was broken; nothing where all held."""
    case = Case(run)
    found = [
        *judge_contacts(case),
        *judge_events(case),
        *judge_deliveries(case),
        *judge_hours(case),
        *judge_limits(case),
        *judge_obedience(case),
        *judge_rests(case),
        *judge_starts(case),
    ]
    found += [Breach("a bug of ours", fault) for fault in run.faults]
    return found
