"""Some runs of a case, and what they tell together. `forecast_case` is what a worker process does."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from statistics import NormalDist
from typing import Final

import msgspec
from msgspec import Struct

from engine.forecast.alone import narrowed
from engine.forecast.case import Case, Limit
from engine.forecast.chance import Seeded
from engine.forecast.simulate import Happened, Simulation, TooManySteps
from engine.model import BlockerCode

RUNS: Final = 40
"""Of 40 runs, 39 of 41 further ones end between the first and the last."""
RUNS_LEAST: Final = 4
WITHOUT_RUNS: Final = 3
"""Runs without the bottleneck."""
STEPS_TOLD: Final = 400
"""Steps in which a list's calls are let happen, where they were made at a stretch."""
STEP_S_MIN: Final = 0.5
STEP_S_MAX: Final = 60.0
STEPS_MAX: Final = 40_000
"""Of one run; one that needs more is made in steps that are longer by `COARSER`."""
COARSER: Final = 4.0
COARSER_MAX: Final = 4
EFFORT_TOGETHER: Final = 1_000_000
"""Of all runs: fewer are made where each is long, and the range is made as wide as `RUNS` would have it."""
MARGIN: Final = 0.01
MARGIN_S: Final = 10.0
"""By what share of the time that is not spent waiting for a window or a start time, and by how much more, the
range is wider than what the runs show: so close they come to the engine itself."""
GIVEN: Final[tuple[BlockerCode, ...]] = ("calling_window", "starttime")
POINTS_MAX: Final = 48
"""Of the channels over time."""


class Told(Struct, frozen=True):
    """What the runs tell. Moments are seconds since the epoch."""

    ends_at: float | None
    """The end in the middle of all; None where it is in no sight."""
    earliest_at: float | None
    latest_at: float | None
    """None also where some runs had no end in sight."""
    attempts: int
    """On an average."""
    bottleneck: BlockerCode | None
    """What held contacts back for the longest; None where nothing did."""
    held_s: dict[BlockerCode, float]
    """For how long what held contacts back, on an average."""
    without_at: float | None
    """The end without that."""
    channels: tuple[tuple[float, float], ...]
    """(moment, calls at once from then on), rising."""
    runs: int


def forecast_case(encoded: bytes, seed: int) -> bytes:
    """A `Case` as MessagePack to a `Told`."""
    case = msgspec.msgpack.decode(encoded, type=Case)
    return msgspec.msgpack.encode(tell(case, seed))


def tell(case: Case, seed: int) -> Told:
    """Let a case happen again and again."""
    runner = _Runner(case, seed)
    first = runner.run(None)
    count = min(RUNS, max(RUNS_LEAST, EFFORT_TOGETHER // max(1, first.effort)))
    runs = [first, *(runner.run(None) for _ in range(count - 1))]
    held: defaultdict[BlockerCode, float] = defaultdict(float)
    for one in runs:
        for code, held_s in one.held_s.items():
            held[code] += held_s / count
    bottleneck = max(held, key=lambda code: held[code], default=None)
    ends = _ends(runs)
    middle = ends[count // 2]
    without_at = None
    if bottleneck is not None:
        freed = _ends([runner.run(bottleneck) for _ in range(WITHOUT_RUNS)])
        # Where it would change next to nothing, chance could make it seem to help.
        without_at = _moment(case, min(middle, freed[len(freed) // 2]))
    first_s, last_s = _span(ends)
    given_s = sum(held.get(code, 0.0) for code in GIVEN)
    return Told(
        ends_at=_moment(case, middle),
        earliest_at=_moment(case, max(0.0, first_s - _margin(first_s - given_s))),
        latest_at=_moment(case, last_s + _margin(last_s - given_s)),
        attempts=round(sum(one.attempts for one in runs) / count),
        bottleneck=bottleneck,
        held_s=dict(sorted(held.items(), key=lambda one: -one[1])),
        without_at=without_at,
        channels=_thin(case.now, _nearest(runs, middle).channels),
        runs=count,
    )


class _Runner:
    """Makes runs of one case, in steps that are as short as they may be."""

    def __init__(self, case: Case, seed: int) -> None:
        self._case = narrowed(case)
        self._chance = Seeded(seed)
        self._step_s = step_of(case)
        self._endless: dict[BlockerCode | None, Happened] = {}
        """Runs that needed too many steps, however long, by what was lifted: others would need them, too."""

    def run(self, lifted: BlockerCode | None) -> Happened:
        if lifted in self._endless:
            return self._endless[lifted]
        for _ in range(COARSER_MAX):
            chance = Seeded(self._chance.getrandbits(64))
            try:
                return Simulation(self._case, chance, self._step_s, STEPS_MAX, lifted).run()
            except TooManySteps as too_many:
                self._step_s *= COARSER
                so_far = too_many.so_far
        endless = msgspec.structs.replace(so_far, effort=EFFORT_TOGETHER)
        self._endless[lifted] = endless
        return endless


def step_of(case: Case) -> float:
    """How long the steps of a run are: the shorter, the sooner the list may be done."""
    flow = case.flows[case.streams[0].flow]
    contacts = sum(one.count for one in case.streams[0].cohorts)
    hold_s = max(1.0, flow.behaviour.mean_hold_s)
    groups = [case.groups[group] for group in flow.groups]
    trunks = {one.trunk for one in groups}
    parties = [
        sum(_pace_of(one.limit, hold_s) for one in groups),
        sum(_pace_of(case.trunks[one], hold_s) for one in trunks),
        *(_pace_of(one, hold_s) for one in (flow.limit, case.account, case.engine)),
    ]
    pace = max(1e-6, min(parties))
    return min(STEP_S_MAX, max(STEP_S_MIN, contacts / pace / STEPS_TOLD))


def _pace_of(limit: Limit, hold_s: float) -> float:
    """Calls a second, over a long time."""
    by_rate = min((one.calls / one.per_s for one in limit.rates), default=1e9)
    return min(by_rate, (limit.channels or 1e9) / hold_s)


def _ends(runs: Sequence[Happened]) -> list[float]:
    return sorted(math.inf if one.ended_s is None else one.ended_s for one in runs)


def _span(ends: Sequence[float]) -> tuple[float, float]:
    """The first and the last of some ends, as far apart as of `RUNS` ends that are spread as these are."""
    middle = ends[len(ends) // 2]
    if len(ends) >= RUNS or math.isinf(middle):
        return ends[0], ends[-1]
    wider = _extreme(RUNS) / _extreme(len(ends))
    return middle - wider * (middle - ends[0]), middle + wider * (ends[-1] - middle)


def _extreme(count: int) -> float:
    """How far the largest of so many normal draws lies from their mean, in deviations (Blom, 1958)."""
    return NormalDist().inv_cdf((count - 0.375) / (count + 0.25))


def _moment(case: Case, second: float) -> float | None:
    return None if math.isinf(second) else case.now + second


def _margin(second: float) -> float:
    return 0.0 if math.isinf(second) else MARGIN * max(0.0, second) + MARGIN_S


def _nearest(runs: Sequence[Happened], middle: float) -> Happened:
    if math.isinf(middle):
        return runs[0]
    ended = [one for one in runs if one.ended_s is not None]
    return min(ended, key=lambda one: abs((one.ended_s or 0.0) - middle))


def _thin(now: float, channels: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """As many points as are told, each with the average of those it stands for."""
    group = max(1, math.ceil(len(channels) / POINTS_MAX))
    parts = [channels[at : at + group] for at in range(0, len(channels), group)]
    return tuple(
        (now + part[0][0], round(sum(up for _, up in part) / len(part), 1)) for part in parts
    )
