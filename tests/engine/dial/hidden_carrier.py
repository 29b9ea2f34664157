"""A carrier of unknown capacity, and a caller that keeps to what `Congestion` lets through: moment by moment,
without a clock. It stands for a trunk and its DID actors in tests of the controller alone."""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Callable
from itertools import count
from random import Random
from typing import Any, Literal

from msgspec import Struct

from engine.dial.trunks.congestion import Congestion, Mark
from engine.model.disposition import CongestionKind

Happening = Literal["arrives", "refused", "taken", "leaves", "ended"]
Capacity = Callable[[float], float]


def unlimited(_now: float) -> float:
    """No limit."""
    return math.inf


class Carrier(Struct, frozen=True):
    """What the carrier does. All times in seconds."""

    cps: Capacity = unlimited
    """Calls that it takes in any sliding second, by the moment."""
    channels: Capacity = unlimited
    """Calls that it takes at once."""
    refuses: float = 0.0
    """Share of calls that it refuses whatever their number."""
    says: CongestionKind = "pace"
    retry_after_s: float | None = None
    round_trip_s: float = 0.1
    rings_after_s: float = 2.0
    lasts_s: float = 10.0
    """Mean of calls, exponential, beside the time to ring."""


class Run(Struct):
    """What happened, as moments."""

    congestion: Congestion
    sent: list[float]
    taken: list[float]
    refused: list[float]
    up_max: int = 0

    def counts(self, begin: float, end: float) -> tuple[int, int, int]:
        """(sent, taken, refused) from one moment to another."""
        each = (self.sent, self.taken, self.refused)
        sent, taken, refused = (sum(begin <= at < end for at in moments) for moments in each)
        return sent, taken, refused


def run_calls(
    carrier: Carrier, until: float, *, cps: float = 100, channels: int = 1000, seed: int = 1
) -> Run:
    """Call as much as is allowed, from 0 until a moment."""
    return _Caller(carrier, cps, channels, seed).run(until)


class _Caller:
    def __init__(self, carrier: Carrier, cps: float, channels: int, seed: int) -> None:
        self.carrier = carrier
        self.cps = cps
        self.run_ = Run(Congestion(cps, channels), [], [], [])
        self.chance = Random(seed)
        self.coming: list[tuple[float, int, Happening, Any]] = []
        self.order = count()
        self.in_use = 0
        self.up = 0
        self.window: deque[float] = deque()
        self.latest = -math.inf

    def run(self, until: float) -> Run:
        now = 0.0
        congestion = self.run_.congestion
        while now < until:
            gap_s = (
                1 / self.cps if congestion.cps is None else max(1 / self.cps, 1 / congestion.cps)
            )
            next_at = max(now, self.latest + gap_s, congestion.not_before)
            if self.in_use >= congestion.channels:
                next_at = math.inf
            if self.coming and self.coming[0][0] <= next_at:
                now, _, what, mark = heapq.heappop(self.coming)
                self.happen(what, mark, now)
            else:
                now = self.latest = next_at
                self.run_.sent.append(now)
                mark = congestion.note_sent(f"+1{len(self.run_.sent)}", now, self.in_use)
                self.in_use += 1
                self.run_.up_max = max(self.run_.up_max, self.in_use)
                self.expect(now + self.carrier.round_trip_s / 2, "arrives", mark)
        return self.run_

    def expect(self, at: float, what: Happening, mark: Mark) -> None:
        heapq.heappush(self.coming, (at, next(self.order), what, mark))

    def happen(self, what: Happening, mark: Mark, now: float) -> None:
        carrier, congestion = self.carrier, self.run_.congestion
        back = now + carrier.round_trip_s / 2
        match what:
            case "arrives" if self.takes(now):
                self.run_.taken.append(now)
                self.up += 1
                ends_s = carrier.rings_after_s + self.chance.expovariate(1 / carrier.lasts_s)
                self.expect(back + carrier.rings_after_s, "taken", mark)
                self.expect(now + ends_s, "leaves", mark)
            case "arrives":
                self.run_.refused.append(now)
                self.expect(back, "refused", mark)
            case "refused":
                congestion.note_refused(mark, carrier.says, carrier.retry_after_s, now)
                self.in_use -= 1
            case "taken":
                congestion.note_taken(mark, now)
            case "leaves":
                self.up -= 1
                self.expect(back, "ended", mark)
            case "ended":
                self.in_use -= 1

    def takes(self, now: float) -> bool:
        while self.window and self.window[0] <= now - 1.0:
            self.window.popleft()
        if len(self.window) >= self.carrier.cps(now) or self.up >= self.carrier.channels(now):
            return False
        if self.chance.random() < self.carrier.refuses:
            return False
        self.window.append(now)
        return True
