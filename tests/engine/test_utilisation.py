"""Many DIDs with limits of every kind are used as far as these allow, and no further."""

from __future__ import annotations

import math
from collections import defaultdict

import pytest
import trio
from trio.testing import MockClock

from engine.dial.trunks.trunk import TrunkSettings
from engine.model import Cap, Did
from engine.ports.telephony import CallRequest
from sim.telephony import CallScript
from tests.engine.made import did, flow
from tests.engine.world import people, running
from tests.sizes import size

DIDS = size(27, 500)
CONTACTS = size(1_500, 100_000)
CALL_S = 10.0
"""How long each call lasts, as the callee sees it."""
BUSY_SHARE = 0.97
"""While fewer of the contacts than these have been called, there is work for every DID."""
EDGE_S = 2.0
"""So much later than it could have may a DID make the last call that counts."""
ROUNDING_S = 1e-6
"""What adding moments up may lose."""
WASTED_MAX = 0.05
"""Of the calls that the limits of a DID allow."""

KINDS = (
    {"cps": 1},
    {"cps": 0.2},
    {"cps": 5, "channels": 3},
    {"cps": 2, "channels": 1},
    {"cps": 2, "caps": (Cap(15, 60),)},
    {"cps": 3, "caps": (Cap(4, 10), Cap(20, 90), Cap(150, 600))},
    {"cps": 10, "channels": 2, "caps": (Cap(12, 100), Cap(3, 5))},
    {"cps": 10, "caps": (Cap(3, 900),)},
    {"cps": 0.5, "channels": 4, "caps": (Cap(5, 30),)},
)


def busy(_request: CallRequest, _before: int) -> CallScript:
    """Each callee rings for the whole call."""
    return CallScript(code=486, final_after_s=CALL_S)


def windows_of(one: Did) -> list[tuple[int, float]]:
    """At most so many calls in any so many seconds: all of a DID's limits, as each call lasts as long."""
    pace = (1, 1 / one.cps) if one.cps < 1 else (int(one.cps), 1.0)
    caps = [(cap.calls, cap.per_s) for cap in one.caps]
    return [pace, (one.channels, CALL_S), *caps]


def most_calls(one: Did, until: float) -> int:
    """How many calls the limits of a DID allow from 0 until a moment, where each leaves as soon as it may."""
    starts: list[float] = []
    while True:
        free_at = max(
            (starts[-calls] + per_s for calls, per_s in windows_of(one) if len(starts) >= calls),
            default=0.0,
        )
        if free_at > until:
            return len(starts)
        starts.append(free_at)


@pytest.mark.timeout(size(300, 3600))
async def test_every_did_is_used_to_95_percent_of_its_limits_and_none_is_exceeded(
    autojump_clock: MockClock,
) -> None:
    numbers = [f"+1415600{n:04}" for n in range(DIDS)]
    dids = [
        did(number=number, **{"channels": 10_000, **KINDS[n % len(KINDS)]})
        for n, number in enumerate(numbers)
    ]
    async with running(
        busy,
        flows=[flow(dids=tuple(numbers))],
        dids=dids,
        trunks=(TrunkSettings("main", 1_000_000, 100_000),),
        channels=1_000_000,
        cps=100_000,
    ) as world:
        await world.add_list(people(CONTACTS))
        while len(world.telephony.dialed) < CONTACTS:  # noqa: ASYNC110 - virtual time passes
            await trio.sleep(5)
        times: dict[str, list[float]] = defaultdict(list)
        for call in world.telephony.dialed:
            times[call.request.caller].append(call.at)
        moments = sorted(call.at for call in world.telephony.dialed)
    busy_until = moments[math.floor(BUSY_SHARE * CONTACTS)]
    exceeded, idle = [], []
    for one in dids:
        own = times[one.number]
        for calls, per_s in windows_of(one):
            apart = zip(own, own[calls:], strict=False)
            exceeded += [
                (one, later - sooner)
                for sooner, later in apart
                if later - sooner < per_s - ROUNDING_S
            ]
        made = sum(at <= busy_until for at in own)
        possible = most_calls(one, busy_until - EDGE_S)
        if made < (1 - WASTED_MAX) * possible:
            idle.append((made, possible, one))
    assert exceeded == []
    assert idle == []
