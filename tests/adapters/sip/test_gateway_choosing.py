"""Where the calls of a trunk go, and where when a server fails or refuses. Time is virtual."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from adapters.sip.locate.health import DOUBT_S
from adapters.sip.wire.hop import Hop
from engine.ports.telephony import Ended
from tests.adapters.sip.gateway_calls import (
    REFUSED,
    SILENT,
    chosen,
    fail,
    fail_together,
    hop_of_next_call,
    refuse,
)
from tests.adapters.sip.gateway_office import (
    FIRST,
    SECOND,
    located,
    open_gateway,
)


async def test_calls_go_to_the_best_server_and_to_the_next_one_when_it_fails(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async with open_gateway(monkeypatch, located(FIRST, SECOND)) as (gateway, office):
        # The next one at once. When both have failed it is the best again, and then both are down.
        assert [fail(gateway, office, REFUSED) for _ in range(4)] == [FIRST, SECOND] * 2
        assert gateway.choose(trio.current_time()) is None
        assert gateway.describe(trio.current_time()) == (
            "0 of 2 servers are well;"
            " 192.0.2.1:5060 over udp is down (nobody listens there) and is tried again in 2 s;"
            " 192.0.2.2:5060 over udp is down (nobody listens there) and is tried again in 2 s."
        )
        await trio.sleep(2.0)
        assert hop_of_next_call(gateway) == FIRST


async def test_a_server_that_answers_again_gets_its_calls_back(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async with open_gateway(monkeypatch, located(FIRST, SECOND)) as (gateway, office):
        fail_together(gateway, office, 2, REFUSED)
        hops = []
        for _ in range(5):
            await trio.sleep(1.0)
            line = chosen(gateway)
            gateway.note_answer(line, trio.current_time())
            hops.append(line.hop)
        # A trial is one call, and two answers make it well.
        assert hops == [SECOND, FIRST, FIRST, FIRST, FIRST]


async def test_a_503_sends_the_next_calls_to_the_other_server_for_as_long_as_it_asked(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async with open_gateway(monkeypatch, located(FIRST, SECOND)) as (gateway, office):
        assert refuse(gateway, 503, retry_after_s=10.0) == (FIRST, True)
        assert hop_of_next_call(gateway) == SECOND
        # Now nobody is left, and the trunk as a whole is asked to rest.
        assert refuse(gateway, 503, retry_after_s=20.0) == (SECOND, False)
        assert gateway.choose(trio.current_time()) is None
        await trio.sleep(10.0)
        assert hop_of_next_call(gateway) == FIRST
        assert office.usable == [(0.0, True), (0.0, False), (10.0, True)]


async def test_a_503_of_the_only_server_is_the_engines_business(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async with open_gateway(monkeypatch, located(FIRST)) as (gateway, office):
        assert refuse(gateway, 503, retry_after_s=10.0) == (FIRST, False)
        assert hop_of_next_call(gateway) == FIRST
        assert office.usable == [(0.0, True)]


@pytest.mark.parametrize("status", [403, 404, 480, 486, 500, 600, 603])
async def test_what_a_callee_says_never_moves_a_call_to_another_server(
    status: int, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async with open_gateway(monkeypatch, located(FIRST, SECOND)) as (gateway, office):
        assert [refuse(gateway, status) for _ in range(10)] == [(FIRST, False)] * 10
        assert office.usable == [(0.0, True)]


async def test_a_refusal_by_the_callee_is_an_answer_between_two_failures(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async with open_gateway(monkeypatch, located(FIRST)) as (gateway, office):
        for _ in range(5):
            await trio.sleep(1.0)
            assert fail(gateway, office, REFUSED) == FIRST
            assert refuse(gateway, 486) == (FIRST, False)
        assert office.usable == [(0.0, True)]


async def test_after_a_failure_calls_go_to_the_other_server_until_the_first_one_answers(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async with open_gateway(monkeypatch, located(FIRST, SECOND)) as (gateway, office):
        slow = chosen(gateway)
        assert fail(gateway, office) == FIRST
        assert [refuse(gateway, 486) for _ in range(3)] == [(SECOND, False)] * 3
        # A call that was under way already is answered, be it by a busy callee.
        ended = Ended("rejected", 486, "Busy Here")
        assert not gateway.note_refusal(slow, ended, trio.current_time())
        assert hop_of_next_call(gateway) == FIRST


async def test_after_a_failure_a_server_gets_its_calls_back_in_a_minute(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async with open_gateway(monkeypatch, located(FIRST, SECOND)) as (gateway, office):
        assert fail(gateway, office) == FIRST
        hops = []
        for _ in range(3):
            hops.append(hop_of_next_call(gateway))
            await trio.sleep(DOUBT_S / 2)
        assert hops == [SECOND, SECOND, FIRST]


async def test_a_failure_says_whether_another_server_can_take_the_call(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async with open_gateway(monkeypatch, located(FIRST, SECOND)) as (gateway, office):
        # However many were under way.
        assert fail_together(gateway, office, 3, SILENT) == [True] * 3
        assert fail_together(gateway, office, 2, SILENT) == [False] * 2


@pytest.mark.parametrize("hops", [(FIRST,), (FIRST, SECOND)])
async def test_a_number_that_alone_gets_no_answer_has_no_other_way(
    hops: tuple[Hop, ...], monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async with open_gateway(monkeypatch, located(*hops)) as (gateway, _):
        line, chosen_at = chosen(gateway), trio.current_time()
        await trio.sleep(20.0)
        gateway.note_answer(line, trio.current_time())
        await trio.sleep(12.0)
        assert not gateway.note_failure(line, chosen_at, trio.current_time())


async def test_a_503_leaves_no_other_way_where_the_other_server_is_not_well(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async with open_gateway(monkeypatch, located(FIRST, SECOND)) as (gateway, office):
        assert [refuse(gateway, 503) for _ in range(3)] == [
            (FIRST, True),
            (SECOND, False),
            (FIRST, False),
        ]
    async with open_gateway(monkeypatch, located(FIRST, SECOND)) as (gateway, office):
        assert fail(gateway, office) == FIRST
        assert refuse(gateway, 503, 10.0) == (SECOND, False)


async def test_an_only_server_that_fails_leaves_no_other(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async with open_gateway(monkeypatch, located(FIRST)) as (gateway, office):
        assert fail_together(gateway, office, 1, SILENT) == [False]
        assert hop_of_next_call(gateway) == FIRST
        assert fail_together(gateway, office, 2, SILENT) == [False] * 2
        assert gateway.choose(trio.current_time()) is None
