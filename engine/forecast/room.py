"""What limits let go in one step of a forecast: the sliding windows of `engine.dial.windows`, in numbers."""

from __future__ import annotations

import math
from collections import deque
from typing import Final

from engine.dial.windows import GUARD_S
from engine.forecast.case import Limit, Rate
from engine.model import BlockerCode

COUNTED_STEPS: Final = 4
"""A window of more steps is counted call by call; what is shorter is a pace."""
UNLIMITED: Final = 1 << 60
NEVER: Final = 1 << 60


class _Pace:
    """A short window: so many calls a second, none of them saved up for more than a step."""

    def __init__(self, rate: Rate, step_s: float) -> None:
        self.code = rate.code
        self._by_step = rate.calls / (rate.per_s + GUARD_S) * step_s
        self._saved = min(1.0, self._by_step)
        self._step = 0

    def free(self, step: int) -> int:
        more = (step - self._step) * self._by_step
        self._saved = min(self._saved + more, self._by_step + 1.0)
        self._step = step
        return int(self._saved + 1e-9)

    def take(self, step: int, calls: int) -> None:
        self._saved -= calls

    def free_at(self, step: int) -> int:
        return step + max(1, math.ceil((1.0 - self._saved) / self._by_step - 1e-9))


class _Window:
    """A long window, exactly as far as steps are."""

    def __init__(self, rate: Rate, step_s: float) -> None:
        self.code = rate.code
        self._calls = rate.calls
        self._steps = math.ceil((rate.per_s + GUARD_S) / step_s)
        self._taken: deque[tuple[int, int]] = deque()
        self._sum = 0

    def free(self, step: int) -> int:
        taken = self._taken
        while taken and taken[0][0] + self._steps <= step:
            self._sum -= taken.popleft()[1]
        return self._calls - self._sum

    def take(self, step: int, calls: int) -> None:
        self._sum += calls
        self._taken.append((step, calls))

    def free_at(self, step: int) -> int:
        return self._taken[0][0] + self._steps if self._taken else step + 1


class Room:
    """One party's limits. Steps only rise."""

    def __init__(self, limit: Limit, step_s: float, lifted: BlockerCode | None) -> None:
        """`lifted` is a limit that is taken for not being there."""
        self.in_use = 0
        self._code = limit.channels_code
        kept = limit.channels is not None and limit.channels_code != lifted
        self._channels = limit.channels if kept and limit.channels is not None else UNLIMITED
        self._rates = [
            (_Window if rate.per_s > COUNTED_STEPS * step_s else _Pace)(rate, step_s)
            for rate in limit.rates
            if rate.code != lifted
        ]
        self._step = -1
        self._left = 0

    def left(self, step: int) -> int:
        """How many calls may begin in this step."""
        if self._step != step:
            self._step = step
            self._left = self._channels - self.in_use
            for rate in self._rates:
                self._left = min(self._left, rate.free(step))
        return self._left

    def take(self, step: int, calls: int) -> None:
        """So many begin, not more than are left."""
        self.in_use += calls
        self._left -= calls
        for rate in self._rates:
            rate.take(step, calls)

    def release(self, calls: int) -> None:
        """So many end, at the beginning of a step."""
        self.in_use -= calls

    def barred_by(self, step: int) -> tuple[BlockerCode, int] | None:
        """What lets no more calls begin, and in which step that may be over; `NEVER` where it takes another
        call's end."""
        if self.left(step) > 0:
            return None
        for rate in self._rates:
            if rate.free(step) <= 0:
                return rate.code, rate.free_at(step)
        return self._code, NEVER
