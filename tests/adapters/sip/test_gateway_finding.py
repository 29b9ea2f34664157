"""How the servers of a trunk are found, and found again. Time is virtual."""

from __future__ import annotations

import pytest
import trio
from structlog.testing import capture_logs
from trio.testing import MockClock

from adapters.sip.gateway import LOOK_AGAIN_S
from adapters.sip.locate.records import LookupFailed, NotFound
from tests.adapters.sip.gateway_calls import (
    HOUR_S,
    REFUSED,
    fail,
    hop_of_next_call,
)
from tests.adapters.sip.gateway_office import (
    FIRST,
    SECOND,
    THIRD,
    Told,
    located,
    open_gateway,
)


async def test_a_server_that_is_found_again_keeps_its_health(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    looks = (located(FIRST, SECOND, ttl_s=10.0), located(THIRD, FIRST, ttl_s=HOUR_S))
    async with open_gateway(monkeypatch, *looks) as (gateway, office):
        assert fail(gateway, office, REFUSED) == FIRST
        await trio.sleep(20.0)
        assert [fail(gateway, office, REFUSED) for _ in range(2)] == [THIRD, THIRD]
        # One failure is enough for it now.
        assert fail(gateway, office, REFUSED) == FIRST
        assert gateway.choose(trio.current_time()) is None
        assert office.looked_at == [0.0, 10.0]


async def test_requests_may_come_from_the_servers_of_this_look_and_of_the_one_before(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    looks = (located(FIRST, ttl_s=10.0), located(SECOND, ttl_s=10.0), located(THIRD, ttl_s=HOUR_S))
    async with open_gateway(monkeypatch, *looks) as (gateway, office):
        await trio.sleep(60.0)
        assert office.hosts == [
            {FIRST.host},
            {FIRST.host, SECOND.host},
            {SECOND.host, THIRD.host},
        ]
        assert gateway.hosts == office.hosts[-1]


@pytest.mark.parametrize(
    "trouble", [LookupFailed("nobody could tell"), NotFound("there are none any more")]
)
async def test_servers_stay_while_nobody_knows_better(
    trouble: LookupFailed | NotFound, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    looks = (located(FIRST, ttl_s=10.0), trouble)
    with capture_logs() as logs:
        async with open_gateway(monkeypatch, *looks) as (gateway, office):
            await trio.sleep(11.0 + 2 * LOOK_AGAIN_S)
            assert office.looked_at == [0.0, 10.0, 25.0, 40.0]
            assert hop_of_next_call(gateway) == FIRST
            assert office.told == [Told(0.0, True, "1 of 1 servers is well.")]
    assert [entry["event"] for entry in logs[1:]] == ["a trunk cannot be located"] * 3


async def test_a_trunk_without_a_server_says_why_and_is_looked_for_again(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    looks = (
        LookupFailed("carrier.example could not be looked up (no answer within 5 s)"),
        NotFound("carrier.example leads to no IPv4 address"),
        located(FIRST),
    )
    async with open_gateway(monkeypatch, *looks) as (gateway, office):
        assert gateway.choose(trio.current_time()) is None
        await trio.sleep(100.0)
        assert hop_of_next_call(gateway) == FIRST
    assert office.told == [
        Told(0.0, False, "carrier.example could not be looked up (no answer within 5 s)"),
        Told(15.0, False, "carrier.example leads to no IPv4 address"),
        Told(30.0, True, "1 of 1 servers is well."),
    ]


async def test_where_there_is_no_way_to_a_server_it_is_looked_for_again_soon(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    """The machine may have been started before its network was there."""
    async with open_gateway(
        monkeypatch, located(FIRST, ttl_s=HOUR_S), unreachable=(FIRST.host,)
    ) as (gateway, office):
        assert gateway.choose(trio.current_time()) is None
        office.unreachable.clear()
        await trio.sleep(100.0)
        assert hop_of_next_call(gateway) == FIRST
    assert office.told == [
        Told(0.0, False, "There is no way to 192.0.2.1: Network is unreachable."),
        Told(15.0, True, "1 of 1 servers is well."),
    ]
