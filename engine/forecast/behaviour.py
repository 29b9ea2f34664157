"""What calls of a flow come to: by those that were seen, by what somebody states, or as calls usually do."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from engine.forecast.case import QUANTILES, Behaviour, Ending
from engine.form import Mistake, read_form, require
from engine.model.disposition import Disposition

SEEN_MAX: Final = 5_000
"""Calls of a flow that have ended, the latest, by which it is told what its calls come to."""
USUAL_WEIGHT: Final = 25.0
"""As many calls what usually happens counts for beside what was seen …"""
ENOUGH_SEEN: Final = 200
"""… where fewer were seen than these."""

Share = Annotated[float, Meta(ge=0, le=1)]
Seconds = Annotated[float, Meta(ge=0, le=14_400)]
RatesFrom = Literal["stated", "seen", "usual"]
"""Where a forecast has from what calls come to."""


class SeenCall(Struct, frozen=True, gc=False):
    """A call that has ended, or goes on."""

    disposition: Disposition | None
    """None of one that goes on."""
    hold_s: float
    """From its intent to its end, or until now."""


class Stated(Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody expects of the calls of a list; what is left out is as it was seen, or as usual."""

    answer_rate: Share | None = None
    """Share of calls that a person or a machine answers."""
    machine_rate: Share | None = None
    """Share of those that machines answer."""
    busy_rate: Share | None = None
    """Share of all calls that are busy."""
    talk_s: Seconds | None = None
    """How long a call lasts from its answer on, on an average."""
    ring_s: Seconds | None = None
    """How long it rings until it is answered, on an average."""

    @property
    def says_something(self) -> bool:
        """Whether anything is stated."""
        return any(getattr(self, name) is not None for name in self.__struct_fields__)


class Usual(Struct, frozen=True):
    """What is taken for granted of one disposition where nothing was seen."""

    share: float
    hold_s: float


USUAL: Final[dict[Disposition, Usual]] = {
    "answered": Usual(0.45, 35.0),
    "machine": Usual(0.15, 35.0),
    "no-answer": Usual(0.25, 45.0),
    "busy": Usual(0.07, 2.0),
    "declined": Usual(0.03, 12.0),
    "invalid-number": Usual(0.03, 2.0),
    "failed": Usual(0.02, 2.0),
}
"""Of consumers who are called in the day: what the carriers of `sim.profile` do is much like it."""
USUAL_RING_S: Final = 12.0
UNREACHED: Final = ("busy", "no-answer")


def read_stated(raw: Any) -> Stated:
    """What JSON brought. Raises `Invalid("invalid_body")`, also where the shares of all calls are more than
    all calls."""
    stated = read_form(raw, Stated)
    if (stated.answer_rate or 0.0) + (stated.busy_rate or 0.0) > 1:
        detail = (
            "`answer_rate` and `busy_rate` are shares of all calls: together they are at most 1."
        )
        require([Mistake("/busy_rate", "invalid_value", detail)])
    return stated


def usual_behaviour(ring_timeout_s: float) -> Behaviour:
    """What calls come to of which nothing is known."""
    endings = [
        Ending(what, USUAL_WEIGHT * one.share, _spread(_hold(what, one.hold_s, ring_timeout_s)))
        for what, one in USUAL.items()
    ]
    return Behaviour(tuple(endings))


def seen_behaviour(seen: Iterable[SeenCall], ring_timeout_s: float) -> Behaviour:
    """What calls come to after such calls were seen."""
    by_kind_seen: defaultdict[Disposition, list[tuple[float, float]]] = defaultdict(list)
    for disposition, hold_s, weight in _weighed(seen):
        by_kind_seen[disposition].append((hold_s, weight))
    endings = [
        Ending(what, sum(weight for _, weight in some), _quantiles(some))
        for what, some in by_kind_seen.items()
    ]
    if sum(one.weight for one in endings) >= ENOUGH_SEEN:
        return Behaviour(tuple(endings))
    by_kind = {one.disposition: one for one in endings}
    for usual in usual_behaviour(ring_timeout_s).endings:
        known = by_kind.get(usual.disposition)
        known_holds = usual.holds_s if known is None else known.holds_s
        weight = usual.weight + (0.0 if known is None else known.weight)
        by_kind[usual.disposition] = Ending(usual.disposition, weight, known_holds)
    return Behaviour(tuple(by_kind.values()))


def stated_behaviour(stated: Stated, otherwise: Behaviour) -> Behaviour:
    """What calls come to as somebody states, and in all that is not stated as it is otherwise."""
    whole = sum(one.weight for one in otherwise.endings)
    shares = {one.disposition: one.weight / whole for one in otherwise.endings}
    holds = {one.disposition: one.holds_s for one in otherwise.endings}
    _state_shares(shares, stated)
    if stated.talk_s is not None or stated.ring_s is not None:
        ring_s = USUAL_RING_S if stated.ring_s is None else stated.ring_s
        for what in ("answered", "machine"):
            mean_s = (
                sum(holds[what]) / len(holds[what]) if what in holds else USUAL["answered"].hold_s
            )
            talk_s = max(0.0, mean_s - ring_s) if stated.talk_s is None else stated.talk_s
            holds[what] = _spread(ring_s + talk_s)
    for what, usual in USUAL.items():
        holds.setdefault(what, _spread(usual.hold_s))
    return Behaviour(
        tuple(Ending(what, share, holds[what]) for what, share in shares.items()), is_exact=True
    )


def _state_shares(shares: dict[Disposition, float], stated: Stated) -> None:
    fixed: dict[Disposition, float] = {}
    if stated.busy_rate is not None:
        fixed["busy"] = stated.busy_rate
    reached = shares.get("answered", 0.0) + shares.get("machine", 0.0)
    before = shares.get("machine", 0.0) / reached if reached else 0.0
    if stated.answer_rate is not None:
        fixed["answered"] = stated.answer_rate * (1 - before)
        fixed["machine"] = stated.answer_rate * before
    rest = max(0.0, 1.0 - sum(fixed.values()))
    others = sum(share for what, share in shares.items() if what not in fixed)
    for what in [*shares]:
        if what not in fixed:
            shares[what] = shares[what] * rest / others if others else 0.0
    shares.update(fixed)
    if stated.machine_rate is not None:
        reached = shares.get("answered", 0.0) + shares.get("machine", 0.0)
        shares["answered"] = reached * (1 - stated.machine_rate)
        shares["machine"] = reached * stated.machine_rate
    missing = 1.0 - sum(shares.values())
    if missing > 1e-9:
        shares["no-answer"] = shares.get("no-answer", 0.0) + missing


def _hold(what: Disposition, hold_s: float, ring_timeout_s: float) -> float:
    return ring_timeout_s if what == "no-answer" else hold_s


def _spread(mean_s: float) -> tuple[float, ...]:
    """Lengths about a mean as calls have them: many short ones and a few long."""
    raw = [-math.log(1 - (n + 0.5) / QUANTILES) + 0.3 for n in range(QUANTILES)]
    mean = sum(raw) / len(raw)
    return tuple(mean_s * one / mean for one in raw)


def _weighed(seen: Iterable[SeenCall]) -> list[tuple[Disposition, float, float]]:
    """(disposition, seconds, weight) of the calls that have ended, the shortest first. Those that go on are
    more often long ones: the weight of each goes to all that last longer than it has done (Kaplan and Meier,
    1958, as Efron tells it)."""
    ended: list[tuple[float, Disposition]] = []
    lasting: list[float] = []
    for one in seen:
        if one.disposition is None:
            lasting.append(one.hold_s)
        else:
            ended.append((max(0.0, one.hold_s), one.disposition))
    ended.sort()
    lasting.sort()
    found: list[tuple[Disposition, float, float]] = []
    weight, passed = 1.0, 0
    for place, (hold_s, disposition) in enumerate(ended):
        while passed < len(lasting) and lasting[passed] < hold_s:
            passed += 1
            weight *= 1 + 1 / (len(ended) - place + len(lasting) - passed)
        found.append((disposition, hold_s, weight))
    return found


def _quantiles(holds: Sequence[tuple[float, float]]) -> tuple[float, ...]:
    """At even quantiles of some (seconds, weight), rising, so that their mean is nearly that of all."""
    if len(holds) <= QUANTILES and all(weight == holds[0][1] for _, weight in holds):
        return tuple(hold_s for hold_s, _ in holds)
    part = sum(weight for _, weight in holds) / QUANTILES
    found: list[float] = []
    sum_s, room = 0.0, part
    for hold_s, weight in holds:
        left = weight
        while left > room and len(found) < QUANTILES - 1:
            found.append((sum_s + hold_s * room) / part)
            left -= room
            sum_s, room = 0.0, part
        sum_s += hold_s * left
        room -= left
    return (*found, sum_s / (part - room))
