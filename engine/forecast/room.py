"""What limits let go in one step of a forecast: `engine.dial.limits.windows`, in numbers."""

from __future__ import annotations

import math
from collections import deque
from typing import Final

from engine.dial.limits.windows import GUARD_S
from engine.forecast.case import Limit, Rate
from engine.model import BlockerCode

COUNTED_STEPS: Final = 4
"""A window of more steps is counted call by call; what is shorter is a pace."""
HOLDS_COUNTED: Final = 0.5
"""Channels are counted where steps are shorter than this share of a call; in longer ones, the seconds are
that calls hold them for."""
UNLIMITED: Final = 1 << 60
NEVER: Final = 1 << 60


class _Pace:
    """So much a second, little of it saved up: calls in a short window, or seconds of calls, where steps are
    as long as calls are."""

    def __init__(self, code: BlockerCode, by_step: float, by_call: float = 1.0) -> None:
        """`by_call` is what a call takes of it, on an average."""
        self.code = code
        self._by_step = by_step
        self._by_call = by_call
        self._saved = min(by_call, by_step)
        self._step = 0

    def free(self, step: int) -> int:
        more = (step - self._step) * self._by_step
        self._saved = min(self._saved + more, self._by_step + self._by_call)
        self._step = step
        return int(self._saved / self._by_call + 1e-9)

    def take(self, step: int, amount: float) -> None:
        self._saved -= amount

    def free_at(self, step: int) -> int:
        missing = self._by_call - self._saved
        return step + max(1, math.ceil(missing / self._by_step - 1e-9))


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

    def take(self, step: int, amount: int) -> None:
        self._sum += amount
        self._taken.append((step, amount))

    def free_at(self, step: int) -> int:
        return self._taken[0][0] + self._steps if self._taken else step + 1


class Room:
    """One party's limits. Steps only rise."""

    def __init__(
        self, limit: Limit, step_s: float, lifted: BlockerCode | None, hold_s: float
    ) -> None:
        """`lifted` is a limit that is taken for not being there, `hold_s` how long calls hold a channel on an
        average."""
        self.in_use = 0
        self._code = limit.channels_code
        self._channels = UNLIMITED
        self._rates: list[_Pace | _Window] = []
        for rate in limit.rates:
            if rate.code == lifted:
                continue
            if rate.per_s > COUNTED_STEPS * step_s:
                self._rates.append(_Window(rate, step_s))
            else:
                by_step = rate.calls / (rate.per_s + GUARD_S) * step_s
                self._rates.append(_Pace(rate.code, by_step))
        self._held: _Pace | None = None
        if limit.channels is not None and limit.channels_code != lifted:
            if step_s > HOLDS_COUNTED * hold_s:
                self._held = _Pace(limit.channels_code, limit.channels * step_s, hold_s)
            else:
                self._channels = max(1, round(limit.channels))
        self._step = -1
        self._left = 0

    def left(self, step: int) -> int:
        """How many calls may begin in this step."""
        if self._step != step:
            self._step = step
            self._left = self._channels - self.in_use
            if self._held is not None:
                self._left = min(self._left, self._held.free(step))
            for rate in self._rates:
                self._left = min(self._left, rate.free(step))
        return self._left

    def take(self, step: int, calls: int, held_s: float) -> None:
        """So many begin, not more than are left, that hold their channels for so long together."""
        self.in_use += calls
        self._left -= calls
        if self._held is not None:
            self._held.take(step, held_s)
        for rate in self._rates:
            rate.take(step, calls)

    def release(self, calls: int) -> None:
        """So many end."""
        self.in_use -= calls
        self._step = -1

    def barred_by(self, step: int) -> tuple[BlockerCode, int] | None:
        """What lets no more calls begin, and in which step that may be over; `NEVER` where it takes another
        call's end."""
        if self.left(step) > 0:
            return None
        for rate in self._rates:
            if rate.free(step) <= 0:
                return rate.code, rate.free_at(step)
        if self._held is not None and self._held.free(step) <= 0:
            return self._code, self._held.free_at(step)
        return self._code, NEVER
