"""A trunk that is registered with, and leaves. Time is virtual."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from adapters.sip.gateway import LEAVE_S_MAX, Gateway
from adapters.sip.locate.records import NotFound
from adapters.sip.trunk import Trunk
from tests.adapters.sip.errand.desk import CHALLENGE
from tests.adapters.sip.gateway_calls import (
    FOR_EVER,
    GRANTED,
    HOUR_S,
    REFUSED,
    REGISTERED,
    fail,
    hop_of_next_call,
)
from tests.adapters.sip.gateway_office import (
    FIRST,
    NAME,
    ROUND_TRIP_S,
    SECOND,
    Office,
    Reply,
    Told,
    located,
    open_gateway,
)


async def test_no_call_is_placed_before_the_trunk_is_registered(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async with open_gateway(
        monkeypatch, located(FIRST), trunk=REGISTERED, replies={FIRST: GRANTED}
    ) as (gateway, office):
        assert gateway.choose(trio.current_time()) is None
        await trio.sleep(1.0)
        assert hop_of_next_call(gateway) == FIRST
        assert office.told == [
            Told(0.0, False, "The trunk has not registered yet."),
            Told(ROUND_TRIP_S, True, "1 of 1 servers is well."),
        ]


async def test_each_error_of_the_registrar_is_told_once(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async with open_gateway(
        monkeypatch, located(FIRST), trunk=REGISTERED, replies={FIRST: Reply(500)}
    ) as (_, office):
        await trio.sleep(200.0)
        office.replies[FIRST] = Reply(403)
        await trio.sleep(3 * HOUR_S)
        office.replies[FIRST] = FOR_EVER
        await trio.sleep(HOUR_S)
    assert [(told.is_usable, told.detail) for told in office.told] == [
        (False, "The trunk has not registered yet."),
        (False, "The registrar answered 500 Server Internal Error."),
        (False, "The registrar answered 403 Forbidden."),
        (True, "1 of 1 servers is well."),
    ]


async def test_a_registration_that_runs_out_takes_the_trunk_down(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async with open_gateway(
        monkeypatch, located(FIRST), trunk=REGISTERED, replies={FIRST: GRANTED}
    ) as (gateway, office):
        await trio.sleep(10.0)
        del office.replies[FIRST]
        await trio.sleep(700.0)
        assert gateway.choose(trio.current_time()) is None
    assert office.told[1] == Told(ROUND_TRIP_S, True, "1 of 1 servers is well.")
    assert office.told[-1] == Told(600.0, False, "The registrar did not answer.")


async def test_a_registrar_that_says_nothing_is_left_for_the_next_server(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async with open_gateway(
        monkeypatch, located(FIRST, SECOND), trunk=REGISTERED, replies={SECOND: FOR_EVER}
    ) as (gateway, office):
        await trio.sleep(100.0)
        hops = [hop for _, hop in office.asked]
        assert hops == [FIRST] * (len(hops) - 1) + [SECOND]
        assert office.usable[-1][1]
        # The silent one is not down yet: that takes more than one request without an answer.
        assert hop_of_next_call(gateway) == FIRST


async def test_registers_without_an_answer_count_against_a_server_as_calls_do(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async with open_gateway(
        monkeypatch, located(FIRST, SECOND), trunk=REGISTERED, replies={SECOND: FOR_EVER}
    ) as (gateway, office):
        office.causes[FIRST] = REFUSED
        await trio.sleep(100.0)
        assert fail(gateway, office, REFUSED) == FIRST
        assert hop_of_next_call(gateway) == SECOND


async def test_a_registrar_without_room_is_left_for_the_next_server_and_spared_calls_as_well(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    replies = {FIRST: Reply(503, ((b"Retry-After", b"200"),)), SECOND: FOR_EVER}
    async with open_gateway(
        monkeypatch, located(FIRST, SECOND), trunk=REGISTERED, replies=replies
    ) as (gateway, office):
        # The registration keeps to what the registrar asks, whichever server it was.
        await trio.sleep(190.0)
        assert [hop for _, hop in office.asked] == [FIRST]
        assert gateway.describe(trio.current_time()) == (
            "The registrar answered 503 Service Unavailable."
        )
        await trio.sleep(20.0)
        assert [hop for _, hop in office.asked] == [FIRST, SECOND]
        assert gateway.condition(trio.current_time()).is_usable


async def test_a_server_whose_registrar_asks_for_rest_gets_no_call_meanwhile(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    replies = {FIRST: GRANTED}
    async with open_gateway(
        monkeypatch, located(FIRST, SECOND), trunk=REGISTERED, replies=replies
    ) as (gateway, office):
        await trio.sleep(10.0)
        assert hop_of_next_call(gateway) == FIRST
        office.replies[FIRST] = Reply(503, ((b"Retry-After", b"300"),))
        await trio.sleep(480.0)
        assert [hop for _, hop in office.asked] == [FIRST, FIRST]
        assert hop_of_next_call(gateway) == SECOND


async def test_a_trunk_is_registered_with_once_it_may_be(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    may_register = trio.Event()
    async with open_gateway(
        monkeypatch,
        located(FIRST),
        trunk=REGISTERED,
        replies={FIRST: GRANTED},
        may_register=may_register,
    ) as (gateway, office):
        await trio.sleep(10.0)
        assert office.asked == []
        may_register.set()
        await trio.sleep(1.0)
        assert [(round(at), hop) for at, hop in office.asked] == [(10, FIRST)]
        assert hop_of_next_call(gateway) == FIRST


async def test_leaving_before_a_trunk_may_be_registered_with_sends_it_nothing(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async with open_gateway(
        monkeypatch, located(FIRST), trunk=REGISTERED, may_register=trio.Event()
    ) as (gateway, office):
        await gateway.leave()
        await trio.sleep(10.0)
        assert office.asked == []


async def test_leaving_unregisters(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async with open_gateway(
        monkeypatch, located(FIRST), trunk=REGISTERED, replies={FIRST: GRANTED}
    ) as (gateway, office):
        await trio.sleep(10.0)
        await gateway.leave()
        assert office.now == pytest.approx(10.0 + ROUND_TRIP_S)
        expiries = [request.first(b"expires") for request in office.requests]
        assert expiries == [b"3600", b"0"]
        assert gateway.choose(trio.current_time()) is None
    assert [told.detail for told in office.told[2:]] == [
        "The trunk is no longer registered, since the engine stops."
    ]


async def test_leaving_answers_a_challenge(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async with open_gateway(
        monkeypatch, located(FIRST), trunk=REGISTERED, replies={FIRST: GRANTED}
    ) as (gateway, office):
        await trio.sleep(10.0)
        office.replies[FIRST] = Reply(401, (CHALLENGE,))
        await gateway.leave()
        assert [request.first(b"expires") for request in office.requests[1:]] == [b"0", b"0"]
        assert office.requests[-1].first(b"authorization") is not None


async def test_leaving_waits_no_longer_than_its_bound(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async with open_gateway(
        monkeypatch, located(FIRST), trunk=REGISTERED, replies={FIRST: GRANTED}
    ) as (gateway, office):
        await trio.sleep(10.0)
        del office.replies[FIRST]
        await gateway.leave()
        assert office.now == 10.0 + LEAVE_S_MAX


@pytest.mark.parametrize("trunk", [Trunk("main", NAME), REGISTERED])
async def test_who_is_not_registered_leaves_at_once(
    trunk: Trunk, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    nowhere = NotFound("carrier.example leads to no IPv4 address")
    async with open_gateway(monkeypatch, nowhere, trunk=trunk) as (gateway, office):
        await gateway.leave()
        assert (office.now, office.requests) == (0.0, [])


async def test_who_still_looks_for_its_servers_leaves_at_once(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async def locate(*_: object) -> None:
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        office = Office(nursery, ())
        monkeypatch.setattr("adapters.sip.gateway.locate", locate)
        gateway = Gateway(REGISTERED, office.services())
        nursery.start_soon(gateway.run)
        await trio.testing.wait_all_tasks_blocked()
        await gateway.leave()
        assert office.now == 0.0
        nursery.cancel_scope.cancel()
