"""How many of some calls end which way, and how long they last."""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import NormalDist
from typing import Final

from engine.disposition import Disposition
from engine.forecast.case import Behaviour
from engine.ports.clock import Randomness

SINGLY_MAX: Final = 12
"""So many calls are drawn one by one; more as numbers."""
INVERTED_MAX: Final = 12.0
"""A binomial draw of a smaller mean is made exactly; others by the normal distribution."""
WEIGHT_LEAST: Final = 0.2


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


class Drawn:
    """The behaviour of one run: shares as they may be, by what was seen."""

    def __init__(self, behaviour: Behaviour, chance: Randomness) -> None:
        endings = [one for one in behaviour.endings if one.weight > 0]
        weights = [one.weight for one in endings]
        if not behaviour.is_exact:
            # Dirichlet's distribution: what the true shares may be after a sample like that.
            weights = [draw_gamma(chance, max(WEIGHT_LEAST, weight)) for weight in weights]
        whole = sum(weights)
        self._chance = chance
        self._shares = [weight / whole for weight in weights]
        self._dispositions = [one.disposition for one in endings]
        self._holds = [one.holds_s for one in endings]
        reached = 0.0
        self._reached = []
        for share in self._shares:
            reached += share
            self._reached.append(reached)

    def draw(self, calls: int) -> Iterator[tuple[Disposition, float, int]]:
        """(disposition, seconds, calls) of some calls."""
        random = self._chance.random
        if calls <= SINGLY_MAX:
            for _ in range(calls):
                at = random()
                place = 0
                while place < len(self._reached) - 1 and at >= self._reached[place]:
                    place += 1
                holds = self._holds[place]
                yield self._dispositions[place], holds[int(random() * len(holds))], 1
            return
        left, left_share = calls, 1.0
        last = len(self._shares) - 1
        for place, share in enumerate(self._shares):
            if left == 0:
                return
            mine = left if place == last else self._binomial(left, min(1.0, share / left_share))
            left -= mine
            left_share = max(1e-12, left_share - share)
            yield from self._spread(self._dispositions[place], self._holds[place], mine)

    def _spread(
        self, disposition: Disposition, holds: tuple[float, ...], calls: int
    ) -> Iterator[tuple[Disposition, float, int]]:
        each, rest = divmod(calls, len(holds))
        if each:
            for hold_s in holds:
                yield disposition, hold_s, each
        for _ in range(rest):
            yield disposition, holds[int(self._chance.random() * len(holds))], 1

    def _binomial(self, calls: int, share: float) -> int:
        if share > 0.5:
            return calls - self._binomial(calls, 1 - share)
        mean = calls * share
        if mean > INVERTED_MAX:
            drawn = mean + math.sqrt(mean * (1 - share)) * _draw_normal(self._chance)
            return min(calls, max(0, round(drawn)))
        return self._few(calls, share)

    def _few(self, calls: int, share: float) -> int:
        """By the lengths of the gaps between hits."""
        if share <= 0:
            return 0
        log_miss = math.log1p(-share)
        hits, reached = -1, 0
        while reached <= calls:
            hits += 1
            reached += int(math.log(1.0 - self._chance.random()) / log_miss) + 1
        return hits
