"""What one DID lets go by itself, call by call.

A case takes DIDs that are alike together, and lets a call begin wherever any of them has room. But each has
its own pace and its own channels: while one waits for the end of a call, its pace is lost, and while it waits
for its pace, a channel lies idle. Where a DID's channels carry about as many calls as its pace lets go, that
costs up to a tenth of them. So a DID is let call by itself, and the limits of all are narrowed by what it
loses.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from functools import cache
from typing import Final

import msgspec

from engine.dial.limits.windows import GUARD_S, SPREAD
from engine.forecast.case import Behaviour, Case, Group, Limit, Rate
from engine.forecast.chance import Drawn, Seeded

CALLS: Final = 8_000
"""That one DID makes; as many by pace or channels alone are what it is compared with."""
CHANNELS_MAX: Final = 1_000
"""Calls at once of a DID that is let call; one with more is taken for as good as many."""


def narrowed(case: Case) -> Case:
    """The case with limits of its DIDs that let go together what each would by itself."""
    behaviours: dict[int, Behaviour] = {}
    for flow in case.flows:
        for place in flow.groups:
            behaviours.setdefault(place, flow.behaviour)
    # DIDs that differ in other things, such as who calls from them, are let call once.
    share_kept = cache(_share_kept)
    groups = tuple(
        _narrowed_group(group, behaviours[place], share_kept) if place in behaviours else group
        for place, group in enumerate(case.groups)
    )
    return msgspec.structs.replace(case, groups=groups)


def _narrowed_group(
    group: Group,
    behaviour: Behaviour,
    share_kept: Callable[[int, int, float, Behaviour], tuple[float, bool]],
) -> Group:
    limit = group.limit
    pace = next((one for one in limit.rates if one.code == "did_cps"), None)
    if limit.channels is None or pace is None or limit.channels > CHANNELS_MAX * group.dids:
        return group
    channels, burst = round(limit.channels / group.dids), round(pace.calls / group.dids)
    kept, by_channels = share_kept(channels, burst, pace.per_s, behaviour)
    if by_channels:
        fewer = msgspec.structs.replace(limit, channels=limit.channels * kept)
        return msgspec.structs.replace(group, limit=fewer)
    slower = Rate(pace.code, pace.calls, (pace.per_s + GUARD_S) / kept - GUARD_S)
    rates = tuple(slower if one is pace else one for one in limit.rates)
    return msgspec.structs.replace(group, limit=Limit(limit.channels_code, limit.channels, rates))


def _share_kept(
    channels: int, burst: int, per_s: float, behaviour: Behaviour
) -> tuple[float, bool]:
    """Which share of its calls a DID lets go, of those that the narrower of its limits alone would; whether
    that is its channels."""
    drawn = Drawn(msgspec.structs.replace(behaviour, is_exact=True), Seeded(channels), 1.0)
    free_at = [0.0] * channels
    """When each channel is free, a heap."""
    left = deque([-per_s], maxlen=burst)
    """When the latest calls left."""
    spaced_s = SPREAD * per_s / burst
    held_s = 0.0
    for _ in range(CALLS):
        at = max(free_at[0], left[-1] + spaced_s)
        if len(left) == burst:
            at = max(at, left[0] + per_s + GUARD_S)
        left.append(at)
        _, hold_s = drawn.draw_one()
        held_s += hold_s
        heapq.heapreplace(free_at, at + hold_s)
    by_pace_s = CALLS / burst * (per_s + GUARD_S)
    by_channels_s = held_s / channels
    alone_s = max(by_pace_s, by_channels_s)
    return min(1.0, alone_s / left[-1]), by_channels_s > by_pace_s
