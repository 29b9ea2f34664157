"""What the names of figures say of them, and what several runs of one come to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from statistics import median
from typing import Final, Literal

from bench.scenario import Measurement, Run

Better = Literal["more", "less"]

_LESS: Final = re.compile(
    r"(?:^|_)(?:us|ms|s|mb|kb|bytes|lost|missed|late|retransmissions|gap|lag|cpu|memory|broken)(?:_|$)"
)
_MORE: Final = re.compile(r"_per_s(?:_|$)|(?:^|_)(?:share|streams)(?:_|$)|_cps(?:_|$)")


def better(name: str) -> Better | None:
    """Whether more or less of a figure is the better, by its name; None where neither is: it only says how
    large the load was."""
    if _MORE.search(name):
        return "more"
    return "less" if _LESS.search(name) else None


def combine(measured: Sequence[Measurement]) -> Measurement:
    """Several runs of one scenario as one: medians, and beside them what each run came to. What is drawn
    over time is the last run's, and so are its limits."""
    last = measured[-1]
    if len(measured) == 1:
        return last
    metrics, floor, ratio = (
        _medians([getattr(one, part) for one in measured]) for part in ("metrics", "floor", "ratio")
    )
    return Measurement(
        name=last.name,
        metrics=metrics,
        floor=floor,
        ratio=ratio,
        machine=last.machine,
        limits=last.limits,
        runs=[Run(one.metrics, one.floor, one.ratio) for one in measured],
        series=last.series,
        processes=last.processes,
    )


def _medians(runs: Sequence[dict[str, float]]) -> dict[str, float]:
    names = dict.fromkeys(name for run in runs for name in run)
    return {name: median(run[name] for run in runs if name in run) for name in names}
