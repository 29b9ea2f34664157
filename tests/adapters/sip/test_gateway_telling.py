"""What is told of a trunk in operation, and when. Time is virtual."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from adapters.sip.pump import Cause
from adapters.sip.wire.hop import Hop
from engine.ports.telephony import TrunkCondition
from tests.adapters.sip.gateway_calls import (
    chosen,
    fail,
    hop_of_next_call,
    refuse,
)
from tests.adapters.sip.gateway_office import (
    FIRST,
    NAME,
    SECOND,
    THIRD,
    Told,
    located,
    open_gateway,
)


async def test_a_breaker_opens_and_tries_one_call_after_its_back_off(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async with open_gateway(monkeypatch, located(FIRST)) as (gateway, office):
        for _ in range(3):
            fail(gateway, office)
        assert gateway.choose(trio.current_time()) is None
        await trio.sleep(1.9)
        assert gateway.choose(trio.current_time()) is None
        await trio.sleep(0.2)
        trial, at = chosen(gateway), trio.current_time()
        # One call at a time.
        assert gateway.choose(at) is None
        await trio.sleep(0.4)
        gateway.note_failure(trial, at, trio.current_time())
        # It waits for twice as long now.
        await trio.sleep(4.5)
        for _ in range(2):
            gateway.note_answer(chosen(gateway), trio.current_time())
        assert office.usable == [
            (0.0, True),
            (0.0, False),
            # The back-off is over,
            (2.0, True),
            # and the trial is out, and fails.
            (2.1, False),
            (6.5, True),
            # The second trial is out and answered, and so is the third.
            (7.0, False),
            (7.0, True),
            (7.0, False),
            (7.0, True),
        ]


async def test_what_changes_nothing_is_not_told(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    looks = (located(FIRST, SECOND, ttl_s=10.0), located(SECOND, THIRD, ttl_s=10.0))
    async with open_gateway(monkeypatch, *looks) as (gateway, office):
        fail(gateway, office)
        refuse(gateway, 486)
        refuse(gateway, 503)
        await trio.sleep(100.0)
        for _ in range(4):
            fail(gateway, office)
        assert office.told == [Told(0.0, True, "2 of 2 servers are well.")]


async def test_how_a_trunk_is_can_be_asked_at_any_time(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async with open_gateway(monkeypatch, located(FIRST)) as (gateway, office):
        now = trio.current_time()
        assert gateway.condition(now) == TrunkCondition("main", True, "1 of 1 servers is well.")
        for _ in range(3):
            fail(gateway, office)
        down = "192.0.2.1:5060 over udp is down (calls are not answered) and is tried again in"
        assert gateway.condition(now + 0.5) == TrunkCondition(
            "main", False, f"0 of 1 servers are well; {down} 2 s."
        )
        assert office.told[-1].detail == f"0 of 1 servers are well; {down} 2 s."


async def test_the_condition_says_why_a_connection_cannot_be_had(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    edge = Hop("192.0.2.1", 5061, "tls", NAME)
    async with open_gateway(monkeypatch, located(edge)) as (gateway, office):
        for _ in range(3):
            fail(gateway, office, Cause("broken", "certificate refused: it has expired"))
    assert office.told[-1].detail == (
        "0 of 1 servers are well; 192.0.2.1:5061 over tls is down (the connection breaks)"
        " and is tried again in 2 s. The transport says: certificate refused: it has expired."
    )


async def test_a_chosen_server_that_was_not_used_is_free_for_the_next_call(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async with open_gateway(monkeypatch, located(FIRST)) as (gateway, office):
        for _ in range(3):
            fail(gateway, office)
        await trio.sleep(2.0)
        assert [hop_of_next_call(gateway) for _ in range(3)] == [FIRST] * 3
