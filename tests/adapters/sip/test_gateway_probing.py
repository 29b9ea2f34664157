"""Servers of a trunk that are probed with OPTIONS. Time is virtual."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from adapters.sip.trunk import Trunk
from tests.adapters.sip.gateway_calls import (
    HOUR_S,
    PROBED,
    fail,
    hop_of_next_call,
)
from tests.adapters.sip.gateway_office import (
    FIRST,
    NAME,
    ROUND_TRIP_S,
    SECOND,
    Reply,
    located,
    open_gateway,
)


async def test_probes_take_a_server_down_and_up_again_and_neither_at_once(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async with open_gateway(monkeypatch, located(FIRST), trunk=PROBED) as (gateway, office):
        await trio.sleep(60.0)
        assert gateway.choose(trio.current_time()) is None
        office.replies[FIRST] = Reply(200)
        await trio.sleep(60.0)
        assert hop_of_next_call(gateway) == FIRST
    # The third probe in a row that stays unanswered for 4 s, and the second one that is answered.
    probes = [at for at, _ in office.asked]
    answered = [at for at in probes if at + 4.0 > 60.0]
    fell, rose = probes[2] + 4.0, answered[1] + ROUND_TRIP_S
    assert [round(fell, 1), round(rose, 1)] == [office.usable[1][0], office.usable[-1][0]]
    assert [office.usable[place][1] for place in (0, 1, -1)] == [True, False, True]


async def test_a_probe_that_is_answered_by_anything_but_503_is_a_sign_of_life(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    replies = {FIRST: Reply(404), SECOND: Reply(503, ((b"Retry-After", b"1000"),))}
    looks = located(SECOND, FIRST)
    async with open_gateway(monkeypatch, looks, trunk=PROBED, replies=replies) as (gateway, office):
        await trio.sleep(60.0)
        assert hop_of_next_call(gateway) == FIRST
        assert office.usable == [(0.0, True)]
        assert gateway.describe(trio.current_time()).startswith(
            "1 of 2 servers is well; 192.0.2.2:5060 over udp has asked to be left alone for"
        )


async def test_a_server_that_calls_fail_with_is_probed_soon(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    trunk = Trunk("main", NAME, probe_s=600.0)
    async with open_gateway(
        monkeypatch, located(FIRST), trunk=trunk, replies={FIRST: Reply(200)}
    ) as (gateway, office):
        await trio.sleep(100.0)
        assert len(office.asked) == 1
        fail(gateway, office)
        await trio.sleep(1.0)
        assert [round(at) for at, _ in office.asked[1:]] == [100]


async def test_without_probing_nothing_is_asked(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async with open_gateway(monkeypatch, located(FIRST)) as (gateway, office):
        for _ in range(3):
            fail(gateway, office)
        await trio.sleep(HOUR_S)
        assert office.asked == []
