"""The whole engine under virtual time: from an accepted contact to its disposition."""

from __future__ import annotations

from collections import Counter
from copy import deepcopy

import msgspec
import pytest
import trio
from trio.testing import MockClock

from engine.dial.limits.party import Permit
from engine.model import Attempt, Cap, FlowSettings, RetryRule
from engine.model.do_not_call import DoNotCall
from engine.model.events import Event
from engine.ports.dial_store import Refusal
from engine.ports.read_store import AttemptFilter
from engine.ports.stored import Conflict
from engine.ports.telephony import CallRequest
from engine.schedule import fetching
from sim.telephony import CallScript
from tests.engine.dial.limits.test_windows import most_in_any_window
from tests.engine.made import EPOCH, account, contact, did, flow
from tests.engine.world import World, everyone_answers, furnish, make_store, people, running

ANSWER_S = 2.0
"""After how long `everyone_answers`."""


async def attempts_of(world: World) -> list[Attempt]:
    page = await world.store.list_attempts("acc_1", AttemptFilter(), 1000, None)
    return list(page.items)


async def test_every_contact_is_called_once_and_answered(autojump_clock: MockClock) -> None:
    async with running() as world:
        await world.add_list(people(40))
        await world.wait_done()
        assert Counter(c.disposition for c in await world.contacts()) == {"answered": 40}
        numbers = [one.request.number for one in world.telephony.dialed]
        assert sorted(numbers) == sorted(c.tel[0] for c in people(40))
        attempts = await attempts_of(world)
        assert {(a.status, a.disposition) for a in attempts} == {("completed", "answered")}
        assert {round(a.duration_s or 0, 3) for a in attempts} == {5.0}


@pytest.mark.parametrize("cps", [1, 5, 20, 50])
async def test_a_did_keeps_its_pace_in_every_sliding_second_and_uses_it(
    cps: int, autojump_clock: MockClock
) -> None:
    count = cps * 20
    async with running(dids=[did(cps=cps, channels=1000)]) as world:
        await world.add_list(people(count))
        await world.wait_done()
        times = world.dial_times()
        assert most_in_any_window(times, 1.0) <= cps
        assert (count - 1) / (times[-1] - times[0]) >= 0.95 * cps


async def test_limits_of_trunk_flow_and_installation_hold_over_all_dids(
    autojump_clock: MockClock,
) -> None:
    dids = [did(number=f"+1415555010{n}", cps=20, channels=50) for n in range(5)]
    one = flow(dids=tuple(d.number for d in dids), settings=FlowSettings(cps=30))
    async with running(flows=[one], dids=dids, cps=25, channels=60) as world:
        await world.add_list(people(500))
        await world.wait_done()
        times = world.dial_times()
        assert most_in_any_window(times, 1.0) <= 25
        assert world.telephony.up_max <= 60


async def test_channels_and_caps_of_a_did_hold(autojump_clock: MockClock) -> None:
    capped = did(cps=50, channels=3, caps=(Cap(10, 60),))
    async with running(dids=[capped]) as world:
        await world.add_list(people(30))
        await world.wait_done()
        assert world.telephony.up_max <= 3
        assert most_in_any_window(world.dial_times(), 60) <= 10


async def test_channels_of_a_flow_hold(autojump_clock: MockClock) -> None:
    async with running(flows=[flow(settings=FlowSettings(channels=2))]) as world:
        await world.add_list(people(12))
        await world.wait_done()
        assert world.telephony.up_max == 2


async def test_whoever_waits_for_a_channel_of_the_flow_goes_on_when_a_second_leg_gives_it_back(
    autojump_clock: MockClock,
) -> None:
    async with running(flows=[flow(settings=FlowSettings(channels=1))]) as world:
        [[_, desk]] = world.engine._operation.ways_of("flw_1", None)
        leg = Permit([desk.limits], trio.current_time())
        await world.add_list(people(2))
        await trio.sleep(10)
        assert world.dial_times() == []
        leg.release()
        await trio.sleep(1)
        assert len(world.dial_times()) == 1
        await world.wait_done()


async def test_a_flow_whose_channels_are_taken_before_its_did_has_no_room_goes_on(
    autojump_clock: MockClock,
) -> None:
    one = flow(settings=FlowSettings(channels=3))
    async with running(flows=[one], dids=[did(cps=1)]) as world:
        await world.add_list(people(12))
        await world.wait_done()
        assert len(world.dial_times()) == 12


async def test_nobody_is_called_before_the_start_time_and_all_soon_after_it(
    autojump_clock: MockClock,
) -> None:
    at = EPOCH + 3 * 3600
    async with running() as world:
        await world.add_list(people(5, starttime=at, due_at=at))
        [blocker] = await world.engine.explain([(await world.contacts())[0]])
        assert blocker is not None
        assert blocker.code == "starttime"
        assert blocker.until == pytest.approx(at)
        begun = trio.current_time()
        await world.wait_done(poll_s=600)
        waits = [time - begun for time in world.dial_times()]
        assert all(3 * 3600 <= wait <= 3 * 3600 + 1 for wait in waits)


async def test_a_busy_callee_is_called_again_when_the_flow_says_so(
    autojump_clock: MockClock,
) -> None:
    def busy_once(_request: CallRequest, before: int) -> CallScript:
        return CallScript(code=486 if before == 0 else 200)

    patient = flow(settings=FlowSettings(retry={"busy": RetryRule(1, 90)}))
    async with running(busy_once, flows=[patient]) as world:
        await world.add_list(people(3))
        await world.wait_done()
        times = sorted(world.dial_times())
        assert all(second - first >= 90 for first, second in zip(times[:3], times[3:], strict=True))
        assert Counter(a.disposition for a in await attempts_of(world)) == {
            "busy": 3,
            "answered": 3,
        }


async def test_a_callee_who_does_not_answer_is_let_ring_and_then_left(
    autojump_clock: MockClock,
) -> None:
    silent = CallScript(final_after_s=None)
    async with running(
        lambda _request, _before: silent, flows=[flow(settings=FlowSettings(ring_timeout_s=20))]
    ) as world:
        await world.add_list(people(1))
        await world.wait_done()
        [attempt] = await attempts_of(world)
        assert (attempt.status, attempt.disposition) == ("no-answer", "no-answer")
        assert attempt.ended_at is not None
        assert attempt.ended_at - attempt.initiated_at == pytest.approx(20, abs=0.5)


async def test_a_trunk_that_gives_no_answer_costs_no_budget_and_is_named_as_the_blocker(
    autojump_clock: MockClock,
) -> None:
    def silent_twice(_request: CallRequest, before: int) -> CallScript:
        return CallScript(code=0) if before < 2 else CallScript()

    async with running(silent_twice, flows=[flow(settings=FlowSettings(attempts_max=1))]) as world:
        await world.add_list(people(1))
        await trio.sleep(33)
        [blocker] = await world.engine.explain(await world.contacts())
        assert blocker is not None
        assert blocker.code == "trunk_down"
        await world.wait_done()
        assert [c.disposition for c in await world.contacts()] == ["answered"]
        assert [a.disposition for a in await attempts_of(world)] == [None, None, "answered"]


async def test_congestion_puts_back_and_spends_nothing(autojump_clock: MockClock) -> None:
    def congested_twice(_request: CallRequest, before: int) -> CallScript:
        return (
            CallScript(code=503, final_after_s=0.1, retry_after_s=7) if before < 2 else CallScript()
        )

    one = flow(settings=FlowSettings(attempts_max=1))
    async with running(congested_twice, flows=[one]) as world:
        await world.add_list(people(1))
        await world.wait_done()
        assert [a.disposition for a in await attempts_of(world)] == [
            "congested",
            "congested",
            "answered",
        ]


async def test_a_paused_list_dials_nobody_and_goes_on_when_it_is_resumed(
    autojump_clock: MockClock,
) -> None:
    async with running(dids=[did(cps=1)]) as world:
        await world.add_list(people(30))
        await trio.sleep(5)
        await world.engine.pause_list("acc_1", "lst_1")
        dialed = len(world.telephony.dialed)
        [blocker] = await world.engine.explain([(await world.contacts())[-1]])
        assert blocker is not None
        assert blocker.code == "list_paused"
        await trio.sleep(600)
        assert len(world.telephony.dialed) == dialed
        await world.engine.resume_list("acc_1", "lst_1")
        await world.wait_done()
        assert Counter(c.disposition for c in await world.contacts()) == {"answered": 30}
        assert len(world.telephony.dialed) == 30


async def test_no_call_of_a_canceled_list_leaves_after_the_answer(
    autojump_clock: MockClock,
) -> None:
    async with running(dids=[did(cps=2)]) as world:
        await world.add_list(people(50))
        await trio.sleep(5)
        await world.engine.cancel_list("acc_1", "lst_1")
        canceled_at, dialed = trio.current_time(), len(world.telephony.dialed)
        await world.wait_done()
        assert len(world.telephony.dialed) == dialed
        answered = sum(at + ANSWER_S <= canceled_at for at in world.dial_times())
        assert 0 < answered < dialed
        assert Counter(c.disposition for c in await world.contacts()) == {
            "answered": answered,
            "canceled": 50 - answered,
        }


async def test_an_inactive_listener_holds_its_contacts(autojump_clock: MockClock) -> None:
    async with running(flows=[flow(listener_active=False)]) as world:
        await world.add_list(people(3))
        await trio.sleep(60)
        assert world.telephony.dialed == []
        [blocker, *_] = await world.engine.explain(await world.contacts())
        assert blocker is not None
        assert blocker.code == "flow_paused"
        await world.engine.administration.set_listener(account(), "flw_1", True)
        await world.wait_done()
        assert len(world.telephony.dialed) == 3


async def test_who_answered_through_one_contact_is_not_rung_for_another_of_the_list(
    autojump_clock: MockClock,
) -> None:
    """Two of a household: the first numbers of both are busy, the second is the same telephone."""
    shared = "+14155550199"

    def choose(request: CallRequest, _before: int) -> CallScript:
        return CallScript(code=200 if request.number == shared else 486)

    async with running(choose) as world:
        people_of_one = [
            contact(id=f"cnt_{n}", row=n, tel=(f"+1415555010{n}", shared), starttime=at, due_at=at)
            for n, at in ((1, EPOCH), (2, EPOCH + 60))
        ]
        await world.add_list(people_of_one)
        await world.wait_done()
        numbers = [one.request.number for one in world.telephony.dialed]
        assert numbers == ["+14155550101", shared, "+14155550102"]
        found = [one.disposition for one in await world.contacts()]
        assert found == ["answered", "skipped"]


async def test_thousands_who_must_not_be_called_are_skipped_without_an_intent_each(
    autojump_clock: MockClock,
) -> None:
    store = make_store()
    await furnish(store, [flow()], [did()])
    await store.put_do_not_call("acc_1", [DoNotCall("+1415000*", None, EPOCH)])
    begun: list[str] = []
    begin = store.begin_attempt

    async def begin_attempt(attempt: Attempt, event: Event) -> Refusal | None:
        begun.append(attempt.number)
        return await begin(attempt, event)

    store.begin_attempt = begin_attempt  # type: ignore[method-assign]
    async with running(store=store) as world:
        others = [contact(id="cnt_z", row=9_999, tel=("+14155550123",))]
        await world.add_list([*people(5_000), *others])
        await world.wait_done()
        assert begun == ["+14155550123"]
        found = Counter(one.disposition for one in await world.contacts())
        assert found == {"skipped": 5_000, "answered": 1}
        assert trio.current_time() < 15


async def test_a_number_on_the_do_not_call_list_is_skipped_at_dialling(
    autojump_clock: MockClock,
) -> None:
    async with running() as world:
        contacts = people(3)
        await world.store.add_do_not_call("acc_1", [contacts[1].tel[0]], None, EPOCH)
        await world.add_list(contacts)
        await world.wait_done()
        assert [c.disposition for c in await world.contacts()] == [
            "answered",
            "skipped",
            "answered",
        ]
        assert contacts[1].tel[0] not in {d.request.number for d in world.telephony.dialed}


async def test_a_did_without_its_trunk_says_so(autojump_clock: MockClock) -> None:
    async with running(dids=[did(trunk="elsewhere")]) as world:
        await world.add_list(people(1))
        await trio.sleep(10)
        [blocker] = await world.engine.explain(await world.contacts())
        assert blocker is not None
        assert (blocker.code, blocker.until) == ("no_trunk", None)


async def test_more_contacts_than_fit_into_memory_are_all_called_in_turn(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    """All is a tenth of its real size: the memory, the mailbox of the DID and the list."""
    monkeypatch.setattr(fetching, "HELD_MAX", fetching.HELD_MAX // 10)
    async with running(dids=[did(cps=50, channels=500)]) as world:
        await world.add_list(people(600))
        await trio.sleep(1)
        assert world.engine.statistics().in_hand < 300
        await world.wait_done()
        numbers = Counter(one.request.number for one in world.telephony.dialed)
        assert len(numbers) == 600
        assert set(numbers.values()) == {1}


async def test_two_flows_on_one_did_are_served_in_turn(autojump_clock: MockClock) -> None:
    flows = [flow(), flow(id="flw_2", calls_list="lst_calls_2")]
    async with running(flows=flows, dids=[did(cps=5)]) as world:
        await world.add_list(people(200))
        await trio.sleep(5)
        second = people(10, flow="flw_2", list="lst_2")
        renamed = [msgspec.structs.replace(one, id=f"{one.id}b") for one in second]
        await world.add_list(renamed, "lst_2")
        begun = trio.current_time()
        await world.wait_done("lst_2")
        assert trio.current_time() - begun < 15


async def test_a_stopped_engine_lets_calls_end_and_begins_none(autojump_clock: MockClock) -> None:
    store = make_store()
    await furnish(store, [flow()], [did(cps=1)])
    async with running(store=store) as world:
        await world.add_list(people(30))
        await trio.sleep(10)
        dialed = len(world.telephony.dialed)
    contacts = await world.contacts()
    assert len(world.telephony.dialed) == dialed
    assert Counter(c.state for c in contacts) == {"completed": dialed, "open": 30 - dialed}
    assert await store.open_attempts() == []
    async with running(store=store) as again:
        again.engine._scheduler.open_list("acc_1", "flw_1", "lst_1", EPOCH)
        await again.wait_done()
        assert len(again.telephony.dialed) == 30 - dialed


async def test_contacts_wait_for_the_start_of_an_engine_that_is_being_stopped(
    autojump_clock: MockClock,
) -> None:
    store = make_store()
    long = {"start": "on", "nodes": {"on": {"type": "wait", "duration_s": 3000}}}
    await furnish(store, [flow(definition=long)], [did(channels=1)])
    world = World(store, everyone_answers, drain_s=60.0)
    async with trio.open_nursery() as nursery:
        stop = trio.CancelScope()

        async def run(*, task_status: trio.TaskStatus[None]) -> None:
            with stop:
                await world.engine.run(task_status=task_status)

        await nursery.start(run)
        await world.add_list(people(2))
        await trio.sleep(10)
        stop.cancel()
        await trio.sleep(30)
        [blocker] = [one for one in await world.engine.explain(await world.contacts()) if one]
        assert blocker.code == "engine_limit"
        assert blocker.detail.startswith("The engine is being stopped")


async def test_calls_that_outlast_the_drain_are_ended_and_written_down(
    autojump_clock: MockClock,
) -> None:
    store = make_store()
    long = {"start": "on", "nodes": {"on": {"type": "wait", "duration_s": 3000}}}
    await furnish(store, [flow(definition=long)], [did()])
    async with running(store=store, drain_s=5.0) as world:
        await world.add_list(people(4))
        await trio.sleep(30)
        assert world.telephony.up == 4
    assert world.telephony.up == 0
    assert Counter(c.disposition for c in await world.contacts()) == {"answered": 4}


async def test_attempts_that_a_crash_left_open_are_unknown_and_nobody_is_rung_again(
    autojump_clock: MockClock,
) -> None:
    store = make_store()
    await furnish(store, [flow()], [did()])
    async with running(store=store) as world:
        await world.add_list(people(5))
        await trio.sleep(1)
        interrupted = await store.open_attempts()
        frozen = deepcopy(store)
    async with running(store=frozen) as again:
        await again.wait_done()
        assert again.telephony.dialed == []
        assert Counter(c.disposition for c in await again.contacts()) == {"unknown": 5}
        assert len(interrupted) == 5


async def test_a_window_counts_the_calls_before_a_restart(autojump_clock: MockClock) -> None:
    store = make_store()
    await furnish(store, [flow()], [did(caps=(Cap(4, 600),))])
    async with running(store=store) as world:
        await world.add_list(people(8))
        await trio.sleep(60)
        first = world.dial_times()
    async with running(store=store) as again:
        await again.wait_done()
        second = again.dial_times()
    assert (len(first), len(second)) == (4, 4)
    assert min(second) - min(first) >= 600


async def test_a_bug_in_one_call_is_that_calls_failure_alone(autojump_clock: MockClock) -> None:
    def breaks_for_one(request: CallRequest, _before: int) -> CallScript:
        if request.number.endswith("2"):
            raise ValueError("a bug")
        return everyone_answers(request, 0)

    async with running(breaks_for_one) as world:
        await world.add_list(people(5))
        await world.wait_done()
        assert [c.disposition for c in await world.contacts()] == [
            "answered",
            "answered",
            "failed",
            "answered",
            "answered",
        ]


async def test_a_contact_is_canceled_once(autojump_clock: MockClock) -> None:
    at = EPOCH + 3600
    async with running() as world:
        await world.add_list(people(1, starttime=at, due_at=at))
        canceled = await world.engine.cancel_contact("acc_1", "cnt_000000")
        assert canceled is not None
        assert canceled.disposition == "canceled"
        with pytest.raises(Conflict, match="contact_finished"):
            await world.engine.cancel_contact("acc_1", "cnt_000000")
        await trio.sleep(7200)
        assert world.telephony.dialed == []
