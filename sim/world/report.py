"""What happened in a run, for a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from engine.model.events import rfc3339
from sim.world.judge import Breach
from sim.world.run import Run

BREACHES_SHOWN: Final = 20


def report(run: Run, breaches: Sequence[Breach]) -> str:
    """A few lines, the verdict last."""
    plan = run.plan
    summary = run.summary
    waiting = Counter(one.wait_code for one in run.contacts if one.disposition is None)
    contacts = summary.completed + waiting.total()
    legs = f", {summary.legs} calls to agents" if summary.legs else ""
    lines = [
        f"seed {plan.seed}: from {rfc3339(plan.epoch)}, {run.ended_at / 3600:.2f} hours",
        f"  {len(plan.flows)} flows, {len(plan.dids)} DIDs, {len(plan.trunks)} trunks,"
        f" {len(run.lists) - len(plan.flows)} lists, {contacts} contacts",
        f"  {summary.attempts} attempts{legs}, {summary.codes.total()} INVITEs: {_count(summary.codes)}",
        f"  contacts: {_count(summary.dispositions + waiting)}",
        f"  {run.processes} processes: {_count(summary.happened)}; {len(plan.outages)} outages,"
        f" {len(plan.disk)} times of trouble with the disk",
        f"  run {run.tape.digest()}",
    ]
    lines += [f"  BROKEN: {one.promise}: {one.what}" for one in breaches[:BREACHES_SHOWN]]
    if len(breaches) > BREACHES_SHOWN:
        lines.append(f"  ... and {len(breaches) - BREACHES_SHOWN} more")
    lines.append(
        "  the judge found every promise kept" if not breaches else "  promises were broken"
    )
    return "\n".join(lines)


def _count(counted: Mapping[Any, int]) -> str:
    return ", ".join(f"{what} {count}" for what, count in sorted(counted.items())) or "none"
