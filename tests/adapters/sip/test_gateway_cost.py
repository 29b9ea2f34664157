"""A trunk in operation is mostly asleep. Time is virtual."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from adapters.sip.gateway import Gateway
from adapters.sip.trunk import Trunk
from adapters.sip.wire.hop import Hop
from tests.adapters.sip.gateway_calls import (
    GRANTED,
    HOUR_S,
    PROBED,
    REGISTERED,
    chosen,
    fail,
    hop_of_next_call,
)
from tests.adapters.sip.gateway_office import (
    FIRST,
    NAME,
    SECOND,
    Reply,
    located,
    open_gateway,
)


@pytest.mark.parametrize(
    ("trunk", "replies", "rounds_max"),
    [
        (Trunk("main", NAME), {}, 20),
        (PROBED, {FIRST: Reply(200), SECOND: Reply(200)}, 5 * 720),
        (PROBED, {FIRST: Reply(503), SECOND: Reply(404)}, 5 * 720),
        (PROBED, {}, 6 * 720),
        (REGISTERED, {}, 6 * 120),
        (REGISTERED, {FIRST: Reply(403)}, 60),
        (REGISTERED, {FIRST: GRANTED}, 60),
    ],
)
async def test_an_hour_of_operation_is_mostly_spent_asleep(
    trunk: Trunk,
    replies: dict[Hop, Reply],
    rounds_max: int,
    monkeypatch: pytest.MonkeyPatch,
    autojump_clock: MockClock,
) -> None:
    rounds = 0
    send_errands = Gateway._send_errands

    def count(gateway: Gateway, now: float) -> None:
        nonlocal rounds
        rounds += 1
        send_errands(gateway, now)

    monkeypatch.setattr(Gateway, "_send_errands", count)
    looks = located(FIRST, SECOND, ttl_s=600.0)
    async with open_gateway(monkeypatch, looks, trunk=trunk, replies=replies) as (gateway, office):
        for _ in range(6):
            if gateway.choose(trio.current_time()) is not None:
                fail(gateway, office)
        await trio.sleep(HOUR_S)
    assert 0 < rounds <= rounds_max


async def test_a_trial_that_is_never_told_of_costs_a_look_every_two_seconds(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    rounds = 0
    send_errands = Gateway._send_errands

    def count(gateway: Gateway, now: float) -> None:
        nonlocal rounds
        rounds += 1
        send_errands(gateway, now)

    monkeypatch.setattr(Gateway, "_send_errands", count)
    async with open_gateway(monkeypatch, located(FIRST)) as (gateway, office):
        for _ in range(3):
            fail(gateway, office)
        await trio.sleep(2.0)
        chosen(gateway)
        before = rounds
        await trio.sleep(39.0)
        assert rounds - before <= 21
        # Then it is forgotten, and the next call may try.
        await trio.sleep(2.0)
        assert hop_of_next_call(gateway) == FIRST
