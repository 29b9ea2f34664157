"""The engine where something comes at the wrong moment: a slow store, a second door, a clock that is set,
a bug. Each test is named for what somebody would have seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock

from engine.dial.trunks.trunk import TrunkSettings
from engine.model import Attempt, BlockerCode, Cap, Contact, Did, Flow, FlowSettings, RetryRule
from engine.model.events import Event
from engine.ports.dial_store import Refusal
from engine.ports.intake_store import NewList
from engine.ports.stored import StoreUnavailable
from engine.ports.telephony import Call, CallRequest, TelephonyUnavailable
from sim.memory_store import MemoryStore
from sim.telephony import CallScript
from tests.engine.made import EPOCH, account, call_list, contact, did, flow
from tests.engine.world import SetClock, VirtualClock, World, furnish, no_events, people, running

TWO_DIDS = ("+14155550100", "+14155550199")


class SlowStore(MemoryStore):
    """A store whose answers may take their time, or fail."""

    def __init__(self) -> None:
        super().__init__(no_events, VirtualClock())
        self.answers_after_s: dict[str, float] = {}
        self.fails: dict[str, Exception] = {}
        self.asked: Counter[str] = Counter()

    async def begin_attempt(self, attempt: Attempt, event: Event) -> Refusal | None:
        refusal = await super().begin_attempt(attempt, event)
        await self._answer("begin_attempt")
        return refusal

    async def due_contacts(self, call_list: str, until: float, limit: int) -> list[Contact]:
        found = await super().due_contacts(call_list, until, limit)
        await self._answer("due_contacts")
        return found

    async def get_flow(self, account: str, flow: str) -> Flow | None:
        found = await super().get_flow(account, flow)
        await self._answer("get_flow")
        return found

    async def set_list_status(self, *args: Any) -> Any:
        if "set_list_status" in self.fails:
            raise self.fails["set_list_status"]
        changed = await super().set_list_status(*args)
        await self._answer("set_list_status")
        return changed

    async def end_attempt(
        self, attempt: Attempt, contact: Contact, events: Sequence[Event]
    ) -> bool:
        await self._answer(f"end_attempt {contact.id}")
        return await super().end_attempt(attempt, contact, events)

    async def _answer(self, method: str) -> None:
        self.asked[method] += 1
        if method in self.fails:
            raise self.fails[method]
        await trio.sleep(self.answers_after_s.get(method, 0))


async def slow_store(flows: Sequence[Flow] = (), dids: Sequence[Did] = ()) -> SlowStore:
    store = SlowStore()
    await furnish(store, flows or [flow()], dids or [did()])
    return store


async def add_call(world: World, name: str, due_at: float = EPOCH) -> None:
    """Accept a single call, as the intake does. Its number ends as its name does."""
    one = contact(id=f"cnt_{name}", list="lst_calls", tel=(f"+1415555020{name}",), due_at=due_at)
    await world.store.accept_call(one)
    world.engine._scheduler.open_list("acc_1", "flw_1", "lst_calls", due_at)


def busy(_request: CallRequest, _before: int) -> CallScript:
    return CallScript(code=486, ring_after_s=None, final_after_s=0.1)


def gone_if_1(request: CallRequest, before: int) -> CallScript:
    if request.number.endswith("1"):
        return CallScript(code=404, ring_after_s=None, final_after_s=0.1)
    return busy(request, before)


retrying = flow(settings=FlowSettings(retry={"busy": RetryRule(1, 90)}))


async def test_a_call_to_a_flow_whose_single_calls_are_paused_waits_in_peace(
    autojump_clock: MockClock,
) -> None:
    store = await slow_store()
    async with running(store=store) as world:
        await world.engine.pause_list("acc_1", "lst_calls")
        await add_call(world, "1")
        await trio.sleep(60)
        assert store.asked["begin_attempt"] == 1
        [blocker] = await world.engine.explain(await world.contacts("lst_calls"))
        assert blocker is not None
        assert blocker.code == "list_paused"
        await world.engine.resume_list("acc_1", "lst_calls")
        await world.wait_done("lst_calls")
        assert len(world.telephony.dialed) == 1


async def test_a_second_pause_that_fails_does_not_end_the_first(autojump_clock: MockClock) -> None:
    store = await slow_store(dids=[did(cps=1)])
    async with running(store=store) as world:
        await world.add_list(people(30))
        await trio.sleep(5)
        await world.engine.pause_list("acc_1", "lst_1")
        tried = store.asked["begin_attempt"]
        store.fails["set_list_status"] = StoreUnavailable("the disk is full")
        with pytest.raises(StoreUnavailable):
            await world.engine.pause_list("acc_1", "lst_1")
        await trio.sleep(60)
        assert store.asked["begin_attempt"] == tried


async def test_a_client_that_hangs_up_while_it_cancels_leaves_no_contact_without_an_end(
    autojump_clock: MockClock,
) -> None:
    store = await slow_store(dids=[did(cps=1)])
    async with running(store=store) as world:
        await world.add_list(people(30))
        await trio.sleep(5)
        store.answers_after_s["set_list_status"] = 1
        with trio.move_on_after(0.5):
            await world.engine.cancel_list("acc_1", "lst_1")
        await trio.sleep(60)
        assert {c.state for c in await world.contacts()} == {"completed"}


async def test_nobody_is_called_twice_because_a_call_ended_while_others_were_fetched(
    autojump_clock: MockClock,
) -> None:
    store = await slow_store([retrying], [did(cps=0.5)])
    async with running(gone_if_1, store=store) as world:
        await add_call(world, "1")
        await trio.sleep(0.05)
        store.answers_after_s["due_contacts"] = 1
        await add_call(world, "2")
        await trio.sleep(1.3)
        store.answers_after_s["due_contacts"] = 0
        await add_call(world, "3")
        await trio.sleep(60)
        assert len(world.telephony.dialed) == 3


async def test_nobody_is_called_twice_because_a_later_call_was_canceled(
    autojump_clock: MockClock,
) -> None:
    at = 7200.0
    store = await slow_store([retrying], [did(cps=0.05)])
    async with running(busy, store=store) as world:
        await add_call(world, "1", EPOCH + at)
        await trio.sleep(1)
        await world.engine.cancel_contact("acc_1", "cnt_1")
        await add_call(world, "2")
        await trio.sleep_until(at - 160)
        for name in "3456":
            await add_call(world, name)
        await trio.sleep_until(at - 140)
        await add_call(world, "7")
        await trio.sleep(2000)
        calls = Counter(one.request.number for one in world.telephony.dialed)
        assert set(calls.values()) == {2}
        for number in calls:
            first, second = (d.at for d in world.telephony.dialed if d.request.number == number)
            assert second - first >= 90


async def test_a_clock_that_is_set_back_does_not_stop_the_dialling(
    autojump_clock: MockClock,
) -> None:
    clock = SetClock()
    async with running(clock=clock) as world:
        await world.add_list(people(5))
        await world.wait_done()
        clock.ahead_s = -3600.0
        await trio.sleep(60)
        later = people(5, list="lst_2", due_at=EPOCH - 9000)
        await world.add_list(
            [msgspec.structs.replace(one, id=f"{one.id}b") for one in later], "lst_2"
        )
        await trio.sleep(120)
        assert len(world.telephony.dialed) == 10


async def test_a_clock_that_is_set_back_by_less_than_a_sleep_makes_no_call_late_that_waits_for_a_limit(
    autojump_clock: MockClock,
) -> None:
    """Found by the simulated world, seed 141: the clock was later at every look than at the one before."""
    clock = SetClock()
    capped = flow(settings=FlowSettings(caps=(Cap(1, 300),)))
    async with running(clock=clock, flows=[capped]) as world:
        await world.add_list(people(2))
        await trio.sleep(149)
        clock.ahead_s = -20.0
        await world.wait_done()
        first, second = world.dial_times()
        assert second - first < 301


async def test_a_clock_that_is_set_back_does_not_hold_up_whoever_was_ready_and_could_not_go(
    autojump_clock: MockClock,
) -> None:
    """Found by the simulated world, seed 209: until when a contact in hand had waited was by the old time,
    and was written down as its new moment."""
    clock = SetClock()
    capped = flow(settings=FlowSettings(caps=(Cap(1, 60),)))
    async with running(clock=clock, flows=[capped]) as world:
        await world.add_list(people(2, due_at=EPOCH - 9000))
        await trio.sleep(30)
        await world.engine.holding.pause_flow("acc_1", "flw_1")
        await trio.sleep(60)
        clock.ahead_s = -7200.0
        await trio.sleep(60)
        await world.engine.holding.resume_flow("acc_1", "flw_1")
        await trio.sleep(60)
        assert len(world.telephony.dialed) == 2


async def test_a_clock_that_is_set_back_does_not_hold_up_whoever_was_set_aside_for_a_while(
    autojump_clock: MockClock,
) -> None:
    clock = SetClock()
    first = contact(starttime=EPOCH - 9000, due_at=EPOCH - 9000)
    second = msgspec.structs.replace(first, id="cnt_2", row=2)

    def nobody_answers(_request: CallRequest, _before: int) -> CallScript:
        return CallScript(final_after_s=None)

    async with running(nobody_answers, clock=clock) as world:
        await world.add_list([first, second])
        await trio.sleep(10)
        assert [one.wait_code for one in await world.contacts() if one.state == "open"] == [
            "callee_cap"
        ]
        clock.ahead_s = -7200.0
        await trio.sleep(110)
        assert len(world.telephony.dialed) == 2


@pytest.mark.parametrize(
    ("starts_s", "dialled_s"),
    [(-9000.0, 15.0), (5.0, 7215.0)],
    ids=["its time had come", "its time is to come again"],
)
async def test_a_clock_that_is_set_back_makes_no_hours_of_a_moment_s_pause_and_nobody_early(
    autojump_clock: MockClock, starts_s: float, dialled_s: float
) -> None:
    """Found by the simulated world, seed 4570: an intent could not be written down, its contact was due again
    in a second, and waited for its DID when the clock was set back."""
    clock = SetClock()
    store = await slow_store(dids=[did(cps=0.1)])
    begin, asked = store.begin_attempt, 0

    async def begin_attempt(attempt: Attempt, event: Event) -> Refusal | None:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise StoreUnavailable("The disk is full.")
        return await begin(attempt, event)

    store.begin_attempt = begin_attempt  # type: ignore[method-assign]
    at = EPOCH + starts_s
    async with running(store=store, clock=clock) as world:
        await world.add_list(people(1, starttime=at, due_at=at))
        await trio.sleep(8)
        assert asked == 1
        clock.ahead_s = -7200.0
        await world.wait_done()
        assert world.dial_times() == [pytest.approx(dialled_s, abs=10)]


@pytest.mark.parametrize(("starts_s", "dialled_s"), [(-9000.0, 16.0), (20.0, 7235.0)])
async def test_a_clock_that_is_set_back_brings_forward_whoever_was_set_aside_for_a_moment(
    autojump_clock: MockClock, starts_s: float, dialled_s: float
) -> None:
    clock = SetClock()
    one = contact(starttime=EPOCH + starts_s, due_at=EPOCH + 20, wait_code="engine_limit")
    async with running(clock=clock) as world:
        await world.add_list([one])
        await trio.sleep(1)
        clock.ahead_s = -7200.0
        await world.wait_done()
        assert world.dial_times() == [pytest.approx(dialled_s, abs=15)]


@pytest.mark.parametrize("code", ["callee_cap", "calling_window", "engine_limit"])
async def test_a_clock_that_is_set_back_does_not_hold_up_whoever_lies_before_a_did_and_had_waited_before(
    autojump_clock: MockClock, code: BlockerCode
) -> None:
    clock = SetClock()
    waited = people(3, starttime=EPOCH - 9000, due_at=EPOCH + 1, wait_code=code)
    async with running(clock=clock, dids=[did(cps=0.8)]) as world:
        await world.add_list(waited)
        await trio.sleep(1.5)
        assert len(world.telephony.dialed) == 1
        clock.ahead_s = -7200.0
        later = people(1, list="lst_2", starttime=EPOCH - 9000, due_at=EPOCH - 9000)
        await world.add_list(
            [msgspec.structs.replace(later[0], id="cnt_b", tel=("+12125550000",))], "lst_2"
        )
        await world.wait_done()
        assert max(world.dial_times()) < 15


async def test_a_clock_that_was_set_back_before_a_restart_does_not_stop_the_dialling(
    autojump_clock: MockClock,
) -> None:
    store = await slow_store(dids=[did(cps=5)])
    async with running(store=store) as world:
        await world.add_list(people(40, due_at=EPOCH - 9000))
        await trio.sleep(2)
    before = len(world.telephony.dialed)
    for attempt in list(store._tables.attempts.values()):
        later = msgspec.structs.replace(attempt, initiated_at=attempt.initiated_at + 3600)
        store._tables.attempts[attempt.id] = later
    async with running(store=store) as again:
        await trio.sleep(60)
        assert len(again.telephony.dialed) == 40 - before


@pytest.mark.parametrize(("back_s", "dialled_s"), [(7200.0, 0.0), (0.0, 7200.0)])
async def test_a_clock_that_was_set_back_before_a_restart_does_not_hold_up_whoever_was_set_aside(
    autojump_clock: MockClock, back_s: float, dialled_s: float
) -> None:
    """The second was set aside for two hours, or for a moment of the time before the clock was set back, in
    which the first was called."""
    store = await slow_store()
    async with running(store=store) as world:
        await world.add_list(people(1))
        await world.wait_done()
    for attempt in list(store._tables.attempts.values()):
        later = msgspec.structs.replace(attempt, initiated_at=attempt.initiated_at + back_s)
        store._tables.attempts[attempt.id] = later
    restarted_at = trio.current_time()
    aside = {"starttime": EPOCH - 9000, "due_at": EPOCH + restarted_at + 7200}
    async with running(store=store) as again:
        second = people(1, list="lst_2", wait_code="callee_cap", **aside)
        numbered = [
            msgspec.structs.replace(one, id="cnt_2", tel=("+12125550000",)) for one in second
        ]
        await again.add_list(numbered, "lst_2")
    async with running(store=store) as again:
        await again.wait_done("lst_2")
        [at] = again.dial_times()
        assert at - restarted_at == pytest.approx(dialled_s, abs=60)


async def test_a_cap_holds_over_a_restart_though_the_store_was_slow(
    autojump_clock: MockClock,
) -> None:
    store = await slow_store(dids=[did(caps=(Cap(1, 600),))])
    store.answers_after_s["begin_attempt"] = 3
    async with running(store=store) as world:
        await world.add_list(people(2))
        await trio.sleep(60)
        [first] = world.dial_times()
    store.answers_after_s["begin_attempt"] = 0
    async with running(store=store) as again:
        await again.wait_done()
        [second] = again.dial_times()
    assert second - first >= 600


async def test_a_listener_that_is_switched_off_just_after_another_change_is_off(
    autojump_clock: MockClock,
) -> None:
    store = await slow_store()
    store.answers_after_s["get_flow"] = 1
    async with running(store=store) as world:
        world.engine.changes.note_flow("acc_1", "flw_1")
        await trio.sleep(0.5)
        await world.engine.administration.set_listener(account(), "flw_1", False)
        await trio.sleep(10)
        await world.add_list(people(3))
        await trio.sleep(60)
        assert world.telephony.dialed == []


async def test_a_flow_dials_though_its_did_was_made_while_the_store_could_not_be_read(
    autojump_clock: MockClock,
) -> None:
    store = await slow_store([flow(dids=(), listener_active=False)])
    async with running(store=store) as world:
        await world.add_list(people(3))
        store.fails["get_flow"] = StoreUnavailable("locked")
        world.engine.changes.note_flow("acc_1", "flw_1")
        await trio.sleep(0.1)
        await store.add_did(did(number=TWO_DIDS[1]))
        await store.change_flow(
            "acc_1",
            "flw_1",
            lambda old: msgspec.structs.replace(old, dids=TWO_DIDS[1:], listener_active=True),
        )
        world.engine.changes.note_did("acc_1", TWO_DIDS[1])
        store.fails.clear()
        await world.wait_done()
        assert len(world.telephony.dialed) == 3


async def test_an_outcome_that_cannot_be_written_for_a_bug_leaves_the_other_calls_alone(
    autojump_clock: MockClock,
) -> None:
    store = await slow_store()
    store.fails["end_attempt cnt_000002"] = ValueError("a bug")
    async with running(store=store) as world:
        await world.add_list(people(5))
        await trio.sleep(60)
        assert [c.disposition for c in await world.contacts()] == [
            "answered",
            "answered",
            None,
            "answered",
            "answered",
        ]
    assert world.engine.did_load(did().number).channels_in_use == 0


async def test_a_call_that_loses_its_network_after_its_intent_still_ends(
    autojump_clock: MockClock,
) -> None:
    async with running() as world:
        prepare: Callable[[CallRequest], AbstractAsyncContextManager[Call]]
        prepare = world.telephony.prepare_call

        @asynccontextmanager
        async def prepare_call(request: CallRequest) -> AsyncIterator[Call]:
            async with prepare(request) as call:
                yield call
            raise TelephonyUnavailable("the media plane has died")

        world.telephony.prepare_call = prepare_call  # type: ignore[method-assign]
        await world.add_list(people(2))
        await world.wait_done()
        assert {c.disposition for c in await world.contacts()} == {"failed"}


@pytest.mark.parametrize(
    "barred",
    [did(number=TWO_DIDS[1], trunk="none"), did(number=TWO_DIDS[1], caps=(Cap(1, 36_000),))],
    ids=["no trunk", "at its cap"],
)
async def test_contacts_do_not_wait_at_a_barred_did_while_another_is_free(
    barred: Did, autojump_clock: MockClock
) -> None:
    async with running(flows=[flow(dids=TWO_DIDS)], dids=[did(cps=1), barred]) as world:
        await world.add_list(people(30))
        await trio.sleep(60)
        assert Counter(c.disposition for c in await world.contacts()) == {"answered": 30}


async def test_a_did_whose_trunk_comes_back_is_used_again(autojump_clock: MockClock) -> None:
    def silent_at_first(request: CallRequest, _before: int) -> CallScript:
        silent = request.trunk == "other" and trio.current_time() < 300
        return CallScript(code=0) if silent else CallScript()

    dids = [did(cps=1), did(number=TWO_DIDS[1], trunk="other", cps=1)]
    trunks = (TrunkSettings("main", 100, 100), TrunkSettings("other", 100, 100))
    async with running(
        silent_at_first, flows=[flow(dids=TWO_DIDS)], dids=dids, trunks=trunks
    ) as world:
        await world.add_list(people(900))
        await world.wait_done()
        late = [at for at in world.dial_times(TWO_DIDS[1]) if at > 400]
        assert (len(late) - 1) / (late[-1] - late[0]) >= 0.95


async def test_the_blocker_is_what_ends_last(autojump_clock: MockClock) -> None:
    capped = did(number=TWO_DIDS[1], caps=(Cap(1, 36_000),))
    flows = [flow(), flow(id="flw_2", calls_list="lst_calls_2", dids=TWO_DIDS[1:])]
    async with running(flows=flows, dids=[did(), capped], cps=1) as world:
        second = [
            msgspec.structs.replace(one, id=f"{one.id}b")
            for one in people(2, flow="flw_2", list="lst_2")
        ]
        await world.add_list(second, "lst_2")
        await trio.sleep(1)
        await world.add_list(people(100))
        await trio.sleep(10.3)
        waiting = [c for c in await world.contacts("lst_2") if c.state == "open"]
        [blocker] = await world.engine.explain(waiting)
        assert blocker is not None
        assert (blocker.code, round((blocker.until or 0) - EPOCH)) == ("did_cap", 36_000)


async def test_a_list_whose_commit_was_heard_of_by_nobody_is_dialled_all_the_same(
    autojump_clock: MockClock,
) -> None:
    """The commit took longer than the door waited, and came through after all."""
    async with running() as world:
        await trio.sleep(1)
        await world.store.accept_list(NewList(call_list(), people(3)))
        with trio.fail_after(120):
            await world.wait_done()
        assert len(world.telephony.dialed) == 3


async def test_a_flow_that_cannot_be_read_holds_its_own_contacts_alone(
    autojump_clock: MockClock,
) -> None:
    broken = flow(id="flw_2", calls_list="lst_calls_2", definition={"start": 1})
    async with running(flows=[flow(), broken]) as world:
        await world.add_list(people(2))
        await world.wait_done()
        assert len(world.telephony.dialed) == 2
