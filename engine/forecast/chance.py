"""How many of some calls end which way, and how long they last."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from itertools import accumulate
from statistics import NormalDist
from typing import Final

from engine.forecast.case import Behaviour, Ending
from engine.model.disposition import Disposition
from engine.ports.clock import Randomness

SINGLY_MAX: Final = 5
"""So many calls are drawn one by one; more as numbers."""
INVERTED_MAX: Final = 12.0
"""A binomial draw of a smaller mean is made exactly; others by the normal distribution."""
WEIGHT_LEAST: Final = 0.2
AROUND_S: Final = 0.02
"""How much longer a call takes of its channel than from its intent to its end: until that is written down."""


_NORMAL: Final = NormalDist()
_MASK: Final = (1 << 64) - 1


class Seeded:
    """Chance that follows from a seed: SplitMix64 (Steele, Lea and Flood, 2014). It is
    `engine.ports.clock.Randomness`."""

    def __init__(self, seed: int) -> None:
        self._state = seed & _MASK

    def getrandbits(self, bits: int, /) -> int:
        """Up to 64 of them."""
        self._state = mixed = (self._state + 0x9E3779B97F4A7C15) & _MASK
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
        return (mixed ^ (mixed >> 31)) >> (64 - bits)

    def random(self) -> float:
        """A float in [0, 1)."""
        return self.getrandbits(53) / 2**53


def draw_gamma(chance: Randomness, shape: float) -> float:
    """From the gamma distribution of scale 1 (Marsaglia and Tsang, 2000)."""
    if shape < 1:
        smaller = math.pow(1.0 - chance.random(), 1 / shape)
        return draw_gamma(chance, shape + 1) * smaller
    d = shape - 1 / 3
    c = 1 / math.sqrt(9 * d)
    while True:
        x = _draw_normal(chance)
        v = (1 + c * x) ** 3
        if v > 0 and math.log(1.0 - chance.random()) < x * x / 2 + d * (1 - v + math.log(v)):
            return d * v


def _draw_normal(chance: Randomness) -> float:
    return _NORMAL.inv_cdf(min(1 - 1e-12, max(1e-12, chance.random())))


class _Drawn:
    """One ending of a run's behaviour: how long its calls hold their channels."""

    def __init__(self, ending: Ending, weights: Sequence[float], step_s: float) -> None:
        self.disposition = ending.disposition
        self.weight = sum(weights)
        self._holds_s = [hold_s + AROUND_S for hold_s in ending.holds_s]
        shares = [weight / self.weight for weight in weights]
        self._reached = [*accumulate(shares)]
        by_length = [*zip(shares, self._holds_s, strict=True)]
        self.mean_hold_s = sum(share * hold_s for share, hold_s in by_length)
        square = sum(share * hold_s**2 for share, hold_s in by_length)
        self.deviation_s = math.sqrt(max(0.0, square - self.mean_hold_s**2))
        steps: defaultdict[int, float] = defaultdict(float)
        for share, hold_s in by_length:
            # Rounded so that channels are held for as long as they are on an average.
            whole = int(hold_s / step_s)
            over = hold_s / step_s - whole
            steps[whole] += share * (1 - over)
            steps[whole + 1] += share * over
        self.steps = sorted(steps.items())
        """(steps that calls last, share of calls)."""

    def hold_s(self, at: float) -> float:
        """The length at a point of 0 to 1."""
        return self._holds_s[min(len(self._holds_s) - 1, bisect_right(self._reached, at))]


def _weights_of(ending: Ending, chance: Randomness | None) -> list[float]:
    """What each length of an ending counts for: as it was seen, or as it may truly be after a sample like
    that (Dirichlet's distribution over endings, and over the lengths of each: Rubin's bootstrap of 1981)."""
    each = ending.weight / len(ending.holds_s)
    if chance is None:
        return [each] * len(ending.holds_s)
    lengths = [draw_gamma(chance, max(WEIGHT_LEAST, each)) for _ in ending.holds_s]
    scale = draw_gamma(chance, max(WEIGHT_LEAST, ending.weight)) / sum(lengths)
    return [length * scale for length in lengths]


class Drawn:
    """The behaviour of one run: shares and lengths as they may be, by what was seen."""

    def __init__(self, behaviour: Behaviour, chance: Randomness, step_s: float) -> None:
        self._chance = chance
        self._step_s = step_s
        self._endings: list[_Drawn] = []
        for one in behaviour.endings:
            if one.weight > 0:
                weights = _weights_of(one, None if behaviour.is_exact else chance)
                self._endings.append(_Drawn(one, weights, step_s))
        whole = sum(one.weight for one in self._endings)
        self._shares = [one.weight / whole for one in self._endings]
        self._reached = [*accumulate(self._shares)]
        self.mean_hold_s = sum(
            share * one.mean_hold_s for share, one in zip(self._shares, self._endings, strict=True)
        )
        """For how long a call holds a channel."""

    def draw_one(self) -> tuple[Disposition, float]:
        """(disposition, seconds for which it holds a channel) of one call."""
        random = self._chance.random
        place = min(len(self._shares) - 1, bisect_right(self._reached, random()))
        one = self._endings[place]
        return one.disposition, one.hold_s(random())

    def draw(self, calls: int) -> tuple[float, list[tuple[Disposition, int, int]]]:
        """Seconds for which some calls hold channels, all together; (disposition, steps, calls) of them."""
        drawn: list[tuple[Disposition, int, int]] = []
        held_s = 0.0
        if calls <= SINGLY_MAX:
            for _ in range(calls):
                disposition, hold_s = self.draw_one()
                held_s += hold_s
                steps = int(hold_s / self._step_s + self._chance.random())
                drawn.append((disposition, steps, 1))
            return held_s, drawn
        for one, some in zip(self._endings, self._split(calls, self._shares), strict=True):
            if some:
                held_s += some * one.mean_hold_s
                held_s += math.sqrt(some) * one.deviation_s * _draw_normal(self._chance)
                shares = [share for _, share in one.steps]
                lengths = zip(one.steps, self._split(some, shares), strict=True)
                drawn += [(one.disposition, steps, part) for (steps, _), part in lengths if part]
        return max(0.0, held_s), drawn

    def _split(self, calls: int, shares: Sequence[float]) -> list[int]:
        """How many of some calls fall to each of some shares, which are 1 together."""
        parts: list[int] = []
        left, left_share = calls, 1.0
        for share in shares[:-1]:
            part = self._binomial(left, min(1.0, share / left_share)) if left else 0
            parts.append(part)
            left -= part
            left_share = max(1e-12, left_share - share)
        return [*parts, left]

    def _binomial(self, calls: int, share: float) -> int:
        if share > 0.5:
            return calls - self._binomial(calls, 1 - share)
        mean = calls * share
        if mean > INVERTED_MAX:
            drawn = mean + math.sqrt(mean * (1 - share)) * _draw_normal(self._chance)
            return min(calls, max(0, round(drawn)))
        return self._few(calls, share)

    def _few(self, calls: int, share: float) -> int:
        """By one draw against the sum of what each number of hits is likely to be."""
        at = self._chance.random()
        odds = share / (1 - share)
        likely = (1 - share) ** calls
        reached, hits = likely, 0
        while at >= reached and hits < calls and likely > 0:
            likely *= odds * (calls - hits) / (hits + 1)
            hits += 1
            reached += likely
        return hits
