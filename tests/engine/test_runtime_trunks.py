"""Trunks and routes under the whole engine: calls go on where one trunk is silent, full or given up, a call
that was redirected is followed, and nobody is called who must not be. Virtual time throughout."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock

from engine.dial.trunks.route import RouteSettings
from engine.dial.trunks.trunk import UNHEARD_S, TrunkSettings
from engine.model import Attempt, Blocker, Contact, FlowSettings, PresentationSettings, RetryRule
from engine.model.disposition import read_outcome_table
from engine.model.events import StoredEvent
from engine.ports.read_store import AttemptFilter
from engine.ports.telephony import Call, CallRequest, Presentation
from engine.schedule.retry import STALLS_MAX
from sim.memory_store import MemoryStore
from sim.telephony import CallScript
from tests.engine.dial.limits.test_windows import most_in_any_window
from tests.engine.made import EPOCH, contact, did, flow
from tests.engine.world import VirtualClock, World, furnish, make_store, people, running

TRUNKS = (TrunkSettings("first", 100, 100), TrunkSettings("second", 100, 100))
ROUTE = (RouteSettings("route", (("first",), ("second",))),)
BY_ROUTE = did(trunk="route")


async def attempts_of(world: World) -> list[Attempt]:
    page = await world.store.list_attempts("acc_1", AttemptFilter(), 1000, None)
    return list(page.items)


async def tries(world: World) -> list[tuple[str, str | None]]:
    """(trunk, disposition) of every attempt, in order."""
    return [(one.trunk, one.disposition) for one in await attempts_of(world)]


async def blocker_of(world: World) -> Blocker:
    """What holds the first contact that is not done."""
    waiting = [one for one in await world.contacts() if one.state == "open"]
    [blocker, *_] = await world.engine.explain(waiting)
    assert blocker is not None
    return blocker


def quick(code: int = 200, **more: Any) -> CallScript:
    """A callee or trunk that decides at once."""
    return CallScript(ring_after_s=None, final_after_s=0.1, code=code, talk_s=1.0, **more)


class FullTrunk:
    """A trunk with so many channels, or calls a second, which refuses what is above them."""

    def __init__(
        self, channels: int = 10**6, cps: int = 10**6, lasts_s: float = 5, **refusal: Any
    ) -> None:
        self.channels = channels
        self.cps = cps
        self.lasts_s = lasts_s
        self.refusal = CallScript(ring_after_s=None, final_after_s=0.05, **{"code": 503, **refusal})
        self.ends: deque[float] = deque()
        self.taken: list[float] = []
        self.refused: list[float] = []

    def __call__(self, _request: CallRequest, _before: int) -> CallScript:
        now = trio.current_time()
        self.ends = deque(end for end in self.ends if end > now)
        if len(self.ends) >= self.channels or sum(at > now - 1 for at in self.taken) >= self.cps:
            self.refused.append(now)
            return self.refusal
        self.taken.append(now)
        self.ends.append(now + 0.2 + self.lasts_s)
        return CallScript(ring_after_s=0.1, final_after_s=0.2, talk_s=self.lasts_s)


async def test_a_call_that_a_silent_trunk_lost_goes_by_the_next_one_and_costs_nothing(
    autojump_clock: MockClock,
) -> None:
    def first_is_silent(request: CallRequest, _before: int) -> CallScript:
        return CallScript(code=0) if request.trunk == "first" else CallScript()

    one = flow(settings=FlowSettings(attempts_max=1))
    async with running(
        first_is_silent, flows=[one], dids=[BY_ROUTE], trunks=TRUNKS, routes=ROUTE
    ) as world:
        await world.add_list(people(1))
        await world.wait_done()
        assert await tries(world) == [("first", None), ("second", "answered")]
        failures = [one.sip and one.sip.failure for one in await attempts_of(world)]
        assert failures == ["timed_out", None]
        [first, second] = world.dial_times()
        assert second - first == pytest.approx(32, abs=0.2)


async def test_a_refusal_of_the_callee_never_goes_to_another_trunk(
    autojump_clock: MockClock,
) -> None:
    for code in (404, 480, 486, 600, 603, 607):
        async with running(
            lambda _request, _before, code=code: quick(code),  # type: ignore[misc]
            dids=[BY_ROUTE],
            trunks=TRUNKS,
            routes=ROUTE,
        ) as world:
            await world.add_list(people(1))
            await world.wait_done()
            assert [one.trunk for one in await attempts_of(world)] == ["first"]


async def test_a_congested_call_goes_by_the_next_trunk_at_once(autojump_clock: MockClock) -> None:
    def first_is_full(request: CallRequest, _before: int) -> CallScript:
        return quick(503) if request.trunk == "first" else CallScript()

    one = flow(settings=FlowSettings(attempts_max=1))
    async with running(
        first_is_full, flows=[one], dids=[BY_ROUTE], trunks=TRUNKS, routes=ROUTE
    ) as world:
        await world.add_list(people(1))
        await world.wait_done()
        assert await tries(world) == [("first", "congested"), ("second", "answered")]
        [first, second] = world.dial_times()
        assert second - first < 0.3


async def test_a_trunk_that_refused_a_call_once_gets_it_again_though_another_refuses_it_for_ever(
    autojump_clock: MockClock,
) -> None:
    def second_is_full_once(request: CallRequest, before: int) -> CallScript:
        return quick(503) if request.trunk == "first" or before == 1 else CallScript()

    async with running(second_is_full_once, dids=[BY_ROUTE], trunks=TRUNKS, routes=ROUTE) as world:
        await world.add_list(people(1))
        await world.wait_done()
        assert await tries(world) == [
            ("first", "congested"),
            ("second", "congested"),
            ("first", "congested"),
            ("second", "answered"),
        ]


async def test_a_number_that_never_gets_an_answer_does_not_hold_up_the_calls_of_others(
    autojump_clock: MockClock,
) -> None:
    def one_is_silent(request: CallRequest, _before: int) -> CallScript:
        return CallScript(code=0) if request.number == HOME else CallScript()

    async with running(one_is_silent) as world:
        others = [
            contact(
                id=f"cnt_{n:03}",
                row=n + 2,
                tel=(f"+1415{n:07}",),
                starttime=EPOCH + 20 * n,
                due_at=EPOCH + 20 * n,
            )
            for n in range(60)
        ]
        await world.add_list([contact(id="cnt_silent"), *others])
        await trio.sleep(1300)
        dialed = {
            one.request.number: one.at
            for one in world.telephony.dialed
            if one.request.number != HOME
        }
        assert max(dialed[f"+1415{n:07}"] - 20 * n for n in range(60)) < 1.0
        assert len(dialed) == 60


async def test_calls_go_evenly_over_equal_trunks_and_to_the_next_group_when_those_are_full(
    autojump_clock: MockClock,
) -> None:
    trunks = (
        TrunkSettings("a", 20, 100),
        TrunkSettings("b", 20, 100),
        TrunkSettings("c", 100, 100),
    )
    routes = (RouteSettings("route", (("a", "b"), ("c",))),)
    long = CallScript(talk_s=None)
    forever = {"start": "on", "nodes": {"on": {"type": "wait", "duration_s": 3000}}}
    async with running(
        lambda _request, _before: long,
        flows=[flow(definition=forever)],
        dids=[did(trunk="route", cps=50, channels=100)],
        trunks=trunks,
        routes=routes,
        drain_s=0,
    ) as world:
        await world.add_list(people(60))
        await trio.sleep(10)
        used = [one.request.trunk for one in world.telephony.dialed]
        assert Counter(used[:40]) == {"a": 20, "b": 20}
        assert Counter(used[40:]) == {"c": 20}


async def test_a_trunk_that_its_adapter_gives_up_is_the_blocker_until_it_is_well(
    autojump_clock: MockClock,
) -> None:
    async with running() as world:
        world.telephony.set_condition("main", False, "The registration was refused (403).")
        await world.add_list(people(3))
        await trio.sleep(300)
        assert world.telephony.dialed == []
        assert await blocker_of(world) == Blocker(
            "trunk_down", "The registration was refused (403).", None
        )
        assert world.engine.problems() == ["No trunk answers."]
        world.telephony.set_condition("main", True, "It is registered.")
        begun = trio.current_time()
        await world.wait_done()
        assert world.engine.problems() == []
        assert world.dial_times()[0] - begun <= 1.1


async def test_a_call_with_which_a_trunk_is_tried_out_is_not_kept_from_leaving_by_that(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    """As long as the only server of a trunk is tried out with one call, there is none for others."""
    async with running() as world:
        telephony = world.telephony
        prepare = telephony.prepare_call

        @asynccontextmanager
        async def try_out(request: CallRequest) -> AsyncIterator[Call]:
            async with prepare(request) as call:
                telephony.set_condition("main", False, "It is being tried again.")
                try:
                    yield call
                finally:
                    telephony.set_condition("main", True)

        monkeypatch.setattr(telephony, "prepare_call", try_out)
        await world.add_list(people(3))
        with trio.fail_after(300):
            await world.wait_done()
        assert len(telephony.dialed) == 3


async def test_the_condition_of_trunks_is_known_before_the_first_call(
    autojump_clock: MockClock,
) -> None:
    store = MemoryStore(lambda _events: None, VirtualClock())
    await furnish(store, [flow()], [did()])
    world = World(store, lambda _request, _before: CallScript())
    world.telephony.set_condition("main", False, "It is not registered yet.")
    world.telephony.set_condition("stranger", False, "Nobody's trunk.")
    await world.add_list(people(3))
    async with trio.open_nursery() as nursery:
        await nursery.start(lambda *, task_status: world.engine.run(task_status=task_status))
        await trio.sleep(60)
        assert world.telephony.dialed == []
        nursery.cancel_scope.cancel()


async def test_a_route_leaves_out_the_trunk_that_cannot_be_used(autojump_clock: MockClock) -> None:
    async with running(dids=[BY_ROUTE], trunks=TRUNKS, routes=ROUTE) as world:
        world.telephony.set_condition("first", False, "gone")
        await world.add_list(people(5))
        await world.wait_done()
        assert {one.request.trunk for one in world.telephony.dialed} == {"second"}


async def test_a_dead_trunk_takes_few_calls_with_it_and_is_tried_with_one_at_a_time(
    autojump_clock: MockClock,
) -> None:
    dead = {"until": 300.0}

    def silent_at_first(_request: CallRequest, _before: int) -> CallScript:
        return CallScript(code=0) if trio.current_time() < dead["until"] else CallScript()

    async with running(silent_at_first, dids=[did(cps=50, channels=5000)]) as world:
        await world.add_list(people(900))
        await trio.sleep(31)
        assert len(world.telephony.dialed) <= 50 * (UNHEARD_S + 1)
        blocker = await blocker_of(world)
        assert blocker.code == "trunk_down"
        assert "answered nothing" in blocker.detail
        await trio.sleep(250)
        trials = [at for at in world.dial_times() if at > 40]
        assert len(trials) <= 6
        assert most_in_any_window(trials, 30) == 1
        await world.wait_done()
        assert Counter(c.disposition for c in await world.contacts()) == {"answered": 900}
        assert max(one.at for one in world.telephony.dialed) < 400


async def test_a_trunk_with_a_limit_of_calls_a_second_is_soon_called_within_it(
    autojump_clock: MockClock,
) -> None:
    carrier = FullTrunk(cps=10)
    async with running(
        carrier, dids=[did(cps=50, channels=500)], trunks=(TrunkSettings("main", 500, 50),)
    ) as world:
        await world.add_list(people(1500))
        await world.wait_done()
        late = [at for at in carrier.refused if at > 60]
        assert len(late) < 0.03 * 1500
        assert (carrier.taken[-1] - carrier.taken[0]) < 1500 / 8
        assert Counter(c.disposition for c in await world.contacts()) == {"answered": 1500}
        assert {c.spent for c in await world.contacts()} == {1}


async def test_a_trunk_with_a_channel_limit_is_soon_called_within_it(
    autojump_clock: MockClock,
) -> None:
    carrier = FullTrunk(channels=20, code=500, reason="Channel limit reached")
    async with running(carrier, dids=[did(cps=20, channels=500)]) as world:
        await world.add_list(people(600))
        await trio.sleep(100)
        blocker = await blocker_of(world)
        assert blocker.code in ("trunk_channels", "did_cps")
        await world.wait_done()
        assert len([at for at in carrier.refused if at > 30]) < 0.03 * 600
        assert carrier.taken[-1] - carrier.taken[0] < 1.25 * 600 * 5.2 / 20


async def test_retry_after_is_kept_to_the_letter_and_told(autojump_clock: MockClock) -> None:
    def asks_for_a_pause(_request: CallRequest, _before: int) -> CallScript:
        early = trio.current_time() < 1
        return quick(503, retry_after_s=40.0) if early else CallScript()

    async with running(asks_for_a_pause) as world:
        await world.add_list(people(20))
        await trio.sleep(10)
        [blocker] = await world.engine.explain((await world.contacts())[-1:])
        assert blocker is not None
        assert blocker.code == "trunk_cps"
        assert "asked for a pause" in blocker.detail
        assert blocker.until == pytest.approx(EPOCH + 40, abs=1)
        await world.wait_done()
        told = max(at + 0.1 for at in world.dial_times() if at < 1)
        assert min(at for at in world.dial_times() if at > 2) >= told + 40
        assert Counter(c.disposition for c in await world.contacts()) == {"answered": 20}


async def test_a_callee_whose_network_is_always_full_is_not_called_without_end(
    autojump_clock: MockClock,
) -> None:
    def one_is_full(request: CallRequest, _before: int) -> CallScript:
        return quick(503) if request.number.endswith("0000000") else CallScript()

    async with running(one_is_full) as world:
        await world.add_list(people(30))
        await trio.sleep(600)
        calls = Counter(one.request.number for one in world.telephony.dialed)
        assert 10 <= calls.pop("+14150000000") <= 30
        assert set(calls.values()) == {1}
        [full, *_] = await world.contacts()
        assert (full.state, full.spent) == ("open", 0)


@pytest.mark.parametrize("dead", [1, 2, 10])
async def test_numbers_that_are_always_full_do_not_slow_down_the_trunk_for_a_list_that_comes(
    autojump_clock: MockClock, dead: int
) -> None:
    full = {f"+1415000000{n}" for n in range(dead)}

    def some_are_full(request: CallRequest, _before: int) -> CallScript:
        return quick(503) if request.number in full else CallScript(talk_s=20)

    async with running(some_are_full) as world:
        await world.add_list([contact(id=f"cnt_{one}", tel=(one,)) for one in full])
        trickle = [msgspec.structs.replace(one, list="lst_2") for one in one_every(30, 32)[12:]]
        await world.add_list(trickle, "lst_2")
        await trio.sleep(970)
        came = [contact(id=f"n{n}", list="lst_3", tel=(f"+1415200{n:04}",)) for n in range(60)]
        begun = trio.current_time()
        await world.add_list(came, "lst_3")
        await trio.sleep(60)
        numbers = {one.tel[0] for one in came}
        late = [one.at - begun for one in world.telephony.dialed if one.request.number in numbers]
        assert len(late) == 60
        assert max(late) < 20


def one_every(seconds: float, count: int) -> list[Contact]:
    """Contacts of which one after the other is due."""
    return [
        contact(
            id=f"cnt_{n:03}",
            row=n + 2,
            tel=(f"+1415{n:07}",),
            starttime=EPOCH + seconds * n,
            due_at=EPOCH + seconds * n,
        )
        for n in range(count)
    ]


@pytest.mark.parametrize(
    ("bad", "disposition"),
    [
        (CallScript(code=0), "failed"),
        (quick(503), "congested"),
        (quick(503, retry_after_s=300.0), "congested"),
    ],
)
async def test_a_number_that_comes_to_nothing_while_others_are_called_is_given_up_in_the_end(
    autojump_clock: MockClock, bad: CallScript, disposition: str
) -> None:
    def one_is_dead(request: CallRequest, _before: int) -> CallScript:
        return bad if request.number == HOME else CallScript()

    async with running(one_is_dead) as world:
        await world.add_list([contact(id="cnt_dead"), *one_every(15, 600)])
        await world.wait_done(poll_s=60)
        dead = next(one for one in await world.contacts() if one.id == "cnt_dead")
        assert (dead.disposition, dead.spent) == (disposition, 1)
        calls = [one for one in world.telephony.dialed if one.request.number == HOME]
        assert STALLS_MAX <= len(calls) <= STALLS_MAX + 5
        [*before, last] = [one for one in await attempts_of(world) if one.number == HOME]
        assert {one.disposition for one in before} == {
            None if disposition == "failed" else disposition
        }
        assert last.disposition == disposition


async def test_calls_that_came_to_nothing_are_counted_over_restarts(
    autojump_clock: MockClock,
) -> None:
    def one_is_silent(request: CallRequest, _before: int) -> CallScript:
        return CallScript(code=0) if request.number == HOME else CallScript()

    store = make_store()
    await furnish(store, [flow()], [did()])
    async with running(one_is_silent, store=store) as world:
        await world.add_list([contact(id="cnt_dead"), *one_every(15, 400)])
    for _ in range(30):
        async with running(one_is_silent, store=store):
            await trio.sleep(200)
    dead = next(one for one in await world.contacts() if one.id == "cnt_dead")
    assert dead.state == "completed"


@pytest.mark.parametrize("bad", [CallScript(code=0), quick(503), quick(503, retry_after_s=60.0)])
async def test_nobody_is_given_up_for_a_trunk_that_takes_no_call_at_all(
    autojump_clock: MockClock, bad: CallScript
) -> None:
    def dead_for_hours(_request: CallRequest, _before: int) -> CallScript:
        return bad if 100 < trio.current_time() < 4_000 else CallScript()

    async with running(dead_for_hours) as world:
        await world.add_list(one_every(40, 20))
        await world.wait_done(poll_s=60)
        found = Counter((c.disposition, c.spent) for c in await world.contacts())
        assert found == {("answered", 1): 20}


async def test_a_pause_that_one_callees_network_asks_for_again_and_again_is_not_the_trunks(
    autojump_clock: MockClock,
) -> None:
    def one_is_full(request: CallRequest, _before: int) -> CallScript:
        is_bad = request.number == HOME
        return quick(503, retry_after_s=300.0) if is_bad else CallScript()

    async with running(one_is_full) as world:
        await world.add_list([contact(id="cnt_full"), *one_every(20, 150)])
        await trio.sleep(3100)
        calls = [one for one in world.telephony.dialed if one.request.number != HOME]
        late = [one.at - 20 * int(one.request.number[5:]) for one in calls]
        assert len(calls) == 150
        assert max(late[20:]) < 1
        own = [one.at for one in world.telephony.dialed if one.request.number == HOME]
        assert min(later - earlier for earlier, later in pairwise(own)) >= 300


async def test_a_forwarded_number_is_followed_anew_where_its_target_was_busy(
    autojump_clock: MockClock,
) -> None:
    def forwarded(request: CallRequest, before: int) -> CallScript:
        if request.number == HOME:
            return quick(302, redirected_to=AWAY)
        return quick(486) if before == 0 else CallScript()

    one = flow(settings=FlowSettings(retry={"busy": RetryRule(1, 30)}))
    async with running(forwarded, flows=[one]) as world:
        await world.add_list([contact()])
        await world.wait_done()
        numbers = [(one.number, one.disposition) for one in await attempts_of(world)]
        redirected = (HOME, "failed")
        assert numbers == [redirected, (AWAY, "busy"), redirected, (AWAY, "answered")]


async def test_a_trunks_own_table_says_what_its_refusals_mean(autojump_clock: MockClock) -> None:
    table = read_outcome_table(
        [("sip:487", "no-answer"), ("text:not in service", "invalid-number")]
    )
    scripts = {
        "0": quick(487, reason="Request Terminated"),
        "1": quick(503, reason="Number Not In Service", q850=34),
        "2": quick(486),
    }
    async with running(
        lambda request, _before: scripts[request.number[-1]],
        trunks=(TrunkSettings("main", 100, 100, table),),
    ) as world:
        await world.add_list(people(3))
        await world.wait_done()
        found = sorted(await attempts_of(world), key=lambda one: one.number)
        assert [one.disposition for one in found] == ["no-answer", "invalid-number", "busy"]
        assert [(one.sip.code, one.sip.reason, one.q850) for one in found if one.sip] == [
            (487, "Request Terminated", None),
            (503, "Number Not In Service", 34),
            (486, "", None),
        ]


HOME, AWAY = "+14155550123", "+14155550199"


def moved(request: CallRequest, _before: int) -> CallScript:
    """The callee's number leads to another one, where somebody answers."""
    return quick(302, redirected_to=AWAY) if request.number == HOME else CallScript()


async def test_a_redirected_call_is_followed_once_and_only_the_call_it_leads_to_costs(
    autojump_clock: MockClock,
) -> None:
    one = flow(settings=FlowSettings(attempts_max=1))
    async with running(moved, flows=[one]) as world:
        await world.add_list([contact()])
        await world.wait_done()
        first, second = await attempts_of(world)
        assert (first.number, first.disposition, first.status) == (HOME, "failed", "failed")
        assert (second.number, second.disposition) == (AWAY, "answered")
        assert (first.redirected_from, second.redirected_from) == (None, HOME)
        [done] = await world.contacts()
        assert (done.disposition, done.spent, done.detour) == ("answered", 1, None)
        assert second.initiated_at - first.initiated_at < 1


async def test_a_second_redirection_is_a_refusal(autojump_clock: MockClock) -> None:
    def round_and_round(request: CallRequest, _before: int) -> CallScript:
        return quick(302, redirected_to=HOME if request.number == AWAY else AWAY)

    async with running(round_and_round) as world:
        await world.add_list([contact(tel=(HOME, "+14155550124"))])
        await world.wait_done()
        assert [(one.number, one.disposition) for one in await attempts_of(world)] == [
            (HOME, "failed"),
            (AWAY, "failed"),
            ("+14155550124", "failed"),
            (AWAY, "failed"),
        ]
        [done] = await world.contacts()
        assert (done.disposition, done.spent) == ("failed", 2)


@pytest.mark.parametrize("to", [HOME, "+441632960000", "+1", "sip:eve@example.com"])
async def test_a_redirection_to_where_no_call_may_go_is_a_refusal(
    to: str, autojump_clock: MockClock
) -> None:
    async with running(
        lambda _request, _before: quick(302, redirected_to=to), destinations=("+1",)
    ) as world:
        await world.add_list([contact()])
        await world.wait_done()
        assert [one.request.number for one in world.telephony.dialed] == [HOME]
        assert [c.disposition for c in await world.contacts()] == ["failed"]


@pytest.mark.parametrize("listed", [AWAY, HOME])
async def test_a_redirection_is_not_followed_to_or_from_a_number_that_must_not_be_called(
    listed: str, autojump_clock: MockClock
) -> None:
    told: list[StoredEvent] = []
    store = MemoryStore(told.extend, VirtualClock())
    await furnish(store, [flow(settings=FlowSettings(attempts_max=2))], [did(cps=1)])

    async with running(moved, store=store) as world:
        await world.add_list([contact(tel=(HOME, "+14155550124"))])
        await trio.sleep(0.5)  # the next call of this DID may leave after a second
        await store.add_do_not_call("acc_1", [listed], None, EPOCH)
        await world.wait_done()
        assert [one.request.number for one in world.telephony.dialed] == [HOME, "+14155550124"]
        [done] = await world.contacts()
        assert (done.disposition, done.spent, done.detour) == ("answered", 2, None)
    waits = [one.body for one in told if one.type == "contact.waiting"]
    assert [b'"redirected_to":"+14155550199"' in body for body in waits] == [True, False]
    assert [b'"reason":"do_not_call"' in body for body in waits] == [False, True]


async def test_a_detour_that_is_refused_as_congested_is_tried_again(
    autojump_clock: MockClock,
) -> None:
    def away_is_full_once(request: CallRequest, before: int) -> CallScript:
        if request.number == AWAY and before == 0:
            return quick(503)
        return moved(request, before)

    async with running(away_is_full_once) as world:
        await world.add_list([contact()])
        await world.wait_done()
        assert [(one.number, one.disposition) for one in await attempts_of(world)] == [
            (HOME, "failed"),
            (AWAY, "congested"),
            (AWAY, "answered"),
        ]


async def test_a_detour_outlives_a_restart(autojump_clock: MockClock) -> None:
    store = MemoryStore(lambda _events: None, VirtualClock())
    await furnish(store, [flow()], [did(cps=0.1)])
    async with running(moved, store=store) as world:
        await world.add_list([contact()])
        await trio.sleep(2)
        assert [one.request.number for one in world.telephony.dialed] == [HOME]
    async with running(moved, store=store) as again:
        await again.wait_done()
        assert [one.request.number for one in again.telephony.dialed] == [AWAY]


async def test_a_number_that_may_not_be_called_any_more_is_skipped_at_dialling(
    autojump_clock: MockClock,
) -> None:
    told: list[StoredEvent] = []
    store = MemoryStore(told.extend, VirtualClock())
    await furnish(store, [flow()], [did()])
    async with running(store=store, destinations=("+1415555",)) as world:
        away = contact(id="cnt_2", row=2, tel=("+14165550123",))
        await world.add_list([contact(), away])
        await world.wait_done()
        assert [one.request.number for one in world.telephony.dialed] == [HOME]
        assert [c.disposition for c in await world.contacts()] == ["answered", "skipped"]
    reasons = [one.body for one in told if b'"reason":"number_not_allowed"' in one.body]
    assert len(reasons) == 1


async def test_an_installation_without_destinations_calls_nobody(autojump_clock: MockClock) -> None:
    async with running(destinations=()) as world:
        await world.add_list(people(3))
        await world.wait_done()
        assert world.telephony.dialed == []
        assert {c.disposition for c in await world.contacts()} == {"skipped"}


async def test_a_redirection_that_is_not_followed_means_what_the_trunks_table_says(
    autojump_clock: MockClock,
) -> None:
    table = read_outcome_table([("sip:302", "invalid-number")])
    async with running(
        moved, trunks=(TrunkSettings("main", 100, 100, table),), destinations=(HOME,)
    ) as world:
        await world.add_list([contact()])
        await world.wait_done()
        assert [c.disposition for c in await world.contacts()] == ["invalid-number"]


async def test_a_caller_number_without_a_trunk_is_not_the_blocker_while_another_has_one(
    autojump_clock: MockClock,
) -> None:
    gone, full = did(trunk="gone"), did(number="+14155550101")
    async with running(
        lambda _request, _before: CallScript(final_after_s=None),
        flows=[flow(dids=(gone.number, full.number))],
        dids=[gone, full],
        trunks=(TrunkSettings("main", 1, 100),),
    ) as world:
        await world.add_list(people(5))
        await trio.sleep(10)
        assert (await blocker_of(world)).code == "trunk_channels"


async def test_a_second_number_is_checked_as_the_first_was(autojump_clock: MockClock) -> None:
    async with running(
        lambda _request, _before: quick(486),
        flows=[flow(settings=FlowSettings(retry={"busy": RetryRule(1, 1)}))],
        destinations=("+1415",),
    ) as world:
        await world.add_list([contact(tel=(HOME, "+14165550123"))])
        await world.wait_done()
        assert [one.request.number for one in world.telephony.dialed] == [HOME, HOME]
        assert [c.disposition for c in await world.contacts()] == ["skipped"]


async def test_a_call_shows_what_its_flow_and_its_contact_say(autojump_clock: MockClock) -> None:
    shown = PresentationSettings(
        display_name="{{brand}}", withhold=True, headers={"X-Ref": "{{ref}}", "X-Kind": "reminder"}
    )
    async with running(flows=[flow(settings=FlowSettings(presentation=shown))]) as world:
        await world.add_list(
            [
                contact(variables={"brand": "Acme", "ref": "7"}),
                contact(id="cnt_2", row=2, tel=("+14155550124",), variables={}),
            ]
        )
        await world.wait_done()
        found = [one.request.presentation for one in world.telephony.dialed]
        assert found == [
            Presentation("Acme", True, None, (("X-Ref", "7"), ("X-Kind", "reminder"))),
            Presentation("", True, None, (("X-Kind", "reminder"),)),
        ]
