"""One trunk in operation: where its calls go, and what is told of it. Time is virtual."""

from __future__ import annotations

import pytest
import trio
from structlog.testing import capture_logs
from trio.testing import MockClock

from adapters.sip.gateway import LEAVE_S_MAX, LOOK_AGAIN_S, Gateway
from adapters.sip.locate.health import DOUBT_S
from adapters.sip.locate.records import LookupFailed, NotFound
from adapters.sip.pump import Cause
from adapters.sip.trunk import Line, Trunk
from adapters.sip.wire.hop import Hop
from engine.ports.telephony import Ended, TrunkCondition
from tests.adapters.sip.errand.desk import CHALLENGE, CREDENTIALS
from tests.adapters.sip.gateway_office import (
    FIRST,
    NAME,
    ROUND_TRIP_S,
    SECOND,
    THIRD,
    Office,
    Reply,
    Told,
    located,
    open_gateway,
)

REFUSED = Cause("refused")
SILENT = Cause("timed_out")
PROBED = Trunk("main", NAME, probe_s=10.0)
REGISTERED = Trunk("main", NAME, credentials=CREDENTIALS, registers=True)
GRANTED = Reply(200, ((b"Contact", b"<sip:alice@192.0.2.1>;expires=600"),))
FOR_EVER = Reply(200, ((b"Contact", b"<sip:alice@192.0.2.1>;expires=100000"),))
HOUR_S = 3600.0


def chosen(gateway: Gateway) -> Line:
    line = gateway.choose(trio.current_time())
    assert line is not None
    return line


def hop_of_next_call(gateway: Gateway) -> Hop | None:
    """Where a call would go that is not placed after all."""
    now = trio.current_time()
    line = gateway.choose(now)
    if line is None:
        return None
    gateway.give_back(line, now, now)
    return line.hop


def fail(gateway: Gateway, office: Office, cause: Cause = SILENT) -> Hop:
    """Place a call that gets no response at all."""
    now = trio.current_time()
    line = chosen(gateway)
    office.causes[line.hop] = cause
    gateway.note_failure(line, now, now)
    return line.hop


def fail_together(gateway: Gateway, office: Office, count: int, cause: Cause) -> list[bool]:
    """Place calls that all are under way when the first of them fails: whether another server can take
    each."""
    now = trio.current_time()
    lines = [chosen(gateway) for _ in range(count)]
    for line in lines:
        office.causes[line.hop] = cause
    return [gateway.note_failure(line, now, now) for line in lines]


def refuse(gateway: Gateway, status: int, retry_after_s: float | None = None) -> tuple[Hop, bool]:
    """Place a call that is refused: by which server, and whether the others can take what it leaves."""
    line = chosen(gateway)
    ended = Ended("rejected", status, "No", retry_after_s=retry_after_s)
    return line.hop, gateway.note_refusal(line, ended, trio.current_time())


# Where calls go.


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


# What is told.


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


# Probing.


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


# Registering.


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


# Finding servers.


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


# What it costs.


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
