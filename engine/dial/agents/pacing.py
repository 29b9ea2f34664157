"""How many calls of a dialer flow may be in the air, so that few customers meet nobody. Pure.

A call is *in the air* from the moment it is let go until an agent has its customer, or there is none. As
many calls as agents are free can hardly be abandoned. Beyond that, only so many may be in the air that the
share of abandoned calls would stay below its limit even if every one of them were answered, and none taken.
So no forecast of how many will answer is needed, and none can be wrong.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache
from typing import Final

from msgspec import Struct

from engine.model import Dialing

SAFE_MAX: Final = 1_000_000
"""What stands for any number of calls, where no share is forbidden."""

TALLIES_REMEMBERED: Final = 256
"""Between two answers the same is asked again and again."""


class Tally(Struct, frozen=True):
    """What customers met who answered."""

    answered: int = 0
    """Calls that a person answered, and for which an agent was wanted."""
    abandoned: int = 0
    """Those of them that no agent took in time."""

    @property
    def share(self) -> float:
        """The share of abandoned calls; 0 where nobody answered."""
        return self.abandoned / self.answered if self.answered else 0.0


@lru_cache(maxsize=TALLIES_REMEMBERED)
def safe_calls(tally: Tally, abandoned_max: float) -> int:
    """The most calls that can be abandoned, all of them, while the share stays below `abandoned_max`."""
    if abandoned_max >= 1:
        return SAFE_MAX
    limit = Fraction(str(abandoned_max))
    # abandoned + x < limit × (answered + x)
    bound = (limit * tally.answered - tally.abandoned) / (1 - limit)
    return max(0, math.ceil(bound) - 1)


def calls_in_air_max(
    dialing: Dialing, free: int, power_ratio: float, tally: Tally, abandoned_max: float
) -> int:
    """The most calls that may be in the air at once.

    Args:
        dialing: how the flow dials its lists; `preview` makes no call by itself.
        free: agents who could take a customer this moment.
        power_ratio: calls for each of them while `dialing` is `power`.
        tally: of the last 30 days.
        abandoned_max: the share of abandoned calls that must not be reached.
    """
    if dialing == "preview":
        return 0
    if dialing == "progressive":
        return free
    return max(free, min(int(free * power_ratio), safe_calls(tally, abandoned_max)))
